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
  if raw then
    local state, _, _, _, expires, note, _, _, note_at = parse(raw)
    -- Whoever gives the key back will see that somebody waits. Only a hint: it may fail.
    if state == 'p' and expires > now and note == '-' then
      redis.pcall('SETRANGE', KEYS[i], note_at - 1, 'w')
    end
  end
end
return answer
