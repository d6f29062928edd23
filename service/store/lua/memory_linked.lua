-- What is remembered of identities that are linked, and of those that leave.

do  -- a library has no more than 200 locals of its own
-- Adds reservations of another identity: told of twice, one that became a use is one.
local function reserved_together(reserved, others)
  for key, ones in pairs(others) do
    local mine = reserved[key] or {}
    for _, one in ipairs(ones) do
      local place = memory.place_of_mark(mine, one[3]) or #mine + 1
      if not mine[place] or (mine[place][2] ~= 0 and one[2] == 0) then mine[place] = one end
    end
    reserved[key] = mine
  end
  return reserved
end

-- Returns which of two promises under one key holds: one that has not run out, of those the one that was given first.
local function promise_that_holds(one, other, now)
  local over = one[4] <= now
  if over ~= (other[4] <= now) then return over and other or one end
  if one[4] <= other[3] or other[4] <= one[3] then return one[3] > other[3] and one or other end
  if one[3] ~= other[3] then return one[3] < other[3] and one or other end
  return one[5] <= other[5] and one or other
end

local function promises_together(promises, others, now)
  for _, one in ipairs(others) do
    local rest, same = memory.under(promises, one[1], -math.huge)
    rest[#rest + 1] = same and promise_that_holds(same, one, now) or one
    promises = rest
  end
  return promises
end

local function later_ones(list, place, oldest)
  local kept = {}
  for _, one in ipairs(list) do
    if one[place] > oldest then kept[#kept + 1] = one end
  end
  return kept
end

local function contact_ms(packed) return packed and memory.readable(packed)[2] or 0 end

-- Returns what an identity remembers of what was since a moment, packed; '' for nothing.
function memory.since(known, oldest)
  local brought, reserved = {}, {}
  for key, ones in pairs(memory.readable(known.reserved)) do
    local later = later_ones(ones, 1, oldest)
    if #later > 0 then reserved[key] = later end
  end
  if known.latest and contact_ms(known.latest) > oldest then brought.h = known.latest end
  local parts = {
    z = later_ones(memory.readable(known.refusals), 5, oldest), v = later_ones(memory.readable(known.promises), 3, oldest),
    r = reserved,
  }
  for name, part in pairs(parts) do
    if next(part) ~= nil then brought[name] = part end
  end
  return memory.packed(brought)
end

-- Returns the promises of an identity, packed, whether it has any or not; '' for one that remembers nothing.
function memory.promises_of(known)
  return known.version and cmsgpack.pack(memory.readable(known.promises)) or ''
end

-- Ends the promises of an alias that its person has no more: they were taken or refused, or gave way to others, meanwhile.
-- Where the person remembers nothing, the alias never brought any.
function memory.keep_what_stands(known, persons)
  if persons == '' or not known.promises then return end
  local standing, kept = {}, {}
  for _, one in ipairs(cmsgpack.unpack(persons)) do standing[one[1] .. ' ' .. one[5]] = one[2] end
  for _, one in ipairs(memory.readable(known.promises)) do
    if standing[one[1] .. ' ' .. one[5]] == one[2] then kept[#kept + 1] = one end
  end
  known.promises = #kept > 0 and cmsgpack.pack(kept) or false
end

-- Returns the fields of what an identity remembers together with what another brings, or nil where neither does anything.
-- The version rises, for whoever decides now may know less.
function memory.together(known, packed)
  local brought = packed ~= '' and cmsgpack.unpack(packed) or {}
  if not (known.version or next(brought)) then return nil end
  local refusals, latest = memory.readable(known.refusals), known.latest or ''
  for _, one in ipairs(brought.z or {}) do memory.add_refusal(refusals, one) end
  if contact_ms(brought.h) > contact_ms(known.latest) then latest = brought.h end
  return {
    z = memory.packed(refusals), h = latest, g = memory.next_version(known.version),
    v = memory.packed(promises_together(memory.readable(known.promises), brought.v or {}, now_ms())),
    r = memory.packed(reserved_together(memory.readable(known.reserved), brought.r or {})),
  }
end

function memory.keep(context, fields)
  for field, packed in pairs(fields or {}) do set_or_delete(context, field, packed) end
end

end
