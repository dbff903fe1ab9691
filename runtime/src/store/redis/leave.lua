-- Gives up a place in the queue of a key, and the key if it was handed over and is in a state in which
-- nobody knows of it: not confirmed (`g`), since else an acquire may have been answered with it; or
-- also confirmed (`gp`), by an acquire whose answer nobody hears.
--
-- KEYS: the key.
-- ARGV: the attempt's id, the connection it hears from, for how many ms what is given back is kept,
-- the states. Then, in tests, how many ms to move the clock.

redis.call('ZREM', queue(KEYS[1]), ARGV[1] .. ARGV[2])
local raw = redis.call('GET', KEYS[1])
local record = raw and parse(raw)
if record and string.find(ARGV[4], record.state, 1, true) and record.id == ARGV[1] then
  give(KEYS[1], record.token, record.note, ARGV[3], ARGV[5])
end
return 0
