-- What most updates do: one holder gives back or completes a key that nobody waits for, or gives it
-- back to the first in its queue. Functions and patterns would cost more than all the rest, so there
-- are none; whatever else it meets is left to what follows.

local what = ARGV[2]
if #KEYS == 1 and not ARGV[6] and what ~= 'r' and what ~= 'i' then
  local key, token = KEYS[1], ARGV[1]
  local raw = redis.call('GET', key)
  local note = raw and string.sub(raw, 1, 4) == '1 p ' and string.sub(raw, 11, 26) == token
    and string.sub(raw, 6, 8)
  if note == ' - ' and what == 'f' then
    redis.call('SET', key, '1 f - - - ' .. token .. '\n', 'PX', ARGV[4])
    return 1
  end
  local time = note and redis.call('TIME')
  local seconds, micros = note and time[1], note and time[2]
  if note and #micros < 6 then micros = string.sub('00000' .. micros, -6) end
  local now = note and seconds .. string.sub(micros, 1, 3)
  if note == ' - ' then
    -- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
    local times = string.format('%d ', now + ARGV[3]) .. now
    if #times == 27 then
      local line = string.find(raw, '\n', 56, true)
      redis.call('SET', key, '1 c ' .. string.sub(raw, 5, 6) .. what .. string.sub(raw, 8, 27)
        .. times .. string.sub(raw, 55, line) .. string.sub(raw, line + 17) .. ARGV[5],
        'PX', ARGV[4])
      return 1
    end
  elseif note == ' w ' and what == 'f' then
    -- As `give` in `queue.lua` does, where the first in the queue is there.
    local next_token = math.max((seconds * 1000000 + micros) * 2, token + 32)
    local times = string.format('%d %d ', next_token, now + 250)
    if #times == 31 and next_token < 9007199254740992 then
      local queue = 'oncely/queue/' .. key
      local first = redis.pcall('ZPOPMIN', queue)[1]
      local id = first and string.sub(first, 1, 16)
      local heard = first and redis.pcall('PUBLISH', 'oncely:granted:' .. string.sub(first, 17),
        'now' .. id .. key)
      if type(heard) == 'number' and heard > 0 then
        local second = redis.pcall('ZRANGE', queue, 0, 0)[1]
        redis.call('SET', key, (second and '1 g r w - ' or '1 g r - - ') .. times .. now .. ' 1\n'
          .. id, 'PX', ARGV[4])
        if second then
          redis.pcall('PUBLISH', 'oncely:granted:' .. string.sub(second, 17),
            'nxt' .. string.sub(second, 1, 16) .. key)
        end
        return 1
      end
    end
  end
end

