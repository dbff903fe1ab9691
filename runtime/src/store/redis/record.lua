-- What the scripts know of a record. The layout is documented in `mod.rs`, the rules are those of
-- `../record.rs`. Numbers stay below 2^53, where doubles are exact; Lua writes 14 digits of them by
-- itself, which is enough for times and not for tokens.

-- From one token to the next; those between are the holders' who share a lease in one process.
local STRIDE = 32
-- For how many ms a record is kept after its lease, and an outcome after its retention: a request
-- says how long to keep it, and so when it ends.
local ABANDONED, SPARE = 86400000, 1000

-- Milliseconds and microseconds since 1970 by the server's clock, which only tests move.
local function clock(offset)
  local time = redis.call('TIME')
  local micros = time[1] * 1000000 + time[2]
  if offset then micros = micros + offset * 1000 end
  return math.floor(micros / 1000), micros
end

-- The parts of a record, or nothing if it is none.
local function parse(raw)
  local note, token = string.match(raw, '^1 f %- ([-wl]) %- (%d+)\n$')
  if note then
    return #token == 16 and { state = 'f', note = note, token = tonumber(token), expires = 0 } or nil
  end
  local state, choice, note, flag, token, expires, since, attempt, ends = string.match(raw,
    '^1 ([pgci]) ([rh]) (%S) ([-f]) (%d+) (%d+) (%d+) (%d+)\n()')
  if not state or #token ~= 16 or #expires ~= 13 or #since ~= 13 then return nil end
  local record = { state = state, choice = choice, note = note, token = tonumber(token),
    expires = tonumber(expires), attempt = tonumber(attempt) }
  if state == 'p' or state == 'g' then
    record.id = string.sub(raw, ends, ends + 15)
    ends = ends + 16
  end
  record.print = ''
  if flag == 'f' then
    record.print = string.sub(raw, ends, ends + 32)
    ends = ends + 33
  end
  local whole, waiters = #raw + 1 == ends, string.find(note, '[-wl]') ~= nil
  if state == 'c' then whole = #raw + 1 >= ends end
  local small = record.token < 9007199254740992 and record.attempt < 4294967296
  if not whole or not small or waiters == (state == 'c') then return nil end
  return record
end

-- The text of a record in progress (`p`) or granted to somebody who waits (`g`).
local function in_progress(state, choice, note, token, expires, now, attempt, id, print)
  return string.format('1 %s %s %s %s %016.0f %013.0f %013.0f %.0f\n', state, choice, note,
    print == '' and '-' or 'f', token, expires, now, attempt) .. id .. print
end

-- Writes a record whose holder may vanish, or did: it is kept so long, or until it is resolved.
local function hold(key, value, choice, keep)
  if choice == 'h' then
    redis.call('SET', key, value)
  else
    redis.call('SET', key, value, 'PX', keep)
  end
end

