-- What most acquires find: one key, free or completed. Functions and patterns would cost more than
-- all the rest, so there are none; whatever else it meets is left to what follows.

local choice = ARGV[5]
if #KEYS == 2 and not ARGV[6] and (choice == 'r' or choice == 'h') then
  local raw = redis.call('GET', KEYS[2])
  local state = raw and string.sub(raw, 1, 4)
  local time = redis.call('TIME')
  local seconds, micros = time[1], time[2]
  if #micros < 6 then micros = string.sub('00000' .. micros, -6) end
  local now, token = seconds .. string.sub(micros, 1, 3), seconds .. micros
  if state == '1 c ' then
    if string.sub(raw, 28, 40) > now then return { 1, now, raw } end
  elseif #token == 16
    and (not raw or (state == '1 f ' and #raw == 27 and string.sub(raw, 11, 26) < token)) then
    local last = redis.call('GETSET', KEYS[1], token)
    if not last or (#last == 16 and last < token) then
      local value = '1 p ' .. choice .. (raw and string.sub(raw, 6, 8) or ' - ')
        .. (ARGV[4] == '' and '- ' or 'f ') .. token .. ' ' .. now + ARGV[1] .. ' ' .. now
        .. ' 1\n' .. ARGV[3] .. ARGV[4]
      if choice == 'h' then
        redis.call('SET', KEYS[2], value)
      else
        redis.call('SET', KEYS[2], value, 'PX', ARGV[2])
      end
      return token .. ' 1'
    end
    -- The clock went back behind a token, or this is no count.
    redis.call('SET', KEYS[1], last)
  end
end

