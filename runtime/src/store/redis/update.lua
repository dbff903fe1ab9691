-- Renews, completes, releases or interrupts each record that is in progress under its token.
--
-- KEYS: the key of each update.
-- ARGV: for each update the token, what to do (`r` renew, `f` release, `i` interrupt, or the code of
-- the outcome to complete with), for how many ms, and the outcome's bytes. Then, in tests, how many
-- ms to move the clock.
-- Answers for each update 1 if it stands, 0 if the lease is lost, -1 if the record cannot be
-- understood.

local now = clock(ARGV[4 * #KEYS + 1])
local moment = string.format('%.0f', now)

-- `what`, done to a record in progress.
local function apply(key, record, raw, what, length, outcome)
  local choice, token, attempt = record.choice, record.token, record.attempt
  if what == 'r' then
    write(key, header('p', choice, token, attempt, now + length, record.since, record.note,
      record.print) .. string.sub(raw, record.rest), until_abandoned(choice, length))
    return
  end
  if what == 'f' then
    write(key, header('f', choice, token, attempt, now, moment, '-', ''), TOMBSTONE)
  elseif what == 'i' then
    write(key, header('i', choice, token, attempt, now, moment, '-', record.print) .. record.print,
      until_abandoned(choice, 0))
  else
    write(key, header('c', choice, token, attempt, now + length, moment, what, record.print)
      .. record.print .. outcome, length + SPARE)
  end
  if record.note == 'w' then
    -- A hint: who may not publish may still give back.
    redis.pcall('PUBLISH', 'oncely:changed:' .. key, '')
  end
end

local answers = {}
for i = 1, #KEYS do
  local at = 4 * i - 3
  local token, what = ARGV[at], ARGV[at + 1]
  local raw = redis.pcall('GET', KEYS[i])
  if type(raw) == 'table' then
    if not string.find(raw.err, 'WRONGTYPE', 1, true) then return raw end
    answers[i] = -1
  elseif not raw then
    answers[i] = 0
  else
    local record = parse(raw)
    if not record then
      answers[i] = -1
    elseif record.token ~= token then
      answers[i] = 0
    elseif record.state == 'p' then
      apply(KEYS[i], record, raw, what, tonumber(ARGV[at + 2]), ARGV[at + 3])
      answers[i] = 1
    elseif record.state == what or (record.state == 'c' and tonumber(what)) then
      -- It was done before, and its reply was lost.
      answers[i] = 1
    else
      answers[i] = 0
    end
  end
end
return answers
