-- What most updates of several records do, such as those of a call and its lock: one holder
-- completes or gives back each of them, and nobody waits. Whatever else it meets is left to what
-- follows, before anything is changed.

if #KEYS > 1 and #ARGV == 4 * #KEYS then
  local call, sub = redis.call, string.sub
  local raws, usual = {}, true
  for i = 1, #KEYS do
    local key, what = KEYS[i], ARGV[4 * i - 2]
    -- Those of one record depend on one another.
    usual = what ~= 'r' and what ~= 'i' and not raws[key]
    local raw = usual and redis.pcall('GET', key)
    usual = type(raw) == 'string' and sub(raw, 1, 4) == '1 p ' and sub(raw, 6, 8) == ' - '
      and sub(raw, 11, 26) == ARGV[4 * i - 3]
    if not usual then break end
    raws[key] = raw
  end
  if usual then
    local time = call('TIME')
    local now = time[1] .. sub(string.format('%06d', time[2]), 1, 3)
    local answers = {}
    for i = 1, #KEYS do
      local from = 4 * i - 3
      local key, what = KEYS[i], ARGV[from + 1]
      local raw, value = raws[key], nil
      if what == 'f' then
        value = '1 f - - - ' .. ARGV[from] .. '\n'
      else
        local line = string.find(raw, '\n', 56, true)
        value = '1 c ' .. sub(raw, 5, 6) .. what .. sub(raw, 8, 27)
          .. string.format('%013.0f ', now + ARGV[from + 2] - 1000) .. now .. sub(raw, 55, line)
          .. sub(raw, line + 17) .. ARGV[from + 3]
      end
      call('SET', key, value, 'PX', ARGV[from + 2])
      answers[i] = 1
    end
    return answers
  end
end

