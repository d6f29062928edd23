-- What came of actions since the last training, for what is learned between trainings: one field of the bucket's hash for
-- each scope, action and segment,
--   [period, within, half-life, current, previous, ended]  with  [decisions, outcomes expected of them, outcomes] each
-- Periods are as long as an outcome may take (`within`, ms). `current` and `previous` are of decisions of the period and of the
-- one before, whose outcomes may still come. `ended` is of all before these, each counting the less the older its period is.
-- Nobody is named in it. A count that cannot be read begins anew: no decision and no outcome waits for a statistic.

local adaptive = {}
local FORGOTTEN, SEPARATOR = 16, '\31'  -- after so many half-lives nothing is left of a count
local LARGEST, AHEAD = 2 ^ 53, 86400000

local function weigh(into, sums, weight)
  for i = 1, 3 do into[i] = into[i] + weight * sums[i] end
end

-- Returns what is left of a count after so many periods.
local function halved(count, periods) return 2 ^ (-periods * count[2] / count[3]) end

-- Lets a count pass on to a period, in which nothing was counted yet.
function adaptive.pass(count, period)
  local passed = period - count[1]
  if passed <= 0 then return count end
  local kept, ended = halved(count, passed), {0, 0, 0}
  weigh(ended, count[6], kept)
  weigh(ended, count[5], kept * halved(count, 1))
  if passed > 1 then weigh(ended, count[4], kept) end
  count[1], count[6] = period, ended
  count[5], count[4] = passed == 1 and count[4] or {0, 0, 0}, {0, 0, 0}
  return count
end

-- Tells whether a value is a number from least to what is still counted exactly; NaN is none.
local function is_amount(value, least) return type(value) == 'number' and value >= least and value <= LARGEST end

local function is_sums(value)
  if type(value) ~= 'table' or #value ~= 3 then return false end
  return is_amount(value[1], 0) and is_amount(value[2], 0) and is_amount(value[3], 0)
end

local function is_count(value)
  if type(value) ~= 'table' or #value ~= 6 then return false end
  if not (is_amount(value[1], 0) and is_amount(value[2], 1) and is_amount(value[3], 1)) then return false end
  return value[1] % 1 == 0 and is_sums(value[4]) and is_sums(value[5]) and is_sums(value[6])
end

local function count_of(packed)
  local value = type(packed) == 'string' and unpacked(packed)
  return is_count(value) and value or nil
end

-- Returns a stored count that decisions of a moment can be added to: one of the same terms, and of a period that has begun,
-- give or take a day by which clocks may differ. What is ahead of all clocks would count nothing until then.
local function current_count(stored, within, half_life, at)
  local count = count_of(stored)
  if not count or count[2] ~= within or count[3] ~= half_life then return nil end
  return count[1] * within <= math.max(at, now_ms()) + AHEAD and count or nil
end

-- Returns a stored count, packed, or nil; a key that is no hash goes, for nothing could be counted under it ever again.
local function stored_count(key, field)
  local stored = redis.pcall('HGET', key, field)
  if type(stored) ~= 'table' then return stored end
  if stored.err and stored.err:find('WRONGTYPE', 1, true) then redis.pcall('DEL', key) end
  return nil
end

-- Removes counts of which nothing is left.
local function forget_ended(key, at)
  local all = redis.pcall('HGETALL', key)
  if all.err then return end
  for i = 1, #all, 2 do
    local count = count_of(all[i + 1])
    if not count or at - count[1] * count[2] > FORGOTTEN * count[3] + 2 * count[2] then redis.pcall('HDEL', key, all[i]) end
  end
end

-- Adds to a count: decisions, expected outcomes and outcomes, all of a decision that was made at a moment. All counts of the
-- bucket live as long as that (ms).
function adaptive.add(key, field, within, half_life, at, sums, ttl)
  local stored, period = stored_count(key, field), math.floor(at / within)
  local count = current_count(stored, within, half_life, at) or {period, within, half_life, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}}
  if not stored then forget_ended(key, at) end
  adaptive.pass(count, period)
  local before = count[1] - period
  weigh(count[math.min(4 + before, 6)], sums, before > 1 and halved(count, before) or 1)
  if not is_count(count) then return end
  redis.pcall('HSET', key, field, cmsgpack.pack(count))
  redis.pcall('PEXPIRE', key, ttl)
end

-- KEYS: counts   ARGV: scope, now
-- Answers what was counted in a scope of decisions whose outcomes have had their time: [[action, segment, decisions, outcomes
-- expected, outcomes], ...] as msgpack.
local function counted(keys, argv)
  local found, all, prefix = {}, redis.pcall('HGETALL', keys[1]), argv[1] .. SEPARATOR
  if all.err then return {keys[1], cmsgpack.pack(found)} end
  for i = 1, #all, 2 do
    local count = all[i]:sub(1, #prefix) == prefix and count_of(all[i + 1])
    if count then
      local action, segment = all[i]:sub(#prefix + 1):match('^([^\31]*)\31(.*)$')
      local ended = adaptive.pass(count, math.floor(tonumber(argv[2]) / count[2]))[6]
      if ended[1] > 0 then found[#found + 1] = {action or '', segment or '', ended[1], ended[2], ended[3]} end
    end
  end
  return {keys[1], cmsgpack.pack(found)}
end

redis.register_function{function_name = 'tact_counted' .. VERSION, callback = counted, flags = {'no-writes'}}
