-- Takes a place in the queue of a key, unless asking for the key again is worth it now.
--
-- KEYS: the key.
-- ARGV: the attempt's id, the connection it hears from, for how many ms the queue is kept. Then, in
-- tests, how many ms to move the clock.
-- Answers 1 if asking again is worth it, 0 if there is nothing to do but wait.

local raw = redis.call('GET', KEYS[1])
if not raw then return 1 end
local record = parse(raw)
local now, micros = clock(ARGV[4])
local held = record and (record.state == 'p' or record.state == 'g') and record.expires > now
if not held or record.id == ARGV[1] then return 1 end
-- Whoever has a place keeps it.
redis.call('ZADD', queue(KEYS[1]), 'NX', string.format('%.0f', micros), ARGV[1] .. ARGV[2])
redis.call('PEXPIRE', queue(KEYS[1]), ARGV[3])
if record.note == '-' then redis.call('SETRANGE', KEYS[1], 6, 'w') end
return 0
