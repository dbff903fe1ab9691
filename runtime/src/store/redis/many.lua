-- Many calls that met on their way: updates of one record each, then acquires of one key each, every
-- one for itself. What most of them find is done here; one look at the clock and one draw from the
-- counter serve all. Whatever else they meet is left to what single calls run.
--
-- KEYS: the counter of tokens, the key of each update, the key of each acquire.
-- ARGV: how many updates there are, then for each of them what `update` takes and for each acquire
-- what `acquire` takes, all of it.
-- Answers for each call what these do, or the error that it met.

local call, try = redis.call, redis.pcall
local byte, find, format, sub = string.byte, string.find, string.format, string.sub
local updates, answers = tonumber(ARGV[1]), {}

local time = call('TIME')
local seconds, micros = time[1] + 0, time[2] + 0
local token = (seconds * 1000000 + micros) * 2
-- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
local now = format('%d', seconds * 1000 + (micros - micros % 1000) / 1000)

-- The answer of what single calls run. Those beside it must not fail with it.
local function alone(run, ...)
  local done, answer = pcall(run, ...)
  if done then return answer end
  return { err = type(answer) == 'table' and answer.err or answer }
end

-- Writes a record, and gives the answer unless that failed.
local function write(answer, ...)
  local written = try('SET', ...)
  return written.err and written or answer
end

for i = 1, updates do
  local from = 4 * i - 2
  local key, held, what, keep = KEYS[i + 1], ARGV[from], ARGV[from + 1], ARGV[from + 2]
  local raw = what ~= 'r' and what ~= 'i' and try('GET', key)
  -- As `update_one.lua` does.
  if type(raw) == 'string' and find(raw, held, 11, true) == 11
    and find(raw, ' 1\n', 55, true) == 55 then
    local version, _, state, _, choice, _, note, _, print = byte(raw, 1, 9)
    local usual = version == 49 and state == 112 and note == 45
    if usual and what == 'f' then
      answers[i] = write(1, key, '1 f - - - ' .. held .. '\n', 'PX', keep)
    elseif usual then
      local times = format(' %d ', now + keep - SPARE)
      if #times == 15 and #now == 13 then
        local value = (choice == 104 and '1 c h ' or '1 c r ') .. what
          .. (print == 102 and ' f ' or ' - ') .. held .. times .. now .. ' 1\n' .. sub(raw, 74)
          .. ARGV[from + 3]
        answers[i] = write(1, key, value, 'PX', keep)
      end
    end
  end
  answers[i] = answers[i] or alone(update, i + 1, from)
end

-- The keys that may be taken, and what is there; of several calls for one key only the first.
local free, found, records = {}, {}, {}
for i = updates + 1, #KEYS - 1 do
  local key, choice = KEYS[i + 1], ARGV[updates + 3 * i + 1]
  local raw, past = try('GET', key), nil
  if not raw then
    past = 0
  elseif type(raw) == 'string' then
    local state = sub(raw, 1, 4)
    if state == '1 c ' and sub(raw, 28, 40) > now then
      answers[i] = { 1, now, raw }
    elseif state == '1 f ' and #raw == 27 then
      past = tonumber(sub(raw, 11, 26))
    end
  end
  if past and not found[key] and (choice == 'r' or choice == 'h') then
    found[key], records[i], free[#free + 1] = true, raw, i
    if past + STRIDE > token then token = past + STRIDE end
  end
end

if #free > 0 then
  local last = try('GET', KEYS[1]) or '0000000000000000'
  local count = type(last) == 'string' and #last == 16 and tonumber(last)
  if count and count + STRIDE > token then token = count + STRIDE end
  local highest = token + (#free - 1) * STRIDE
  -- `%d` is twice as fast as `%.0f`; where it has but 32 bits the length is not that.
  local text = format('%d', highest)
  if count and highest < 9007199254740992 and #text == 16 and #now == 13
    and not try('SET', KEYS[1], text).err then
    for _, i in ipairs(free) do
      local from, raw = updates + 3 * i - 1, records[i]
      local keep, mine, choice = ARGV[from], ARGV[from + 1], ARGV[from + 2]
      local times = format('%d %d ', token, now + keep - ABANDONED)
      if #times == 31 then
        local value = (choice == 'h' and '1 p h' or '1 p r') .. (raw and sub(raw, 6, 8) or ' - ')
          .. (#mine == 16 and '- ' or 'f ') .. times .. now .. ' 1\n' .. mine
        local answer = sub(times, 1, 16)
        if choice == 'h' then
          answers[i] = write(answer, KEYS[i + 1], value)
        else
          answers[i] = write(answer, KEYS[i + 1], value, 'PX', keep)
        end
      end
      token = token + STRIDE
    end
  end
end

for i = updates + 1, #KEYS - 1 do
  answers[i] = answers[i] or alone(acquire, i + 1, 1, updates + 3 * i - 1)
end
return answers
