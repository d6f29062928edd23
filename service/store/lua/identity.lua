-- One person, several identities. Each keeps a context of its own, in a bucket of its own, so that a link is made and
-- undone in steps, each atomic and each safe to repeat; service/store/identities.py has their order.
--   of an alias:   a person; l when it was linked (ms, rising); u while it leaves: r (refused) or u (undone), l, a blank, person
--   of a person:   m [[alias, l], ...]
--   of both:       o the origin of its own cap uses (random); j {origin: {counter: [ms, ...]}} uses made elsewhere

local MOST_ALIASES = 16

local function status(id, word, ...) return {id, {word, ...}} end

local function identity(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'a', 'u', 'l', 'm', 'c', 'k', 'o', 'j')
  check_owner(known[1], argv[1])
  local erased = not known[1] and erased_ms(keys[2], argv[2])
  return {
    erased = erased, alias_of = known[2], leaving = known[3], since = known[4], members = members_of(known[5]),
    consent = known[6] or '', uses = readable_uses(known[7]), origin = known[8], elsewhere = readable_uses(known[9]),
  }
end

-- Adds uses by origin to those of others; a use is told by its origin and place in time, so that none counts twice. What is
-- older than a context is kept, in no window any more, is dropped.
local function add_uses(elsewhere, own_origin, packed, ttl)
  local oldest = now_ms() - tonumber(ttl)
  for origin, counters in pairs(readable_uses(packed)) do
    if origin ~= own_origin then
      local known = elsewhere[origin] or {}
      for key, uses in pairs(counters) do known[key] = uses_since(either_uses(known[key] or {}, uses), oldest) end
      elsewhere[origin] = known
    end
  end
  return elsewhere
end

local function pack_map(map) return next(map) ~= nil and cmsgpack.pack(map) or '' end

local function set_or_delete(key, field, packed)
  if packed == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, packed) end
end

local function readable_consent(packed)
  local consent = unpacked(packed)
  if consent and type(consent[2]) == 'table' and tonumber(consent[3]) then return consent end
  return nil
end

-- Returns the consent of `mine` and `theirs` that allows less: the channels that both have, the level that `table` has
-- for the two. Who has never agreed to anything stays without; who was never asked takes nothing away; what cannot be read
-- allows the least.
local function stricter_consent(mine, theirs, levels)
  local own, other = readable_consent(mine), readable_consent(theirs) or {levels.lowest, {}, 0}
  if not own or theirs == '' then return mine end
  local level = own[1] == other[1] and own[1] or (levels.of[own[1]] or {})[other[1]] or levels.lowest
  local channels = {}
  for _, channel in ipairs(own[2]) do
    for _, too in ipairs(other[2]) do
      if channel == too then channels[#channels + 1] = channel end
    end
  end
  if level == own[1] and #channels == #own[2] then return mine end
  return cmsgpack.pack({level, channels, math.max(own[3], other[3]), 'linked identities', now_ms()})
end

local function remember_consent(history, packed, kept, ttl)
  redis.call('RPUSH', history, packed)
  redis.call('LTRIM', history, -tonumber(kept), -1)
  redis.call('PEXPIRE', history, ttl)
end

local function keep_consent(keys, argv, before, consent, kept)
  if consent == before then return end
  redis.call('HSET', keys[1], 'c', consent)
  remember_consent(keys[3], consent, kept, argv[4])
end

-- KEYS of each step: context, suppression, consent history, changed
-- ARGV of each step: the id that it is about, keyed digest, ttl of the context, of the history (ms), 1 when a person who gets
-- or loses an alias is to be marked as changed; then its own.

-- A person or an alias is seen with another's eyes from now on.
local function changed(keys, argv, word)
  redis.call('PEXPIRE', keys[1], argv[3])
  if argv[5] == '1' then mark_changed(keys[4], argv[1], now_ms(), argv[3]) end
  return status(argv[1], word)
end

-- ARGV: person, a random origin
-- Points an alias to its person; from then on no decision is committed and no consent set under it. Answers with
-- linked, since when, its consent, its cap uses by origin and 1 if it was not linked before; or with why not.
local function identity_mark(keys, argv)
  local known = identity(keys, argv)
  if known.erased then return status(argv[1], 'erased') end
  if known.leaving then return status(argv[1], 'leaving', known.leaving) end
  if known.alias_of and known.alias_of ~= argv[6] then return status(argv[1], 'elsewhere') end
  if #known.members > 0 then return status(argv[1], 'person') end
  local origin, since = known.origin or argv[7], known.since
  local newly = not known.alias_of or not since
  if newly then
    since = string.format('%.0f', math.max(now_ms(), (tonumber(since) or 0) + 1))
    redis.call('HSET', keys[1], 'i', argv[1], 'a', argv[6], 'l', since, 'o', origin)
    redis.call('PEXPIRE', keys[1], argv[3])
  end
  if next(known.uses) ~= nil then known.elsewhere[origin] = known.uses end
  return status(argv[1], 'linked', since, known.consent, pack_map(known.elsewhere), newly and '1' or '0')
end

-- ARGV: alias, since when, a random origin, consent and uses of the alias, the table of levels, how many changes of a consent
-- are kept
-- Takes an alias in: its uses count from now on, and of two consents the stricter holds. Answers linked, or repeated when
-- it was in; or with why not.
local function identity_join(keys, argv)
  local known = identity(keys, argv)
  if known.erased then return status(argv[1], 'erased') end
  if known.leaving then return status(argv[1], 'leaving', known.leaving) end
  if known.alias_of then return status(argv[1], 'alias') end
  local members, since = without_member(known.members, argv[6])
  if since == tonumber(argv[7]) then return status(argv[1], 'repeated') end
  if #members >= MOST_ALIASES then return status(argv[1], 'full') end
  local origin = known.origin or argv[8]
  local elsewhere = pack_map(add_uses(known.elsewhere, origin, argv[10], argv[3]))
  local consent = stricter_consent(known.consent, argv[9], cmsgpack.unpack(argv[11]))
  members[#members + 1] = {argv[6], tonumber(argv[7])}
  redis.call('HSET', keys[1], 'i', argv[1], 'm', cmsgpack.pack(members), 'o', origin)
  set_or_delete(keys[1], 'j', elsewhere)
  keep_consent(keys, argv, known.consent, consent, argv[12])
  return changed(keys, argv, 'linked')
end

-- ARGV: person or '' for whichever, r or u
-- Turns an alias away from its person. Answers leaving and what is noted of it; or alone, person or elsewhere.
local function identity_part(keys, argv)
  local known = identity(keys, argv)
  local leaving = known.leaving or (known.alias_of and argv[7] .. known.since .. ' ' .. known.alias_of)
  if not leaving then return status(argv[1], #known.members > 0 and 'person' or 'alone') end
  if argv[6] ~= '' and argv[6] ~= leaving:sub(leaving:find(' ', 1, true) + 1) then return status(argv[1], 'elsewhere') end
  if not known.leaving then
    redis.call('HSET', keys[1], 'u', leaving)
    redis.call('HDEL', keys[1], 'a')
    redis.call('PEXPIRE', keys[1], argv[3])
  end
  return status(argv[1], 'leaving', leaving)
end

-- ARGV: alias, since when, the skew of clocks (ms)
-- Lets an alias go. Answers left, or absent when it was not in; then the consent and the uses since it came.
local function identity_leave(keys, argv)
  local known = identity(keys, argv)
  local members, since = without_member(known.members, argv[6])
  local left = since == tonumber(argv[7])
  if left then
    set_or_delete(keys[1], 'm', pack_map(members))
    changed(keys, argv)
  end
  local uses, oldest = {}, tonumber(argv[7]) - tonumber(argv[8])
  for key, times in pairs(known.uses) do
    local later = uses_since(times, oldest)
    if #later > 0 then uses[key] = later end
  end
  local shared = known.origin and next(uses) ~= nil and {[known.origin] = uses} or {}
  return status(argv[1], left and 'left' or 'absent', known.consent, pack_map(shared))
end

-- ARGV: since when, consent and uses of the person, the table of levels, how many changes of a consent are kept
-- Ends the leaving of an alias: what was said while it was linked counts for it too, and the stricter consent holds.
local function identity_free(keys, argv)
  local known = identity(keys, argv)
  if not known.leaving or known.since ~= argv[6] then return status(argv[1], 'alone') end
  local elsewhere = pack_map(add_uses(known.elsewhere, known.origin, argv[8], argv[3]))
  local consent = stricter_consent(known.consent, argv[7], cmsgpack.unpack(argv[9]))
  redis.call('HDEL', keys[1], 'u')
  set_or_delete(keys[1], 'j', elsewhere)
  keep_consent(keys, argv, known.consent, consent, argv[10])
  return changed(keys, argv, 'free')
end

-- Answers alone; alias or leaving with the person; or person with the members.
local function identity_seen(keys, argv)
  local known = identity(keys, argv)
  if known.leaving then return status(argv[1], 'leaving', known.leaving) end
  if known.alias_of then return status(argv[1], 'alias', known.alias_of) end
  if #known.members == 0 then return status(argv[1], 'alone') end
  return status(argv[1], 'person', cmsgpack.pack(known.members))
end

-- KEYS: context [, decision, log]   ARGV: alias, its person, the groups that the person's consent allows
-- Answers whether it is this person's alias (0 or 1), its groups, and the decision if it was made under this alias.
local function identity_member(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'a')
  check_owner(known[1], argv[1])
  if known[2] ~= argv[2] then return {argv[1], 0, {}, false} end
  local names = {}
  for i = 1, #argv[3] do names[i] = argv[3]:sub(i, i) end
  local decided = keys[2] and recall_said(keys[2], keys[3])
  if decided then check_owner(decided[6], argv[1]) end
  return {argv[1], 1, #names > 0 and redis.call('HMGET', keys[1], unpack(names)) or {}, decided or false}
end

redis.register_function('tact_identity_mark' .. VERSION, identity_mark)
redis.register_function('tact_identity_join' .. VERSION, identity_join)
redis.register_function('tact_identity_part' .. VERSION, identity_part)
redis.register_function('tact_identity_leave' .. VERSION, identity_leave)
redis.register_function('tact_identity_free' .. VERSION, identity_free)
redis.register_function{function_name = 'tact_identity_seen' .. VERSION, callback = identity_seen, flags = {'no-writes'}}
redis.register_function{
  function_name = 'tact_identity_member' .. VERSION, callback = identity_member, flags = {'no-writes'},
}
