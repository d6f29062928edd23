-- How a field's state is kept beside its date, with times as milliseconds before it: the same as models/cells.py.
-- Most kinds are folded as they are kept (folds.lua) and need nothing from here.

local cell = {state = {}, kept = {}}

local function ago(t, at) return at == 0 and -1 or t - at end
local function moment(t, kept) return kept == -1 and 0 or t - kept end

cell.state[2] = function(t, kept)
  local items = {}
  for i = 2, #kept, 2 do items[#items + 1] = {t - kept[i], kept[i + 1]} end
  return {t, items}
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

-- Returns the state with a date of which this is kept; nil or an error when nothing is kept like that.
function cell.read(t, kept) return cell.state[kept[1]](t, kept) end

function cell.kept.recent(state)
  local kept = {2}
  for i, item in ipairs(state[2]) do kept[2 * i], kept[2 * i + 1] = state[1] - item[1], item[2] end
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
