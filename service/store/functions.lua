-- What the store does at once: read, commit, fold, consent, outcome. Each call touches one customer's or one decision's
-- bucket, names all its keys, answers first with what it was asked about, and writes only after all is checked.
-- service/store/keys.py says what each key holds, service/store/customers.py what each argument is.

local function refuse(code, sentence) error({err = code .. ' ' .. sentence}) end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function unpacked(packed)
  local readable, value = pcall(cmsgpack.unpack, packed)
  if readable and type(value) == 'table' then return value end
  return nil
end

local function check_owner(id, customer)
  if id and id ~= customer then refuse('CUSTOMER', 'the value belongs to another customer') end
end

-- Returns a stored decision as {entry, digest, chosen, bound, actions, customer}, or nil when there is none.
local function recall(decision, log)
  local stored = redis.call('GET', decision)
  if not stored then return nil end
  local space = stored:find(' ', 1, true)
  local at = stored:sub(1, (space or 1) - 1)
  local found = space and redis.call('XRANGE', log, at, at)[1]
  if not found then refuse('GONE', 'the log entry of a decision is missing') end
  local fields, flat = {}, found[2]
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return {fields.e or '', stored:sub(space + 1), fields.c or '', fields.b or '', fields.a or '', fields.i or ''}
end

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

-- Returns nil when a counter can be used once more at `now`, else the moment at which it can.
local function frees_ms(uses, counter, now)
  if #uses < counter.at_most then return nil end
  local inside = {}
  for _, t in ipairs(uses) do
    if t > now - counter.within_ms then inside[#inside + 1] = t end
  end
  if #inside < counter.at_most then return nil end
  return (inside[#inside - counter.at_most + 1] or now) + counter.within_ms
end

-- Returns the counter that binds the longest and when it frees, or nil when all fit.
local function binding(counted, counters, now)
  local key, longest
  for _, counter in ipairs(counters) do
    local frees = frees_ms(counted[counter.key] or {}, counter, now)
    if frees and (not longest or frees > longest) then key, longest = counter.key, frees end
  end
  return key, longest
end

-- Commits arrive a little out of the order of their clocks; a use is forgotten only when none of them can mind.
local SKEW_MS = 60000

local function since(uses, oldest)
  local kept = {}
  for _, t in ipairs(uses) do
    if t > oldest then kept[#kept + 1] = t end
  end
  return kept
end

local function count(counted, counters, now)
  for _, counter in ipairs(counters) do
    local uses, oldest = counted[counter.key] or {}, now - counter.within_ms - SKEW_MS
    if uses[1] and uses[1] <= oldest then uses = since(uses, oldest) end
    local place = #uses + 1
    while place > 1 and uses[place - 1] > now do place = place - 1 end
    table.insert(uses, place, now)
    counted[counter.key] = uses
  end
end

-- Takes the first candidate of one placement that fits; returns its rank or -1, and whether anything was counted.
local function take(counted, taken, bound, placement, candidates, now)
  local offset, rank, candidate = 0, 0, nil
  while offset >= 0 and #candidates > 0 do
    offset, candidate = cmsgpack.unpack_one(candidates, offset)
    local action, counters = candidate[1], candidate[2]
    if not taken[action] then
      local key, frees = binding(counted, counters, now)
      if not key then
        taken[action] = true
        taken[#taken + 1] = action
        count(counted, counters, now)
        return rank, #counters > 0
      end
      bound[#bound + 1] = {placement, rank, key, frees}
    end
    rank = rank + 1
  end
  return -1, false
end

local function log_decision(keys, argv, chosen, bound, actions)
  local oldest = string.format('%.0f', math.max(0, now_ms() - tonumber(argv[7])))
  local at = redis.call('XADD', keys[2], 'MINID', '~', oldest, '*', 'i', argv[1], 'e', argv[4], 'c', chosen, 'b', bound,
    'a', actions)
  redis.call('SET', keys[3], at .. ' ' .. argv[3], 'PX', argv[6])
end

-- KEYS: context, log, decision
-- ARGV: customer, now, digest, entry, ttl of the context, of the decision, of the log (ms), then a placement each:
-- its candidates as msgpack values one after another, [action, [{key, at_most, within_ms}, ...]]
local function commit(keys, argv)
  local stored = recall(keys[3], keys[2])
  if stored then
    check_owner(stored[6], argv[1])
    return {keys[3], 1, stored[1], stored[2], stored[3], stored[4]}
  end
  local known = redis.call('HMGET', keys[1], 'i', 'k')
  check_owner(known[1], argv[1])
  local counted = known[2] and unpacked(known[2]) or {}
  if known[2] and next(counted) == nil then refuse('CORRUPT', 'the cap counters cannot be read') end
  local chosen, bound, taken, any = {}, {}, {}, false
  for i = 8, #argv do
    local rank, counts = take(counted, taken, bound, i - 8, argv[i], tonumber(argv[2]))
    chosen[#chosen + 1] = rank
    any = any or counts
  end
  local packed_chosen, packed_bound = cmsgpack.pack(chosen), cmsgpack.pack(bound)
  log_decision(keys, argv, packed_chosen, packed_bound, table.concat(taken, '\31'))
  if any then redis.call('HSET', keys[1], 'i', argv[1], 'k', cmsgpack.pack(counted)) end
  redis.call('PEXPIRE', keys[1], argv[5])
  return {keys[3], 0, '', argv[3], packed_chosen, packed_bound}
end

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

local function said(actions, action)
  for one in actions:gmatch('[^\31]+') do
    if one == action then return true end
  end
  return false
end

-- KEYS: outcomes, out stream, decision, log
-- ARGV: decision id, action, kind, when (ms; empty: now), amount, ttl of the outcomes, of the out stream (ms)
-- Answers with the status of the public contract.
local function outcome(keys, argv)
  local stored = recall(keys[3], keys[4])
  if not stored or not said(stored[5], argv[2]) then return {argv[1], 4} end
  local name, value = argv[2] .. '|' .. argv[3], argv[4] .. '|' .. argv[5]
  local before = redis.call('HGET', keys[1], name)
  if before then return {argv[1], before == value and 2 or 5} end
  local now = now_ms()
  local at = argv[4] ~= '' and argv[4] or string.format('%.0f', now)
  redis.call('XADD', keys[2], 'MINID', '~', string.format('%.0f', math.max(0, now - tonumber(argv[7]))), '*', 'd', argv[1],
    'i', stored[6], 'a', argv[2], 'k', argv[3], 't', at, 'm', argv[5])
  redis.call('HSET', keys[1], name, value)
  redis.call('PEXPIRE', keys[1], argv[6])
  return {argv[1], 1}
end

redis.register_function{function_name = 'tact_read' .. VERSION, callback = read, flags = {'no-writes'}}
redis.register_function('tact_commit' .. VERSION, commit)
redis.register_function('tact_fold' .. VERSION, fold)
redis.register_function('tact_consent' .. VERSION, consent)
redis.register_function('tact_outcome' .. VERSION, outcome)
