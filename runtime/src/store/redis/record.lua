-- What both scripts know of a record. The layout is documented in `mod.rs`, the rules are those of
-- `../record.rs`; every number stays below 2^53, where doubles are exact.

local LIMIT = 9007199254740992 -- 2^53
local TOMBSTONE = 60000 -- ms
local ABANDONED = 86400000 -- ms
-- An outcome that is over is over by `expires`; the server may delete it a little later.
local SPARE = 1000 -- ms

-- Milliseconds and microseconds since 1970 by the server's clock, which only tests move.
local function clock(offset)
  local time = redis.call('TIME')
  local micros = time[1] * 1000000 + time[2] + (tonumber(offset) or 0) * 1000
  return math.floor(micros / 1000), micros
end

local function parse(raw)
  local state, choice, token, attempt, expires, since, at, note, print, rest =
    string.match(raw, '^1 ([pcif]) ([rh]) (%d+) (%d+) (%d+) (%d+) ()([-w%d]+) ([-f])\n()')
  if not state then return nil end
  local record = {
    state = state, choice = choice, token = token, attempt = tonumber(attempt),
    expires = tonumber(expires), since = since, note_at = at, note = note, rest = rest,
    has_print = print,
  }
  if tonumber(token) >= LIMIT or record.expires >= LIMIT or record.attempt >= 4294967296 then
    return nil
  end
  local prints_at = rest
  if state == 'p' then prints_at = rest + 16 end
  local ends = prints_at
  if print == 'f' then ends = prints_at + 33 end
  local has_code = tonumber(note) ~= nil
  if #raw + 1 < ends or has_code ~= (state == 'c') then return nil end
  if state ~= 'c' and (#raw + 1 > ends or #note > 1) then return nil end
  record.id = string.sub(raw, rest, prints_at - 1)
  record.print = string.sub(raw, prints_at, ends - 1)
  return record
end

local function header(state, choice, token, attempt, expires, since, note, print)
  local has_print = '-'
  if print ~= '' then has_print = 'f' end
  return string.format('1 %s %s %s %.0f %.0f %s %s %s\n', state, choice, token, attempt, expires,
    since, note, has_print)
end

-- Writes a record that nobody needs after so many milliseconds; 0 means never.
local function write(key, value, keep)
  if keep == 0 then
    redis.call('SET', key, value)
  else
    redis.call('SET', key, value, 'PX', string.format('%.0f', keep))
  end
end

-- How long a record is kept whose holder may vanish, or did.
local function until_abandoned(choice, lease)
  if choice == 'h' then return 0 end
  return lease + ABANDONED
end
