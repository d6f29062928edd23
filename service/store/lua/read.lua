-- What is known of a customer, as far as the consent allows.

do  -- a library has no more than 200 locals of its own
-- Returns a and the person of an alias, u and what is noted of one that is leaving, or p, the aliases of a person and the cap uses
-- made elsewhere; false for who is alone.
local function linked(known)
  if known[3] then return {'u', known[3]} end
  if known[2] then return {'a', known[2]} end
  return (known[4] or known[5]) and {'p', known[4], known[5]} or false
end

-- Returns what is remembered of the customer with the bucket's copy of what is switched off; false where all of it is absent.
local function memory_of(told, off)
  if not (told or off) then return false end
  told = told or {false, false, false, false, false}
  told[6] = off
  return told
end

-- Which groups each consent level allows, by how that is told with every read. There are as many as strategies in use, so they
-- are taken apart but once.
local MOST_TOLD = 100
local groups_told, told_count = {}, 0

local function levels_told(packed)
  if told_count >= MOST_TOLD then groups_told, told_count = {}, 0 end
  local told = cmsgpack.unpack(packed)
  local levels = {lowest = told[1], groups = told[2], fields = {}}
  groups_told[packed], told_count = levels, told_count + 1
  return levels
end

-- Returns the fields of a context that hold what these groups allow to be known.
local function fields_of(levels, groups)
  local names = {'i', 'k'}
  for i = 1, #groups do names[i + 2] = groups:sub(i, i) end
  if groups:find('s', 1, true) then names[#names + 1] = 'h' end -- the latest contact is a fact for service
  levels.fields[groups] = names
  return names
end

-- KEYS: context, suppression, switch [, decision, log]
-- ARGV: customer, keyed digest, as msgpack [groups of the lowest consent level, {level: groups}]
-- The consent is looked at first; the groups that it does not allow are never asked for. Of an erased customer nothing
-- is answered but that, until there is a consent again. Of an alias nothing is answered but its decision, and whose it is.
-- Answers the customer, the moment, the consent, its groups, the cap uses, and false or what is rare: [the decision or false, 1 for
-- an erased customer, how the customer is linked or false, what is remembered, [version, refusals, promises, reservations, latest
-- contact], and sixth what is switched off, or false when all of that is nothing]; then what is known of each group.
local function read(keys, argv)
  local known = redis.call('HMGET', keys[1], 'c', 'a', 'u', 'm', 'j', 'g')
  local levels, consent, is_alias = groups_told[argv[3]] or levels_told(argv[3]), known[1], known[2] or known[3]
  local groups, agreed = levels.lowest, consent and unpacked(consent)
  if is_alias then
    consent, groups = false, ''
  elseif agreed then
    groups = levels.groups[agreed[1]] or groups
  end
  local values = redis.call('HMGET', keys[1], unpack(levels.fields[groups] or fields_of(levels, groups)))
  local owner, count = values[1], #groups
  if owner ~= argv[1] then check_owner(owner, argv[1]) end
  local erased = not owner and erased_ms(keys[2], argv[2])
  local decided = not erased and keys[4] and recall_said(keys[4], keys[5]) or false
  if decided then check_owner(decided[6], argv[1]) end
  local off, version, latest = redis.call('GET', keys[3]), known[6], values[count + 3] or false
  local rare = false
  if erased or decided or is_alias or known[4] or known[5] or off or version or latest then
    local told = memory_of(not is_alias and memory.told(keys[1], version, latest), off)
    rare = {decided, erased and 1 or 0, linked(known), told}
  end
  local reply = {owner or argv[1], now_ms(), consent, groups, values[2], rare}
  for i = 1, count do reply[i + 6] = values[i + 2] end
  return reply
end

redis.register_function{function_name = 'tact_read' .. VERSION, callback = read, flags = {'no-writes'}}

end
