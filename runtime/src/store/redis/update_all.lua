-- Applies each update for itself, in their order.
--
-- KEYS: the key of each update.
-- ARGV: for each update what `update` takes. Then, in tests, how many ms to move the clock.
-- Answers for each update what `update` does.

local answers = {}
for i = 1, #KEYS do
  answers[i] = update(i, 4 * i - 3, ARGV[4 * #KEYS + 1])
  if type(answers[i]) == 'table' then return answers[i] end
end
return answers
