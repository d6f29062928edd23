-- Events become states.

-- What cannot be read is put aside, not lost.
local function group_of(context, letter, groups, aside)
  if groups[letter] == nil then
    local packed = redis.call('HGET', context, letter)
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
  if redis.call('PTTL', key) < 0.999 * tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
end

local function write_groups(keys, argv, digests, groups, aside, is_new)
  local values = {'e', digests}
  if is_new then values = {'i', argv[1], 'e', digests} end
  for letter, one in pairs(groups) do
    values[#values + 1] = letter
    values[#values + 1] = group.pack(one)
  end
  for letter, packed in pairs(aside) do
    values[#values + 1] = 'q' .. letter
    values[#values + 1] = packed
  end
  redis.call('HSET', keys[1], unpack(values))
  keep_alive(keys[1], argv[2])
end

-- What follows the value of an operation, by its kind: where it stands in the array that folds take.
local MORE = {
  window_count = {5, 7}, window_sum = {5, 7}, rate = {5, 7}, decay = {6}, open = {7, 8}, distinct = {7}, recent = {7},
  model = {9},
}

local codes = {}

local function decoded(code)
  local found = codes[code]
  if not found then
    found = {code:sub(1, 1), code:sub(2), MORE[code:sub(2)] or {}}
    codes[code] = found
  end
  return found
end

-- Folds an event, [t, key, group letter and kind, value, what more the kind needs, key, ...].
local function fold_event(event, context, groups, aside, now)
  local t, op, at, size = event[1], {}, 2, #event
  while at < size do
    local code = decoded(event[at + 1])
    local more = code[3]
    op[1], op[2], op[3], op[4], at = event[at], code[1], code[2], event[at + 2], at + 3
    for i = 1, #more do op[more[i]], at = event[at], at + 1 end
    group.fold(groups[code[1]] or group_of(context, code[1], groups, aside), op, t, now)
  end
end

-- KEYS: context, events, suppression, changed
-- ARGV: customer, ttl (ms), digests of 6 bytes each, events as msgpack, keyed digest of the customer or '', 1 when the
-- customer is to be marked as changed
-- Answers for each event 1 when it was folded, 0 when it had been before, 2 when the customer was erased: what happened
-- until then stays forgotten, and without a consent since then the customer does.
local function fold(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'e')
  check_owner(known[1], argv[1])
  local now, erased, beside = now_ms(), erased_ms(keys[3], argv[5]), known[2] or ''
  local beyond = #beside >= BESIDE and redis.call('GET', keys[2]) or ''
  local groups, aside, fates, fresh = {}, {}, {}, {}
  for i, event in ipairs(cmsgpack.unpack(argv[4])) do
    local digest = argv[3]:sub(DIGEST * (i - 1) + 1, DIGEST * i)
    if erased and (not known[1] or event[1] <= erased) then
      fates[i] = 2
    elseif fresh[digest] or holds(beside, digest) or holds(beyond, digest) then
      fates[i] = 0
    else
      fold_event(event, keys[1], groups, aside, now)
      fresh[digest], fresh[#fresh + 1], fates[i] = true, digest, 1
    end
  end
  if #fresh > 0 then
    write_groups(keys, argv, write_ids(keys[2], beside, fresh, argv[2]), groups, aside, not known[1])
    if argv[6] == '1' then mark_changed(keys[4], argv[1], now, argv[2]) end
  end
  return {argv[1], fates}
end

redis.register_function('tact_fold' .. VERSION, fold)
