-- Moments that are due: what the triggers of a strategy wait for (service/core/triggers.py says what they are).
-- Of a customer, a hash: trigger, separator, key, to what is known of it:
--   c channel; b the newest beginnings, newest first, [[when, base], ...]; x when it ended last; e until when all was dealt with;
--   t how many beginnings it takes, w within how long (ms); d when it is due at the earliest; h how it was dealt with last;
--   n how often it was given out and not finished, f what n was when a consumer said last that it failed, r how often it was put
--   off, i its decision, s how often that was sent; y true for one that nobody could finish
-- Of a bucket and a channel, a zset: trigger, separator, customer, separator, key, to when it is due, or, while lent to a
-- consumer, to the loan's end. Another of those that nobody could finish, to the moment. What is in these and is not pending
-- any more goes when it is looked at.

do
local MOST_KEYS = 64
local DAY = 86400000
local LONGEST = 3652 * DAY
local SEPARATOR = '\31'

local function field_of(trigger, key) return trigger .. SEPARATOR .. key end

local function member_of(customer, trigger, key) return trigger .. SEPARATOR .. customer .. SEPARATOR .. key end

-- Returns what is known of a trigger and key, or nil; and when it ended last for all keys of the customer.
local function moment_at(hash, trigger, key)
  local found = redis.call('HMGET', hash, field_of(trigger, key), field_of(trigger, ''))
  local of_all = found[2] and unpacked(found[2])
  return found[1] and unpacked(found[1]) or nil, of_all and of_all.x or 0
end

-- Tells whether a moment is armed: as `armed` of service/core/triggers.py.
local function pending(moment, all_ended)
  local begun = moment.b
  if moment.y or not begun or not moment.t or #begun < moment.t then return false end
  local newest, oldest = begun[1][1], begun[#begun][1]
  if oldest <= math.max(moment.x or 0, all_ended, moment.e or 0) then return false end
  return moment.w == 0 or newest - oldest <= moment.w
end

local function is_newer(one, other) return one[1] > other[1] or (one[1] == other[1] and one[2] > other[2]) end

-- Takes in a beginning; what is the newest by now is due, and nobody was given it yet.
local function begin(moment, at, base, earliest, times, within)
  local begun, before = moment.b or {}, moment.b and moment.b[1]
  begun[#begun + 1] = {at, base}
  table.sort(begun, is_newer)
  while #begun > times do table.remove(begun) end
  moment.b, moment.t, moment.w = begun, times, within
  if not before or is_newer(begun[1], before) then
    moment.d = begun[1][2] + earliest
    moment.n, moment.f, moment.r, moment.i, moment.s, moment.y = nil, nil, nil, nil, nil, nil
  end
end

-- Of each trigger of a customer those keys are kept that saw an event last. `due` and `dead` are the zsets of its channel.
local function make_room(hash, customer, trigger, due, dead)
  if redis.call('HLEN', hash) <= MOST_KEYS then return end
  local all, own = redis.call('HGETALL', hash), {}
  for i = 1, #all, 2 do
    if all[i]:sub(1, #trigger + 1) == trigger .. SEPARATOR and all[i] ~= field_of(trigger, '') then
      local moment = unpacked(all[i + 1]) or {}
      local seen = math.max(moment.b and moment.b[1][1] or 0, moment.x or 0)
      own[#own + 1] = {all[i], seen}
    end
  end
  table.sort(own, function(one, other) return one[2] > other[2] end)
  for i = MOST_KEYS + 1, #own do
    local member = member_of(customer, trigger, own[i][1]:sub(#trigger + 2))
    redis.call('HDEL', hash, own[i][1])
    redis.call('ZREM', due, member)
    redis.call('ZREM', dead, member)
  end
end

local function write(hash, trigger, key, moment)
  return redis.call('HSET', hash, field_of(trigger, key), cmsgpack.pack(moment))
end

-- Tells whether a moment that nobody could finish would be armed, had they not given up.
local function pending_but_dead(moment, all_ended)
  local dead = moment.y
  moment.y = nil
  local is = pending(moment, all_ended)
  moment.y = dead
  return is
end

-- Applies [what, trigger, key, place of the channel's zset in KEYS (and, next to it, of the dead), channel, at, ...]:
-- 1 arm [base, earliest, times, within, how long it is good], 2 cancel. Answers until when (ms) this is to be kept at least.
local function apply(keys, customer, op)
  local trigger, key, at = op[2], op[3], op[6]
  local moment, all_ended = moment_at(keys[1], trigger, key)
  moment = moment or {}
  local newest, was, channel, dead = moment.b and moment.b[1], pending(moment, all_ended), moment.c, moment.y
  if op[1] == 1 then
    moment.c = op[5]
    begin(moment, at, op[7], op[8], op[9], op[10])
  else
    moment.x = math.max(moment.x or 0, at)
  end
  if dead and not pending_but_dead(moment, all_ended) then moment.y = nil end
  local is, member = pending(moment, all_ended), member_of(customer, trigger, key)
  if dead and not moment.y then redis.call('ZREM', keys[op[4] + 1], member) end
  if is and (not was or channel ~= moment.c or not newest or is_newer(moment.b[1], newest)) then
    redis.call('ZADD', keys[op[4]], string.format('%.0f', moment.d), member)
  elseif was and not is then
    redis.call('ZREM', keys[op[4]], member)
  end
  if write(keys[1], trigger, key, moment) == 1 then make_room(keys[1], customer, trigger, keys[op[4]], keys[op[4] + 1]) end
  -- Two days more, for where the customer is it may be due that much after the earliest moment.
  return op[1] == 1 and moment.d + op[11] + 2 * DAY or 0
end

-- Lets a key live so long (ms) at least; it is renewed when a thousandth of that has passed.
local function keep(key, ttl)
  if redis.call('PTTL', key) < 0.999 * ttl then redis.call('PEXPIRE', key, string.format('%.0f', ttl)) end
end

local function rest(list, from)
  local tail = {}
  for i = from, #list do tail[#tail + 1] = list[i] end
  return tail
end

-- KEYS: moments of the customer, due and dead of each channel, then those of `fold`
-- ARGV: of each event its operations as msgpack, how many keys are ours, ttl (ms), then those of `fold`
-- Folds events, and arms and cancels by those that are new. Answers as `fold` does. What waits is kept until it has been due and
-- good, also where that is after the ttl, ten years at most.
local function fold_arming(keys, argv)
  local ours = tonumber(argv[2])
  local reply = fold(rest(keys, ours + 1), rest(argv, 4))
  local customer, fates, used, latest = reply[1], reply[2], {}, 0
  for i, ops in ipairs(cmsgpack.unpack(argv[1])) do
    for _, op in ipairs(fates[i] == 1 and ops or {}) do
      latest = math.max(latest, apply(keys, customer, op))
      used[op[4]] = true
    end
  end
  if next(used) ~= nil then
    local time = redis.call('TIME')
    local ttl = math.max(tonumber(argv[3]), math.min(latest - 1000 * tonumber(time[1]), LONGEST))
    keep(keys[1], ttl)
    for at in pairs(used) do keep(keys[at], ttl) end
  end
  return reply
end

redis.register_function('tact_fold_arming' .. VERSION, fold_arming)

-- The moment to the microsecond, so that no two loans have the same name.
local function exactly_now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
end

-- Returns the moment that a call is about, where it is armed and of this channel, else nil; the first four arguments of the call
-- are customer, trigger, key, channel.
local function armed_moment(keys, argv)
  local moment, all_ended = moment_at(keys[1], argv[2], argv[3])
  return moment and moment.c == argv[4] and pending(moment, all_ended) and moment or nil
end

-- Tells whether the loan of a moment still holds.
local function lent(keys, argv, loan)
  local score = redis.call('ZSCORE', keys[2], member_of(argv[1], argv[2], argv[3]))
  return score and tonumber(score) == tonumber(loan)
end

local GONE, TAKEN, LENT, DEAD = 0, 1, 2, 3

-- KEYS: moments of the customer, due of the channel, dead of the channel
-- ARGV: customer, trigger, key, channel, for how long (ms), how often it is given out at most, ttl (ms)
-- Lends one that is due, where it was not given out so often without a word from those who had it; answers GONE, TAKEN (not due, or lent), LENT with loan and what is known of it, or DEAD.
local function moment_lend(keys, argv)
  local member, now = member_of(argv[1], argv[2], argv[3]), exactly_now()
  local score = redis.call('ZSCORE', keys[2], member)
  if not score then return {argv[1], TAKEN, '', ''} end
  local moment = armed_moment(keys, argv)
  if not moment then
    redis.call('ZREM', keys[2], member)
    return {argv[1], GONE, '', ''}
  end
  if tonumber(score) > now then return {argv[1], TAKEN, '', ''} end
  moment.n = (moment.n or 0) + 1
  if moment.n - (moment.f or 0) > tonumber(argv[6]) then
    moment.y = true
    redis.call('ZREM', keys[2], member)
    redis.call('ZADD', keys[3], string.format('%.0f', now), member)
    redis.call('PEXPIRE', keys[3], argv[7])
    write(keys[1], argv[2], argv[3], moment)
    return {argv[1], DEAD, '', ''}
  end
  local loan = string.format('%.3f', now + tonumber(argv[5]))
  redis.call('ZADD', keys[2], loan, member)
  write(keys[1], argv[2], argv[3], moment)
  return {argv[1], LENT, loan, cmsgpack.pack(moment)}
end

-- KEYS: moments of the customer, due of the channel
-- ARGV: customer, trigger, key, channel, loan, for how long (ms), decision
-- Notes that one that is lent is sent now, and lends it from now on; answers 1 and the loan, or 0 where it is not to be sent
-- any more: cancelled, armed anew, or lent to another.
local function moment_sent(keys, argv)
  local moment = armed_moment(keys, argv)
  if not moment or not lent(keys, argv, argv[5]) then return {argv[1], 0, ''} end
  moment.i, moment.s = argv[7], (moment.s or 0) + 1
  local loan = string.format('%.3f', math.max(exactly_now() + tonumber(argv[6]), tonumber(argv[5]) + 0.001))
  redis.call('ZADD', keys[2], loan, member_of(argv[1], argv[2], argv[3]))
  write(keys[1], argv[2], argv[3], moment)
  return {argv[1], 1, loan}
end

-- KEYS: moments of the customer, due of the channel
-- ARGV: customer, trigger, key, channel, loan, how it ended
-- Ends one that is lent; answers 1, or 0 where the loan holds no more.
local function moment_end(keys, argv)
  local moment = armed_moment(keys, argv)
  if not moment or not lent(keys, argv, argv[5]) then return {argv[1], 0} end
  moment.e, moment.h, moment.n, moment.f, moment.r = moment.b[1][1], argv[6], nil, nil, nil
  redis.call('ZREM', keys[2], member_of(argv[1], argv[2], argv[3]))
  write(keys[1], argv[2], argv[3], moment)
  return {argv[1], 1}
end

-- KEYS: moments of the customer, due of the channel
-- ARGV: customer, trigger, key, channel, loan, when (ms), why: 0 it failed, 1 it is decided anew then, and begins to count again,
-- 2 nobody was sent it, which does not count
-- Gives one that is lent back until later; answers 1, or 0 where the loan holds no more.
local function moment_later(keys, argv)
  local moment = armed_moment(keys, argv)
  if not moment or not lent(keys, argv, argv[5]) then return {argv[1], 0} end
  if argv[7] == '1' then
    moment.n, moment.f, moment.i, moment.s, moment.r = nil, nil, nil, nil, (moment.r or 0) + 1
  elseif argv[7] == '2' then
    moment.n = math.max((moment.n or 0) - 1, 0)
  else
    moment.f = moment.n
  end
  redis.call('ZADD', keys[2], argv[6], member_of(argv[1], argv[2], argv[3]))
  write(keys[1], argv[2], argv[3], moment)
  return {argv[1], 1}
end

-- KEYS: moments of the customer, due of the channel, dead of the channel
-- ARGV: customer, trigger, key, channel, 1 where it is given up
-- Lets one that nobody could finish be due now, or gives it up; answers 1, or 0 where it is none of these.
local function moment_release(keys, argv)
  local member = member_of(argv[1], argv[2], argv[3])
  local was, moment, all_ended = redis.call('ZREM', keys[3], member), moment_at(keys[1], argv[2], argv[3])
  if was == 0 or not moment or not moment.y or moment.c ~= argv[4] then return {argv[1], was} end
  moment.y, moment.n, moment.f, moment.i = nil, nil, nil, nil
  if argv[5] == '1' then moment.e, moment.h = moment.b[1][1], 'given up' end
  if pending(moment, all_ended) then redis.call('ZADD', keys[2], string.format('%.0f', exactly_now()), member) end
  write(keys[1], argv[2], argv[3], moment)
  return {argv[1], was}
end

-- KEYS: moments of the customer   ARGV: customer, trigger, key
local function moment_known(keys, argv)
  return {argv[1], redis.call('HMGET', keys[1], field_of(argv[2], argv[3]), field_of(argv[2], ''))}
end

-- KEYS: moments of the customer   ARGV: customer
local function moments_told(keys, argv) return {argv[1], redis.call('HGETALL', keys[1])} end

-- KEYS: moments of the customer, then due and dead of channels   ARGV: customer, trigger, key, ...
-- Removes all of it; answers how many there were.
local function moments_forget(keys, argv)
  local known = redis.call('HLEN', keys[1])
  for at = 2, #keys do
    for i = 2, #argv, 2 do redis.call('ZREM', keys[at], member_of(argv[1], argv[i], argv[i + 1])) end
  end
  redis.call('DEL', keys[1])
  return {argv[1], known}
end

redis.register_function('tact_moment_lend' .. VERSION, moment_lend)
redis.register_function('tact_moment_sent' .. VERSION, moment_sent)
redis.register_function('tact_moment_end' .. VERSION, moment_end)
redis.register_function('tact_moment_later' .. VERSION, moment_later)
redis.register_function('tact_moment_release' .. VERSION, moment_release)
redis.register_function('tact_moments_forget' .. VERSION, moments_forget)
redis.register_function{function_name = 'tact_moment_known' .. VERSION, callback = moment_known, flags = {'no-writes'}}
redis.register_function{function_name = 'tact_moments_told' .. VERSION, callback = moments_told, flags = {'no-writes'}}

end
