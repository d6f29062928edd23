-- The cap uses of a person as they are kept, {counter: [time, ...]} as msgpack, of which a commit changes few counters. Where that
-- is long, these are found and replaced as they stand there packed: to take all of it apart and to pack it again took a third of
-- the time of a commit.
--
-- A counter's name with the msgpack head before it stands nowhere else, when it is printable ASCII as all names are and has at
-- least eight letters: the head is no ASCII; of what else is none, other names have nothing, and after a mark or a byte of a time
-- come fewer than eight bytes that could be letters before the next mark or head.

local packed_uses = {LONG = 256}

do  -- a library has no more than 200 locals of its own
local SHORTEST_NAME, MOST_NAMES = 8, 10000
local names_packed, names_count = {}, 0

-- Returns the name of a counter as it stands packed; false for one that cannot be looked for.
local function packed_name(counter)
  if names_count >= MOST_NAMES then names_packed, names_count = {}, 0 end
  local name = #counter >= SHORTEST_NAME and not counter:find('[^\32-\126]') and cmsgpack.pack(counter)
  names_packed[counter], names_count = name, names_count + 1
  return name
end

-- Returns how many counters a packed map says that it has, and where the first begins.
local function map_head(packed)
  local head, high, low = packed:byte(1, 3)
  if head >= 0x80 and head <= 0x8f then return head - 0x80, 2 end
  if head == 0xde then return 256 * high + low, 4 end
  refuse('CORRUPT', 'the cap counters cannot be read')
end

local function packed_head(size)
  if size < 16 then return string.char(0x80 + size) end
  return string.char(0xde, (size - size % 256) / 256, size % 256)
end

-- Returns what looks into packed uses.
function packed_uses.open(packed)
  local size, first = map_head(packed)
  return {packed = packed, size = size, first = first, places = {}}
end

-- Returns the times of a counter, nil for none; and whether it could be looked for.
function packed_uses.times(kept, counter)
  local name = names_packed[counter]
  if name == nil then name = packed_name(counter) end
  if not name then return nil, false end
  local from, to = kept.packed:find(name, kept.first, true)
  if not from then return nil, true end
  local readable, after, times = pcall(cmsgpack.unpack_one, kept.packed, to)
  if not readable or type(times) ~= 'table' then refuse('CORRUPT', 'the cap counters cannot be read') end
  kept.places[counter] = {to, after < 0 and #kept.packed or after, counter}
  return times, true
end

local function comes_before(one, other) return one[1] < other[1] end

-- Returns the packed map in which these counters, all of which were looked for, have other times.
function packed_uses.with(kept, changed)
  local packed, places, new, added = kept.packed, {}, {}, 0
  for counter in pairs(changed) do
    if kept.places[counter] then
      places[#places + 1] = kept.places[counter]
    else
      added, new[#new + 1] = added + 1, names_packed[counter] .. cmsgpack.pack(changed[counter])
    end
  end
  if #places > 1 then table.sort(places, comes_before) end
  local parts, at = {packed_head(kept.size + added)}, kept.first
  for _, place in ipairs(places) do
    parts[#parts + 1], parts[#parts + 2] = packed:sub(at, place[1]), cmsgpack.pack(changed[place[3]])
    at = place[2] + 1
  end
  parts[#parts + 1] = packed:sub(at)
  return table.concat(parts) .. table.concat(new)
end

end
