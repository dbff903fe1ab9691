-- Gives up a place in the queue of a key, and the key if it was handed over and not confirmed: by
-- then an acquire may have been answered with it.
--
-- KEYS: the key.
-- ARGV: the attempt's id, the connection it hears from, for how many ms what is given back is kept.
-- Then, in tests, how many ms to move the clock.

redis.call('ZREM', queue(KEYS[1]), ARGV[1] .. ARGV[2])
local raw = redis.call('GET', KEYS[1])
local record = raw and parse(raw)
if record and record.state == 'g' and record.id == ARGV[1] then
  give(KEYS[1], record.token, record.note, ARGV[3], ARGV[4])
end
return 0
