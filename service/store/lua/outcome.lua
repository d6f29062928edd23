-- What came of a decision.

do  -- a library has no more than 200 locals of its own
local STRATEGY = 5
local function said(actions, action)
  for one in actions:gmatch('[^\31]+') do
    if one == action then return true end
  end
  return false
end

-- Returns the status with what is remembered besides: customer, strategy, and whether uses are reserved for the action.
local function told(id, action, status, stored)
  local count, at = array_at(stored[1], 0)
  local item
  for _ = 1, count and count >= ENTRY_ITEMS and STRATEGY or 0 do at, item = cmsgpack.unpack_one(stored[1], at) end
  local reserved = stored[7] ~= '' and (unpacked(stored[7]) or {})[action]
  return {id, status, stored[6], type(item) == 'string' and item or '', reserved and 1 or 0}
end

-- Counts an outcome for what is learned between trainings, if it is of the kind that is meant and came in time.
local function count_came(key, packed, action, kind, at, ttl)
  local counting = packed ~= '' and unpacked(packed)
  local field = counting and counting[5][action]
  if not field or counting[1] ~= tonumber(kind) or tonumber(at) - counting[4] > counting[2] then return end
  adaptive.add(key, field, counting[2], counting[3], counting[4], {0, 0, 1}, ttl)
end

-- Adds an outcome to those of the bucket, with its link, and drops those that are older than they are kept (ms).
local function add_to_out(keys, now, ttl, decision, customer, action, kind, at, amount)
  local out, dropped = keys[2], string.format('%.0f', math.max(0, now - ttl))
  local link = chain.before(out, redis.call('GET', keys[6])) .. ' ' .. dropped
  local place = redis.call('XADD', out, 'MINID', '~', dropped, '*', 'l', link, 'd', decision, 'i', customer, 'a', action,
    'k', kind, 't', at, 'm', amount)
  local sizes = string.format('l%dd%di%da%dk%dt%dm%d', #link, #decision, #customer, #action, #kind, #at, #amount)
  chain.note(keys[6], out, place, sizes, link .. decision .. customer .. action .. kind .. at .. amount, string.format('%.0f', ttl))
end

-- KEYS: outcomes, out stream, decision, log, counts, the head of out
-- ARGV: decision id, action, kind, when (ms; empty: now), amount, ttl of the outcomes, of the out stream (ms)
-- Answers with the status of the public contract, and, of what is recorded, with the decision's customer, its strategy, and 1
-- where it reserved uses for the action.
local function outcome(keys, argv)
  local stored = recall(keys[3], keys[4])
  if not stored or not said(stored[5], argv[2]) then return {argv[1], 4, false, false, 0} end
  local name, value = argv[2] .. '|' .. argv[3], argv[4] .. '|' .. argv[5]
  local before = redis.call('HGET', keys[1], name)
  if before then
    local same = before == value or before:sub(1, #value + 1) == value .. '|'
    return same and told(argv[1], argv[2], 2, stored) or {argv[1], 5, false, false, 0}
  end
  local now = now_ms()
  local at = argv[4] ~= '' and argv[4] or string.format('%.0f', now)
  add_to_out(keys, now, tonumber(argv[7]), argv[1], stored[6], argv[2], argv[3], at, argv[5])
  redis.call('PEXPIRE', keys[2], argv[7])
  redis.call('HSET', keys[1], name, value .. '|' .. string.format('%.0f', now))
  redis.call('PEXPIRE', keys[1], argv[6])
  pcall(count_came, keys[5], stored[9], argv[2], argv[3], at, argv[7])  -- it is stored: no statistic makes an error of that
  return told(argv[1], argv[2], 1, stored)
end

redis.register_function('tact_outcome' .. VERSION, outcome)

end
