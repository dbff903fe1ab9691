-- What most acquires of several keys find, such as that of a call and its lock: all are free, or
-- the first of them that is not has an outcome. Whatever else it meets is left to what follows.

if #KEYS > 2 and #ARGV == 3 * #KEYS - 3 then
  local call, sub, format = redis.call, string.sub, string.format
  local time = call('TIME')
  local seconds, micros = time[1], time[2]
  local token = (seconds * 1000000 + micros) * 2
  if #micros < 6 then micros = sub('00000' .. micros, -6) end
  local now = seconds .. sub(micros, 1, 3)
  local notes, usual = {}, #now == 13
  for i = 2, #KEYS do
    local choice, raw = ARGV[3 * i - 3], call('GET', KEYS[i])
    local state, past = raw and sub(raw, 1, 4), nil
    if state == '1 c ' and sub(raw, 28, 40) > now then
      return { i - 1, now, raw }
    elseif not raw then
      past = 0
    elseif state == '1 f ' and #raw == 27 then
      past = tonumber(sub(raw, 11, 26))
    end
    usual = usual and past and (choice == 'r' or choice == 'h')
    if not usual then break end
    notes[i] = raw and sub(raw, 6, 8) or ' - '
    if past + 32 > token then token = past + 32 end
  end
  local last = usual and (call('GET', KEYS[1]) or '0000000000000000')
  local count = last and #last == 16 and tonumber(last)
  if count and count + 32 > token then token = count + 32 end
  local highest = token + 32 * (#KEYS - 2)
  -- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
  if count and highest < 9007199254740992 and #format('%d', token) == 16 then
    call('SET', KEYS[1], format('%d', highest))
    local answer = {}
    for i = 2, #KEYS do
      local keep, mine, choice = ARGV[3 * i - 5], ARGV[3 * i - 4], ARGV[3 * i - 3]
      local times = format('%d %d ', token, now + keep - 86400000)
      local value = (choice == 'h' and '1 p h' or '1 p r') .. notes[i]
        .. (#mine == 16 and '- ' or 'f ') .. times .. now .. ' 1\n' .. mine
      if choice == 'h' then
        call('SET', KEYS[i], value)
      else
        call('SET', KEYS[i], value, 'PX', keep)
      end
      answer[i - 1] = sub(times, 1, 16) .. ' 1'
      token = token + 32
    end
    return table.concat(answer, ' ')
  end
end

