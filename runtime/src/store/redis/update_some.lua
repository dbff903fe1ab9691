-- What most updates of several records do, such as those of a call and its lock: one holder
-- completes the first of them with a value, or gives it back, and gives back all others, for which
-- nobody waits. Whatever else it meets is left to what follows, before anything is changed.
--
-- KEYS: the keys, of which the first is none of the others.
-- ARGV: to complete the first, its token, for how many ms it is kept and the bytes of the value; then
-- the tokens of what is given back. Otherwise what `update` takes.
-- Answers 1 if all of it stands.

if #KEYS > 1 and (#ARGV == #KEYS or #ARGV == #KEYS + 2) then
  local call, try, find, byte = redis.call, redis.pcall, string.find, string.byte
  -- Where the tokens are that belong to what is given back.
  local before, first, usual = #ARGV - #KEYS, nil, true
  for i = 1, #KEYS do
    local token = i == 1 and ARGV[1] or ARGV[before + i]
    local raw, version, state, note, _ = try('GET', KEYS[i]), nil, nil, nil, nil
    if type(raw) == 'string' and find(raw, token, 11, true) == 11 then
      version, _, state, _, _, _, note = byte(raw, 1, 7)
    end
    first = first or raw
    usual = version == 49 and state == 112 and note == 45 -- 1 p -
    if not usual then break end
  end
  local value, keep = nil, ARGV[2]
  if usual and before == 2 then
    usual = find(first, ' 1\n', 55, true) == 55
    local time = call('TIME')
    local micros = time[2]
    local now = time[1] * 1000 + (micros - micros % 1000) / 1000
    -- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
    local times = string.format(' %d %d 1\n', now + keep - 1000, now)
    usual = usual and #times == 31
    value = (byte(first, 5) == 104 and '1 c h 0' or '1 c r 0')
      .. (byte(first, 9) == 102 and ' f ' or ' - ') .. ARGV[1] .. times .. string.sub(first, 74)
      .. ARGV[3]
  end
  if usual then
    if value then call('SET', KEYS[1], value, 'PX', keep) end
    for i = value and 2 or 1, #KEYS do
      call('SET', KEYS[i], '1 f - - - ' .. ARGV[before + i] .. '\n', 'PX', FREE)
    end
    return 1
  end
  -- Spelled out for what follows.
  local given = ARGV
  ARGV = before == 2 and { given[1], '0', keep, given[3] } or {}
  for i = before == 2 and 2 or 1, #KEYS do
    ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i] = given[before + i], 'f', FREE, ''
  end
end

