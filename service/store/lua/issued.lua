-- Decisions that were made, without what was known of the customer then.

-- Returns [placement, action] for each placement, the action empty where none was taken.
local function said_at(placements, chosen)
  local said = {}
  for i, placed in ipairs(placements) do
    local candidate = chosen[i] and chosen[i] >= 0 and placed[2][chosen[i] + 1]
    said[i] = {placed[1], candidate and candidate[1] or ''}
  end
  return cmsgpack.pack(said)
end

-- Returns a stored decision, or nil when there is none or its entry is gone.
local function found(keys)
  local readable, stored = pcall(recall, keys[1], keys[2])
  if readable then return stored end
  local why = type(stored) == 'table' and stored.err or tostring(stored)
  if why:find('GONE ', 1, true) == 1 then return nil end
  error({err = why})
end

-- KEYS: decision, log, outcomes   ARGV: decision id
-- Answers with customer, channel, moment (ms), strategy, what was said, what came of it as action|kind, and the level of
-- the consent; with none of them for an unknown decision.
local function issued(keys, argv)
  local stored = found(keys)
  if not stored then return {argv[1], false, false, false, false, false, false, false} end
  local items = entry_items(stored[1])
  return {argv[1], stored[6], items[3], string.format('%.0f', items[4]), items[5],
    said_at(items[12], unpacked(stored[3]) or {}), redis.call('HKEYS', keys[3]), items[7]}
end

-- KEYS: decision, log   ARGV: decision id, indexes of fields, from 0
-- Answers with what these fields were, as msgpack each, or with nothing for an unknown decision. Nothing of the others
-- leaves the store.
local function given(keys, argv)
  local stored, values = found(keys), {}
  if not stored then return {argv[1], false} end
  local _, offsets = entry_items(stored[1])
  local count, at = array_at(stored[1], offsets[VALUES])
  local wanted = {}
  for i = 2, #argv do wanted[tonumber(argv[i]) + 1] = i - 1 end
  for i = 1, count do
    local next_at = cmsgpack.unpack_one(stored[1], at)
    if wanted[i] then values[wanted[i]] = stored[1]:sub(at + 1, next_at) end
    at = next_at
  end
  for i = 1, #argv - 1 do values[i] = values[i] or false end
  return {argv[1], values}
end

do  -- a library has no more than 200 locals of its own
-- KEYS: decision, log   ARGV: decision id
-- Answers with customer, entry, chosen and bound as they were logged, what was known of the customer included; with none of
-- them for an unknown decision.
local function logged(keys, argv)
  local stored = found(keys)
  if not stored then return {argv[1], false, false, false, false} end
  return {argv[1], stored[6], stored[1], stored[3], stored[4]}
end

redis.register_function{function_name = 'tact_logged' .. VERSION, callback = logged, flags = {'no-writes'}}
end

redis.register_function{function_name = 'tact_issued' .. VERSION, callback = issued, flags = {'no-writes'}}
redis.register_function{function_name = 'tact_given' .. VERSION, callback = given, flags = {'no-writes'}}
