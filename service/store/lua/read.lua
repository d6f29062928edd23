-- What is known of a customer, as far as the consent allows.

-- KEYS: context [, decision, log]   ARGV: customer, lowest level's groups, then level, groups ...
-- The consent is looked at first; the groups that it does not allow are never asked for.
local function read(keys, argv)
  local consent, groups = redis.call('HGET', keys[1], 'c'), argv[2]
  local agreed = consent and unpacked(consent)
  for i = 3, #argv, 2 do
    if agreed and agreed[1] == argv[i] then groups = argv[i + 1] end
  end
  local names = {}
  for i = 1, #groups do names[i] = groups:sub(i, i) end
  local values = redis.call('HMGET', keys[1], 'i', 'k', unpack(names))
  check_owner(values[1], argv[1])
  local decided = keys[2] and recall(keys[2], keys[3])
  if decided then check_owner(decided[6], argv[1]) end
  return {values[1] or argv[1], now_ms(), consent, groups, values, decided or false}
end

redis.register_function{function_name = 'tact_read' .. VERSION, callback = read, flags = {'no-writes'}}
