-- What was changed by whom: a stream that is only ever added to, chained as the log is.

local audit = {}

do  -- a library has no more than 200 locals of its own
local FIELDS = {'w', 's', 'f', 't', 'b', 'o', 'y'}  -- what, subject, from, to, by, origin, why

-- Adds an entry; what is empty is left out.
function audit.add(stream, head, told)
  local link = chain.before(stream, redis.call('GET', head))
  local fields, sizes, values = {'l', link}, 'l' .. #link, {link}
  for i, name in ipairs(FIELDS) do
    local value = told[i] or ''
    if value ~= '' then
      fields[#fields + 1], fields[#fields + 2], values[#values + 1] = name, value, value
      sizes = sizes .. name .. #value
    end
  end
  chain.note(head, stream, redis.call('XADD', stream, '*', unpack(fields)), sizes, table.concat(values))
end

-- KEYS: stream, its head   ARGV: what, subject, from, to, by, origin, why
local function audit_add(keys, argv)
  audit.add(keys[1], keys[2], argv)
  return {keys[1], 1}
end

-- KEYS: stream, its head, what was in force last   ARGV: by, origin, then what, version, ...
-- Adds what is another version than the one that was noted last; answers how many.
local function audit_in_force(keys, argv)
  local added = 0
  for i = 3, #argv, 2 do
    local before = redis.call('HGET', keys[3], argv[i]) or ''
    if before ~= argv[i + 1] then
      redis.call('HSET', keys[3], argv[i], argv[i + 1])
      audit.add(keys[1], keys[2], {argv[i], '', before, argv[i + 1], argv[1], argv[2]})
      added = added + 1
    end
  end
  return {keys[1], added}
end

redis.register_function('tact_audit_add' .. VERSION, audit_add)
redis.register_function('tact_audit_in_force' .. VERSION, audit_in_force)

end
