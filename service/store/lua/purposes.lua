-- What each field key is kept for.

-- KEYS: purposes   ARGV: field key, group letter, field key, group letter, ...
-- Claims each key for its group, unless one of them is held for another: then nothing is claimed. Answers all that was held
-- before when that is so, as key, letter, ..., and otherwise nothing.
local function claim(keys, argv)
  local flat, held, new = redis.call('HGETALL', keys[1]), {}, {}
  for i = 1, #flat, 2 do held[flat[i]] = flat[i + 1] end
  for i = 1, #argv, 2 do
    local letter = held[argv[i]]
    if letter and letter ~= argv[i + 1] then return {keys[1], flat} end
    if not letter then new[#new + 1] = i end
  end
  for _, i in ipairs(new) do redis.call('HSET', keys[1], argv[i], argv[i + 1]) end
  return {keys[1], {}}
end

redis.register_function('tact_claim' .. VERSION, claim)
