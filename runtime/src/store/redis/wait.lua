-- Takes a place in the queue of a key, unless asking for the key again is worth it now.
--
-- KEYS: the key.
-- ARGV: the attempt's id, the connection it hears from, for how many ms the queue is kept. Then, in
-- tests, how many ms to move the clock.
-- Answers 1 if the key may be had, 0 if there is nothing to do but wait.

local raw = redis.call('GET', KEYS[1])
if not raw then return 1 end
local record = parse(raw)
if not record then return 0 end
local now, micros = clock(ARGV[4])
local state, over = record.state, record.expires <= now
if record.id == ARGV[1] then return 1 end
if (state == 'p' or state == 'g') and not over then
  -- Whoever has a place keeps it.
  redis.call('ZADD', queue(KEYS[1]), 'NX', string.format('%.0f', micros), ARGV[1] .. ARGV[2])
  redis.call('PEXPIRE', queue(KEYS[1]), ARGV[3])
  if record.note == '-' then redis.call('SETRANGE', KEYS[1], 6, 'w') end
  return 0
end
if state == 'p' or state == 'i' then
  return record.choice == 'r' and record.print == '' and 1 or 0
end
return over and 1 or 0
