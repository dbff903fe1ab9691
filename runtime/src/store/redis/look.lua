-- Looks at keys before any of them is taken: those of one acquire may be in several slots.
--
-- KEYS: the keys.
-- ARGV: in tests, how many ms to move the clock.
-- Answers {now, record, …}, with false where there is none or it was given back.

local now = clock(ARGV[1])
local answer = { now }
for i = 1, #KEYS do
  local raw = redis.call('GET', KEYS[i])
  local record = raw and parse(raw)
  if record and record.state == 'f' then raw = false end
  answer[i + 1] = raw
  -- Whoever gives the key back will see that somebody listens. Only a hint: it may fail.
  if record and (record.state == 'p' or record.state == 'g') and record.expires > now
    and (record.note == '-' or record.note == 'w') then
    redis.pcall('SETRANGE', KEYS[i], 6, 'l')
  end
end
return answer
