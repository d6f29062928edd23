-- What one event does to one field: {packed_key, letter, kind, window_ms, half_life_ms, keep, closed, version, fold,
-- begin, guarded}, where fold and begin are those of the kind (folds.lua), and guarded says that what is kept may be so
-- malformed that fold raises an error.

local GUARDED = {
  distinct = true, recent = true, window_sum = true, window_count = true, rate = true, open = true, decay = true,
  model = true,
}

-- Returns an operation that is given as Operation of models/operations.py is packed.
local function operation_of(key, letter, kind, window_ms, half_life_ms, keep, closed, version)
  if not folding[kind] then refuse('ERR', 'there is no such kind of fold') end
  return {
    packed_key = string.char(math.floor(key / 256), key % 256), letter = letter, kind = kind, window_ms = window_ms,
    half_life_ms = half_life_ms, keep = keep, closed = closed, version = version,
    fold = folding[kind], begin = beginning[kind], guarded = GUARDED[kind],
  }
end

-- Returns the time that ages a field, and what is kept of it, after an event at t.
local function fold_kept(op, dated, kept, value, t)
  if dated then
    local latest, folded, readable
    if op.guarded then
      readable, latest, folded = pcall(op.fold, dated, kept, value, t, op)
    else
      readable, latest, folded = true, op.fold(dated, kept, value, t)
    end
    if readable and latest then return latest, folded end
  end
  return t, op.begin(value, t, op)
end

-- Operations by how they are written: field key (4 hexadecimal digits), group letter, kind, then with a | before each
-- window (ms), half-life (ms), keep, closed, version. A strategy has a few hundred, so they are taken apart but once.
local WRITTEN = '^(%x%x%x%x)(%a)([%a_]+)|?(%d*)|?(%d*)|?(%d*)|?([01]?)|?(.*)$'
local MOST_KNOWN = 10000
local known_operations, known_count = {}, 0

local function operation_written(code)
  local key, letter, kind, window_ms, half_life_ms, keep, closed, version = code:match(WRITTEN)
  if not key then refuse('ERR', 'an operation cannot be read') end
  if known_count >= MOST_KNOWN then known_operations, known_count = {}, 0 end
  local op = operation_of(tonumber(key, 16), letter, kind, tonumber(window_ms), tonumber(half_life_ms), tonumber(keep),
    closed == '1', version)
  known_operations[code], known_count = op, known_count + 1
  return op
end
