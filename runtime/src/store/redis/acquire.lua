-- Takes every key, or none and says which is occupied.
--
-- KEYS: the counter of tokens, then the keys to take.
-- ARGV: for each key the lease in ms, for how many ms the record is kept unless it is held back, the
-- attempt's id, the fingerprint or nothing, and the choice for interruptions (`r` or `h`; in upper
-- case if the request resolves them). Then, in tests, how many ms to move the clock.
-- Answers {0, token, attempt, …}, or {i, now, record} if the i-th key is occupied, or {-1, i} if
-- its record cannot be understood, or {-2} if the counter cannot.

local count = #KEYS - 1
local now, micros = clock(ARGV[5 * count + 1])
local answer = { 0 }
-- Of each key: what to write, for a new lease without its beginning up to the token.
local values, choices = {}, {}
local highest, new = 0, 0

for i = 1, count do
  local at = 5 * i - 4
  local lease, id, print, choice = ARGV[at] + 0, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local resolves = choice == 'R' or choice == 'H'
  if resolves then choice = string.lower(choice) end
  local attempt, note, again = 1, '-', false
  local raw = redis.call('GET', KEYS[i + 1])
  if raw then
    local state, its_choice, token, its_attempt, expires, its_note, lease_at, after_lease, note_at,
      print_at, ends = parse(raw)
    if not state then return { -1, i } end
    if state == 'p' and string.sub(raw, print_at - 16, print_at - 1) == id then
      again = true
      choice = its_choice
      answer[2 * i], answer[2 * i + 1] = tonumber(token), its_attempt
      values[i] = extended(raw, lease_at, after_lease, now + lease)
    elseif state == 'p' and expires > now then
      -- Whoever gives the key back will see that somebody waits. Only a hint: it may fail.
      if its_note == '-' then
        redis.pcall('SETRANGE', KEYS[i + 1], note_at - 1, 'w')
      end
      return { i, now, raw }
    elseif state == 'c' and expires > now then
      return { i, now, raw }
    elseif state == 'p' or state == 'i' then
      local its_print = string.sub(raw, print_at, ends - 1)
      if not resolves and (its_choice ~= 'r' or its_print ~= print) then return { i, now, raw } end
      attempt = math.min(its_attempt + 1, 4294967295)
      note = its_note
      if print == '' then print = its_print end
    end
    highest = math.max(highest, tonumber(token))
  end
  if not again then
    new = new + 1
    answer[2 * i + 1] = attempt
    local has_print = 'f'
    if print == '' then has_print = '-' end
    values[i] = ' ' .. attempt .. string.format(' %.0f %.0f %s %s\n', now + lease, now, note, has_print)
      .. id .. print
  end
  choices[i] = choice
end

local token, text = 0, ''
if new > 0 then
  local last = redis.call('GET', KEYS[1])
  if last and not string.find(last, '^%d+$') then return { -2 } end
  -- Time in a token outlives a counter that was lost, the counter outlives a clock that steps back.
  token = math.max((last or 0) + STRIDE, highest + STRIDE, math.floor(micros / 16) * STRIDE)
  if token >= LIMIT - new * STRIDE then return { -2 } end
  text = string.format('%.0f', token + (new - 1) * STRIDE)
  redis.call('SET', KEYS[1], text)
end

for i = 1, count do
  local value, choice = values[i], choices[i]
  if not answer[2 * i] then
    answer[2 * i] = token
    if new > 1 then text = string.format('%.0f', token) end
    value = '1 p ' .. choice .. ' ' .. text .. value
    token = token + STRIDE
  end
  hold(KEYS[i + 1], value, choice, ARGV[5 * i - 3])
end
return answer
