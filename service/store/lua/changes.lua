-- Customers whose context changed, for the jobs that refresh what models say of them. The changed key is a zset: each
-- customer with the moment (ms) of the first change that no job has taken, or, while lent to a job, of the loan's end.

local function mark_changed(changed, customer, now, ttl)
  redis.call('ZADD', changed, 'LT', now, customer)
  redis.call('PEXPIRE', changed, ttl)
end

local function is_marked(changed, customer) return redis.call('ZSCORE', changed, customer) and 1 or 0 end

-- KEYS: changed   ARGV: how many at most, for how long (ms)
-- Lends customers, those who have waited longest first; answers with the loan's name and the customers. To the microsecond,
-- so that no two loans of a customer have the same name.
local function lend(keys, argv)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
  local loan = string.format('%.3f', now + tonumber(argv[2]))
  local customers = redis.call('ZRANGEBYSCORE', keys[1], '-inf', string.format('%.3f', now), 'LIMIT', 0, argv[1])
  for _, customer in ipairs(customers) do redis.call('ZADD', keys[1], loan, customer) end
  return {keys[1], loan, customers}
end

-- KEYS: changed   ARGV: customer, loan, customer, loan, ...
-- Takes off those whose loan still holds; answers how many these were.
local function finish(keys, argv)
  local finished = 0
  for i = 1, #argv, 2 do
    local lent = redis.call('ZSCORE', keys[1], argv[i])
    if lent and tonumber(lent) == tonumber(argv[i + 1]) then
      finished = finished + redis.call('ZREM', keys[1], argv[i])
    end
  end
  return {keys[1], finished}
end

redis.register_function('tact_lend' .. VERSION, lend)
redis.register_function('tact_finish' .. VERSION, finish)
