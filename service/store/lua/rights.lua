-- What a person may ask for: everything that is kept about them, and that it goes.

local function last_id(stream)
  local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  return newest and newest[1] or '0-0'
end

-- KEYS: context, events, consent history, changed, suppression, log, out, heard, journey, ids   ARGV: customer, keyed digest
-- Answers everything that stands in keys of the customer's own, whatever the consent allows: it is theirs. Then whether
-- they are erased (0 or the moment), where the two streams end, and the journey.
local function tell(keys, argv)
  local known = redis.call('HGETALL', keys[1])
  check_owner(redis.call('HGET', keys[1], 'i'), argv[1])
  local erased = #known == 0 and erased_ms(keys[5], argv[2]) or 0
  return {argv[1], now_ms(), known, redis.call('STRLEN', keys[2]), redis.call('LRANGE', keys[3], 0, -1),
    is_marked(keys[4], argv[1]), erased, last_id(keys[6]), last_id(keys[7]), redis.call('LRANGE', keys[9], 0, -1)}
end

redis.register_function{function_name = 'tact_tell' .. VERSION, callback = tell, flags = {'no-writes'}}

-- KEYS and ARGV as for `tell`, and a moment (ms) that it is not to be before. Removes what stands in keys of the customer's own
-- and leaves the digest with the moment: now, or as far ahead as a consent was told with. From then on nothing is written about
-- them. Repeated, the moment stays. Answers what was removed, as `tell` does.
local function suppress(keys, argv)
  local told = tell(keys, argv)
  local before = erased_ms(keys[5], argv[2])
  local ahead = math.max(tonumber(argv[3]), tonumber(redis.call('HGET', keys[1], 't') or 0))
  if told[7] == 0 or told[7] < ahead then
    told[7] = math.max(told[2], before and before + 1 or 0, ahead)
    redis.call('HSET', keys[5], argv[2], string.format('%.0f', told[7]))
  end
  heard.note(keys[8], 'erased', '', '')
  redis.call('DEL', keys[1], keys[2], keys[3], keys[8], keys[9])
  redis.call('ZREM', keys[4], argv[1])
  redis.call('ZREM', keys[10], argv[1])
  return told
end

redis.register_function('tact_suppress' .. VERSION, suppress)

-- KEYS: log or out   ARGV: customer, after, up to (ids), how many to look at
-- Answers the customer's entries among the next ones, and the last id that was looked at, or '' when these were all.
local function entries(keys, argv)
  local most, mine = tonumber(argv[4]), {}
  local page = redis.call('XRANGE', keys[1], '(' .. argv[2], argv[3], 'COUNT', most)
  for _, entry in ipairs(page) do
    local flat = entry[2]
    for i = 1, #flat, 2 do
      if flat[i] == 'i' and flat[i + 1] == argv[1] then mine[#mine + 1] = entry end
    end
  end
  return {argv[1], #page < most and '' or page[#page][1], mine}
end

redis.register_function{function_name = 'tact_entries' .. VERSION, callback = entries, flags = {'no-writes'}}

-- KEYS: log, out, what their erased entries left, then the decision and the outcomes of each decision in turn
-- ARGV: customer, how long the log and out are kept (ms), how many ids of the log follow, these ids, ids of out
-- Removes all of it but the links of entries, and answers how many entries of the log, decisions that could be repeated, outcomes beside their
-- decisions and entries of out there were.
local function forget(keys, argv)
  local counts, from, ids = {0, 0, 0, 0}, 4 + tonumber(argv[4]), {{}, {}}
  for i = 5, #argv do table.insert(ids[i <= from and 1 or 2], argv[i]) end
  for stream, going in ipairs(ids) do
    local place = stream == 1 and 1 or 4
    chain.leave(keys[stream], keys[2 + stream], going, tonumber(argv[1 + stream]))
    for _, id in ipairs(going) do counts[place] = counts[place] + redis.call('XDEL', keys[stream], id) end
  end
  for i = 5, #keys, 2 do
    counts[2] = counts[2] + redis.call('DEL', keys[i])
    counts[3] = counts[3] + redis.call('HLEN', keys[i + 1])
    redis.call('DEL', keys[i + 1])
  end
  return {argv[1], counts[1], counts[2], counts[3], counts[4]}
end

redis.register_function('tact_forget' .. VERSION, forget)
