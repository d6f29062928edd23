-- What came of a decision is remembered with the person.

do  -- a library has no more than 200 locals of its own
-- Returns when a decision was made: as it says itself, or as its place in the log does.
local function decided_ms(entry, keys)
  local count, at = array_at(entry, 0)
  local item
  for _ = 1, count and count >= ENTRY_ITEMS and 4 or 0 do at, item = cmsgpack.unpack_one(entry, at) end
  return tonumber(item or made_ms(keys))
end

-- KEYS: decision, log, outcomes   ARGV: decision id, customer, action, kind
-- Answers with when it was decided, when such an outcome came first (ms), what was reserved for the action, as
-- msgpack or '', and the alias that was asked about or ''; with false for an unknown decision.
local function answered(keys, argv)
  local stored = found(keys)
  if not stored then return {argv[1], false, 0, '', ''} end
  check_owner(stored[6], argv[2])
  local outcome_told = redis.call('HGET', keys[3], argv[3] .. '|' .. argv[4])
  local came = outcome_told and outcome_told:match('|(%d+)$') or now_ms()
  local reserved = stored[7] ~= '' and (unpacked(stored[7]) or {})[argv[3]]
  return {argv[1], decided_ms(stored[1], keys), tonumber(came), reserved and cmsgpack.pack(reserved) or '', stored[8]}
end

-- Files a refusal and ends promises that were given before the answer came; returns the fields of the context that change.
local function answers_kept(known, told, at)
  local action, group, intents, kind, mark, before = told[1], told[2], told[3], told[4], told[6], told[7]
  local changed = {}
  if kind < ACCEPTED then return changed end
  local refusals, promises = memory.readable(known[6]), memory.readable(known[7])
  if kind >= REFUSED then
    if memory.add_refusal(refusals, {action, group, intents, kind, at, mark}) then changed.z = memory.packed(refusals) end
  end
  local others, ended = memory.without(promises, action, before)
  if ended then changed.v = memory.packed(others) end
  if next(changed) ~= nil then changed.g = memory.next_version(known[5]) end
  return changed
end

-- KEYS: context, suppression, heard
-- ARGV: customer, keyed digest, ttl of the context (ms), the identity that it was decided for, [action, group, [intent, ...],
-- kind, at, mark, the moment until which given promises end, what was reserved: {counter: reservation}] as msgpack, the
-- id of the decision
-- Lets an outcome count. Answers 1; 2 where this id is an alias, was one until now, or is not the person behind that identity;
-- 3 where the customer was erased since. What is told of an alias while it is linked counts from the link on, so that it
-- takes it along.
local function remember(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'a', 'u', 'm', 'g', 'z', 'v', 'r')
  check_owner(known[1], argv[1])
  if known[2] or known[3] then return {argv[1], 2} end
  local _, since = without_member(members_of(known[4]), argv[4])
  if argv[4] ~= argv[1] and not since then return {argv[1], 2} end
  local told, erased = cmsgpack.unpack(argv[5]), erased_ms(keys[2], argv[2])
  if erased and (not known[1] or told[5] <= erased) then return {argv[1], 3} end
  local at = math.max(told[5], since or 0)
  local fields = answers_kept(known, told, at)
  local reserved = memory.readable(known[8])
  if memory.use(reserved, told[8], told[4], at) then
    fields.r, fields.g = memory.packed(reserved), fields.g or known[5] or '0'
  end
  if next(fields) == nil then return {argv[1], 1} end
  redis.call('HSET', keys[1], 'i', argv[1])
  for field, packed in pairs(fields) do set_or_delete(keys[1], field, packed) end
  redis.call('PEXPIRE', keys[1], argv[3])
  heard.note(keys[3], 'outcome', told[1], argv[6])
  return {argv[1], 1}
end

redis.register_function{function_name = 'tact_answered' .. VERSION, callback = answered, flags = {'no-writes'}}
redis.register_function('tact_remember' .. VERSION, remember)

end
