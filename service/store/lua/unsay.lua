-- What was decided and is shown no longer is taken back, unless something came of it.

do  -- a library has no more than 200 locals of its own
-- Takes one use at a moment from each of these counters; tells whether any was there.
local function without_uses(uses, counters, at)
  local changed = false
  for _, counter in ipairs(counters) do
    for i, time in ipairs(uses[counter] or {}) do
      if time == at then
        table.remove(uses[counter], i)
        if #uses[counter] == 0 then uses[counter] = nil end
        changed = true
        break
      end
    end
  end
  return changed
end

-- Drops what is reserved under these marks and no outcome has made a use; tells whether anything was.
local function without_reserved(reserved, marks)
  local changed = false
  for counter, ones in pairs(reserved) do
    local kept = {}
    for _, one in ipairs(ones) do
      if one[2] == 0 or not marks[one[3]] then kept[#kept + 1] = one end
    end
    if #kept < #ones then changed, reserved[counter] = true, #kept > 0 and kept or nil end
  end
  return changed
end

-- Returns the promises but those of a decision, and whether it gave any.
local function without_given(promises, decision)
  local kept = {}
  for _, one in ipairs(promises) do
    if one[5] ~= decision then kept[#kept + 1] = one end
  end
  return kept, #kept < #promises
end

-- KEYS: context, decision, outcomes, heard
-- ARGV: customer, decision id, when it was made (ms), [[action, ...], [counter, ...]] as msgpack: what it said and counted
-- Answers 1 where it is taken back: its uses, what it reserved and promised are as if it had not been made, and whoever listens hears of it. 0 where an outcome of
-- it is known, so that it was said, and where there is no such decision.
local function unsay(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'k', 'g', 'v', 'r')
  check_owner(known[1], argv[1])
  if redis.call('EXISTS', keys[3]) == 1 or redis.call('EXISTS', keys[2]) == 0 then return {argv[2], 0} end
  if not known[1] then return {argv[2], 1} end
  local told, marks, fields = cmsgpack.unpack(argv[4]), {}, {}
  for _, action in ipairs(told[1]) do marks[memory.mark(argv[2], action)] = true end
  local uses = readable_uses(known[2])
  if without_uses(uses, told[2], tonumber(argv[3])) then fields.k = memory.packed(uses) end
  local reserved, promises = memory.readable(known[5]), memory.readable(known[4])
  if without_reserved(reserved, marks) then fields.r = memory.packed(reserved) end
  local kept, ended = without_given(promises, argv[2])
  if ended then fields.v, fields.g = memory.packed(kept), memory.next_version(known[3]) end
  for field, packed in pairs(fields) do set_or_delete(keys[1], field, packed) end
  if next(fields) ~= nil then heard.note(keys[4], 'decision', told[1][1] or '', argv[2]) end
  return {argv[2], 1}
end

redis.register_function('tact_unsay' .. VERSION, unsay)

end
