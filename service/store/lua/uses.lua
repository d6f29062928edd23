-- The cap uses and the aliases of a person, read by whoever decides and by whoever links.

-- Returns a packed map; an empty one for none. What cannot be read is no empty map: then no cap is known to hold.
local function readable_uses(packed)
  if not packed or packed == '' then return {} end
  local uses = unpacked(packed)
  if not uses or next(uses) == nil then refuse('CORRUPT', 'the cap counters cannot be read') end
  return uses
end

-- Returns ascending times that are in either list, each as often as in the one that has it more often.
local function either_uses(a, b)
  local merged, i, j = {}, 1, 1
  while a[i] or b[j] do
    local x, y = a[i], b[j]
    if not y or (x and x <= y) then
      merged[#merged + 1], i = x, i + 1
      if x == y then j = j + 1 end
    else
      merged[#merged + 1], j = y, j + 1
    end
  end
  return merged
end

local function uses_since(uses, oldest)
  local kept = {}
  for _, t in ipairs(uses) do
    if t > oldest then kept[#kept + 1] = t end
  end
  return kept
end

-- Returns own counters together with those from elsewhere, as a map of its own.
local function all_uses(own, elsewhere)
  local all = {}
  for key, uses in pairs(own) do all[key] = uses_since(uses, 0) end
  for _, counters in pairs(elsewhere) do
    for key, uses in pairs(counters) do
      local times = all[key] or {}
      for _, t in ipairs(uses) do times[#times + 1] = t end
      table.sort(times)
      all[key] = times
    end
  end
  return all
end

local function members_of(packed)
  if not packed then return {} end
  local members = unpacked(packed)
  if not members or type(members[1]) ~= 'table' then refuse('CORRUPT', 'the aliases of a person cannot be read') end
  return members
end

-- Returns the members without an alias, and since when that was one; nil when it was none.
local function without_member(members, alias)
  local others, since = {}, nil
  for _, member in ipairs(members) do
    if member[1] == alias then since = member[2] else others[#others + 1] = member end
  end
  return others, since
end

-- Tells whether an identity is the person's own id or one of the aliases.
local function is_identity_of(packed_members, person, identity)
  if identity == person then return true end
  local _, since = without_member(members_of(packed_members), identity)
  return since ~= nil
end
