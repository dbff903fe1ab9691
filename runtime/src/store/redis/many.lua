-- Many calls that met on their way: updates of one record each, then acquires of one key each, every
-- one for itself. What most of them find is done here, where one look at the clock and one draw from
-- the counter serve all; whatever else they meet is left to what follows.
--
-- KEYS: the counter of tokens, the key of each update, the key of each acquire.
-- ARGV: a letter for each call, in one text: what `update` is to do for each update, then `|`, then
-- the choice of each acquire. After that what else `update` takes for each update: the token, for how
-- many ms the record is kept, the outcome's bytes; and `acquire` for each acquire: for how many ms the
-- record is kept, the attempt's id and the fingerprint.
-- Answers for each call what these do (and `acquire_one.lua`), or the error that it met.

local ARGV = ARGV
local try, byte, find, format, sub = redis.pcall, string.byte, string.find, string.format, string.sub
local letters, answers, answered = ARGV[1], {}, 0
local updates = find(letters, '|', 1, true) - 1
-- The keys that were taken, or of which something is left: what comes later must come behind it.
local met = {}

local time = redis.call('TIME')
local seconds, micros = time[1] + 0, time[2] + 0
local now = seconds * 1000 + (micros - micros % 1000) / 1000
-- Numbers are dear to write, and most calls of a batch keep their records for the same time. `%d` is
-- twice as fast as `%.0f`; where it has but 32 bits the length is not that.
local kept, times, moment

for i = 1, updates do
  local key, what, from, value = KEYS[i + 1], byte(letters, i), 3 * i - 1, nil
  local held, keep = ARGV[from], ARGV[from + 1]
  local raw = what < 105 and not met[key] and try('GET', key) -- Neither i nor r.
  -- As `update_one.lua` does.
  if type(raw) == 'string' and find(raw, held, 11, true) == 11
    and find(raw, ' 1\n', 55, true) == 55 then
    local version, _, state, _, choice, _, note, _, print = byte(raw, 1, 9)
    local usual = version == 49 and state == 112 and note == 45 -- 1 p -
    if usual and what == 102 then -- f
      value = '1 f - - - ' .. held .. '\n'
    elseif usual then
      if kept ~= keep then kept, times = keep, format(' %d %d 1\n', now + keep - 1000, now) end
      value = #times == 31 and (choice == 104 and '1 c h ' or '1 c r ') .. sub(letters, i, i)
        .. (print == 102 and ' f ' or ' - ') .. held .. times .. sub(raw, 74) .. ARGV[from + 2]
    end
  end
  if value then
    local written = try('SET', key, value, 'PX', keep)
    answers[i], answered = written.err and written or 1, answered + 1
  else
    met[key] = true
  end
end

-- What is there of the keys that may be granted.
local there, free, token = {}, 0, (seconds * 1000000 + micros) * 2
for i = updates + 1, #KEYS - 1 do
  local key, choice, past = KEYS[i + 1], byte(letters, i + 1), nil
  local raw = met[key] or try('GET', key)
  if not raw then
    past = 0
  elseif type(raw) == 'string' then
    local state = sub(raw, 1, 4)
    if state == '1 c ' then
      moment = moment or format('%d', now)
      if sub(raw, 28, 40) > moment then
        answers[i], answered = '=' .. moment .. raw, answered + 1
      end
    elseif state == '1 f ' and #raw == 27 then
      past = tonumber(sub(raw, 11, 26))
    end
  end
  if past and (choice == 114 or choice == 104) then -- r h
    there[i], free, met[key] = raw, free + 1, true
    if past + 32 > token then token = past + 32 end
  elseif not answers[i] then
    met[key] = true
  end
end

local last = free > 0 and (try('GET', KEYS[1]) or '0000000000000000')
local count = type(last) == 'string' and #last == 16 and tonumber(last)
if count then
  if count + 32 > token then token = count + 32 end
  local highest = token + 32 * (free - 1)
  local text = format('%d', highest)
  local counted = highest < 9007199254740992 and #text == 16 and not try('SET', KEYS[1], text).err
  kept = nil
  for i = updates + 1, counted and #KEYS - 1 or 0 do
    local raw = there[i]
    if raw ~= nil then
      local from, held = updates + 2 * i, token == highest and text or format('%d', token)
      local keep, mine = ARGV[from], ARGV[from + 1]
      if kept ~= keep then
        kept, times = keep, format(' %d %d 1\n', now + keep - 86400000, now)
      end
      if #times == 31 then
        local note = (raw and sub(raw, 6, 8) or ' - ') .. (#mine == 16 and '- ' or 'f ')
        local written
        if byte(letters, i + 1) == 104 then
          written = try('SET', KEYS[i + 1], '1 p h' .. note .. held .. times .. mine)
        else
          written = try('SET', KEYS[i + 1], '1 p r' .. note .. held .. times .. mine, 'PX', keep)
        end
        answers[i], answered = written.err and written or held, answered + 1
      end
      token = token + 32
    end
  end
end
if answered == #KEYS - 1 then return answers end

