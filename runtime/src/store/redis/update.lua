-- Renews, completes, releases or interrupts a record that is in progress under its token.
--
-- KEYS, at the place `at`: its key.
-- ARGV, from the place `from` on: the token, what to do (`r` renew, `f` release, `i` interrupt, or
-- the code of the outcome to complete with), for how many ms the record is kept (one in progress or
-- interrupted, unless it is held back), and the outcome's bytes.
-- Answers 1 if it stands, 0 if the lease is lost, -1 if the record cannot be understood.
local function update(at, from, offset)
  local sub = string.sub
  local key, token, what, keep = KEYS[at], ARGV[from], ARGV[from + 1], ARGV[from + 2]
  local raw = redis.pcall('GET', key)
  if type(raw) == 'table' then
    return string.find(raw.err, 'WRONGTYPE', 1, true) and -1 or raw
  end
  if not raw then return 0 end
  if sub(raw, 11, 26) ~= token or sub(raw, 1, 4) ~= '1 p ' then
    local record = parse(raw)
    if not record then return -1 end
    if record.token ~= tonumber(token) then return 0 end
    -- It was done before, and its reply was lost; or something else was done.
    local stands = record.state == what or (record.state == 'c' and tonumber(what))
    return stands and 1 or 0
  end
  local note = sub(raw, 7, 7)
  if what == 'f' and note == '-' then
    redis.call('SET', key, '1 f - - - ' .. token .. '\n', 'PX', keep)
    return 1
  elseif what == 'f' then
    give(key, tonumber(token), note, keep, offset)
    return 1
  end
  local now = clock(offset)
  local choice, spare = sub(raw, 5, 5), what == 'r' and ABANDONED or SPARE
  local expires = string.format('%013.0f', what == 'i' and now or now + keep - spare)
  if what == 'r' then
    hold(key, sub(raw, 1, 27) .. expires .. sub(raw, 41), choice, keep)
    return 1
  end
  local line = string.find(raw, '\n', 56, true)
  local rest = string.format('%s %013.0f', expires, now) .. sub(raw, 55, line)
    .. sub(raw, line + 17)
  if what == 'i' then
    hold(key, '1 i ' .. sub(raw, 5, 27) .. rest, choice, keep)
  else
    local head = '1 c ' .. choice .. ' ' .. what .. sub(raw, 8, 27)
    redis.call('SET', key, head .. rest .. ARGV[from + 3], 'PX', keep)
  end
  if note ~= '-' then tell_all(key) end
  return 1
end
