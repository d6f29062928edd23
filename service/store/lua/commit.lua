-- A decision is taken, counted and logged at once.

do  -- a library has no more than 200 locals of its own
local NONE, SWITCHED_OFF = {}, '!off'
local DECISION_AT = #'tact:{000}:d:' + 1

-- Returns nil when a counter can be used once more, else the moment at which it can: what is held counts until its hold ends,
-- a use while it is in the window, or on the day.
local function frees_ms(uses, held, counter, now)
  local at_most, within, since, frees = counter.at_most, counter.within_ms, counter.since_ms, {}
  if #uses + #held < at_most then return nil end
  local day_ends = counter.frees_ms or now + within
  for _, t in ipairs(uses) do
    if since then
      if t >= since then frees[#frees + 1] = day_ends end
    elseif t > now - within then
      frees[#frees + 1] = t + within
    end
  end
  for _, ends in ipairs(held) do frees[#frees + 1] = ends end
  if #frees < at_most then return nil end
  if #held > 0 then table.sort(frees) end
  return frees[#frees - at_most + 1] or (since and day_ends or now + within)
end

-- What commits look at: `uses` and `held` by counter, those of the person, all together; `own` and `reserved` are what is kept
-- of them, and `counts` and `holds` say whether and for which actions these change.

-- Returns the counter that binds the longest and when it frees, or nil when all fit.
local function binding(room, counters)
  local key, longest
  for _, counter in ipairs(counters) do
    local name = counter.key
    local frees = frees_ms(room.uses[name] or NONE, room.held[name] or NONE, counter, room.now)
    if frees and (not longest or frees > longest) then key, longest = name, frees end
  end
  return key, longest
end

-- Commits arrive a little out of the order of their clocks; a use is forgotten only when none of them can mind.
local SKEW_MS = 60000

local function add_use(counted, counter, now)
  local uses, oldest = counted[counter.key] or {}, now - counter.within_ms - SKEW_MS
  if uses[1] and uses[1] <= oldest then uses = uses_since(uses, oldest) end
  local place = #uses + 1
  while place > 1 and uses[place - 1] > now do place = place - 1 end
  table.insert(uses, place, now)
  counted[counter.key] = uses
end

-- Holds a use for an action: it counts until its hold ends.
local function reserve(room, counter, action)
  local key, now = counter.key, room.now
  local one = {now, now + counter.hold_ms, memory.mark(room.decision, action), counter.on, counter.within_ms, counter.since_ms and 1 or 0}
  local ones, held, holds = room.reserved[key] or {}, room.held[key] or {}, room.holds[action] or {}
  ones[#ones + 1], held[#held + 1], holds[key] = one, one[2], one
  room.reserved[key], room.held[key], room.holds[action] = ones, held, holds
end

local function count(room, counters, action)
  for _, counter in ipairs(counters) do
    if counter.hold_ms then
      reserve(room, counter, action)
    else
      add_use(room.own, counter, room.now)
      if room.uses ~= room.own then add_use(room.uses, counter, room.now) end
      room.counts = true
    end
  end
end

-- Takes the first candidate of one placement that fits, and counts it; returns its rank or -1.
local function take(room, bound, placement, candidates)
  local offset, rank, candidate = 0, 0, nil
  while offset >= 0 and #candidates > 0 do
    offset, candidate = cmsgpack.unpack_one(candidates, offset)
    local action, counters = candidate[1], candidate[2]
    if not room.said[action] then
      local key, frees
      if room.off and (room.off.everything or room.off[action]) then
        key, frees = SWITCHED_OFF, room.now
      else
        key, frees = binding(room, counters)
      end
      if not key then
        room.said[action] = true
        room.said[#room.said + 1] = action
        count(room, counters, action)
        return rank
      end
      bound[#bound + 1] = {placement, rank, key, frees}
    end
    rank = rank + 1
  end
  return -1
end

local function log_decision(keys, argv, chosen, bound, room)
  local oldest, actions = string.format('%.0f', math.max(0, now_ms() - tonumber(argv[7]))), table.concat(room.said, '\31')
  local entry = {'i', argv[1], 'e', argv[4], 'c', chosen, 'b', bound, 'a', actions}
  if next(room.holds) ~= nil then entry[11], entry[12] = 'r', cmsgpack.pack(room.holds) end
  if room.counting then entry[#entry + 1], entry[#entry + 2] = 'q', cmsgpack.pack(room.counting) end
  local at = redis.call('XADD', keys[2], 'MINID', '~', oldest, '*', unpack(entry))
  redis.call('PEXPIRE', keys[2], argv[7])
  local asked = argv[10] ~= argv[1] and argv[10] or ''
  redis.call('SET', keys[3], decision_place(at, asked, argv[3]), 'PX', argv[6])
end

-- Refuses what was read before the customer was erased, and whoever has not agreed to anything since.
local function check_not_erased(keys, argv)
  local erased = erased_ms(keys[4], argv[8])
  if erased and (erased >= tonumber(argv[9]) or redis.call('EXISTS', keys[1]) == 0) then
    refuse('ERASED', 'the customer was erased')
  end
end

-- Refuses what was decided for who is an alias now, or in the name of one who no longer is.
local function check_person(known, argv)
  if known[3] or known[4] then refuse('LINKED', 'the customer is an alias') end
  if not is_identity_of(known[5], argv[1], argv[10]) then refuse('LINKED', 'the alias has left') end
end

-- Returns the own uses and reservations of a customer, and with them those that were made elsewhere.
local function room_of(keys, argv, known)
  if known[2] == '' then refuse('CORRUPT', 'the cap counters cannot be read') end
  local now, own, reserved = tonumber(argv[2]), readable_uses(known[2]), NONE
  local room = {now = now, decision = keys[3]:sub(DECISION_AT), own = own, uses = own, held = {}, said = {}, holds = {}}
  local others = readable_uses(known[6])
  if known[8] then
    reserved = memory.readable(redis.call('HGET', keys[1], 'r'))
    others[''], room.held = memory.split(reserved, now)
  end
  if known[6] or next(others[''] or NONE) ~= nil then room.uses = all_uses(own, others) end
  room.reserved = reserved ~= NONE and reserved or {}
  return room
end

-- Returns the fields of the context that a commit changes besides the cap uses: what is held and promised, and what was said.
local function keep_said(keys, known, room, told, fields)
  local said, version = #room.said > 0, known[8]
  if next(room.holds) ~= nil then
    memory.trim(room.reserved, room.now - SKEW_MS)
    fields[#fields + 1], fields[#fields + 2] = 'r', cmsgpack.pack(room.reserved)
    version = version or '0'
  end
  if told and said and #told[3] > 0 then
    local before = version and memory.readable(redis.call('HGET', keys[1], 'v')) or {}
    local promises, news = memory.give(before, told[3], room.said, room.now, room.decision)
    if news then
      fields[#fields + 1], fields[#fields + 2] = 'v', cmsgpack.pack(promises)
      version = memory.next_version(version)
    end
  end
  if version ~= known[8] then fields[#fields + 1], fields[#fields + 2] = 'g', version end
  if told and said and told[2] ~= '' then
    fields[#fields + 1], fields[#fields + 2] = 'h', cmsgpack.pack({told[2], room.now, {unpack(room.said)}})
  end
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

-- KEYS: context, log, decision, suppression, switch, and where anything is counted for what is learned the counts
-- ARGV: customer, now, digest, entry, ttl of the context, of the decision, of the log (ms), keyed digest, when it was read,
-- the identity that was asked about, the consent that it was decided under (empty: none is needed), then empty or as msgpack
-- [version of the memory that it was decided with or false, channel or '', [[action, key, until, facts], ...] that are promised],
-- when nobody waits for it any more (ms, by this clock; 0: never), empty or as msgpack what is counted for what is learned
-- [kind of the outcome, within, half-life (ms), {action: [field, expected outcomes]}], then a placement each: its candidates as
-- msgpack values one after another,
-- [action, [{key, at_most, within_ms[, since_ms, frees_ms][, hold_ms, on]}, ...]]. What is switched off binds as !off does.
-- Answers 1 when it was decided before, the entry of then, digest, chosen, bound, and the bucket's copy of what is off.
local function commit(keys, argv)
  check_not_erased(keys, argv)
  local off = redis.call('GET', keys[5])
  local stored = recall_said(keys[3], keys[2])
  if stored then
    check_owner(stored[6], argv[1])
    return {keys[3], 1, stored[1], stored[2], stored[3], stored[4], off}
  end
  if argv[13] ~= '0' and now_ms() > tonumber(argv[13]) then refuse('LATE', 'nobody waits for the commit any more') end
  local known = redis.call('HMGET', keys[1], 'i', 'k', 'a', 'u', 'm', 'j', 'c', 'g')
  check_owner(known[1], argv[1])
  if argv[11] ~= '' and argv[11] ~= known[7] then refuse('CONSENT', 'another consent holds by now') end
  local told = argv[12] ~= '' and cmsgpack.unpack(argv[12])
  check_person(known, argv)
  if told and told[1] and told[1] ~= memory.version(known[8]) then refuse('MEMORY', 'more is remembered by now') end
  local room, chosen, bound, fields = room_of(keys, argv, known), {}, {}, {}
  room.off = switched_off(off)
  for i = 15, #argv do chosen[#chosen + 1] = take(room, bound, i - 15, argv[i]) end
  if room.counts then fields[1], fields[2] = 'k', cmsgpack.pack(room.own) end
  keep_said(keys, known, room, told, fields)
  if argv[14] ~= '' then
    local _, counting = pcall(count_said, keys[6], cmsgpack.unpack(argv[14]), room.now, room.said, argv[7])
    room.counting = type(counting) == 'table' and #counting == 5 and counting or nil
  end
  local packed_chosen, packed_bound = cmsgpack.pack(chosen), cmsgpack.pack(bound)
  log_decision(keys, argv, packed_chosen, packed_bound, room)
  if #fields > 0 then redis.call('HSET', keys[1], 'i', argv[1], unpack(fields)) end
  redis.call('PEXPIRE', keys[1], argv[5])
  return {keys[3], 0, '', argv[3], packed_chosen, packed_bound, off}
end

redis.register_function('tact_commit' .. VERSION, commit)

end
