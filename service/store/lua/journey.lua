-- What happened to a customer, as far as it is kept: the last events, each with the letter of the purpose that lets it be told,
-- when it happened, when it arrived (ms) and its type, and nothing else of what it said. And the ids of a bucket's customers in
-- their order, by which one is found who is known by the beginning of the id.

local journey = {}

do  -- a library has no more than 200 locals of its own
local KEPT, SLACK = 100, 28

-- Keeps what was folded. `letters`: of each event the letter of its purpose, or -; `named`: name and id of each event as msgpack;
-- `renewed`: whether the context's time to live (ms) was renewed: these keys live as long.
function journey.keep(list, ids, customer, letters, named, events, fates, now, ttl, renewed)
  local names, arrived, came = cmsgpack.unpack(named), string.format(' %.0f ', now), {}
  for i, fate in ipairs(fates) do
    local letter = letters:sub(i, i)
    if fate == 1 and letter ~= '-' then
      came[#came + 1] = letter .. string.format('%.0f', events[i][1]) .. arrived .. names[2 * i - 1]
    end
  end
  if #came > 0 then
    local count = redis.call('RPUSH', list, unpack(came))
    if count > KEPT + SLACK then redis.call('LTRIM', list, -KEPT, -1) end
    if renewed or count == #came then redis.call('PEXPIRE', list, ttl) end
  end
  if renewed then journey.list_id(ids, customer, ttl) end
end

-- Lists the id of a customer of whom something is kept.
function journey.list_id(ids, customer, ttl)
  redis.call('ZADD', ids, 0, customer)
  redis.call('PEXPIRE', ids, ttl)
end

-- Returns the letters of the purposes that may be told: of an alias those that its person's consent allows, which are `given`;
-- of anybody else those that the consent here allows; nil where the id is no alias of the person.
local function letters_told(known, customer, person, given, packed)
  local levels = cmsgpack.unpack(packed)
  if person ~= customer then return known[3] == person and not known[4] and given or nil end
  if known[3] or known[4] then return nil end
  local agreed = known[2] and unpacked(known[2])
  return agreed and levels[2][agreed[1]] or levels[1]
end

-- KEYS: context, journey
-- ARGV: the id, the person, the letters that the person's consent allows, as msgpack [groups of the lowest consent level,
-- {level: groups}]
-- Answers the id and the events that the consent of now allows to be told, the oldest first; none where the id is no alias of
-- the person's any more.
local function told(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'c', 'a', 'u')
  check_owner(known[1], argv[1])
  local letters, found = letters_told(known, argv[1], argv[2], argv[3], argv[4]), {}
  if not letters or not known[1] then return {argv[1], found} end
  for _, one in ipairs(redis.call('LRANGE', keys[2], -KEPT, -1)) do
    if letters:find(one:sub(1, 1), 1, true) then found[#found + 1] = one end
  end
  return {argv[1], found}
end

redis.register_function{function_name = 'tact_journey' .. VERSION, callback = told, flags = {'no-writes'}}

-- KEYS: log or out   ARGV: customer, before which id ('+': from the end), how many to look at
-- Answers the customer's entries among those before, the newest first, without what was known of the customer then; and the
-- last id that was looked at, or '' when there are no more.
local function entries_before(keys, argv)
  local most, mine = tonumber(argv[3]), {}
  local up_to = argv[2] == '+' and '+' or '(' .. argv[2]
  local page = redis.call('XREVRANGE', keys[1], up_to, '-', 'COUNT', most)
  for _, entry in ipairs(page) do
    local flat, owner = entry[2], nil
    for i = 1, #flat, 2 do
      if flat[i] == 'i' then owner = flat[i + 1] end
    end
    if owner == argv[1] then
      for i = 1, #flat, 2 do
        if flat[i] == 'e' then flat[i + 1] = without_values(flat[i + 1]) end
      end
      mine[#mine + 1] = entry
    end
  end
  return {argv[1], #page < most and '' or page[#page][1], mine}
end

redis.register_function{function_name = 'tact_entries_before' .. VERSION, callback = entries_before, flags = {'no-writes'}}

-- KEYS: ids   ARGV: how an id begins, how many at most
-- Answers the key and the ids that begin so, in their order.
local function ids_like(keys, argv)
  local from = '[' .. argv[1]
  return {keys[1], redis.call('ZRANGEBYLEX', keys[1], from, from .. '\255', 'LIMIT', 0, argv[2])}
end

redis.register_function{function_name = 'tact_ids_like' .. VERSION, callback = ids_like, flags = {'no-writes'}}

-- KEYS: ids, context   ARGV: customer
-- Takes an id off the list of which nothing is kept any more.
local function unlist_id(keys, argv)
  if redis.call('EXISTS', keys[2]) == 1 then return {argv[1], 0} end
  return {argv[1], redis.call('ZREM', keys[1], argv[1])}
end

redis.register_function('tact_unlist_id' .. VERSION, unlist_id)

end
