-- Takes every key, or none and says which is occupied.
--
-- KEYS, from the place `first` on: `count` keys to take; before all others the counter of tokens.
-- ARGV, from the place `from` on: for each key for how many ms the record is kept unless it is held
-- back, the attempt's id with the fingerprint or nothing behind it, and the choice for interruptions
-- (`r`, `h`; in upper case if the request resolves them), which may be left out if it is the last.
-- Answers with the token and the attempt of each key in one text, or {i, now, record} if the i-th
-- key is occupied, or {-1, i} if its record cannot be understood, or {-2} if the counter cannot.
local function acquire(first, count, from, offset)
  local now, micros = clock(offset)
  local wishes, highest, new, granted = {}, 0, 0, false

  for i = 1, count do
    local at = from + 3 * (i - 1)
    local letter = ARGV[at + 2] or 'r'
    local choice = string.lower(letter)
    local resolves = choice ~= letter
    local wish = { choice = choice, keep = ARGV[at], attempt = 1, note = '-',
      id = string.sub(ARGV[at + 1], 1, 16), print = string.sub(ARGV[at + 1], 17) }
    wishes[i] = wish
    local raw = redis.call('GET', KEYS[first + i - 1])
    local record = raw and parse(raw)
    if raw and not record then return { -1, i } end
    if record then
      local state, over = record.state, record.expires <= now
      if record.id == wish.id then
        -- Asked for again, or by whom it was handed to. The counter does not know that token yet.
        granted = granted or state == 'g'
        wish.choice, wish.token, wish.attempt = record.choice, record.token, record.attempt
        wish.print = record.print
      elseif (state == 'p' or state == 'g') and not over then
        -- Whoever gives the key back will see that somebody waits; `l` if it is somebody who has no
        -- place in the queue. Only a hint: it may fail.
        local alone = count == 1 and wish.print == '' and choice == 'r' and not resolves
        local note = alone and 'w' or 'l'
        if record.note == '-' or (record.note == 'w' and note == 'l') then
          redis.pcall('SETRANGE', KEYS[first + i - 1], 6, note)
        end
        return { i, now, raw }
      elseif state == 'c' and not over then
        return { i, now, raw }
      elseif state == 'p' or state == 'i' then
        if not resolves and (record.choice ~= 'r' or record.print ~= wish.print) then
          return { i, now, raw }
        end
        wish.attempt = math.min(record.attempt + 1, 4294967295)
        if wish.print == '' then wish.print = record.print end
      end
      if state ~= 'c' then wish.note = record.note end
      highest = math.max(highest, record.token)
    end
    if not wish.token then new = new + 1 end
  end

  local token = 0
  if new > 0 or granted then
    local last = redis.call('GET', KEYS[1])
    if last and not string.find(last, '^%d+$') then return { -2 } end
    highest = math.max(highest, tonumber(last or 0))
    if new > 0 then
      -- Time in a token outlives a counter that was lost, the counter outlives a clock that steps
      -- back.
      token = math.max(highest + STRIDE, micros * 2)
      if token >= 9007199254740992 - new * STRIDE then return { -2 } end
      highest = token + (new - 1) * STRIDE
    end
    redis.call('SET', KEYS[1], string.format('%016.0f', highest))
  end

  local answer = {}
  for i, wish in ipairs(wishes) do
    if not wish.token then
      wish.token = token
      token = token + STRIDE
    end
    local value = in_progress('p', wish.choice, wish.note, wish.token,
      now + wish.keep - ABANDONED, now, wish.attempt, wish.id, wish.print)
    hold(KEYS[first + i - 1], value, wish.choice, wish.keep)
    answer[i] = string.format('%.0f %.0f', wish.token, wish.attempt)
  end
  return table.concat(answer, ' ')
end
