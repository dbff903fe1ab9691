-- Renews, completes, releases or interrupts each record that is in progress under its token.
--
-- KEYS: the key of each update.
-- ARGV: for each update the token, what to do (`r` renew, `f` release, `i` interrupt, or the code of
-- the outcome to complete with), for how many ms, for how many the record is kept (a record in
-- progress or interrupted, unless it is held back), and the outcome's bytes. Then, in tests, how
-- many ms to move the clock.
-- Answers for each update 1 if it stands, 0 if the lease is lost, -1 if the record cannot be
-- understood.

local sub = string.sub
local answers, now = {}, nil

for i = 1, #KEYS do
  local at = 5 * i - 4
  local key, token, what, keep = KEYS[i], ARGV[at], ARGV[at + 1], ARGV[at + 3]
  local raw = redis.pcall('GET', key)
  if type(raw) == 'table' then
    if not string.find(raw.err, 'WRONGTYPE', 1, true) then return raw end
    answers[i] = -1
  elseif not raw then
    answers[i] = 0
  elseif sub(raw, 11, 26) ~= token or sub(raw, 1, 4) ~= '1 p ' then
    local record = parse(raw)
    if not record then
      answers[i] = -1
    elseif record.token ~= tonumber(token) then
      answers[i] = 0
    else
      -- It was done before, and its reply was lost; or something else was done.
      local stands = record.state == what or (record.state == 'c' and tonumber(what))
      answers[i] = stands and 1 or 0
    end
  else
    answers[i] = 1
    local note = sub(raw, 7, 7)
    if what == 'f' and note == '-' then
      redis.call('SET', key, '1 f - - - ' .. token .. '\n', 'PX', keep)
    elseif what == 'f' then
      give(key, tonumber(token), note, keep, ARGV[5 * #KEYS + 1])
    else
      now = now or clock(ARGV[5 * #KEYS + 1])
      local choice, expires = sub(raw, 5, 5), string.format('%013.0f', now + ARGV[at + 2])
      if what == 'r' then
        hold(key, sub(raw, 1, 27) .. expires .. sub(raw, 41), choice, keep)
      else
        local line = string.find(raw, '\n', 56, true)
        local rest = string.format('%s %013.0f', expires, now) .. sub(raw, 55, line)
          .. sub(raw, line + 17)
        if what == 'i' then
          hold(key, '1 i ' .. sub(raw, 5, 27) .. rest, choice, keep)
        else
          local head = '1 c ' .. choice .. ' ' .. what .. sub(raw, 8, 27)
          redis.call('SET', key, head .. rest .. ARGV[at + 4], 'PX', keep)
        end
        if note ~= '-' then tell_all(key) end
      end
    end
  end
end
return answers
