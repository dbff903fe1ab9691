-- What most acquires find: one key, free or completed. Functions and patterns would cost more than
-- all the rest, so there are none; whatever else it meets is left to what follows.

local choice = ARGV[5]
if #KEYS == 2 and not ARGV[6] and (choice == 'r' or choice == 'h') then
  local raw = redis.call('GET', KEYS[2])
  local state, past = raw and string.sub(raw, 1, 4), nil
  local time = redis.call('TIME')
  local seconds, micros = time[1], time[2]
  local token = (seconds * 1000000 + micros) * 2
  if #micros < 6 then micros = string.sub('00000' .. micros, -6) end
  local now = seconds .. string.sub(micros, 1, 3)
  if state == '1 c ' then
    if string.sub(raw, 28, 40) > now then return { 1, now, raw } end
  elseif not raw then
    past = 0
  elseif state == '1 f ' and #raw == 27 then
    past = tonumber(string.sub(raw, 11, 26))
  elseif state == '1 g ' and string.sub(raw, 58, 73) == ARGV[3] and #raw == 73 then
    -- Handed over to this very request: the counter does not know the token yet.
    past = -1
  end
  local last = past and #now == 13 and (redis.call('GET', KEYS[1]) or '0000000000000000')
  local count = last and #last == 16 and tonumber(last)
  token = math.max(token, (past or 0) + 32, (count or 0) + 32)
  -- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
  local times = string.format('%d %d ', token, now + ARGV[1])
  if count and token < 9007199254740992 and #times == 31 then
    local text, value
    if past < 0 then
      text = string.sub(raw, 11, 26)
      if text > last then redis.call('SET', KEYS[1], text) end
      value = string.sub(raw, 6, 27) .. string.sub(times, 18, 30) .. string.sub(raw, 41)
    else
      text = string.sub(times, 1, 16)
      redis.call('SET', KEYS[1], text)
      value = (raw and string.sub(raw, 6, 8) or ' - ') .. (ARGV[4] == '' and '- ' or 'f ') .. times
        .. now .. ' 1\n' .. ARGV[3] .. ARGV[4]
    end
    if choice == 'h' then
      redis.call('SET', KEYS[2], '1 p h' .. value)
    else
      redis.call('SET', KEYS[2], '1 p r' .. value, 'PX', ARGV[2])
    end
    return text .. ' 1'
  end
end

