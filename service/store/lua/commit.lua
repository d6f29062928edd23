-- A decision is taken, counted and logged at once.

do  -- a library has no more than 200 locals of its own
local PLACEMENTS_AT = 9
local DECISION_AT = #'tact:{000}:d:' + 1
local NO_KEY = -2  -- says PTTL

-- How long everything is kept, by how that is told with every commit: the times to live of the context, of decisions and of the
-- log (ms), and below which the log's is renewed. There is one for each way of keeping, so it is taken apart but once.
local MOST_TOLD = 100
local kept_told, told_count = {}, 0

local function kept_as_told(text)
  local context, decision, log, renewed = text:match('^(%d+) (%d+) (%d+) (%d+)$')
  if not context then refuse('ERR', 'how long anything is kept cannot be read') end
  if told_count >= MOST_TOLD then kept_told, told_count = {}, 0 end
  local kept = {context = context, context_renewed = 0.999 * context, decision = decision, log = log, log_ms = tonumber(log),
    log_renewed = tonumber(renewed)}
  kept_told[text], told_count = kept, told_count + 1
  return kept
end

-- One decision in sixteen also drops entries that are too old: the last digit of its id is as good as random.
local TRIMS = ('0'):byte()

-- Adds the entry to the log, whose time to live it renews where a thousandth of it has passed; then it is looked at as well
-- whether there are older entries than are kept, and the link says which. Returns its place, that link, and the
-- time to live where it was renewed.
local function add_to_log(keys, kept, now, link, ...)
  local lives, log = redis.call('PTTL', keys[2]) >= kept.log_renewed, keys[2]
  if lives and keys[3]:byte(-1) ~= TRIMS then return redis.call('XADD', log, '*', 'l', link, ...), link end
  local oldest = string.format('%.0f', math.max(0, now - kept.log_ms))
  link = link .. ' ' .. oldest
  local at = redis.call('XADD', log, 'MINID', '~', oldest, '*', 'l', link, ...)
  if not lives then redis.call('PEXPIRE', log, kept.log) end
  return at, link, not lives and kept.log
end

-- Returns the rare fields of an entry: all of them, their names with their lengths, and their values.
local function rare_fields(room)
  local more, sizes, values = {}, '', ''
  if next(room.holds) ~= nil then more = {'r', cmsgpack.pack(room.holds)} end
  if room.counting then more[#more + 1], more[#more + 2] = 'q', cmsgpack.pack(room.counting) end
  for i = 1, #more, 2 do sizes, values = sizes .. more[i] .. #more[i + 1], values .. more[i + 1] end
  return more, sizes, values
end

local function log_decision(keys, argv, told, kept, now, chosen, bound, room, head)
  local said, log, customer, entry, link = room.said, keys[2], argv[1], argv[2], chain.before(keys[2], head)
  local at, renewed
  local actions, more, sizes, values = #said == 1 and said[1] or table.concat(said, '\31'), nil, '', ''
  if room.counting or next(room.holds) ~= nil then
    more, sizes, values = rare_fields(room)
    at, link, renewed = add_to_log(keys, kept, now, link, 'i', customer, 'e', entry, 'c', chosen, 'b', bound, 'a', actions,
      unpack(more))
  else
    at, link, renewed = add_to_log(keys, kept, now, link, 'i', customer, 'e', entry, 'c', chosen, 'b', bound, 'a', actions)
  end
  sizes = string.format('l%di%de%dc%db%da%d', #link, #customer, #argv[8], #chosen, #bound, #actions) .. sizes
  chain.note(keys[6], log, at, sizes, link .. customer .. argv[8] .. chosen .. bound .. actions .. values, renewed)
  redis.call('SET', keys[3], decision_place(at, told[4], argv[3]), 'PX', kept.decision)
end

-- Refuses what was read before the customer was erased, and whoever has not agreed to anything since.
local function check_not_erased(keys, argv, read_ms)
  local erased = erased_ms(keys[4], argv[4])
  if erased and (erased >= read_ms or redis.call('EXISTS', keys[1]) == 0) then
    refuse('ERASED', 'the customer was erased')
  end
end

-- Refuses what was decided for who is an alias now, or in the name of one who no longer is.
local function check_person(known, customer, asked)
  if known[3] or known[4] then refuse('LINKED', 'the customer is an alias') end
  if asked ~= '' and not is_identity_of(known[5], customer, asked) then refuse('LINKED', 'the alias has left') end
end

-- Returns the fields of the context that a commit changes besides the cap uses: what is held and promised, and what was said.
local function keep_said(keys, known, room, told, fields)
  local said, version = #room.said > 0, known[8]
  if next(room.holds) ~= nil then
    memory.trim(room.reserved, room.now - fitting.SKEW_MS)
    fields[#fields + 1], fields[#fields + 2] = 'r', cmsgpack.pack(room.reserved)
    version = version or '0'
  end
  if told and said and #told[3] > 0 then
    local before = version and memory.readable(redis.call('HGET', keys[1], 'v')) or {}
    local promises, news = memory.give(before, told[3], room.said, room.now, room.decision)
    if news then
      fields[#fields + 1], fields[#fields + 2] = 'v', cmsgpack.pack(promises)
      version = memory.next_version(version)
      for _, promise in ipairs(promises) do room.lasts = math.max(room.lasts, promise[4] - room.now) end
    end
  end
  if version ~= known[8] then fields[#fields + 1], fields[#fields + 2] = 'g', version end
  if told and said and told[2] ~= '' then
    fields[#fields + 1], fields[#fields + 2] = 'h', cmsgpack.pack({told[2], room.now, {unpack(room.said)}})
  end
end

-- Writes the fields of the context that change, and renews its time to live: where a thousandth of it has passed, and wherever
-- it would end before what is written has had its time.
local function write_context(context, customer, known, kept, lasts, fields)
  if known and #fields > 0 then
    redis.call('HSET', context, unpack(fields))
  elseif #fields > 0 then
    redis.call('HSET', context, 'i', customer, unpack(fields))
  end
  local lives = redis.call('PTTL', context)
  if lives ~= NO_KEY and (lives < kept.context_renewed or lives < lasts) then redis.call('PEXPIRE', context, kept.context) end
end

-- Counts what is said, for what is learned between trainings; returns what the log notes, so that outcomes find their count.
local function count_said(key, counting, at, said, ttl)
  local fields, any = {}, false
  for _, action in ipairs(said) do
    local one = counting[4][action]
    if one then
      adaptive.add(key, one[1], counting[2], counting[3], at, {1, one[2], 0}, ttl)
      fields[action], any = one[1], true
    end
  end
  return any and {counting[1], counting[2], counting[3], at, fields} or nil
end

-- KEYS: context, log, decision, suppression, switch, the log's head, heard, and where anything is counted for what is learned
-- the counts
-- ARGV: customer, entry, digest, keyed digest, the consent that it was decided under (empty: none is needed), how long everything
-- is kept (`kept_as_told`), then as msgpack
-- [now, when it was read, when nobody waits for it any more (ms, by this clock; 0: never), the identity that was asked about or ''
-- where that is the customer, false or [version of the memory that it was decided with or false, channel or '',
-- [[action, key, until, facts], ...] that are promised], false or what is counted for what is learned
-- [kind of the outcome, within, half-life (ms), {action: [field, expected outcomes]}]], the seal of the entry, then a placement
-- each: its candidates as msgpack values one after another. What is switched off binds as !off does.
-- Answers 1 when it was decided before, chosen, bound, the bucket's copy of what is off, and the entry and digest of then.
local function commit(keys, argv)
  local told = cmsgpack.unpack(argv[7])
  local now, ends, remembered = told[1], told[3], told[5]
  check_not_erased(keys, argv, told[2])
  local shared = redis.call('MGET', keys[5], keys[6], keys[7])
  local off = shared[1]
  local stored = recall_said(keys[3], keys[2])
  if stored then
    check_owner(stored[6], argv[1])
    return {keys[3], 1, stored[3], stored[4], off, stored[1], stored[2]}
  end
  local clock_ms = now_ms()
  if ends ~= 0 and clock_ms > ends then refuse('LATE', 'nobody waits for the commit any more') end
  local known = redis.call('HMGET', keys[1], 'i', 'k', 'a', 'u', 'm', 'j', 'c', 'g')
  check_owner(known[1], argv[1])
  if argv[5] ~= '' and argv[5] ~= known[7] then refuse('CONSENT', 'another consent holds by now') end
  check_person(known, argv[1], told[4])
  if remembered and remembered[1] and remembered[1] ~= memory.version(known[8]) then
    refuse('MEMORY', 'more is remembered by now')
  end
  local room, kept, fields = fitting.room(keys, known, now), kept_told[argv[6]] or kept_as_told(argv[6]), {}
  room.off = off and switched_off(off)
  local chosen, bound = fitting.take(room, argv, PLACEMENTS_AT)
  local uses = fitting.uses(room)
  if uses then fields[1], fields[2] = 'k', uses end
  if remembered or next(room.holds) ~= nil then keep_said(keys, known, room, remembered, fields) end
  if told[6] then
    local _, counting = pcall(count_said, keys[8], told[6], now, room.said, kept.log)
    room.counting = type(counting) == 'table' and #counting == 5 and counting or nil
  end
  log_decision(keys, argv, told, kept, clock_ms, chosen, bound, room, shared[2])
  write_context(keys[1], argv[1], known[1], kept, room.lasts, fields)
  if shared[3] and (room.said[1] or fields[1]) then
    heard.tell(keys[7], shared[3], 'decision', clock_ms, room.said[1] or '', keys[3]:sub(DECISION_AT))
  end
  return {keys[3], 0, chosen, bound, off}
end

redis.register_function('tact_commit' .. VERSION, commit)

end
