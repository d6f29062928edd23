-- What a customer agreed to, and how that changed.

local function is_same_consent(one, other)
  if not one or one[1] ~= other[1] or one[4] ~= other[4] then return false end
  if type(one[2]) ~= 'table' or #one[2] ~= #other[2] then return false end
  for i = 1, #other[2] do
    if one[2][i] ~= other[2][i] then return false end
  end
  return true
end

-- KEYS: context, history, suppression [, changed, where the customer is to be marked as changed]
-- ARGV: customer, keyed digest, ttl of the context, of the history (ms), when it was given (ms),
-- [level, [channel, ...], given, source] as msgpack, how many changes are kept, the identity that was asked about
-- Answers with what became of it and the consent that holds: 0 one given later is stored, 1 stored, 2 this id is an alias,
-- or was one until now, or is not the person behind the identity that was asked about any more, 3 given before the customer
-- was erased. Stored ones end with the moment of arrival (ms).
local function consent(keys, argv)
  local known, given = redis.call('HMGET', keys[1], 'i', 'c', 'a', 'm', 'u'), tonumber(argv[5])
  check_owner(known[1], argv[1])
  if known[3] or known[5] then return {argv[1], 2, ''} end
  if not is_identity_of(known[4], argv[1], argv[8]) then return {argv[1], 2, ''} end
  local erased = erased_ms(keys[3], argv[2])
  if erased and given <= erased then return {argv[1], 3, false} end
  local stored, told = known[2] and unpacked(known[2]), cmsgpack.unpack(argv[6])
  local before = stored and tonumber(stored[3])
  if before and before > given then return {argv[1], 0, known[2]} end
  local same, now_holds = is_same_consent(stored, told), known[2]
  if not (same and before == given) then
    told[5] = now_ms()
    now_holds = cmsgpack.pack(told)
    redis.call('HSET', keys[1], 'i', argv[1], 'c', now_holds)
  end
  if not same then
    redis.call('RPUSH', keys[2], now_holds)
    redis.call('LTRIM', keys[2], -tonumber(argv[7]), -1)
    if keys[4] then mark_changed(keys[4], argv[1], now_ms(), argv[3]) end  -- models may say more now, or must say less
  end
  redis.call('PEXPIRE', keys[1], argv[3])
  redis.call('PEXPIRE', keys[2], argv[4])
  return {argv[1], 1, now_holds}
end

-- KEYS: context, history, suppression   ARGV: customer, keyed digest, whether the history is wanted (0 or 1)
-- Answers with 1, the consent and its changes; or with 2 where it is an alias or was one until now.
local function agreed(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'c', 'a', 'u')
  check_owner(known[1], argv[1])
  if known[3] or known[4] then return {argv[1], 2, '', {}} end
  return {argv[1], 1, known[2], argv[3] == '1' and redis.call('LRANGE', keys[2], 0, -1) or {}}
end

redis.register_function('tact_consent' .. VERSION, consent)
redis.register_function{function_name = 'tact_agreed' .. VERSION, callback = agreed, flags = {'no-writes'}}
