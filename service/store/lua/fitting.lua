-- Which candidates still fit the caps of a customer, and what taking them counts.

local fitting = {}

do  -- a library has no more than 200 locals of its own
local NONE, SWITCHED_OFF = {}, '!off'
local DECISION_AT = #'tact:{000}:d:' + 1
-- A commit brings its candidates along in a row: the action, how many values there are of each counter, 3 or 7, and these:
-- key, at_most, within_ms, and then since_ms, frees_ms, hold_ms, on, of which 0 stands for none.
local COUNTERS_AT, STRIDE = 3, 2

-- Returns when a counter that stands at a place of a candidate frees that is used up: what is held counts until its hold ends,
-- a use while it is in the window, or on the day; nil when it can be used once more.
local function frees_ms(uses, held, one, at, now)
  local at_most, within, since, frees = one[at + 1], one[at + 2], nil, {}
  if #uses + #held < at_most then return nil end
  if one[STRIDE] > 3 and one[at + 3] ~= 0 then since = one[at + 3] end
  local day_ends = since and one[at + 4] ~= 0 and one[at + 4] or now + within
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
-- of them, `counted` and `holds` what of these changes, `lasts` for how long that counts (ms). Where `kept` is set, `own` has
-- only what was looked for in there.

-- Returns the times of a counter out of what is kept packed, which is taken apart where it cannot be looked for in there.
local function uses_kept(room, counter)
  local own, times, found = room.own, packed_uses.times(room.kept, counter)
  if not found then
    local all = readable_uses(room.kept.packed)
    for one, changed in pairs(own) do all[one] = changed end
    room.own, room.uses, room.kept, times = all, all, nil, all[counter]
  end
  room.own[counter] = times
  return times
end

-- Returns the counter that binds the longest and when it frees, or nil when all fit.
local function binding(room, one)
  local key, longest
  local all_held = room.held
  for at = COUNTERS_AT, #one, one[STRIDE] do
    local uses, held = room.uses[one[at]] or room.kept and uses_kept(room, one[at]), all_held[one[at]]
    if (uses and #uses or 0) + (held and #held or 0) >= one[at + 1] then
      local frees = frees_ms(uses or NONE, held or NONE, one, at, room.now)
      if frees and (not longest or frees > longest) then key, longest = one[at], frees end
    end
  end
  return key, longest
end

-- Commits arrive a little out of the order of their clocks; a use is forgotten only when none of them can mind.
local SKEW_MS = 60000
fitting.SKEW_MS = SKEW_MS

local function add_use(counted, key, within, now)
  local uses = counted[key]
  if not uses then
    counted[key] = {now}
    return
  end
  local oldest = now - within - SKEW_MS
  if uses[1] and uses[1] <= oldest then
    uses = uses_since(uses, oldest)
    counted[key] = uses
  end
  local place = #uses + 1
  while place > 1 and uses[place - 1] > now do place = place - 1 end
  table.insert(uses, place, now)
end

-- Holds a use for an action: it counts until its hold ends.
local function reserve(room, one, at)
  local key, action, now, hold = one[at], one[1], room.now, one[at + 5]
  local mark, daily = memory.mark(room.decision, action), one[at + 3] ~= 0 and 1 or 0
  local kept = {now, now + hold, mark, one[at + 6], one[at + 2], daily}
  if room.held == NONE then room.held = {} end
  local ones, held, holds = room.reserved[key] or {}, room.held[key] or {}, room.holds[action] or {}
  ones[#ones + 1], held[#held + 1], holds[key] = kept, kept[2], kept
  room.reserved[key], room.held[key], room.holds[action] = ones, held, holds
  if hold > room.lasts then room.lasts = hold end
end

local function count(room, one)
  local stride, now, own, uses = one[STRIDE], room.now, room.own, room.uses
  for at = COUNTERS_AT, #one, stride do
    local key, within = one[at], one[at + 2]
    if stride > 3 and one[at + 5] ~= 0 then
      reserve(room, one, at)
    else
      add_use(own, key, within, now)
      if uses ~= own then add_use(uses, key, within, now) end
      room.counted[key] = own[key]
    end
    if within > room.lasts then room.lasts = within end
  end
end

-- Takes the first candidate of one placement that fits, and counts it; returns its rank or -1.
local function take(room, bound, placement, candidates)
  local said, off, offset, rank, one = room.said, room.off, #candidates > 0 and 0 or -1, 0, nil
  while offset >= 0 do
    offset, one = cmsgpack.unpack_one(candidates, offset)
    local action = one[1]
    if not said[action] then
      local key, frees
      if off and (off.everything or off[action]) then
        key, frees = SWITCHED_OFF, room.now
      else
        key, frees = binding(room, one)
      end
      if not key then
        said[action], said[#said + 1] = true, action
        count(room, one)
        return rank
      end
      bound[#bound + 1] = {placement, rank, key, frees}
    end
    rank = rank + 1
  end
  return -1
end

-- Returns the own uses and reservations of a customer, and with them those that were made elsewhere.
function fitting.room(keys, known, now)
  local own, elsewhere, kept = known[2], known[6], nil
  if own == '' then refuse('CORRUPT', 'the cap counters cannot be read') end
  if own and #own >= packed_uses.LONG and not (elsewhere or known[8]) then
    own, kept = {}, packed_uses.open(own)
  else
    own = own and readable_uses(own) or {}
  end
  local room = {now = now, own = own, uses = own, kept = kept, counted = {}, held = NONE, reserved = {}, said = {}, holds = {},
    lasts = 0, decision = keys[3]:sub(DECISION_AT)}
  if not (elsewhere or known[8]) then return room end
  local others = readable_uses(elsewhere)
  if known[8] then
    room.reserved = memory.readable(redis.call('HGET', keys[1], 'r'))
    others[''], room.held = memory.split(room.reserved, now)
  end
  if elsewhere or next(others[''] or NONE) ~= nil then room.uses = all_uses(own, others) end
  return room
end

-- What is mostly chosen, packed: one of the first ranks of a single placement.
local FIRST_RANKS, PACKED_NONE = 16, '\144'
local mostly_chosen = {}

local function packed_ranks(chosen)
  local rank = chosen[1]
  if #chosen ~= 1 or rank >= FIRST_RANKS then return cmsgpack.pack(chosen) end
  if not mostly_chosen[rank] then mostly_chosen[rank] = cmsgpack.pack(chosen) end
  return mostly_chosen[rank]
end

-- Takes what fits of each placement, whose candidates are arguments from a place on; returns as msgpack the ranks that were
-- chosen and what was bound.
function fitting.take(room, argv, from)
  local chosen, bound = {}, {}
  for i = from, #argv do chosen[#chosen + 1] = take(room, bound, i - from, argv[i]) end
  return packed_ranks(chosen), #bound == 0 and PACKED_NONE or cmsgpack.pack(bound)
end

-- Returns the packed uses after what was taken; nil where none changed.
function fitting.uses(room)
  if next(room.counted) == nil then return nil end
  return room.kept and packed_uses.with(room.kept, room.counted) or cmsgpack.pack(room.own)
end

end
