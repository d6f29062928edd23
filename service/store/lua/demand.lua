-- What was wanted, in the order in which the processes of the service told it.

-- KEYS: log, number of the last entry, number of the last report of this process
-- ARGV: process, number of its report, rows as msgpack, how many entries to keep, ttl of the log, of the process (ms)
-- Answers 1 for a new report and 0 for one that was told before.
local function demand_tell(keys, argv)
  local before = tonumber(redis.call('GET', keys[3]) or 0)
  if tonumber(argv[2]) <= before then return {argv[1], 0} end
  redis.call('SET', keys[3], argv[2], 'PX', argv[6])
  local number = redis.call('INCR', keys[2])
  redis.call('XADD', keys[1], 'MAXLEN', argv[4], '*', 'n', number, 'w', argv[3])
  redis.call('XTRIM', keys[1], 'MINID', string.format('%.0f', math.max(0, now_ms() - tonumber(argv[5]))))
  redis.call('PEXPIRE', keys[1], argv[5])
  redis.call('PEXPIRE', keys[2], argv[5])
  return {argv[1], 1}
end

redis.register_function('tact_demand_tell' .. VERSION, demand_tell)
