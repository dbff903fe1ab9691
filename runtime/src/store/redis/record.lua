-- What both scripts know of a record. The layout is documented in `mod.rs`, the rules are those of
-- `../record.rs`; every number stays below 2^53, where doubles are exact.

local LIMIT = 9007199254740992 -- 2^53
-- From one token to the next; those between are the holders' who share a lease in one process.
local STRIDE = 32

-- Milliseconds and microseconds since 1970 by the server's clock, which only tests move.
local function clock(offset)
  local time = redis.call('TIME')
  local micros = time[1] * 1000000 + time[2]
  if offset then micros = micros + offset * 1000 end
  return math.floor(micros / 1000), micros
end

-- The words of a record, and where in it are: the end of the lease and what follows that, the note
-- on waiters, the fingerprint and what follows that. Nothing, if it is no record.
local function parse(raw)
  local state, choice, token, attempt, lease_at, expires, after_lease, note_at, note, print, ends =
    string.match(raw, '^1 ([pcif]) ([rh]) (%d+) (%d+) ()(%d+)() %d+ ()([-w%d]+) ([-f])\n()')
  if not state then return nil end
  attempt, expires = tonumber(attempt), tonumber(expires)
  if state == 'p' then ends = ends + 16 end
  local print_at = ends
  if print == 'f' then ends = ends + 33 end
  if tonumber(token) >= LIMIT or expires >= LIMIT or attempt >= 4294967296 then return nil end
  if state == 'c' then
    if not tonumber(note) or #raw + 1 < ends then return nil end
  elseif #raw + 1 ~= ends or (note ~= '-' and note ~= 'w') then
    return nil
  end
  return state, choice, token, attempt, expires, note, lease_at, after_lease, note_at, print_at, ends
end

-- Writes a record whose holder may vanish, or did: it is kept so long, or until it is resolved.
local function hold(key, value, choice, keep)
  if choice == 'h' then
    redis.call('SET', key, value)
  else
    redis.call('SET', key, value, 'PX', keep)
  end
end

-- A record in progress with another end of its lease.
local function extended(raw, lease_at, after_lease, expires)
  return string.sub(raw, 1, lease_at - 1) .. string.format('%.0f', expires)
    .. string.sub(raw, after_lease)
end
