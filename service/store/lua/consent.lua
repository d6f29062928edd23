-- What a customer agreed to.

-- KEYS: context   ARGV: customer, ttl (ms), when it was given (ms), [level, [channel, ...], given, source] as msgpack
-- A consent that was given before the stored one is refused with 0; otherwise the stored one is replaced.
local function consent(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'c')
  check_owner(known[1], argv[1])
  local stored = known[2] and unpacked(known[2])
  local given = stored and tonumber(stored[3])
  if given and given > tonumber(argv[3]) then return {argv[1], 0, known[2]} end
  redis.call('HSET', keys[1], 'i', argv[1], 'c', argv[4])
  redis.call('PEXPIRE', keys[1], argv[2])
  return {argv[1], 1, argv[4]}
end

redis.register_function('tact_consent' .. VERSION, consent)
