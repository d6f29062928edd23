-- What is known of a customer, as far as the consent allows.

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

-- KEYS: context, suppression, switch [, decision, log]
-- ARGV: customer, keyed digest, lowest level's groups, then level, groups ...
-- The consent is looked at first; the groups that it does not allow are never asked for. Of an erased customer nothing
-- is answered but that, until there is a consent again. Of an alias nothing is answered but its decision, and whose it is.
-- Last comes what is remembered, [version, refusals, promises, reservations, latest contact], and sixth what is switched
-- off; or false when all of that is nothing.
local function read(keys, argv)
  local known, groups = redis.call('HMGET', keys[1], 'c', 'a', 'u', 'm', 'j', 'g'), argv[3]
  local consent, is_alias = known[1], known[2] or known[3]
  local agreed = consent and unpacked(consent)
  for i = 4, #argv, 2 do
    if agreed and agreed[1] == argv[i] then groups = argv[i + 1] end
  end
  if is_alias then consent, groups = false, '' end
  local names = {}
  for i = 1, #groups do names[i] = groups:sub(i, i) end
  local contacts = groups:find('s', 1, true) -- the latest contact is a fact for service
  if contacts then names[#names + 1] = 'h' end
  local values = redis.call('HMGET', keys[1], 'i', 'k', unpack(names))
  local latest = contacts and table.remove(values) or false
  check_owner(values[1], argv[1])
  local erased = not values[1] and erased_ms(keys[2], argv[2])
  local decided = not erased and keys[4] and recall_said(keys[4], keys[5])
  if decided then check_owner(decided[6], argv[1]) end
  return {values[1] or argv[1], now_ms(), consent, groups, values, decided or false, erased and 1 or 0, linked(known),
    memory_of(not is_alias and memory.told(keys[1], known[6], latest), redis.call('GET', keys[3]))}
end

redis.register_function{function_name = 'tact_read' .. VERSION, callback = read, flags = {'no-writes'}}
