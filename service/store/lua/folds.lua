-- How events become field states, inside the store: the same as models/folds.py, kind by kind.
-- A state is an array whose first item is the event time (ms) that ages the field. An operation is an array of
-- key, group, kind, value, window_ms, half_life_ms, keep, closed.

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

function step.window_sum(state, op, t)
  local latest, items = t, {}
  if state ~= nil then latest, items = math.max(t, state[1]), state[2] end
  local item, place = {t, op[4]}, #items + 1
  while place > 1 and later_item(items[place - 1], item) do place = place - 1 end
  table.insert(items, place, item)
  local from, kept = math.max(1, #items - op[7] + 1), {}
  for i = from, #items do
    if items[i][1] >= latest - op[5] - DAY_MS then kept[#kept + 1] = items[i] end
  end
  return {latest, kept}
end

step.window_count = step.window_sum

local function decayed(age_ms, half_life_ms) return 2 ^ -(age_ms / half_life_ms) end

function step.decay(state, op, t)
  if state == nil then return {t, op[4]} end
  local at, amount = state[1], state[2]
  if t >= at then return {t, amount * decayed(t - at, op[6]) + op[4]} end
  return {at, amount + op[4] * decayed(at - t, op[6])}
end

function step.since(state, op, t)
  return {state == nil and t or math.max(t, state[1])}
end

local function none(second) return second == nil end
local function number(second) return type(second) == 'number' end
local function one(second) return second ~= nil and type(second) ~= 'table' end

-- A map (of texts) or a list, whose first item passes.
local function many(key_type, passes)
  return function(second)
    if type(second) ~= 'table' then return false end
    local key, item = next(second)
    return type(key) == key_type and passes(item)
  end
end

local function pair_of(item_type)
  return function(item) return type(item) == 'table' and #item == 2 and type(item[2]) == item_type end
end

local second_is = {
  last = one, first = one, min = one, max = one, count = number, sum = number, decay = number, since = none,
  open = many('string', pair_of('number')), distinct = many('string', number),
  recent = many('number', pair_of('string')),
  window_count = many('number', pair_of('number')), window_sum = many('number', pair_of('number')),
}

-- A state of another shape, left by another fold that once had this key, counts as none.
local function fold_one(state, op, t)
  local fold = step[op[3]]
  if type(state) == 'table' and number(state[1]) and second_is[op[3]](state[2]) then
    local readable, folded = pcall(fold, state, op, t)
    if readable then return folded end
  end
  return fold(nil, op, t)
end
