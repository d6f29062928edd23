-- How events become field states, inside the store: the same as models/folds.py, kind by kind.
--
-- States are folded as they are kept (cells.lua). folding.KIND(dated, kept, value, t, op) takes the event time (ms)
-- that ages the field and what is kept beside it, and returns both as they are after an event at t; op is in
-- operations.lua. It returns nil, or raises an error, when what is kept has not the shape of its kind: a state left by
-- another fold that once had this key counts as none. beginning.KIND(value, t, op) returns what is kept after a first
-- event.

local DAY_MS = 86400000
local LARGEST_INT = 9007199254740991

-- Lua's own < on strings follows the server's locale; this is the order of bytes, and so of code points. Equal beginnings
-- are skipped in pieces, so that long texts that begin alike do not hold the store up.
local PIECE = 64
local function text_after(a, b)
  local least, from = math.min(#a, #b), 1
  while from <= least and a:sub(from, from + PIECE - 1) == b:sub(from, from + PIECE - 1) do from = from + PIECE end
  for i = from, math.min(least, from + PIECE - 1) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

local function after(a, b)
  local kind = type(a)
  if kind == 'number' and type(b) == kind then return a > b end
  if kind == 'string' and type(b) == kind then return text_after(a, b) end
  if kind == 'boolean' and type(b) == kind then return a and not b end
  error('values of two types have no order')
end

local function later(t, value, other_t, other)
  if t ~= other_t then return t > other_t end
  return after(value, other)
end

local function size(items)
  local n = 0
  for _ in pairs(items) do n = n + 1 end
  return n
end

-- Removes the items that stay the shortest until `keep` are left; stays(a, b): item a stays longer than item b.
local function shrink(items, keep, stays)
  for _ = 1, size(items) - keep do
    local leaving
    for key in pairs(items) do
      if leaving == nil or stays(leaving, key) then leaving = key end
    end
    items[leaving] = nil
  end
end

local folding, beginning = {}, {}

local function value_itself(value) return value end

function folding.last(dated, kept, value, t)
  if t ~= dated then
    if kept == nil or type(kept) == 'table' then return nil end
    if t > dated then return t, value end
    return dated, kept
  end
  if type(kept) ~= type(value) then return nil end
  if after(value, kept) then return t, value end
  return dated, kept
end

function folding.first(dated, kept, value, t)
  if t ~= dated then
    if kept == nil or type(kept) == 'table' then return nil end
    if t < dated then return t, value end
    return dated, kept
  end
  if type(kept) ~= type(value) then return nil end
  if after(kept, value) then return t, value end
  return dated, kept
end

function folding.min(dated, kept, value, t)
  if type(kept) ~= type(value) then return nil end
  if t < dated then t = dated end
  if after(kept, value) then return t, value end
  return t, kept
end

function folding.max(dated, kept, value, t)
  if type(kept) ~= type(value) then return nil end
  if t < dated then t = dated end
  if after(value, kept) then return t, value end
  return t, kept
end

function folding.sum(dated, kept, value, t)
  if type(kept) ~= 'number' then return nil end
  local sum = kept + value
  if sum > LARGEST_INT then sum = LARGEST_INT elseif sum < -LARGEST_INT then sum = -LARGEST_INT end
  return t > dated and t or dated, sum
end

folding.count = folding.sum
beginning.last, beginning.first, beginning.min, beginning.max = value_itself, value_itself, value_itself, value_itself
beginning.sum, beginning.count = value_itself, value_itself

local SINCE = {0}

function folding.since(dated, kept, _, t)
  if type(kept) ~= 'table' or kept[1] ~= 0 then return nil end
  return t > dated and t or dated, kept
end

function beginning.since() return SINCE end

-- Makes times before one date times before a later one; they stand at every so many places.
local function move(kept, first, every, by)
  if by > 0 then
    for i = first, #kept, every do kept[i] = kept[i] + by end
  end
end

local function remove_pair(kept, at)
  table.remove(kept, at)
  table.remove(kept, at)
end

function folding.distinct(dated, kept, value, t, op)
  if type(kept) ~= 'table' or kept[1] ~= 3 or type(kept[2]) ~= 'string' then return nil end
  local latest, at = t > dated and t or dated, 2
  move(kept, 3, 2, latest - dated)
  while kept[at] and kept[at] ~= value do at = at + 2 end
  kept[at], kept[at + 1] = value, math.min(latest - t, kept[at + 1] or LARGEST_INT)
  while #kept > 1 + 2 * op.keep do
    local leaving = 2
    for i = 4, #kept, 2 do
      if later(-kept[leaving + 1], kept[leaving], -kept[i + 1], kept[i]) then leaving = i end
    end
    remove_pair(kept, leaving)
  end
  return latest, kept
end

function beginning.distinct(value) return {3, value, 0} end

-- Returns where an item belongs among those that are kept, newest first; by halves, for long texts are dear to compare.
local function place_among(kept, ago, value)
  local low, high = 1, (#kept + 1) / 2
  while low < high do
    local middle = math.floor((low + high) / 2)
    if later(-ago, value, -kept[2 * middle], kept[2 * middle + 1]) then high = middle else low = middle + 1 end
  end
  return 2 * low
end

function folding.recent(dated, kept, value, t, op)
  if type(kept) ~= 'table' or kept[1] ~= 2 or type(kept[3]) ~= 'string' then return nil end
  local latest = t > dated and t or dated
  local ago = latest - t
  move(kept, 2, 2, latest - dated)
  local at = place_among(kept, ago, value)
  table.insert(kept, at, value)
  table.insert(kept, at, ago)
  while #kept > 1 + 2 * op.keep do remove_pair(kept, #kept - 1) end
  return latest, kept
end

function beginning.recent(value) return {2, 0, value} end

-- A window keeps its oldest items first.
function folding.window_sum(dated, kept, value, t, op)
  if type(kept) ~= 'table' or kept[1] ~= 1 then return nil end
  local latest = t > dated and t or dated
  move(kept, 2, 2, latest - dated)
  local ago, at = latest - t, #kept + 1
  while at > 2 and (kept[at - 2] < ago or kept[at - 2] == ago and kept[at - 1] > value) do
    kept[at], kept[at + 1], at = kept[at - 2], kept[at - 1], at - 2
  end
  kept[at], kept[at + 1] = ago, value
  local first = math.max(2, #kept + 1 - 2 * op.keep)
  while kept[first] > op.window_ms + DAY_MS do first = first + 2 end
  if first > 2 then
    local last = #kept
    for i = first, last do kept[i - first + 2] = kept[i] end
    for i = last - first + 3, last do kept[i] = nil end
  end
  return latest, kept
end

function beginning.window_sum(value) return {1, 0, value} end

folding.window_count, folding.rate = folding.window_sum, folding.window_sum
beginning.window_count, beginning.rate = beginning.window_sum, beginning.window_sum

local step = {}

function step.open(state, value, t, op)
  local latest, items = t, {}
  if state ~= nil then latest, items = math.max(t, state[1]), state[2] end
  local item = items[value] or {0, 0}
  local end_of = op.closed and 2 or 1
  item[end_of] = math.max(item[end_of], t)
  items[value] = item
  shrink(items, op.keep, function(a, b)
    local x, y = items[a], items[b]
    local x_open, y_open = x[1] > x[2], y[1] > y[2]
    if x_open ~= y_open then return x_open end
    return later(x_open and x[1] or x[2], a, y_open and y[1] or y[2], b)
  end)
  return {latest, items}
end

local PERIODS = 40

-- The value is whole millionths as of the beginning of the half-life period of t, so that adding is exact.
function step.decay(state, value, t, op)
  local latest, period, kept, added = t, math.floor(t / op.half_life_ms), {}, false
  if state ~= nil then latest = math.max(t, state[1]) end
  local oldest = math.floor(latest / op.half_life_ms) - PERIODS
  local function keep(of, amount)
    if of > oldest then kept[#kept + 1] = {of, math.max(-LARGEST_INT, math.min(LARGEST_INT, amount))} end
  end
  for _, found in ipairs(state and state[2] or {}) do
    if not added and found[1] <= period then
      added = true
      if found[1] < period then keep(period, value) else found = {period, found[2] + value} end
    end
    keep(found[1], found[2])
  end
  if not added then keep(period, value) end
  return {latest, kept, op.half_life_ms}
end

local TYPE_ORDER = {boolean = 0, number = 1, string = 2, table = 3}

-- Orders values of any type: by type, texts of a list one by one, a list after its beginning.
local function value_after(a, b)
  if type(a) ~= type(b) then return TYPE_ORDER[type(a)] > TYPE_ORDER[type(b)] end
  if type(a) ~= 'table' then return after(a, b) end
  for i = 1, math.min(#a, #b) do
    if a[i] ~= b[i] then return after(a[i], b[i]) end
  end
  return #a > #b
end

local function same_value(a, b) return not value_after(a, b) and not value_after(b, a) end

function step.model(state, value, t, op)
  local new = {t, value, op.version}
  if state == nil or t > state[1] then return new end
  if t < state[1] or value_after(state[2], value) then return state end
  if same_value(state[2], value) and not text_after(op.version, state[3]) then return state end
  return new
end

local fits = {
  open = function(kept) return kept[1] == 4 and type(kept[2]) == 'string' and #kept % 3 == 1 end,
  decay = function(kept, op) return kept[1] == 5 and kept[2] == op.half_life_ms end,
  model = function(kept) return kept[1] == 6 and type(kept[3]) == 'string' end,
}

-- The rare kinds are folded as models/folds.py does, and kept when they have changed.
local function by_state(kind)
  return function(dated, kept, value, t, op)
    if type(kept) ~= 'table' or not fits[kind](kept, op) then return nil end
    local state = cell.state[kept[1]](dated, kept)
    local folded = step[kind](state, value, t, op)
    if folded == state then return dated, kept end
    return folded[1], cell.kept[kind](folded)
  end
end

local function by_first_state(kind)
  return function(value, t, op) return cell.kept[kind](step[kind](nil, value, t, op)) end
end

folding.open, folding.decay, folding.model = by_state('open'), by_state('decay'), by_state('model')
beginning.open, beginning.decay = by_first_state('open'), by_first_state('decay')
beginning.model = by_first_state('model')
