-- What a customer agreed to, and how that changed.
--   c the consent that holds: [level, [channel, ...], when it was given (ms), source, when it arrived (ms)]
--   n a bound, from ids that are or were linked: [level, [channel, ...], when that was given, when this id's own consent was];
--     what was given before it, and comes late, allows no more than it
--   y the alias that a person's own consent was set under

local function is_same_consent(one, other)
  if not one or one[1] ~= other[1] or one[4] ~= other[4] then return false end
  if #one[2] ~= #other[2] then return false end
  for i = 1, #other[2] do
    if one[2][i] ~= other[2][i] then return false end
  end
  return true
end

local function readable_consent(packed)
  local consent = packed and unpacked(packed)
  if consent and type(consent[2]) == 'table' and tonumber(consent[3]) then return consent end
  return nil
end

-- Returns what two consents both allow: the channels that both have, the level that `levels` has for the two; given when the
-- later one was. One that is nil takes nothing away.
local function both_consents(one, other, levels)
  if not (one and other) then return one or other end
  local level = one[1] == other[1] and one[1] or (levels.of[one[1]] or {})[other[1]] or levels.lowest
  local channels = {}
  for _, channel in ipairs(one[2]) do
    for _, too in ipairs(other[2]) do
      if channel == too then channels[#channels + 1] = channel end
    end
  end
  return {level, channels, math.max(one[3], other[3])}
end

-- Returns a consent as another binds it; the consent itself where it allows no more.
local function narrowed_consent(own, other, levels)
  local both = both_consents(own, other, levels)
  if both[1] == own[1] and #both[2] == #own[2] then return own end
  return {both[1], both[2], both[3], 'linked identities', now_ms(), own[6] or ''}
end

local function pack_bound(bound, own_given)
  if not bound or bound[3] <= own_given then return '' end
  return cmsgpack.pack({bound[1], bound[2], bound[3], own_given})
end

local function own_given_ms(own, bound) return bound and tonumber(bound[4]) or own and own[3] or 0 end

-- Returns the consent and the bound of an id that is linked or unlinked, with those of the other side; '' for none. Of two
-- consents the stricter holds. Who has never agreed to anything stays without, but bound; who was never asked takes nothing
-- away; what cannot be read allows the least.
local function linked_consent(mine, my_bound, theirs, their_bound, levels)
  local own, bound = readable_consent(mine), readable_consent(my_bound)
  local other = theirs ~= '' and (readable_consent(theirs) or {levels.lowest, {}, 0}) or nil
  local given = own_given_ms(own, bound)
  bound = both_consents(both_consents(bound, other, levels), readable_consent(their_bound), levels)
  if own and other then
    local narrow = narrowed_consent(own, other, levels)
    if narrow ~= own then mine = cmsgpack.pack(narrow) end
  end
  return mine, pack_bound(bound, given)
end

local function set_or_delete(key, field, packed)
  if packed == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, packed) end
end

local function remember_consent(history, packed, kept, ttl)
  redis.call('RPUSH', history, packed)
  redis.call('LTRIM', history, -tonumber(kept), -1)
  redis.call('PEXPIRE', history, ttl)
end

-- Returns when a consent was given that was told with a moment or, at 0, with none. Only the store's clock is the same for
-- all who ask: now is its now, never before what is known, and nothing is later.
local function consent_given(told, own, bound, erased)
  local latest = math.max(now_ms(), own and own[3] or 0, bound and bound[3] or 0, erased and erased + 1 or 0)
  return told[3] == 0 and latest or math.min(told[3], latest)
end

-- Notes the latest moment ahead of now that a consent was told with, for the same telling repeated after an erasure must not
-- pass for a new one.
local function note_stamp_ahead(context, stamped)
  if stamped > math.max(now_ms(), tonumber(redis.call('HGET', context, 't') or 0)) then
    redis.call('HSET', context, 't', string.format('%.0f', stamped))
  end
end

-- Stores a consent with its bound, and with the alias that a person's was set under; returns it packed.
local function store_consent(keys, argv, holds, bound)
  holds[5] = now_ms()
  local packed = cmsgpack.pack(holds)
  redis.call('HSET', keys[1], 'i', argv[1], 'c', packed)
  set_or_delete(keys[1], 'n', bound)
  set_or_delete(keys[1], 'y', argv[8] ~= argv[1] and argv[8] or '')
  return packed
end

-- KEYS: context, history, suppression, heard, ids [, changed, where the customer is to be marked as changed]
-- ARGV: customer, keyed digest, ttl of the context, of the history (ms), [level, [channel, ...], given or 0, source, 0, origin]
-- as msgpack, how many changes are kept, the table of levels, the identity that was asked about
-- [, the consent that holds, packed, or '': where another one does, this one was overtaken on its way and is refused]
-- Answers with what became of it and the consent that holds: 0 one given later is stored, 1 stored, 2 this id is an alias,
-- or was one until now, or is not the person behind the identity that was asked about any more, 3 given before the customer
-- was erased. Stored ones end with the moment of arrival (ms).
local function consent(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'c', 'a', 'm', 'u', 'n')
  check_owner(known[1], argv[1])
  if known[3] or known[5] then return {argv[1], 2, ''} end
  if not is_identity_of(known[4], argv[1], argv[8]) then return {argv[1], 2, ''} end
  local stored, bound, told = readable_consent(known[2]), readable_consent(known[6]), cmsgpack.unpack(argv[5])
  if argv[9] and argv[9] ~= (known[2] or '') then refuse('CONSENT', 'another consent holds by now') end
  local erased = erased_ms(keys[3], argv[2])
  local stamped = told[3]
  told[3] = consent_given(told, stored, bound, erased)
  if erased and told[3] <= erased then return {argv[1], 3, false} end
  note_stamp_ahead(keys[1], stamped)
  local before = own_given_ms(stored, bound)
  if before > told[3] then return {argv[1], 0, known[2]} end
  local late = bound and bound[3] > told[3]
  local holds = late and narrowed_consent(told, bound, cmsgpack.unpack(argv[7])) or told
  local same, now_holds = is_same_consent(stored, holds), known[2]
  if not (same and before == told[3]) then
    now_holds = store_consent(keys, argv, holds, pack_bound(late and bound, told[3]))
  end
  if not same then
    remember_consent(keys[2], now_holds, argv[6], argv[4])
    heard.note(keys[4], 'consent', holds[1], '')
    journey.list_id(keys[5], argv[1], argv[3])
    if keys[6] then mark_changed(keys[6], argv[1], now_ms(), argv[3]) end  -- models may say more now, or must say less
  end
  redis.call('PEXPIRE', keys[1], argv[3])
  redis.call('PEXPIRE', keys[2], argv[4])
  return {argv[1], 1, now_holds}
end

-- KEYS: context, history, suppression   ARGV: customer, keyed digest, whether the history is wanted (0 or 1)
-- Answers with 1, the consent and its changes; or with 2 where it is an alias or was one until now.
local function agreed(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'c', 'a', 'u')
  check_owner(known[1], argv[1])
  if known[3] or known[4] then return {argv[1], 2, '', {}} end
  return {argv[1], 1, known[2], argv[3] == '1' and redis.call('LRANGE', keys[2], 0, -1) or {}}
end

redis.register_function('tact_consent' .. VERSION, consent)
redis.register_function{function_name = 'tact_agreed' .. VERSION, callback = agreed, flags = {'no-writes'}}
