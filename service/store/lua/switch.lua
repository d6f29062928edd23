-- What operators switched off. The master copy says who, why and since when; each bucket has a small copy of its own, which
-- reads and commits look at. A version that rises with each change tells which of two is newer.

-- Returns what is off by the copy of a bucket, or nil. A copy that cannot be read is no empty one: then everything is off.
local function switched_off(packed)
  if not packed then return nil end
  local copy = unpacked(packed)
  if not copy or type(copy[2]) ~= 'table' then return {everything = true} end
  if not copy[3] and #copy[2] == 0 then return nil end
  local off = {everything = copy[3]}
  for _, action in ipairs(copy[2]) do off[action] = true end
  return off
end

-- The fields of the master that are no actions: their names are no ids.
local VERSION_FIELD, SPREAD_FIELD = '#', '='
-- How much may be off one by one: each decision reads all of it.
local MOST_OFF = 1000

-- Returns how much is switched off.
local function switched_count(master)
  local fields = redis.call('HEXISTS', master, VERSION_FIELD) + redis.call('HEXISTS', master, SPREAD_FIELD)
  return redis.call('HLEN', master) - fields
end

-- KEYS: master, the audit record, its head
-- ARGV: what to switch (an action, or '*' for everything), packed details (empty: switch it on), by whom, from where, why
-- What is safer never waits for the record: where that cannot be written, off is off all the same, and on is refused.
-- Switched off again, it keeps since when it is off. Answers whether this changed anything (-1: too much is off), and the
-- whole master, as field, value, ...
local function switch_set(keys, argv)
  local was = redis.call('HGET', keys[1], argv[1])
  if argv[2] ~= '' and not was then
    local singly = switched_count(keys[1]) - redis.call('HEXISTS', keys[1], '*')
    if argv[1] ~= '*' and singly >= MOST_OFF then return {keys[1], -1, {}} end
    redis.call('HSET', keys[1], argv[1], cmsgpack.pack({now_ms(), unpack(cmsgpack.unpack(argv[2]))}))
    redis.call('HINCRBY', keys[1], VERSION_FIELD, 1)
    pcall(audit.add, keys[2], keys[3], {'switch', argv[1], 'on', 'off', argv[3], argv[4], argv[5]})
  elseif argv[2] == '' and was then
    audit.add(keys[2], keys[3], {'switch', argv[1], 'off', 'on', argv[3], argv[4], argv[5]})
    redis.call('HDEL', keys[1], argv[1])
    redis.call('HINCRBY', keys[1], VERSION_FIELD, 1)
  else
    return {keys[1], 0, redis.call('HGETALL', keys[1])}
  end
  return {keys[1], 1, redis.call('HGETALL', keys[1])}
end

-- KEYS: master   ARGV: version, then field, value, ...
-- Puts back what a process or a bucket knows and the master has lost; what is older than the master changes nothing.
-- Nothing that the master holds goes: it may have been acknowledged since. Where it holds what is not told here, or is as
-- new and differs, both made something of one version, and what either says is off is off, under a version of its own.
local function switch_restore(keys, argv)
  local version, told = tonumber(redis.call('HGET', keys[1], VERSION_FIELD) or 0), tonumber(argv[1])
  if version > told then return {keys[1], 0} end
  local known, lost = 0, {}
  for at = 2, #argv, 2 do
    if redis.call('HEXISTS', keys[1], argv[at]) == 1 then known = known + 1 else lost[#lost + 1] = at end
  end
  local differs = switched_count(keys[1]) > known
  if version == told and not differs and #lost == 0 then return {keys[1], 0} end
  for _, at in ipairs(lost) do redis.call('HSET', keys[1], argv[at], argv[at + 1]) end
  if differs or version == told then told = told + 1 end
  redis.call('HSET', keys[1], VERSION_FIELD, string.format('%d', told))
  redis.call('HDEL', keys[1], SPREAD_FIELD)
  return {keys[1], 1}
end

-- KEYS: master   ARGV: version
-- Notes up to which version every bucket has been written: from now on that holds, and whoever listens hears of it.
local function switch_spread(keys, argv)
  local spread = tonumber(redis.call('HGET', keys[1], SPREAD_FIELD) or 0)
  if spread < tonumber(argv[1]) then
    redis.call('HSET', keys[1], SPREAD_FIELD, argv[1])
    heard.everybody('switch', '')
  end
  return {keys[1], 1}
end

-- KEYS: a bucket's copy   ARGV: version, the packed copy
-- Keeps the newer one and answers it; version 0 asks for it alone, and is never kept.
local function switch_copy(keys, argv)
  local stored = redis.call('GET', keys[1])
  local copy, version = stored and unpacked(stored), tonumber(argv[1])
  local readable = copy and type(copy[1]) == 'number' and type(copy[2]) == 'table' and type(copy[3]) == 'boolean'
  if readable and copy[1] >= version then return {keys[1], stored} end
  if version == 0 then return {keys[1], argv[2]} end
  redis.call('SET', keys[1], argv[2])
  return {keys[1], argv[2]}
end

redis.register_function('tact_switch_set' .. VERSION, switch_set)
redis.register_function('tact_switch_restore' .. VERSION, switch_restore)
redis.register_function('tact_switch_spread' .. VERSION, switch_spread)
redis.register_function('tact_switch_copy' .. VERSION, switch_copy)
