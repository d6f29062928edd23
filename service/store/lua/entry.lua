-- Log entries, taken apart inside the store: what was known of the customer then may be hidden by the consent of now.

local ENTRY_ITEMS, VALUES, LOOKED_AT = 12, 10, 13

-- Returns how many items a msgpack array has that begins at an offset, and the offset of the first; nil for no array.
local function array_at(packed, at)
  local head, high, low = packed:byte(at + 1, at + 3)
  if head and head >= 0x90 and head <= 0x9f then return head - 0x90, at + 1 end
  if head == 0xdc and low then return high * 256 + low, at + 3 end
end

-- Returns an entry's items as far as they are looked at here, and their offsets; service/core/plan.py says what each is. Those
-- behind may hold bytes (of refusals and promises), which cmsgpack does not read.
local function entry_items(entry)
  local items, offsets = {}, {}
  local count, at = array_at(entry, 0)
  if not count or count < ENTRY_ITEMS then refuse('CORRUPT', 'a log entry cannot be read') end
  for i = 1, math.min(count, LOOKED_AT) do
    offsets[i] = at
    at, items[i] = cmsgpack.unpack_one(entry, at)
  end
  return items, offsets
end

-- Returns an entry in which each value that was known is only said to have been; what is no entry stays as it is.
local function without_values(entry)
  local readable, _, offsets = pcall(entry_items, entry)
  local count, at
  if readable then count, at = array_at(entry, offsets[VALUES]) end
  if not count then return entry end
  local parts = {entry:sub(1, at)}
  for i = 1, count do
    parts[i + 1] = entry:byte(at + 1) == 0xc0 and '\192' or '\195'
    at = cmsgpack.unpack_one(entry, at)
  end
  parts[count + 2] = entry:sub(at + 1)
  return table.concat(parts)
end

-- Returns a decision that is asked for again as `recall` does, without what was known of the customer.
local function recall_said(decision, log)
  local stored = recall(decision, log)
  if stored then stored[1] = without_values(stored[1]) end
  return stored
end
