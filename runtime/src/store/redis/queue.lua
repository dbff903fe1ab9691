-- Giving a key to whoever waits for it. The queue of a key is a sorted set of those who wait, in the
-- order in which they came: the attempt's id, and the connection that it hears from.

-- How many of those who are gone are passed over at once.
local DEAD = 32
-- How long the key is kept, in ms, for somebody who has not confirmed yet that they took it.
local RESERVED = 250

local function queue(key)
  return 'oncely/queue/' .. key
end

-- Tells somebody in the queue to look: now (`now`), or once whoever was called should have come
-- (`nxt`). False if their connection is gone.
local function tell(key, place, word)
  local id, connection = string.sub(place, 1, 16), string.sub(place, 17)
  local heard = redis.pcall('PUBLISH', 'oncely:granted:' .. connection, word .. id .. key)
  return type(heard) == 'number' and heard > 0
end

local function first_of(key)
  return redis.pcall('ZRANGE', queue(key), 0, 0)[1]
end

-- The key may be free: tells those who listen, and the first in the queue, which stays there. Only
-- a hint: who may not publish may still give back.
local function tell_all(key)
  redis.pcall('PUBLISH', 'oncely:changed:' .. key, '')
  for _ = 1, DEAD do
    local first = first_of(key)
    if not first or tell(key, first, 'now') then return end
    redis.pcall('ZREM', queue(key), first)
  end
end

-- Gives back a key that somebody waits for: hands it to the first in the queue who is there. If some
-- listen who have no place in the queue (`l`), the key is left free for whoever comes first, so that
-- neither kind starves behind the other.
local function give(key, token, note, keep, offset)
  for _ = 1, note == 'w' and DEAD or 0 do
    local first = redis.pcall('ZPOPMIN', queue(key))[1]
    if not first then
      note = '-'
      break
    end
    if tell(key, first, 'now') then
      local now, micros = clock(offset)
      local id, next_token = string.sub(first, 1, 16), math.max(token + STRIDE, micros * 2)
      local second = first_of(key)
      local value = in_progress('g', 'r', second and 'w' or '-', next_token, now + RESERVED, now, 1,
        id, '')
      redis.call('SET', key, value, 'PX', keep)
      if second then tell(key, second, 'nxt') end
      return
    end
  end
  if note == 'l' then note = 'w' end
  redis.call('SET', key, string.format('1 f - %s - %016.0f\n', note, token), 'PX', keep)
  tell_all(key)
end

