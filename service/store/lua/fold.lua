-- Events become states.

-- What cannot be read is put aside, not lost. `ahead`: the letter of a group that is fetched already, and its bytes.
local function group_of(context, letter, groups, aside, ahead)
  if groups[letter] == nil then
    local packed
    if ahead and ahead[1] == letter then packed = ahead[2] else packed = redis.call('HGET', context, letter) end
    groups[letter] = group.read(packed)
    if not groups[letter] then groups[letter], aside[letter] = group.read(nil), packed end
  end
  return groups[letter]
end

-- The last event ids of a customer, as digests of 6 bytes: the latest beside the context, and once these are many, older
-- ones in a key of their own, so that neither a customer with few events nor an event of one with many costs much.
local DIGEST = 6
local BESIDE, BEYOND, SLACK = DIGEST * 64, DIGEST * 4096, DIGEST * 512

local function holds(digests, digest)
  local at = 0
  repeat at = digests:find(digest, at + 1, true) until not at or at % DIGEST == 1
  return at ~= nil
end

-- What the last events said, 6 bytes each: 4 of the digest of the id and 2 of what came under it. So an id that comes again
-- with something else is noticed as long as it is among the last 64; older ones are known by their ids alone.
local NAMED, SAID, UNSAID = 4, 6, '\0\0'
local SAID_KEPT = SAID * 64

-- Returns the digest of what came under an id; nil where that is not known any more.
local function said_before(sayings, digest)
  local at = 0
  repeat at = sayings:find(digest:sub(1, NAMED), at + 1, true) until not at or at % SAID == 1
  return at and sayings:sub(at + NAMED, at + SAID - 1)
end

-- Returns what became of an event whose id is known: 0 it came before, 3 something else came before under its id.
local function repeated_fate(before, saying)
  if not before or before == saying or saying == UNSAID then return 0 end
  return 3
end

local function sayings_with(sayings, fresh)
  local all = sayings .. table.concat(fresh)
  return #all < 2 * SAID_KEPT and all or all:sub(-SAID_KEPT)
end

-- Returns the digests to keep beside the context; as long as these are few there are no others.
local function write_ids(key, beside, fresh, ttl)
  local digests = beside .. table.concat(fresh)
  if #digests < 2 * BESIDE then return digests end
  if redis.call('APPEND', key, digests:sub(1, -BESIDE - 1)) > BEYOND + SLACK then
    redis.call('SET', key, redis.call('GETRANGE', key, -BEYOND, -1))
  end
  redis.call('PEXPIRE', key, ttl)
  return digests:sub(-BESIDE)
end

-- To renew the time to live with every event costs a tenth of it all, so it may run short by a thousandth.
local function keep_alive(key, ttl)
  if redis.call('PTTL', key) >= 0.999 * tonumber(ttl) then return false end
  redis.call('PEXPIRE', key, ttl)
  return true
end

local function write_groups(keys, argv, digests, sayings, groups, aside, is_new)
  local values = {'e', digests}
  if is_new then values = {'i', argv[1], 'e', digests} end
  if sayings ~= '' then values[#values + 1], values[#values + 2] = 'x', sayings end
  for letter, one in pairs(groups) do
    values[#values + 1] = letter
    values[#values + 1] = group.pack(one)
  end
  for letter, packed in pairs(aside) do
    values[#values + 1] = 'q' .. letter
    values[#values + 1] = packed
  end
  redis.call('HSET', keys[1], unpack(values))
  return keep_alive(keys[1], argv[2])
end

-- Folds an event, [t, operation, value, operation, value, ...].
local function fold_event(event, context, groups, aside, ahead, now)
  local t, fold_in = event[1], group.fold
  for i = 2, #event, 2 do
    local op = known_operations[event[i]] or operation_written(event[i])
    local letter = op.letter
    fold_in(groups[letter] or group_of(context, letter, groups, aside, ahead), op, event[i + 1], t, now)
  end
end

-- Returns the group that an event touches first: mostly it touches no other, and one call less is made.
local function likely_letter(event) return event and event[2] and event[2]:sub(5, 5) or 's' end

-- Tells those who listen of the events that were folded. `told`: name and id of each event as msgpack.
local function tell_folded(key, noted, now, fates, told)
  local named, folded = cmsgpack.unpack(told), {}
  for i, fate in ipairs(fates) do
    if fate == 1 then folded[#folded + 1], folded[#folded + 2] = named[2 * i - 1], named[2 * i] end
  end
  heard.tell(key, noted, 'event', now, unpack(folded))
end

-- KEYS: context, events, suppression, changed, heard, journey, ids
-- ARGV: customer, ttl (ms), digests of 6 bytes each, events as msgpack, keyed digest of the customer or '', 1 when the
-- customer is to be marked as changed, digests of 2 bytes of what each event says (0: not told), name and id of each event
-- as msgpack, for the journey the letter of the purpose of each event (-: not kept)
-- Answers for each event 1 when it was folded, 0 when it had been before, 2 when the customer was erased: what happened
-- until then stays forgotten, and without a consent since then the customer does; 3 when another one had been under its id.
local function fold(keys, argv)
  local events = cmsgpack.unpack(argv[4])
  local likely = likely_letter(events[1])
  local known = redis.call('HMGET', keys[1], 'i', 'e', likely, 'x')
  check_owner(known[1], argv[1])
  local now, erased, beside = now_ms(), erased_ms(keys[3], argv[5]), known[2] or ''
  local beyond = #beside >= BESIDE and redis.call('GET', keys[2]) or ''
  local groups, aside, ahead, fates, fresh, sayings, said = {}, {}, {likely, known[3]}, {}, {}, known[4] or '', {}
  for i, event in ipairs(events) do
    local digest, saying = argv[3]:sub(DIGEST * (i - 1) + 1, DIGEST * i), argv[7]:sub(2 * i - 1, 2 * i)
    if erased and (not known[1] or event[1] <= erased) then
      fates[i] = 2
    elseif fresh[digest] or holds(beside, digest) or holds(beyond, digest) then
      fates[i] = repeated_fate(fresh[digest] or said_before(sayings, digest), saying)
    else
      fold_event(event, keys[1], groups, aside, ahead, now)
      fresh[digest], fresh[#fresh + 1], fates[i] = saying, digest, 1
      if saying ~= UNSAID then said[#said + 1] = digest:sub(1, NAMED) .. saying end
    end
  end
  if #fresh > 0 then
    sayings = #said > 0 and sayings_with(sayings, said) or ''
    local ids = write_ids(keys[2], beside, fresh, argv[2])
    local renewed = write_groups(keys, argv, ids, sayings, groups, aside, not known[1])
    journey.keep(keys[6], keys[7], argv[1], argv[9], argv[8], events, fates, now, argv[2], renewed)
    if argv[6] == '1' then mark_changed(keys[4], argv[1], now, argv[2]) end
    local noted = redis.pcall('GET', keys[5])
    if noted then tell_folded(keys[5], noted, now, fates, argv[8]) end
  end
  return {argv[1], fates}
end

redis.register_function('tact_fold' .. VERSION, fold)
