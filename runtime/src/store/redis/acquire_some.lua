-- What most acquires of several keys find, such as that of a call and its lock: all are free, or
-- the first of them that is not has an outcome. Whatever else it meets is left to what follows.
--
-- KEYS: the counter of tokens, the keys.
-- ARGV, if all choices are `r` and all leases as long: for how many ms each record is kept, then of
-- each key the attempt's id and the fingerprint. Otherwise what `acquire` takes.
-- Answers with the first token alone: each is a first attempt then, and has the next token.

if #KEYS > 2 and #ARGV == #KEYS then
  local call, sub, format = redis.call, string.sub, string.format
  local keep, time, raws, usual = ARGV[1], call('TIME'), {}, true
  local seconds, micros = time[1] + 0, time[2] + 0
  local now = seconds * 1000 + (micros - micros % 1000) / 1000
  local token = (seconds * 1000000 + micros) * 2
  for i = 2, #KEYS do
    local raw = call('GET', KEYS[i])
    if raw then
      local state, moment = sub(raw, 1, 4), format('%d', now)
      if state == '1 c ' and sub(raw, 28, 40) > moment then return { i - 1, moment, raw } end
      usual = state == '1 f ' and #raw == 27
      if not usual then break end
      local past = tonumber(sub(raw, 11, 26))
      if token < past + 32 then token = past + 32 end
      raws[i] = raw
    end
  end
  local last = usual and (call('GET', KEYS[1]) or '0000000000000000')
  local count = last and #last == 16 and tonumber(last)
  if count then
    if token < count + 32 then token = count + 32 end
    local highest = token + 32 * (#KEYS - 2)
    -- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
    local first, times = format('%d', token), format(' %d %d 1\n', now + keep - 86400000, now)
    if highest < 9007199254740992 and #first + #times == 47 then
      call('SET', KEYS[1], format('%d', highest))
      local text = first
      for i = 2, #KEYS do
        local raw, mine = raws[i], ARGV[i]
        call('SET', KEYS[i], '1 p r' .. (raw and sub(raw, 6, 8) or ' - ')
          .. (#mine == 16 and '- ' or 'f ') .. text .. times .. mine, 'PX', keep)
        token = token + 32
        if i < #KEYS then text = format('%d', token) end
      end
      return first
    end
  end
  -- Spelled out for what follows.
  local given = ARGV
  ARGV = {}
  for i = 2, #KEYS do
    ARGV[3 * i - 5], ARGV[3 * i - 4], ARGV[3 * i - 3] = keep, given[i], 'r'
  end
end

