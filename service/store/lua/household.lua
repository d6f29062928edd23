-- What all customers of a household were told, as far as caps count it together.
--
-- Every function here has one key, the uses of the household: decision|action to [when, when the last window ends, when it was
-- granted (0: it was said), counters]. A use counts from the moment it is granted; it is given back when it was not said.

local HOUSEHOLD_SKEW_MS = 60000

local function household_uses(key)
  local uses, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local use = unpacked(flat[i + 1])
    if not use or type(use[4]) ~= 'table' then refuse('CORRUPT', 'the uses of a household cannot be read') end
    uses[flat[i]] = use
  end
  return uses
end

local function household_times(uses, counter_key)
  local times = {}
  for _, use in pairs(uses) do
    for _, key in ipairs(use[4]) do
      if key == counter_key then times[#times + 1] = use[1] end
    end
  end
  table.sort(times)
  return times
end

-- Returns when a counter can be used once more, nil when it can be now.
local function household_frees(uses, counter, now)
  local inside, since = {}, counter.since_ms
  for _, t in ipairs(household_times(uses, counter.key)) do
    if (since and t >= since) or (not since and t > now - counter.within_ms) then inside[#inside + 1] = t end
  end
  if #inside < counter.at_most then return nil end
  if since then return counter.frees_ms end
  return (inside[#inside - counter.at_most + 1] or now) + counter.within_ms
end

-- Returns the counter that binds the longest and when it frees, or nil when all fit.
local function household_binding(uses, counters, now)
  local key, longest
  for _, counter in ipairs(counters) do
    local frees = household_frees(uses, counter, now)
    if frees and (not longest or frees > longest) then key, longest = counter.key, frees end
  end
  return key, longest
end

local function household_use(counters, at, granted)
  local keys, ends = {}, 0
  for i, counter in ipairs(counters) do
    keys[i], ends = counter.key, math.max(ends, at + counter.within_ms, counter.frees_ms or 0)
  end
  return {at, ends, granted, keys}
end

-- Forgets what no window reaches any more, and lets the rest live as long as the longest, but no longer than `ttl`.
local function household_keep(key, uses, earliest, ttl)
  local last, now = 0, now_ms()
  for name, use in pairs(uses) do
    if use[2] + HOUSEHOLD_SKEW_MS < earliest then redis.call('HDEL', key, name) else last = math.max(last, use[2]) end
  end
  local span = math.max(0, last - now) + HOUSEHOLD_SKEW_MS
  redis.call('PEXPIRE', key, string.format('%.0f', math.min(span, tonumber(ttl))))
end

-- ARGV: household, for how long a use is granted (ms)
-- Answers with the times (ms, ascending) by counter, and the uses of which it should be known by now whether they were said.
local function household_read(keys, argv)
  local uses, times, open, seen = household_uses(keys[1]), {}, {}, {}
  local oldest = now_ms() - tonumber(argv[2])
  for name, use in pairs(uses) do
    if use[3] ~= 0 and use[3] <= oldest then open[#open + 1] = {name, use[1], use[2], use[3], use[4]} end
    for _, key in ipairs(use[4]) do
      if not seen[key] then seen[key], times[#times + 1] = true, {key, household_times(uses, key)} end
    end
  end
  return {argv[1], cmsgpack.pack(times), cmsgpack.pack(open)}
end

-- ARGV: household, ttl (ms), decision, now, then a placement each: its candidates as a msgpack list of [action, counters]
-- Grants the first candidate of each placement that fits; one without counters uses nothing. Answers with their ranks (-1: none),
-- and with those that do not fit as [placement, rank, counter, when it frees]. What was granted before stands.
local function household_grant(keys, argv)
  local uses, now, granted = household_uses(keys[1]), tonumber(argv[4]), now_ms()
  local ranks, bound, taken, written = {}, {}, {}, {}
  for i = 5, #argv do
    ranks[i - 4] = -1
    for rank, candidate in ipairs(cmsgpack.unpack(argv[i])) do
      local action, counters = candidate[1], candidate[2]
      local name = argv[3] .. '|' .. action
      local use, key, frees = uses[name], nil, nil
      if not taken[action] then
        if not use then key, frees = household_binding(uses, counters, now) end
        if not key then
          taken[action], ranks[i - 4] = true, rank - 1
          if #counters > 0 then
            uses[name] = household_use(counters, use and use[1] or now, use and use[3] == 0 and 0 or granted)
            written[name] = uses[name]
          end
          break
        end
        bound[#bound + 1] = {i - 5, rank - 1, key, frees}
      end
    end
  end
  for name, use in pairs(written) do redis.call('HSET', keys[1], name, cmsgpack.pack(use)) end
  household_keep(keys[1], uses, math.min(now, granted), argv[2])
  return {argv[1], cmsgpack.pack(ranks), cmsgpack.pack(bound)}
end

-- ARGV: household, ttl (ms), the uses that were said as a msgpack list of [decision|action, when, when it ends, counters], then the names of
-- those that were not. What is known to be said stays so. Answers with how many were given back.
local function household_settle(keys, argv)
  local uses, back = household_uses(keys[1]), 0
  for _, said in ipairs(cmsgpack.unpack(argv[3])) do
    local use = {said[2], said[3], 0, said[4]}
    uses[said[1]] = use
    redis.call('HSET', keys[1], said[1], cmsgpack.pack(use))
  end
  for i = 4, #argv do
    local use = uses[argv[i]]
    if use and use[3] ~= 0 then
      uses[argv[i]] = nil
      back = back + redis.call('HDEL', keys[1], argv[i])
    end
  end
  household_keep(keys[1], uses, 0, argv[2])
  return {argv[1], back}
end

redis.register_function('tact_household_grant' .. VERSION, household_grant)
redis.register_function('tact_household_settle' .. VERSION, household_settle)
redis.register_function{
  function_name = 'tact_household_read' .. VERSION, callback = household_read, flags = {'no-writes'}}
