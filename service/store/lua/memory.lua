-- What was said to a person and how they answered, beside the cap uses. Fields of a context:
--   z refusals      [[action, group, [intent, ...], kind, at, mark], ...], the oldest first
--   v promises      [[key, action, given, until, decision, facts], ...]
--   r reservations  {counter: [[at, ends, mark, on, window, 1 for a day], ...]}: uses that only count for good once an
--                   outcome of kind `on` comes. Then they stand here still, with `at` when that was, and 0 for `ends`
--   h the latest decision in which something was said: [channel, at, [action, ...]]
--   g the version of z and v, which rises when these change; it stands wherever z, v or r do
-- A mark is the digest of a decision and an action: what is told again under it is the same.

local memory = {}
local MOST_OF_A_KIND, MOST_REFUSALS = 16, 256
local SHOWN, ACCEPTED, REFUSED, NEVER = 1, 3, 4, 6

function memory.readable(packed)
  if not packed then return {} end
  local value = unpacked(packed)
  if not value or next(value) == nil then refuse('CORRUPT', 'what is remembered cannot be read') end
  return value
end

function memory.version(version)
  if not version then return 0 end
  return tonumber(version) or refuse('CORRUPT', 'the version of the memory cannot be read')
end

function memory.next_version(version) return string.format('%.0f', memory.version(version) + 1) end

function memory.mark(decision, action) return redis.sha1hex(decision .. '|' .. action):sub(1, 12) end

-- Returns by counter the times of reservations that became uses, and the ends of those that are held.
function memory.split(reserved, now)
  local uses, held = {}, {}
  for key, ones in pairs(reserved) do
    for _, one in ipairs(ones) do
      if one[2] == 0 then
        uses[key] = uses[key] or {}
        table.insert(uses[key], one[1])
      elseif one[2] > now then
        held[key] = held[key] or {}
        table.insert(held[key], one[2])
      end
    end
  end
  return uses, held
end

-- Drops what has ended, less the skew of clocks: the log tells what was reserved, should its outcome still come.
function memory.trim(reserved, now)
  for key, ones in pairs(reserved) do
    local kept = {}
    for _, one in ipairs(ones) do
      local ends = one[2] == 0 and one[1] + one[5] or one[2]
      if ends > now then kept[#kept + 1] = one end
    end
    reserved[key] = #kept > 0 and kept or nil
  end
end

function memory.place_of_mark(ones, mark)
  for i, one in ipairs(ones) do
    if one[3] == mark then return i end
  end
end

-- Makes uses, at a moment, of what an outcome is about, whether it is held still or not; tells whether that was news.
-- Whatever a customer answers, they have been shown it.
function memory.use(reserved, named, kind, at)
  local news = false
  for key, one in pairs(named) do
    if one[4] == kind or one[4] == SHOWN then
      local ones = reserved[key] or {}
      local place = memory.place_of_mark(ones, one[3]) or #ones + 1
      if not ones[place] or ones[place][2] ~= 0 then
        ones[place] = {math.max(at, one[1]), 0, one[3], 0, one[5], one[6]}
        reserved[key], news = ones, true
      end
    end
  end
  return news
end

-- Returns where the oldest stands that does not say never, of the action that has most of these; nil where all say never.
local function oldest_of_most(refusals, kept)
  local counts, first, most = {}, {}, nil
  for i, one in ipairs(refusals) do
    local action = one[1]
    if one[4] ~= NEVER and one ~= kept then
      counts[action], first[action] = (counts[action] or 0) + 1, first[action] or i
    end
  end
  for i, one in ipairs(refusals) do
    if first[one[1]] == i and (not most or counts[one[1]] > counts[most]) then most = one[1] end
  end
  return most and first[most]
end

-- Returns which refusal is to go when there are too many, never the one that is `kept`: the oldest that does not say never,
-- of the action that has most of these, then the oldest never of an action that has a later one, then the oldest.
function memory.least_refusal(refusals, kept)
  local least = oldest_of_most(refusals, kept)
  if least then return least end
  local later, double = {}, nil
  for i = #refusals, 1, -1 do
    local one = refusals[i]
    if one ~= kept and later[one[1]] then double = i end
    later[one[1]] = true
  end
  return double or (refusals[1] == kept and 2 or 1)
end

-- Adds a refusal in the order of time; tells whether it was news. Of the same action and kind no more are kept than the times
-- that a cool-off can have; one that is older than all of these is none.
function memory.add_refusal(refusals, refusal)
  local place, same, oldest = #refusals + 1, 1, nil
  for i = #refusals, 1, -1 do
    local one = refusals[i]
    if one[4] == refusal[4] and one[1] == refusal[1] then
      if one[6] == refusal[6] then return false end
      same, oldest = same + 1, i
    end
    if one[5] > refusal[5] then place = i end
  end
  if same > MOST_OF_A_KIND then
    if refusals[oldest][5] > refusal[5] then return false end
    table.remove(refusals, oldest)
    place = place - 1
  end
  table.insert(refusals, place, refusal)
  if #refusals > MOST_REFUSALS then table.remove(refusals, memory.least_refusal(refusals, refusal)) end
  return true
end

-- Returns the promises but those of an action that were given until a moment, and whether there were such.
function memory.without(promises, action, until_ms)
  local others = {}
  for _, one in ipairs(promises) do
    if one[2] ~= action or one[3] > until_ms then others[#others + 1] = one end
  end
  return others, #others < #promises
end

-- Returns the promises that hold at a moment and have another key, and the one that has this key.
function memory.under(promises, key, now)
  local others, same = {}, nil
  for _, one in ipairs(promises) do
    if one[4] > now then
      if one[1] == key then same = one else others[#others + 1] = one end
    end
  end
  return others, same
end

-- Returns the promises after what was said gave some, and whether any is new; the same one given again stands as it is.
function memory.give(promises, gives, said, now, decision)
  local news = false
  for _, give in ipairs(gives) do
    local others, same = memory.under(promises, give[2], now)
    if said[give[1]] and not (same and same[2] == give[1] and same[6] == give[4]) then
      others[#others + 1] = {give[2], give[1], now, give[3], decision, give[4]}
      promises, news = others, true
    end
  end
  return promises, news
end

function memory.packed(value) return next(value) ~= nil and cmsgpack.pack(value) or '' end

-- Returns what a read tells: version, z, v, r and h, or false when there is nothing.
function memory.told(context, version, latest)
  if not version then return latest and {false, false, false, false, latest} end
  local told = redis.call('HMGET', context, 'z', 'v', 'r')
  return {version, told[1], told[2], told[3], latest}
end
