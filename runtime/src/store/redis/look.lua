-- Looks at keys before any of them is taken: those of one acquire may be in several slots.
--
-- KEYS: the keys.
-- ARGV: in tests, how many ms to move the clock.
-- Answers {now, record, …}, with false where there is no record.

local now = clock(ARGV[1])
local answer = { now }
for i = 1, #KEYS do
  local raw = redis.call('GET', KEYS[i])
  answer[i + 1] = raw
  local record = raw and parse(raw)
  -- Whoever gives the key back will see that somebody waits who has no place in a queue. Only a
  -- hint: it may fail.
  if record and record.state == 'p' and record.expires > now and record.note ~= 'l' then
    redis.pcall('SETRANGE', KEYS[i], 6, 'l')
  end
end
return answer
