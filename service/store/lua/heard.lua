-- What was written of a person while somebody listens, for those who wait to hear of it.
--
-- The key stands as long as somebody listens, and some minutes longer: who finds none tells nobody. Its value: the number
-- of the last note and the number up to which notes were dropped (16 digits each), then the notes, the oldest first, each
-- after its length (2 bytes): [number, kind, name, id, when (ms), the number before] as msgpack. Numbers only grow, also where
-- the key was gone meanwhile, for none is below the clock (ms). The same notes are published under the name of the key.
-- A note is no part of a promise: where it cannot be published, whoever listens reads it here.

local heard = {}

do  -- a library has no more than 200 locals of its own
local HEAD, MOST = 32, 16384

local function heard_head(last, dropped) return string.format('%016.0f%016.0f', last, dropped) end

-- Returns how much of the notes is to stay so that there is room for so many bytes more, and the number of the last that goes.
local function heard_room(noted, size)
  local at, dropped = HEAD + 1, tonumber(noted:sub(17, HEAD))
  if #noted + size <= MOST then return at, dropped end
  while at <= #noted and #noted - at + size > MOST / 2 do
    local high, low = noted:byte(at, at + 1)
    local ends = at + 2 + high * 256 + low
    dropped, at = cmsgpack.unpack(noted:sub(at + 2, ends - 1))[1], ends
  end
  return at, dropped
end

local function tell(key, noted, kind, now, ...)
  local last, notes, told = tonumber(noted:sub(1, 16)), {}, {...}
  for i = 1, #told, 2 do
    local number = math.max(last + 1, now)
    local note = cmsgpack.pack({number, kind, told[i], told[i + 1], now, last})
    last, notes[#notes + 1] = number, string.char(math.floor(#note / 256), #note % 256) .. note
  end
  local said = table.concat(notes)
  local from, dropped = heard_room(noted, #said)
  redis.call('SET', key, heard_head(last, dropped) .. noted:sub(from) .. said, 'KEEPTTL')
  redis.pcall('PUBLISH', key, said)
end

-- Notes what was written, each with its name and its id, where somebody listens: `noted` is what the key holds. What cannot be
-- read goes: no write fails for it, and whoever listens begins anew.
function heard.tell(key, noted, ...)
  if not pcall(tell, key, noted, ...) then redis.pcall('DEL', key) end
end

-- Notes one thing of a person where somebody listens.
function heard.note(key, kind, name, id)
  local noted = redis.pcall('GET', key)
  if noted then heard.tell(key, noted, kind, now_ms(), name, id) end
end

-- Tells everybody who listens, whomever for; nothing of it is kept.
local EVERYBODY = 'tact:heard'

function heard.everybody(kind, name)
  redis.pcall('PUBLISH', EVERYBODY, cmsgpack.pack({kind, name, now_ms()}))
end

-- Begins to note, or goes on, for so long (ms); returns what the key holds. From now on all numbers are above the one that is
-- told: who listens has seen that one, of somebody who is the same person by now. No clock is ahead by more than a day.
local DAY_MS = 86400000
local WHOLE = '^' .. ('%d'):rep(HEAD)

local function kept_open(key, ttl, seen)
  local noted, now = redis.pcall('GET', key), now_ms()
  seen = seen < now + DAY_MS and seen or 0
  if type(noted) ~= 'string' or not noted:find(WHOLE) then
    local last = math.max(now, seen)
    noted = heard_head(last, last)
    redis.call('SET', key, noted, 'PX', ttl)
    return noted
  end
  redis.call('PEXPIRE', key, ttl)
  if tonumber(noted:sub(1, 16)) < seen then
    noted = string.format('%016.0f', seen) .. noted:sub(17)
    redis.call('SETRANGE', key, 0, noted:sub(1, 16))
  end
  return noted
end

-- KEYS: heard, context, suppression
-- ARGV: customer, keyed digest, how long nobody need listen again (ms), the number of the last note that is known, the
-- highest number that was seen, of this id or another of the person's
-- From now on, and for that long, what is written of the customer is noted. Answers 1 for an erased customer, of whom
-- nothing is, else 0; then how the customer is linked (a, u and m of the context), and the head with the notes, which are
-- left out where none is newer.
local function listen(keys, argv)
  local known = redis.call('HMGET', keys[2], 'i', 'a', 'u', 'm')
  check_owner(known[1], argv[1])
  if not known[1] and erased_ms(keys[3], argv[2]) then return {argv[1], 1, '', '', '', ''} end
  local noted = kept_open(keys[1], argv[3], tonumber(argv[5]))
  if tonumber(noted:sub(1, 16)) <= tonumber(argv[4]) then noted = noted:sub(1, HEAD) end
  return {argv[1], 0, known[2] or '', known[3] or '', known[4] or '', noted}
end

redis.register_function('tact_listen' .. VERSION, listen)

end
