-- A group of field states as the store keeps it, the same as models/states.py: how many states, their field keys, the
-- places of their dates (from 0), then as msgpack the table of the dates and what is kept of each state.

local group = {}
local WIDE = 256

local function places_of(packed, from, n)
  if n < WIDE then return {packed:byte(from, from + n - 1)} end
  local places = {}
  for i = 1, n do
    local high, low = packed:byte(from + 2 * i - 2, from + 2 * i - 1)
    places[i] = 256 * high + low
  end
  return places
end

local function packed_number(number) return string.char(math.floor(number / 256), number % 256) end

local function packed_places(places)
  if #places < WIDE then return string.char(unpack(places)) end
  local parts = {}
  for i, place in ipairs(places) do parts[i] = packed_number(place) end
  return table.concat(parts)
end

local function times_of(dates)
  local times, t = {}, 0
  for i = 1, #dates, 2 do
    if type(dates[i]) ~= 'number' then return nil end
    t = t + dates[i]
    times[#times + 1] = t
  end
  return times
end

-- Returns a group as {keys, places, dates, times, kept}, or nil when it cannot be read; a missing one is empty.
function group.read(packed)
  if not packed then return {keys = '', places = {}, dates = {}, times = {}, kept = {{}}} end
  local high, low = packed:byte(1, 2)
  local n = low and 256 * high + low or 0
  local from = 3 + 2 * n
  local start = from + (n < WIDE and n or 2 * n)
  if not low or #packed < start then return nil end
  local readable, _, kept = pcall(cmsgpack.unpack_one, packed, start - 1)
  if not readable or type(kept) ~= 'table' or #kept ~= n + 1 or type(kept[1]) ~= 'table' then return nil end
  local times = times_of(kept[1])
  return times and {keys = packed:sub(3, from - 1), places = places_of(packed, from, n), dates = kept[1], times = times,
    kept = kept}
end

-- Returns the place of a date in the table, which is in order of time; a new one is mostly the latest.
local function place_of(one, t, lag)
  local times, dates, places = one.times, one.dates, one.places
  local at = #times
  while at > 0 and (times[at] > t or times[at] == t and dates[2 * at] > lag) do at = at - 1 end
  if times[at] == t and dates[2 * at] == lag then return at - 1 end
  table.insert(times, at + 1, t)
  table.insert(dates, 2 * at + 1, lag)
  table.insert(dates, 2 * at + 1, t - (times[at] or 0))
  if times[at + 2] then
    dates[2 * at + 3] = times[at + 2] - t
    for i = 1, #places do
      if places[i] >= at then places[i] = places[i] + 1 end
    end
  end
  return at
end

-- Returns which of the group's states a field has; a new one comes last.
local function state_of_field(one, packed_key)
  local keys, at = one.keys, 0
  repeat at = keys:find(packed_key, at + 1, true) until not at or at % 2 == 1
  if at then return (at + 1) / 2 end
  one.keys = keys .. packed_key
  return #one.places + 1
end

-- Folds an operation at a moment; returns whether anything changed. `now` dates what arrives.
function group.fold(one, op, value, t, now)
  local at, places, kept = state_of_field(one, op.packed_key), one.places, one.kept
  local dated, before = places[at] and one.times[places[at] + 1], kept[at + 1]
  local latest, folded = fold_kept(op, dated, before, value, t)
  kept[at + 1] = folded
  if latest == dated then return folded ~= before end
  places[at] = place_of(one, latest, math.floor((now - latest) / 1000))
  return true
end

local function drop_unused_dates(one)
  local used, unused, times, dates, places = {}, #one.times, one.times, one.dates, one.places
  for i = 1, #places do
    local place = places[i]
    if not used[place] then used[place], unused = true, unused - 1 end
  end
  if unused == 0 then return end
  for at = #times, 1, -1 do
    if not used[at - 1] then
      table.remove(times, at)
      table.remove(dates, 2 * at)
      table.remove(dates, 2 * at - 1)
      if times[at] then dates[2 * at - 1] = times[at] - (times[at - 1] or 0) end
      for i = 1, #places do
        if places[i] >= at then places[i] = places[i] - 1 end
      end
    end
  end
end

function group.pack(one)
  local places = one.places
  drop_unused_dates(one)
  one.kept[1] = one.dates
  return packed_number(#places) .. one.keys .. packed_places(places) .. cmsgpack.pack(one.kept)
end
