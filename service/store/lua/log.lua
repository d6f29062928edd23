-- The log for those who learn from it.

do  -- a library has no more than 200 locals of its own
-- KEYS: log or out   ARGV: the id after which to begin, how many entries at most
-- Answers the key and the next entries, the oldest first.
local function log_page(keys, argv)
  return {keys[1], redis.call('XRANGE', keys[1], '(' .. argv[1], '+', 'COUNT', argv[2])}
end

redis.register_function{function_name = 'tact_log_page' .. VERSION, callback = log_page, flags = {'no-writes'}}

-- KEYS: suppression   ARGV: keyed digests of customers
-- Answers the key and for each when they were erased (ms), or 0.
local function erased_among(keys, argv)
  local found = {}
  for i, digest in ipairs(argv) do found[i] = erased_ms(keys[1], digest) or 0 end
  return {keys[1], found}
end

redis.register_function{function_name = 'tact_erased_among' .. VERSION, callback = erased_among, flags = {'no-writes'}}

end
