-- What came of a decision.

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
  if before then return {argv[1], (before == value or before:sub(1, #value + 1) == value .. '|') and 2 or 5} end
  local now = now_ms()
  local at = argv[4] ~= '' and argv[4] or string.format('%.0f', now)
  redis.call('XADD', keys[2], 'MINID', '~', string.format('%.0f', math.max(0, now - tonumber(argv[7]))), '*', 'd', argv[1],
    'i', stored[6], 'a', argv[2], 'k', argv[3], 't', at, 'm', argv[5])
  redis.call('PEXPIRE', keys[2], argv[7])
  redis.call('HSET', keys[1], name, value .. '|' .. string.format('%.0f', now))
  redis.call('PEXPIRE', keys[1], argv[6])
  return {argv[1], 1}
end

redis.register_function('tact_outcome' .. VERSION, outcome)
