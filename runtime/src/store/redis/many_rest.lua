-- The calls that are left go one after the other, as if each had come alone: those beside one that
-- fails must not fail with it.

local given = ARGV

local function alone(run, ...)
  local done, answer = pcall(run, ...)
  if done then return answer end
  return { err = type(answer) == 'table' and answer.err or answer }
end

for i = 1, #KEYS - 1 do
  if answers[i] == nil and i <= updates then
    local from = 3 * i - 1
    ARGV = { given[from], sub(letters, i, i), given[from + 1], given[from + 2] }
    answers[i] = alone(update, i + 1, 1)
  elseif answers[i] == nil then
    local from = updates + 2 * i
    ARGV = { given[from], given[from + 1], sub(letters, i + 1, i + 1) }
    answers[i] = alone(acquire, i + 1, 1, 1)
  end
end
return answers
