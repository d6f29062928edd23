-- A decision is taken, counted and logged at once.

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

local function count(counted, counters, now)
  for _, counter in ipairs(counters) do
    local uses, oldest = counted[counter.key] or {}, now - counter.within_ms - SKEW_MS
    if uses[1] and uses[1] <= oldest then uses = uses_since(uses, oldest) end
    local place = #uses + 1
    while place > 1 and uses[place - 1] > now do place = place - 1 end
    table.insert(uses, place, now)
    counted[counter.key] = uses
  end
end

-- Takes the first candidate of one placement that fits; returns its rank or -1, and what was counted.
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
        return rank, counters
      end
      bound[#bound + 1] = {placement, rank, key, frees}
    end
    rank = rank + 1
  end
  return -1, {}
end

local function log_decision(keys, argv, chosen, bound, actions)
  local oldest = string.format('%.0f', math.max(0, now_ms() - tonumber(argv[7])))
  local at = redis.call('XADD', keys[2], 'MINID', '~', oldest, '*', 'i', argv[1], 'e', argv[4], 'c', chosen, 'b', bound,
    'a', actions)
  redis.call('PEXPIRE', keys[2], argv[7])
  redis.call('SET', keys[3], at .. ' ' .. argv[3], 'PX', argv[6])
end

-- Refuses what was read before the customer was erased, and whoever has not agreed to anything since.
local function check_not_erased(keys, argv)
  local erased = erased_ms(keys[4], argv[8])
  if erased and (erased >= tonumber(argv[9]) or redis.call('EXISTS', keys[1]) == 0) then
    refuse('ERASED', 'the customer was erased')
  end
end

-- Refuses what was decided for who is an alias now, or in the name of one who no longer is.
local function check_person(known, argv)
  if known[3] or known[4] then refuse('LINKED', 'the customer is an alias') end
  if not is_identity_of(known[5], argv[1], argv[10]) then refuse('LINKED', 'the alias has left') end
end

-- KEYS: context, log, decision, suppression
-- ARGV: customer, now, digest, entry, ttl of the context, of the decision, of the log (ms), keyed digest, when it was read,
-- the identity that was asked about, the consent that it was decided under (empty: none is needed), then a placement each:
-- its candidates as msgpack values one after another, [action, [{key, at_most, within_ms}, ...]]
local function commit(keys, argv)
  check_not_erased(keys, argv)
  local stored = recall_said(keys[3], keys[2])
  if stored then
    check_owner(stored[6], argv[1])
    return {keys[3], 1, stored[1], stored[2], stored[3], stored[4]}
  end
  local known = redis.call('HMGET', keys[1], 'i', 'k', 'a', 'u', 'm', 'j', 'c')
  check_owner(known[1], argv[1])
  if argv[11] ~= '' and argv[11] ~= known[7] then refuse('CONSENT', 'another consent holds by now') end
  local counted = known[2] and unpacked(known[2]) or {}
  if known[2] and next(counted) == nil then refuse('CORRUPT', 'the cap counters cannot be read') end
  check_person(known, argv)
  local elsewhere = readable_uses(known[6])
  local all = known[6] and all_uses(counted, elsewhere) or counted
  local chosen, bound, taken, any = {}, {}, {}, false
  for i = 12, #argv do
    local rank, counters = take(all, taken, bound, i - 12, argv[i], tonumber(argv[2]))
    chosen[#chosen + 1] = rank
    any = any or #counters > 0
    if known[6] then count(counted, counters, tonumber(argv[2])) end
  end
  local packed_chosen, packed_bound = cmsgpack.pack(chosen), cmsgpack.pack(bound)
  log_decision(keys, argv, packed_chosen, packed_bound, table.concat(taken, '\31'))
  if any then redis.call('HSET', keys[1], 'i', argv[1], 'k', cmsgpack.pack(counted)) end
  redis.call('PEXPIRE', keys[1], argv[5])
  return {keys[3], 0, '', argv[3], packed_chosen, packed_bound}
end

redis.register_function('tact_commit' .. VERSION, commit)
