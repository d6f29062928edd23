-- How a field's state is kept beside its date, with times as milliseconds before it: the same as models/cells.py.
-- Windows are folded as they are kept.

local cell = {state = {}, kept = {}}

local function ago(t, at) return at == 0 and -1 or t - at end
local function moment(t, kept) return kept == -1 and 0 or t - kept end

cell.state[0] = function(t) return {t} end
cell.state[1] = function(t, kept) return {t, kept} end

cell.state[2] = function(t, kept)
  local items = {}
  for i = 2, #kept, 2 do items[#items + 1] = {t - kept[i], kept[i + 1]} end
  return {t, items}
end

cell.state[3] = function(t, kept)
  local seen = {}
  for i = 2, #kept, 2 do seen[kept[i]] = t - kept[i + 1] end
  return {t, seen}
end

cell.state[4] = function(t, kept)
  local items = {}
  for i = 2, #kept, 3 do items[kept[i]] = {moment(t, kept[i + 1]), moment(t, kept[i + 2])} end
  return {t, items}
end

cell.state[5] = function(t, kept)
  local newest, periods = math.floor(t / kept[2]), {}
  for i = 3, #kept, 2 do periods[#periods + 1] = {newest - kept[i + 1], kept[i]} end
  return {t, periods, kept[2]}
end

cell.state[6] = function(t, kept) return {t, kept[2], kept[3]} end

-- Returns the state with a date of which this is kept, or nil when nothing is kept like that.
function cell.read(t, kept)
  if type(kept) ~= 'table' then return {t, kept} end
  local readable, state = pcall(cell.state[kept[1]], t, kept)
  return readable and state or nil
end

local function plain(state) return state[2] end

cell.kept = {last = plain, first = plain, min = plain, max = plain, count = plain, sum = plain}

function cell.kept.since() return {0} end

cell.kept.window_count, cell.kept.window_sum, cell.kept.rate = plain, plain, plain

function cell.kept.recent(state)
  local kept = {2}
  for i, item in ipairs(state[2]) do kept[2 * i], kept[2 * i + 1] = state[1] - item[1], item[2] end
  return kept
end

function cell.kept.distinct(state)
  local kept = {3}
  for text, at in pairs(state[2]) do
    kept[#kept + 1] = text
    kept[#kept + 1] = state[1] - at
  end
  return kept
end

function cell.kept.open(state)
  local kept = {4}
  for key, ends in pairs(state[2]) do
    kept[#kept + 1] = key
    kept[#kept + 1] = ago(state[1], ends[1])
    kept[#kept + 1] = ago(state[1], ends[2])
  end
  return kept
end

function cell.kept.decay(state)
  local newest, kept = math.floor(state[1] / state[3]), {5, state[3]}
  for _, period in ipairs(state[2]) do
    kept[#kept + 1] = period[2]
    kept[#kept + 1] = newest - period[1]
  end
  return kept
end

function cell.kept.model(state) return {6, state[2], state[3]} end
