-- Events become states.

-- Packs a map from field key to state; cmsgpack itself would make an array of the keys 1, 2, 3.
local function pack_states(states)
  local parts, n = {''}, 0
  for key, state in pairs(states) do
    n = n + 1
    parts[n + 1] = cmsgpack.pack(key, state)
  end
  parts[1] = n < 16 and string.char(128 + n) or string.char(222, math.floor(n / 256), n % 256)
  return table.concat(parts)
end

-- Returns the states of a group, reading them when they are first wanted. What cannot be read is put aside, not lost.
local function group_states(context, group, groups, aside)
  if groups[group] == nil then
    local packed = redis.call('HGET', context, group)
    groups[group] = packed and unpacked(packed) or {}
    if packed and next(groups[group]) == nil then aside[group] = packed end
  end
  return groups[group]
end

local function write_groups(keys, argv, groups, aside)
  local values = {'i', argv[1]}
  for group, states in pairs(groups) do
    values[#values + 1] = group
    values[#values + 1] = pack_states(states)
  end
  for group, packed in pairs(aside) do
    values[#values + 1] = 'q' .. group
    values[#values + 1] = packed
  end
  redis.call('HSET', keys[1], unpack(values))
  redis.call('PEXPIRE', keys[1], argv[2])
end

local function remember(events, digests, ttl)
  local now = now_ms()
  for _, digest in ipairs(digests) do redis.call('ZADD', events, now, digest) end
  redis.call('ZREMRANGEBYRANK', events, 0, -4097)
  redis.call('PEXPIRE', events, ttl)
end

-- KEYS: context, events   ARGV: customer, ttl (ms), digests of 8 bytes each, [[t, [operation, ...]], ...] as msgpack
-- Answers 1 for each event that was folded and 0 for each that had been before.
local function fold(keys, argv)
  check_owner(redis.call('HGET', keys[1], 'i'), argv[1])
  local groups, aside, fresh, folded = {}, {}, {}, {}
  local seen = {}
  for i, event in ipairs(cmsgpack.unpack(argv[4])) do
    local digest = argv[3]:sub(8 * i - 7, 8 * i)
    if seen[digest] or redis.call('ZSCORE', keys[2], digest) then
      folded[i] = 0
    else
      for _, op in ipairs(event[2]) do
        local states = group_states(keys[1], op[2], groups, aside)
        states[op[1]] = fold_one(states[op[1]], op, event[1])
      end
      seen[digest], fresh[#fresh + 1], folded[i] = true, digest, 1
    end
  end
  if #fresh > 0 then
    write_groups(keys, argv, groups, aside)
    remember(keys[2], fresh, argv[2])
  end
  return {argv[1], folded}
end

redis.register_function('tact_fold' .. VERSION, fold)
