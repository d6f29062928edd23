-- What there is of one item at one place: the report in force, the units that are held, and those that were accepted.
--
-- Every function here has the same KEYS, which share the hash tag of item and place: stock, units, held, accepted.

do  -- a library has no more than 200 locals of its own
local ENDED_AT_ONCE, MOST_ENDED = 1000, 50000

local function whole(number) return string.format('%.0f', number) end

local function stock_of(keys, name)
  local known = redis.call('HMGET', keys[1], 'i', 'a', 'o', 'c', 'e', 'h', 't')
  if known[1] and known[1] ~= name then refuse('SUPPLY', 'the value belongs to another item or place') end
  return {
    there = known[1] and true or false, available = tonumber(known[2] or 0), observed = tonumber(known[3]),
    counted = tonumber(known[4] or 0), expires = tonumber(known[5] or 0), held = tonumber(known[6] or 0),
    accepted = tonumber(known[7] or 0),
  }
end

local function free_of(stock) return math.max(0, stock.available - stock.held - stock.accepted) end

local function units_of(keys, leases)
  local sum = 0
  if #leases > 0 then
    for _, units in ipairs(redis.call('HMGET', keys[2], unpack(leases))) do sum = sum + tonumber(units or 0) end
  end
  return sum
end

-- Holds are ended in chunks, many of them in one call, but not so many that all other calls would wait for long.
local function end_leases(keys, stock, now)
  for _ = 1, MOST_ENDED / ENDED_AT_ONCE do
    local ended = redis.call('ZRANGEBYSCORE', keys[3], '-inf', whole(now), 'LIMIT', 0, ENDED_AT_ONCE)
    if #ended == 0 then return end
    stock.held = stock.held - units_of(keys, ended)
    redis.call('ZREM', keys[3], unpack(ended))
    redis.call('HDEL', keys[2], unpack(ended))
  end
end

-- Returns the units of all holds that have ended and still stand there, whether or not this call may end them.
local function ended_units(keys, now)
  local sum, from, last = 0, 0, redis.call('ZCOUNT', keys[3], '-inf', whole(now)) - 1
  while from <= last do
    sum = sum + units_of(keys, redis.call('ZRANGE', keys[3], from, math.min(from + ENDED_AT_ONCE - 1, last)))
    from = from + ENDED_AT_ONCE
  end
  return sum
end

-- What was accepted is remembered so long that a repeated acceptance is known; then only its units count, if they do.
local function forget_accepted(keys, stock, now, ttl)
  local oldest = math.min(now - ttl, stock.counted - 1)
  local gone = redis.call('ZRANGEBYSCORE', keys[4], '-inf', whole(oldest), 'LIMIT', 0, ENDED_AT_ONCE)
  if #gone == 0 then return end
  redis.call('ZREM', keys[4], unpack(gone))
  redis.call('HDEL', keys[2], unpack(gone))
end

local function accepted_since(keys, counted)
  local sum, from = 0, redis.call('ZCOUNT', keys[4], '-inf', '(' .. whole(counted))
  repeat
    local some = redis.call('ZRANGE', keys[4], from, from + ENDED_AT_ONCE - 1)
    sum, from = sum + units_of(keys, some), from + #some
  until #some < ENDED_AT_ONCE
  return sum
end

local function keep_stock(keys, name, stock, now, ttl)
  redis.call('HSET', keys[1], 'i', name, 'h', whole(stock.held), 't', whole(stock.accepted))
  local span = whole(math.max(0, stock.expires - now) + ttl)
  for i = 1, 4 do redis.call('PEXPIRE', keys[i], span) end
end

-- Tells whoever listens that there is enough of it now for who takes so many units, or no longer.
local function tell_turn(name, units, before, after)
  if before >= units ~= (after >= units) then heard.everybody('supply', name) end
end

-- ARGV: name, available, observed (ms), expires (ms), ttl (ms)
-- Answers 1 stored, 2 the same report again, 3 one that was counted later is in force, 4 another of the same moment.
local function supply_report(keys, argv)
  local now, ttl, available, observed = now_ms(), tonumber(argv[5]), tonumber(argv[2]), tonumber(argv[3])
  local stock, status = stock_of(keys, argv[1]), 1
  if stock.observed and stock.observed > observed then status = 3 end
  if stock.observed == observed then
    status = (stock.available == available and stock.expires == tonumber(argv[4])) and 2 or 4
  end
  end_leases(keys, stock, now)
  if status == 1 then
    -- A clock that runs ahead must not make units that are accepted from now on seem counted already.
    stock.counted = math.min(observed, now)
    stock.available, stock.expires = available, tonumber(argv[4])
    stock.accepted = accepted_since(keys, stock.counted)
    redis.call('HSET', keys[1], 'a', argv[2], 'o', argv[3], 'c', whole(stock.counted), 'e', argv[4])
    forget_accepted(keys, stock, now, ttl)
  end
  keep_stock(keys, argv[1], stock, now, ttl)
  if status == 1 then heard.everybody('supply', argv[1]) end
  stock.held = stock.held - ended_units(keys, now)
  return {argv[1], status, free_of(stock), stock.held, stock.accepted}
end

-- ARGV: name, lease, units, hold (ms), ttl (ms)
-- Answers 1 granted, 2 granted before, 0 not: too few are free, or no report holds; and what is free then. What was
-- granted before is held for the whole hold from now on: whoever asks again is about to say it.
local function supply_grant(keys, argv)
  local now, units = now_ms(), tonumber(argv[3])
  local stock, status = stock_of(keys, argv[1]), 0
  if not stock.there then return {argv[1], 0, 0} end
  local before = free_of(stock)
  end_leases(keys, stock, now)
  local ends = whole(now + tonumber(argv[4]))
  if redis.call('HEXISTS', keys[2], argv[2]) == 1 then
    redis.call('ZADD', keys[3], 'XX', 'GT', ends, argv[2])
    status = 2
  elseif stock.expires > now and free_of(stock) >= units then
    redis.call('ZADD', keys[3], ends, argv[2])
    redis.call('HSET', keys[2], argv[2], argv[3])
    stock.held, status = stock.held + units, 1
  end
  keep_stock(keys, argv[1], stock, now, tonumber(argv[5]))
  tell_turn(argv[1], units, before, free_of(stock))
  return {argv[1], status, free_of(stock)}
end

-- ARGV: name, lease, units, when it was accepted (ms; empty: now), ttl (ms)
-- Answers 1 for an acceptance and 2 for a repeated one. It counts also when its lease has ended: it is a fact. What was
-- held until now counts until the next report, whenever it is said to have been accepted: a caller's clock frees nothing.
local function supply_accept(keys, argv)
  local now, ttl = now_ms(), tonumber(argv[5])
  local stock = stock_of(keys, argv[1])
  if redis.call('ZSCORE', keys[4], argv[2]) then return {argv[1], 2, free_of(stock)} end
  local at = math.min(tonumber(argv[4]) or now, now)
  end_leases(keys, stock, now)
  local units = redis.call('HGET', keys[2], argv[2]) or argv[3]
  if redis.call('ZREM', keys[3], argv[2]) == 1 then
    stock.held, at = stock.held - tonumber(units), math.max(at, stock.counted)
  end
  redis.call('HSET', keys[2], argv[2], units)
  redis.call('ZADD', keys[4], whole(at), argv[2])
  if at >= stock.counted then stock.accepted = stock.accepted + tonumber(units) end
  forget_accepted(keys, stock, now, ttl)
  keep_stock(keys, argv[1], stock, now, ttl)
  return {argv[1], 1, free_of(stock)}
end

-- ARGV: name, lease, ttl (ms)
-- Answers 1 when units were held and are free again, 0 when there were none. What was accepted stays so.
local function supply_give_back(keys, argv)
  local now, stock = now_ms(), stock_of(keys, argv[1])
  local held, before = redis.call('ZREM', keys[3], argv[2]), free_of(stock)
  if held == 1 then
    local units = tonumber(redis.call('HGET', keys[2], argv[2]) or 0)
    stock.held = stock.held - units
    redis.call('HDEL', keys[2], argv[2])
    keep_stock(keys, argv[1], stock, now, tonumber(argv[3]))
    tell_turn(argv[1], units, before, free_of(stock))
  end
  return {argv[1], held, free_of(stock)}
end

-- ARGV: name.  Answers with what is free, when that was counted and until when the report holds; 0 for no report.
local function supply_stock(keys, argv)
  local stock = stock_of(keys, argv[1])
  stock.held = stock.held - ended_units(keys, now_ms())
  return {argv[1], free_of(stock), stock.observed or 0, stock.expires}
end

-- ARGV: name, lease, units.  Answers 1 when the lease holds its units, or would be granted them now, and 0 otherwise.
local function supply_look(keys, argv)
  local now, stock = now_ms(), stock_of(keys, argv[1])
  local held = tonumber(redis.call('ZSCORE', keys[3], argv[2]) or nil)
  if (held and held > now) or redis.call('ZSCORE', keys[4], argv[2]) then return {argv[1], 1} end
  stock.held = stock.held - ended_units(keys, now)
  return {argv[1], stock.expires > now and free_of(stock) >= tonumber(argv[3]) and 1 or 0}
end

-- ARGV: name, lease.  Answers 1 when the lease holds its units, or has got them, and no more are held than there are; else 0.
local function supply_stands(keys, argv)
  local now, stock = now_ms(), stock_of(keys, argv[1])
  if redis.call('ZSCORE', keys[4], argv[2]) then return {argv[1], 1} end
  local held = tonumber(redis.call('ZSCORE', keys[3], argv[2]) or nil)
  stock.held = stock.held - ended_units(keys, now)
  local enough = stock.expires > now and stock.available >= stock.held + stock.accepted
  return {argv[1], held and held > now and enough and 1 or 0}
end

redis.register_function('tact_supply_report' .. VERSION, supply_report)
redis.register_function('tact_supply_grant' .. VERSION, supply_grant)
redis.register_function('tact_supply_accept' .. VERSION, supply_accept)
redis.register_function('tact_supply_give_back' .. VERSION, supply_give_back)
redis.register_function{
  function_name = 'tact_supply_stock' .. VERSION, callback = supply_stock, flags = {'no-writes'}}
redis.register_function{
  function_name = 'tact_supply_stands' .. VERSION, callback = supply_stands, flags = {'no-writes'}}
redis.register_function{
  function_name = 'tact_supply_look' .. VERSION, callback = supply_look, flags = {'no-writes'}}

end
