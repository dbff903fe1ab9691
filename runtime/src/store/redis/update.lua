-- Renews, completes, releases or interrupts each record that is in progress under its token.
--
-- KEYS: the key of each update.
-- ARGV: for each update the token, what to do (`r` renew, `f` release, `i` interrupt, or the code of
-- the outcome to complete with), for how many ms, for how many the record is kept (a record in
-- progress or interrupted, unless it is held back), and the outcome's bytes. Then, in tests, how
-- many ms to move the clock.
-- Answers for each update 1 if it stands, 0 if the lease is lost, -1 if the record cannot be
-- understood.

local now = clock(ARGV[5 * #KEYS + 1])
local answers = {}

for i = 1, #KEYS do
  local at = 5 * i - 4
  local key, what = KEYS[i], ARGV[at + 1]
  local raw = redis.pcall('GET', key)
  if type(raw) == 'table' then
    if not string.find(raw.err, 'WRONGTYPE', 1, true) then return raw end
    answers[i] = -1
  elseif not raw then
    answers[i] = 0
  else
    local state, choice, token, attempt, expires, note, lease_at, after_lease, _, print_at, ends =
      parse(raw)
    if not state then
      answers[i] = -1
    elseif token ~= ARGV[at] then
      answers[i] = 0
    elseif state ~= 'p' then
      -- It was done before, and its reply was lost; or something else was done.
      local stands = state == what or (state == 'c' and tonumber(what))
      answers[i] = stands and 1 or 0
    elseif what == 'r' then
      local renewed = extended(raw, lease_at, after_lease, now + ARGV[at + 2])
      hold(key, renewed, choice, ARGV[at + 3])
      answers[i] = 1
    else
      local keep = ARGV[at + 3]
      local print = string.sub(raw, print_at, ends - 1)
      local has_print = 'f'
      if print == '' or what == 'f' then has_print = '-' end
      local head = choice .. ' ' .. token .. ' ' .. attempt
        .. string.format(' %.0f %.0f ', now + ARGV[at + 2], now)
      if what == 'f' then
        redis.call('SET', key, '1 f ' .. head .. '- -\n', 'PX', keep)
      elseif what == 'i' then
        hold(key, '1 i ' .. head .. '- ' .. has_print .. '\n' .. print, choice, keep)
      else
        redis.call('SET', key, '1 c ' .. head .. what .. ' ' .. has_print .. '\n' .. print
          .. ARGV[at + 4], 'PX', keep)
      end
      if note == 'w' then
        -- A hint: who may not publish may still give back.
        redis.pcall('PUBLISH', 'oncely:changed:' .. key, '')
      end
      answers[i] = 1
    end
  end
end
return answers
