-- What most updates do: one holder gives back or completes a key that nobody waits for, or gives it
-- back to the first in its queue. Functions, patterns and texts that are only looked at would cost
-- more than all the rest, so there are few; whatever else it meets is left to what follows.
--
-- KEYS: the key.
-- ARGV: the token, to give it back; and for how many ms the record is kept and the bytes of a value,
-- to complete it with that, which ends a second before it is gone. Otherwise what `update` takes.

-- For how many ms what was given back is kept.
local FREE = '60000'

local ARGV = ARGV
if #KEYS == 1 and (#ARGV == 1 or #ARGV == 3) then
  local key, token, keep, outcome = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
  local call, find, raw = redis.call, string.find, redis.pcall('GET', KEYS[1])
  if type(raw) == 'string' and find(raw, token, 11, true) == 11
    and find(raw, ' 1\n', 55, true) == 55 then
    local version, _, state, _, choice, _, note, _, print = string.byte(raw, 1, 9)
    local held = version == 49 and state == 112 -- 1 p
    if held and note == 45 then -- Nobody waits (-).
      if not outcome then
        call('SET', key, '1 f - - - ' .. token .. '\n', 'PX', FREE)
        return 1
      end
      local time = call('TIME')
      local micros = time[2]
      local now = time[1] * 1000 + (micros - micros % 1000) / 1000
      -- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
      local times = string.format(' %d %d 1\n', now + keep - 1000, now)
      if #times == 31 then
        call('SET', key, (choice == 104 and '1 c h 0' or '1 c r 0')
          .. (print == 102 and ' f ' or ' - ') .. token .. times .. string.sub(raw, 74)
          .. outcome, 'PX', keep)
        return 1
      end
    elseif held and note == 119 and not outcome then -- Somebody waits (w).
      -- As `give` in `queue.lua` does, where the first in the queue is there.
      local time = call('TIME')
      local seconds, micros = time[1] + 0, time[2] + 0
      local next_token, past = (seconds * 1000000 + micros) * 2, token + 32
      if next_token < past then next_token = past end
      local now = seconds * 1000 + (micros - micros % 1000) / 1000
      local times = string.format('%d %d %d 1\n', next_token, now + 250, now)
      if #times == 47 and next_token < 9007199254740992 then
        local queue = 'oncely/queue/' .. key
        local places = redis.pcall('ZRANGE', queue, '0', '1')
        local first, second = places[1], places[2]
        local id = first and string.sub(first, 1, 16)
        local heard = first and redis.pcall('PUBLISH', 'oncely:granted:' .. string.sub(first, 17),
          'now' .. id .. key)
        if type(heard) == 'number' and heard > 0 then
          redis.pcall('ZREM', queue, first)
          call('SET', key, (second and '1 g r w - ' or '1 g r - - ') .. times .. id, 'PX', FREE)
          if second then
            redis.pcall('PUBLISH', 'oncely:granted:' .. string.sub(second, 17),
              'nxt' .. string.sub(second, 1, 16) .. key)
          end
          return 1
        end
      end
    end
  end
  -- Spelled out for what follows.
  ARGV = outcome and { token, '0', keep, outcome } or { token, 'f', FREE }
end

