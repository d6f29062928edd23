-- What an action of a decision takes of the supply.

local function made_ms(keys) return redis.call('GET', keys[1]):match('^(%d+)-') or '0' end

-- KEYS: decision, log   ARGV: decision id, action
-- Answers with [action, item, place, units, hold] as msgpack and when the decision was made (ms, by the store's clock);
-- with false when the decision or the take is unknown.
local function taken_by(keys, argv)
  local stored = found(keys)
  local takes = stored and entry_items(stored[1])[13] or {}
  for _, take_of in ipairs(takes) do
    if take_of[1] == argv[2] then return {argv[1], cmsgpack.pack(take_of), made_ms(keys)} end
  end
  return {argv[1], false, false}
end

redis.register_function{function_name = 'tact_taken' .. VERSION, callback = taken_by, flags = {'no-writes'}}
