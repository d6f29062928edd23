-- How events become field states, inside the store: the same as models/folds.py, kind by kind.
-- A state is an array whose first item is the event time (ms) that ages the field. An operation is an array of
-- key, group, kind, value, window_ms, half_life_ms, keep, closed, version.

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

local function later_item(a, b) return later(a[1], a[2], b[1], b[2]) end

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

local step = {}

function step.last(state, op, t)
  if state == nil or later(t, op[4], state[1], state[2]) then return {t, op[4]} end
  return state
end

function step.first(state, op, t)
  if state == nil or later(state[1], state[2], t, op[4]) then return {t, op[4]} end
  return state
end

function step.min(state, op, t)
  if state == nil then return {t, op[4]} end
  local smallest = state[2]
  if after(smallest, op[4]) then smallest = op[4] end
  return {math.max(t, state[1]), smallest}
end

function step.max(state, op, t)
  if state == nil then return {t, op[4]} end
  local largest = state[2]
  if after(op[4], largest) then largest = op[4] end
  return {math.max(t, state[1]), largest}
end

function step.sum(state, op, t)
  if state == nil then return {t, op[4]} end
  return {math.max(t, state[1]), math.max(-LARGEST_INT, math.min(LARGEST_INT, state[2] + op[4]))}
end

step.count = step.sum

function step.open(state, op, t)
  local latest, items = t, {}
  if state ~= nil then latest, items = math.max(t, state[1]), state[2] end
  local item = items[op[4]] or {0, 0}
  local end_of = op[8] and 2 or 1
  item[end_of] = math.max(item[end_of], t)
  items[op[4]] = item
  shrink(items, op[7], function(a, b)
    local x, y = items[a], items[b]
    local x_open, y_open = x[1] > x[2], y[1] > y[2]
    if x_open ~= y_open then return x_open end
    return later(x_open and x[1] or x[2], a, y_open and y[1] or y[2], b)
  end)
  return {latest, items}
end

function step.distinct(state, op, t)
  local latest, seen = t, {}
  if state ~= nil then latest, seen = math.max(t, state[1]), state[2] end
  seen[op[4]] = math.max(t, seen[op[4]] or 0)
  shrink(seen, op[7], function(a, b) return later(seen[a], a, seen[b], b) end)
  return {latest, seen}
end

function step.recent(state, op, t)
  local latest, items = t, {}
  if state ~= nil then latest, items = math.max(t, state[1]), state[2] end
  local item, place = {t, op[4]}, #items + 1
  while place > 1 and later_item(item, items[place - 1]) do place = place - 1 end
  table.insert(items, place, item)
  while #items > op[7] do table.remove(items) end
  return {latest, items}
end

-- A window is folded as it is kept (cells.lua): {1, ago, millionths, ...}, oldest first, so that long ones cost little.
function step.window_sum(state, op, t)
  if state == nil then return {t, {1, 0, op[4]}} end
  local latest, items = math.max(t, state[1]), state[2]
  for i = 2, #items, 2 do items[i] = items[i] + latest - state[1] end
  local ago, at = latest - t, #items + 1
  while at > 2 and (items[at - 2] < ago or items[at - 2] == ago and items[at - 1] > op[4]) do
    items[at], items[at + 1], at = items[at - 2], items[at - 1], at - 2
  end
  items[at], items[at + 1] = ago, op[4]
  local first = math.max(2, #items + 1 - 2 * op[7])
  while items[first] > op[5] + DAY_MS do first = first + 2 end
  if first > 2 then
    local last = #items
    for i = first, last do items[i - first + 2] = items[i] end
    for i = last - first + 3, last do items[i] = nil end
  end
  return {latest, items}
end

step.window_count = step.window_sum

step.rate = step.window_sum

local PERIODS = 40

-- The value is whole millionths as of the beginning of the half-life period of t, so that adding is exact.
function step.decay(state, op, t)
  local latest, period, kept, added = t, math.floor(t / op[6]), {}, false
  if state ~= nil then latest = math.max(t, state[1]) end
  local oldest = math.floor(latest / op[6]) - PERIODS
  local function keep(of, amount)
    if of > oldest then kept[#kept + 1] = {of, math.max(-LARGEST_INT, math.min(LARGEST_INT, amount))} end
  end
  for _, found in ipairs(state and state[2] or {}) do
    if not added and found[1] <= period then
      added = true
      if found[1] < period then keep(period, op[4]) else found = {period, found[2] + op[4]} end
    end
    keep(found[1], found[2])
  end
  if not added then keep(period, op[4]) end
  return {latest, kept, op[6]}
end

function step.since(state, op, t)
  return {state == nil and t or math.max(t, state[1])}
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

function step.model(state, op, t)
  local new = {t, op[4], op[9]}
  if state == nil or t > state[1] then return new end
  if t < state[1] or value_after(state[2], op[4]) then return state end
  if same_value(state[2], op[4]) and not text_after(op[9], state[3]) then return state end
  return new
end

local function number(second) return type(second) == 'number' end

local function one(state) return state[2] ~= nil and type(state[2]) ~= 'table' and state[3] == nil end

-- A map (of texts) or a list, whose first item passes.
local function many(key_type, passes)
  return function(state)
    if type(state[2]) ~= 'table' or state[3] ~= nil then return false end
    local key, item = next(state[2])
    return type(key) == key_type and passes(item)
  end
end

local function pair_of(item_type)
  return function(item) return type(item) == 'table' and #item == 2 and type(item[2]) == item_type end
end

local function counted(state) return number(state[2]) and state[3] == nil end

local function window(state) return type(state[2]) == 'table' and state[2][1] == 1 and state[3] == nil end
local fits = {
  last = one, first = one, min = one, max = one, count = counted, sum = counted,
  since = function(state) return state[2] == nil end,
  open = many('string', pair_of('number')), distinct = many('string', number),
  recent = many('number', pair_of('string')), window_count = window, window_sum = window, rate = window,
  decay = function(state, op) return state[3] == op[6] end,
  model = function(state) return type(state[3]) == 'string' end,
}

-- A state of another shape, left by another fold that once had this key, counts as none.
local function fold_one(state, op, t)
  local fold = step[op[3]]
  if state and number(state[1]) and fits[op[3]](state, op) then
    local readable, folded = pcall(fold, state, op, t)
    if readable then return folded end
  end
  return fold(nil, op, t)
end
