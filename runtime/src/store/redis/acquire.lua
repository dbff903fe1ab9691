-- Takes every key, or none and says which is occupied.
--
-- KEYS: the counter of tokens, then the keys to take.
-- ARGV: for each key the lease in ms, the attempt's id, the fingerprint or nothing, and the choice
-- for interruptions (`r` or `h`; in upper case if the request resolves them). Then, in tests, how
-- many ms to move the clock.
-- Answers {0, token, attempt, …}, or {i, now, record} if the i-th key is occupied, or {-1, i} if
-- its record cannot be understood, or {-2} if the counter cannot.

local count = #KEYS - 1
local now, micros = clock(ARGV[4 * count + 1])
local grants = {}
local highest = 0
local new = 0

for i = 1, count do
  local at = 4 * i - 3
  local id, print, choice = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local grant = { lease = tonumber(ARGV[at]), attempt = 1, print = print, note = '-', id = id }
  grant.choice = string.lower(choice)
  local raw = redis.call('GET', KEYS[i + 1])
  if raw then
    local record = parse(raw)
    if not record then return { -1, i } end
    local state = record.state
    local over = record.expires <= now
    if state == 'f' or (state == 'c' and over) then
      -- As if there were none.
    elseif state == 'p' and record.id == id then
      grant.record = record
      grant.tail = string.sub(raw, record.rest)
    elseif state == 'p' and not over then
      -- Whoever gives the key back will see that somebody waits. Only a hint: it may fail.
      if record.note == '-' then
        redis.pcall('SETRANGE', KEYS[i + 1], record.note_at - 1, 'w')
      end
      return { i, now, raw }
    elseif state == 'c' then
      return { i, now, raw }
    elseif choice ~= grant.choice or (record.choice == 'r' and record.print == print) then
      grant.attempt = math.min(record.attempt + 1, 4294967295)
      if print == '' then grant.print = record.print end
      grant.note = record.note
    else
      return { i, now, raw }
    end
    highest = math.max(highest, tonumber(record.token))
  end
  if not grant.record then new = new + 1 end
  grants[i] = grant
end

local token = 0
if new > 0 then
  local last = redis.call('GET', KEYS[1])
  if last and not string.find(last, '^%d+$') then return { -2 } end
  -- Time in a token outlives a counter that was lost, the counter outlives a clock that steps back.
  -- No two scripts run within one microsecond, and none grants two keys in it.
  token = math.max((tonumber(last) or 0) + 1, highest + 1, micros * 2)
  if token >= LIMIT - new then return { -2 } end
  redis.call('SET', KEYS[1], string.format('%.0f', token + new - 1))
end

local answer = { 0 }
for i = 1, count do
  local grant = grants[i]
  local record = grant.record
  local value
  if record then
    local expires = now + grant.lease
    grant.choice = record.choice
    answer[2 * i], answer[2 * i + 1] = tonumber(record.token), record.attempt
    value = header('p', record.choice, record.token, record.attempt, expires, record.since,
      record.note, record.print) .. grant.tail
  else
    answer[2 * i], answer[2 * i + 1] = token, grant.attempt
    value = header('p', grant.choice, string.format('%.0f', token), grant.attempt,
      now + grant.lease, string.format('%.0f', now), grant.note, grant.print)
      .. grant.id .. grant.print
    token = token + 1
  end
  write(KEYS[i + 1], value, until_abandoned(grant.choice, grant.lease))
end
return answer
