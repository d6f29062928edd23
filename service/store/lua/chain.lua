-- The chain over decisions and outcomes: service/store/chain.py says what a link is and what it vouches for.

local chain = {}

do  -- a library has no more than 200 locals of its own
local SHORTEST, LONGEST = 43, 80

-- Returns the link of a stream's newest entry; where there is none, the one that its first entry has.
function chain.before(stream, head)
  if head and #head >= SHORTEST and #head <= LONGEST then return head end
  return redis.sha1hex(stream) .. '0-0'
end

-- Notes the link of an entry that was just written: `sizes` has its fields with their lengths, `values` what they are. The head
-- lives as long as its stream: where that was given a time to live (ms), it is given the same.
function chain.note(head, stream, at, sizes, values, ttl)
  local link = redis.sha1hex(stream .. ' ' .. at .. ' ' .. sizes .. ' ' .. values) .. at
  if ttl then redis.call('SET', head, link, 'PX', ttl) else redis.call('SET', head, link, 'KEEPTTL') end
end

-- Leaves the links of entries that are about to go, and drops those that older ones left: of entries that are gone since long.
function chain.leave(stream, gone, ids, ttl)
  if #ids == 0 then return end
  local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  for _, id in ipairs(ids) do
    local entry = redis.call('XRANGE', stream, id, id)[1]
    local flat = entry and entry[2] or {}
    for i = 1, #flat, 2 do
      -- Without what it says of its time, for nothing vouches for what is left here but what it names.
      if flat[i] == 'l' then redis.call('ZADD', gone, id:match('^%d+'), id .. ' ' .. flat[i + 1]:match('^[^ ]*')) end
    end
  end
  local first = oldest and tonumber(oldest[1]:match('^%d+')) or 0
  redis.call('ZREMRANGEBYSCORE', gone, '-inf', string.format('(%.0f', math.max(0, math.min(first, now_ms() - ttl))))
  redis.call('PEXPIRE', gone, string.format('%.0f', ttl))
end

-- KEYS: stream, its head, what erased entries left   ARGV: the id before which to begin or '+', how many entries at most
-- Answers the key, the head or '', the entries, the newest first, and what those left that were erased between the first of
-- them (or the beginning, where these were all) and that id, as of one moment.
local function chain_page(keys, argv)
  local before, most = argv[1], tonumber(argv[2])
  local entries = redis.call('XREVRANGE', keys[1], before == '+' and '+' or '(' .. before, '-', 'COUNT', most)
  local from = #entries < most and '-inf' or entries[#entries][1]:match('^%d+')
  local to = before == '+' and '+inf' or before:match('^%d+')
  return {keys[1], redis.call('GET', keys[2]) or '', entries, redis.call('ZRANGEBYSCORE', keys[3], from, to)}
end

redis.register_function{function_name = 'tact_chain_page' .. VERSION, callback = chain_page, flags = {'no-writes'}}

end
