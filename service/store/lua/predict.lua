-- What models say becomes states.

-- Returns the letters of the groups that a consent allows. `levels`: the lowest level's groups, then level, groups, ...
local function allowed_groups(consent, levels)
  local agreed = consent and unpacked(consent)
  for i = 2, #levels, 2 do
    if agreed and agreed[1] == levels[i] then return levels[i + 1] end
  end
  return levels[1]
end

local function write_predicted(context, customer, groups, aside, ttl)
  local values = {'i', customer}
  for letter, one in pairs(groups) do
    values[#values + 1] = letter
    values[#values + 1] = group.pack(one)
  end
  for letter, packed in pairs(aside) do
    values[#values + 1] = 'q' .. letter
    values[#values + 1] = packed
  end
  redis.call('HSET', context, unpack(values))
  redis.call('PEXPIRE', context, ttl, 'NX')  -- models alone keep nobody
end

-- KEYS: context, suppression, heard
-- ARGV: customer, keyed digest, ttl (ms), when it was computed (ms), [operation, ...] as msgpack, levels as msgpack, the
-- name of the first field
-- Answers 1 stored, 0 nothing of it is new, 2 this id is an alias or was one until now, 3 the customer was erased since, 4 the
-- consent does not allow one of the fields.
local function predict(keys, argv)
  local known, at = redis.call('HMGET', keys[1], 'i', 'c', 'a', 'u'), tonumber(argv[4])
  check_owner(known[1], argv[1])
  if known[3] or known[4] then return {argv[1], 2, ''} end
  local erased = erased_ms(keys[2], argv[2])
  if erased and (not known[1] or at <= erased) then return {argv[1], 3, ''} end
  local operations, allowed = cmsgpack.unpack(argv[5]), allowed_groups(known[2], cmsgpack.unpack(argv[6]))
  for _, op in ipairs(operations) do
    if not allowed:find(op[2], 1, true) then return {argv[1], 4, ''} end
  end
  local now, groups, aside, fresh = now_ms(), {}, {}, false
  for _, op in ipairs(operations) do
    local operation = operation_of(op[1], op[2], op[3], op[5], op[6], op[7], op[8], op[9])
    fresh = group.fold(group_of(keys[1], op[2], groups, aside), operation, op[4], at, now) or fresh
  end
  if fresh then
    write_predicted(keys[1], argv[1], groups, aside, argv[3])
    heard.note(keys[3], 'prediction', argv[7], '')
  end
  return {argv[1], fresh and 1 or 0, ''}
end

redis.register_function('tact_predict' .. VERSION, predict)
