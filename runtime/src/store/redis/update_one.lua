-- What most updates do: one holder gives back or completes a key that nobody waits for. Functions
-- and patterns would cost more than all the rest, so there are none; whatever else it meets is left
-- to what follows.

local what = ARGV[2]
if #KEYS == 1 and not ARGV[6] and what ~= 'r' and what ~= 'i' then
  local key, token = KEYS[1], ARGV[1]
  local raw = redis.call('GET', key)
  if raw and string.sub(raw, 1, 4) == '1 p ' and string.sub(raw, 6, 8) == ' - '
    and string.sub(raw, 11, 26) == token then
    if what == 'f' then
      redis.call('SET', key, '1 f - - - ' .. token .. '\n', 'PX', ARGV[4])
      return 1
    end
    local time = redis.call('TIME')
    local micros = time[2]
    if #micros < 6 then micros = string.sub('00000' .. micros, -6) end
    local now = time[1] .. string.sub(micros, 1, 3)
    -- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
    local times = string.format('%d ', now + ARGV[3]) .. now
    if #times == 27 then
      local line = string.find(raw, '\n', 56, true)
      redis.call('SET', key, '1 c ' .. string.sub(raw, 5, 6) .. what .. string.sub(raw, 8, 27)
        .. times .. string.sub(raw, 55, line) .. string.sub(raw, line + 17) .. ARGV[5],
        'PX', ARGV[4])
      return 1
    end
  end
end

