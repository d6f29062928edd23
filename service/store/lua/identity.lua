-- One person, several identities. Each keeps a context of its own, in a bucket of its own, so that a link is made and
-- undone in steps, each atomic and each safe to repeat; service/store/identities.py has their order.
--   of an alias:   a person; l when it was linked (ms, rising); u while it leaves: r (refused) or u (undone), l, a blank, person
--   of a person:   m [[alias, l], ...]
--   of both:       o the origin of its own cap uses (random); j {origin: {counter: [ms, ...]}} uses made elsewhere;
--                  w the origin of the person it left last, and the digest of its consent and its bound then

local MOST_ALIASES = 16

local function status(id, word, ...) return {id, {word, ...}} end

local function identity(keys, argv)
  local known = redis.call('HMGET', keys[1], 'i', 'a', 'u', 'l', 'm', 'c', 'k', 'o', 'j', 'n', 'w', 'y', 'z', 'v', 'r',
    'h', 'g')
  check_owner(known[1], argv[1])
  local erased = not known[1] and erased_ms(keys[2], argv[2])
  return {
    erased = erased, alias_of = known[2], leaving = known[3], since = known[4], members = members_of(known[5]),
    consent = known[6] or '', uses = readable_uses(known[7]), origin = known[8], elsewhere = readable_uses(known[9]),
    bound = known[10] or '', left = known[11], told_by = known[12], refusals = known[13], promises = known[14],
    reserved = known[15], latest = known[16], version = known[17],
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

local function consent_digest(consent, bound) return redis.sha1hex(#consent .. ' ' .. consent .. bound) end

-- Returns the origin of the person to whom an id brought its consent before, if nothing was said under it since it left; or ''.
local function brought_to(known)
  local origin, digest = (known.left or ''):match('^(.*) (%x+)$')
  return digest == consent_digest(known.consent, known.bound) and origin or ''
end

-- ARGV: ..., ttl of the history (ms)
local function keep_consent(keys, argv, known, consent, bound, kept)
  set_or_delete(keys[1], 'n', bound)
  if consent == known.consent then return end
  redis.call('HSET', keys[1], 'c', consent)
  remember_consent(keys[3], consent, kept, argv[4])
end

-- KEYS of each step: context, suppression, consent history, changed, heard
-- ARGV of each step: the id that it is about, keyed digest, ttl of the context, of the history (ms), 1 when a person who gets
-- or loses an alias is to be marked as changed; then its own.

-- A person or an alias is seen with another's eyes from now on.
local function changed(keys, argv, word)
  redis.call('PEXPIRE', keys[1], argv[3])
  if argv[5] == '1' then mark_changed(keys[4], argv[1], now_ms(), argv[3]) end
  heard.note(keys[5], 'identity', '', '')
  return status(argv[1], word)
end

-- ARGV: person, a random origin, 1 when only a link that was begun is to go on: then one that was undone stays undone
-- Points an alias to its person; from then on no decision is committed and no consent set under it. Answers with
-- linked, since when, its consent and bound, the origin of the person who has these already, its cap uses by origin, what it
-- remembers and 1 if it was not linked before; or with why not.
local function identity_mark(keys, argv)
  local known = identity(keys, argv)
  if known.erased then return status(argv[1], 'erased') end
  if known.leaving then return status(argv[1], 'leaving', known.leaving) end
  if known.alias_of and known.alias_of ~= argv[6] then return status(argv[1], 'elsewhere') end
  if argv[8] == '1' and not known.alias_of then return status(argv[1], 'alone') end
  if #known.members > 0 then return status(argv[1], 'person') end
  local origin, since = known.origin or argv[7], known.since
  local newly, brought = not known.alias_of or not since, memory.since(known, -1)
  if newly then
    since = string.format('%.0f', math.max(now_ms(), (tonumber(since) or 0) + 1))
    redis.call('HSET', keys[1], 'i', argv[1], 'a', argv[6], 'l', since, 'o', origin)
    redis.call('PEXPIRE', keys[1], argv[3])
    heard.note(keys[5], 'identity', '', '')
  end
  if next(known.uses) ~= nil then known.elsewhere[origin] = known.uses end
  return status(argv[1], 'linked', since, known.consent, known.bound, brought_to(known), pack_map(known.elsewhere),
    brought, newly and '1' or '0')
end

-- ARGV: alias, since when, a random origin, consent and bound of the alias, the origin of the person who has these already, uses
-- of the alias, what it remembers, the table of levels, how many changes of a consent are kept
-- Takes an alias in: its uses count and what it remembers is remembered from now on, and of two consents the stricter holds. What was brought once is not brought
-- again: a consent that was set meanwhile is the newer word. Answers linked, or repeated when it was in; or with why not.
local function identity_join(keys, argv)
  local known = identity(keys, argv)
  if known.erased then return status(argv[1], 'erased') end
  if known.leaving then return status(argv[1], 'leaving', known.leaving) end
  if known.alias_of then return status(argv[1], 'alias') end
  local members, since = without_member(known.members, argv[6])
  if since == tonumber(argv[7]) then return status(argv[1], 'repeated') end
  if #members >= MOST_ALIASES then return status(argv[1], 'full') end
  local origin = known.origin or argv[8]
  local elsewhere = pack_map(add_uses(known.elsewhere, origin, argv[12], argv[3]))
  local theirs, their_bound = argv[9], argv[10]
  if argv[11] == known.origin then theirs, their_bound = '', '' end
  local consent, bound = linked_consent(known.consent, known.bound, theirs, their_bound, cmsgpack.unpack(argv[14]))
  local remembered = memory.together(known, argv[13])
  members[#members + 1] = {argv[6], tonumber(argv[7])}
  redis.call('HSET', keys[1], 'i', argv[1], 'm', cmsgpack.pack(members), 'o', origin)
  set_or_delete(keys[1], 'j', elsewhere)
  memory.keep(keys[1], remembered)
  keep_consent(keys, argv, known, consent, bound, argv[15])
  return changed(keys, argv, 'linked')
end

-- ARGV: person or '' for whichever, r or u, since when or '' for whichever
-- Turns an alias away from its person. Answers leaving and what is noted of it; or alone, person or elsewhere.
local function identity_part(keys, argv)
  local known = identity(keys, argv)
  local leaving = known.leaving or (known.alias_of and argv[7] .. known.since .. ' ' .. known.alias_of)
  if not leaving then return status(argv[1], #known.members > 0 and 'person' or 'alone') end
  if argv[8] and argv[8] ~= '' and argv[8] ~= known.since then return status(argv[1], 'alone') end
  if argv[6] ~= '' and argv[6] ~= leaving:sub(leaving:find(' ', 1, true) + 1) then return status(argv[1], 'elsewhere') end
  if not known.leaving then
    redis.call('HSET', keys[1], 'u', leaving)
    redis.call('HDEL', keys[1], 'a')
    redis.call('PEXPIRE', keys[1], argv[3])
    heard.note(keys[5], 'identity', '', '')
  end
  return status(argv[1], 'leaving', leaving)
end

-- ARGV: alias, since when, the skew of clocks (ms)
-- Lets an alias go. Answers left, or absent when it was not in; then the consent, the bound, the uses since it came, the origin
-- of the person whom it left, 1 if the consent was set under it, what is remembered since it came, and what is promised.
local function identity_leave(keys, argv)
  local known = identity(keys, argv)
  local members, since = without_member(known.members, argv[6])
  local left, oldest = since == tonumber(argv[7]), tonumber(argv[7]) - tonumber(argv[8])
  local remembered, taken_along = memory.together(known, ''), memory.since(known, oldest)
  if left then
    set_or_delete(keys[1], 'm', pack_map(members))
    if known.told_by == argv[6] then redis.call('HDEL', keys[1], 'y') end
    memory.keep(keys[1], remembered)
    changed(keys, argv)
  end
  local uses = {}
  for key, times in pairs(known.uses) do
    local later = uses_since(times, oldest)
    if #later > 0 then uses[key] = later end
  end
  local shared = known.origin and next(uses) ~= nil and {[known.origin] = uses} or {}
  return status(argv[1], left and 'left' or 'absent', known.consent, known.bound, pack_map(shared),
    left and known.origin or '', left and known.told_by == argv[6] and '1' or '0',
    taken_along, memory.promises_of(known))
end

-- ARGV: since when, then of the person consent, bound, uses, origin if it was left just now, 1 if the consent was set under the
-- alias; then the table of levels, how many changes of a consent are kept, and what the person remembers since it came and what is promised to the person by now
-- Ends the leaving of an alias: what was said while it was linked counts for it too, and the stricter consent holds, or the one
-- that was set under this alias.
local function identity_free(keys, argv)
  local known = identity(keys, argv)
  if not known.leaving or known.since ~= argv[6] then return status(argv[1], 'alone') end
  local elsewhere = pack_map(add_uses(known.elsewhere, known.origin, argv[9], argv[3]))
  local consent, bound = argv[7], argv[8]
  if argv[11] ~= '1' then
    consent, bound = linked_consent(known.consent, known.bound, consent, bound, cmsgpack.unpack(argv[12]))
  end
  memory.keep_what_stands(known, argv[15])
  local remembered = memory.together(known, argv[14])
  redis.call('HDEL', keys[1], 'u')
  set_or_delete(keys[1], 'w', argv[10] ~= '' and argv[10] .. ' ' .. consent_digest(consent, bound) or '')
  set_or_delete(keys[1], 'j', elsewhere)
  memory.keep(keys[1], remembered)
  keep_consent(keys, argv, known, consent, bound, argv[13])
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
