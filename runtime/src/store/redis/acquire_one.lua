-- What most acquires find: one key, free or completed. Functions, patterns and texts that are only
-- looked at would cost more than all the rest, so there are few; whatever else it meets is left to
-- what follows.
--
-- KEYS: the counter of tokens, the key.
-- ARGV: what `acquire` takes, where the choice may be left out if it is `r`.
-- Answers what `acquire` does, or `=`, the time and the record of a key that has an outcome, in one
-- text: an array costs both sides more.

local ARGV = ARGV
local keep, mine, choice = ARGV[1], ARGV[2], ARGV[3] or 'r'
if #KEYS == 2 and not ARGV[4] and (choice == 'r' or choice == 'h') then
  local call, sub, format = redis.call, string.sub, string.format
  local raw, time, past = call('GET', KEYS[2]), call('TIME'), 0
  if raw then
    local state = sub(raw, 1, 4)
    past = nil
    if state == '1 c ' then
      local seconds, micros = time[1], time[2]
      if #micros < 6 then micros = sub('00000' .. micros, -6) end
      local moment = seconds .. sub(micros, 1, 3)
      if sub(raw, 28, 40) > moment then return '=' .. moment .. raw end
    elseif state == '1 f ' and #raw == 27 then
      past = tonumber(sub(raw, 11, 26))
    elseif state == '1 g ' and #raw == 73 and sub(raw, 58) == sub(mine, 1, 16) then
      -- Handed over to this very request: the counter does not know the token yet.
      past = -1
    end
  end
  local last = past and (call('GET', KEYS[1]) or '0000000000000000')
  local count = last and #last == 16 and tonumber(last)
  if count then
    local seconds, micros = time[1] + 0, time[2] + 0
    local now = seconds * 1000 + (micros - micros % 1000) / 1000
    local token = (seconds * 1000000 + micros) * 2
    if token < count + 32 then token = count + 32 end
    if token < past + 32 then token = past + 32 end
    -- The lease ends a day before the record is gone. `%d` is twice as fast as `%.0f`; where it has
    -- but 32 bits the length is not that.
    local times = format('%d %d %d 1\n', token, now + keep - 86400000, now)
    if token < 9007199254740992 and #times == 47 then
      local head, text, value = choice == 'h' and '1 p h' or '1 p r', nil, nil
      if past < 0 then
        text = sub(raw, 11, 26)
        if text > last then call('SET', KEYS[1], text) end
        value = head .. sub(raw, 6, 27) .. sub(times, 18, 30) .. sub(raw, 41)
      else
        text = sub(times, 1, 16)
        call('SET', KEYS[1], text)
        value = head .. (raw and sub(raw, 6, 8) or ' - ') .. (#mine == 16 and '- ' or 'f ')
          .. times .. mine
      end
      if choice == 'h' then
        call('SET', KEYS[2], value)
      else
        call('SET', KEYS[2], value, 'PX', keep)
      end
      return text
    end
  end
end

