-- What every function of the library needs. Each call touches keys of one bucket, names all of them, answers first with
-- what it was asked about, and writes only after all is checked. service/store/keys.py says what each key holds, the
-- Python module that calls a function what each argument is.

local function refuse(code, sentence) error({err = code .. ' ' .. sentence}) end

local function now_ms()
  local time = redis.call('TIME')
  local ms = time[2] / 1000
  return time[1] * 1000 + (ms - ms % 1)
end

local function unpacked(packed)
  local readable, value = pcall(cmsgpack.unpack, packed)
  if readable and type(value) == 'table' then return value end
  return nil
end

local function check_owner(id, customer)
  if id and id ~= customer then refuse('CUSTOMER', 'the value belongs to another customer') end
end

-- Returns the moment (ms) at which the customer of a keyed digest was erased, or nil.
local function erased_ms(suppression, digest)
  return digest ~= '' and tonumber(redis.call('HGET', suppression, digest) or nil) or nil
end

-- A decision's place in the log and its digest; between them, where an alias was asked about, "+" and how many bytes its id
-- has, and after the space the id.
local function decision_place(at, asked, digest)
  return at .. (asked == '' and ' ' or '+' .. #asked .. ' ') .. asked .. digest
end

-- Returns a stored decision as {entry, digest, chosen, bound, actions, customer, reserved, the alias that was asked about or
-- '', what its outcomes count for}, or nil when there is none.
local function recall(decision, log)
  local stored = redis.call('GET', decision)
  if not stored then return nil end
  local space = stored:find(' ', 1, true)
  local at, length = stored:sub(1, (space or 1) - 1):match('^([^+]*)%+?(%d*)$')
  length = tonumber(length) or 0
  local found = space and at and redis.call('XRANGE', log, at, at)[1]
  if not found then refuse('GONE', 'the log entry of a decision is missing') end
  local fields, flat = {}, found[2]
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return {fields.e or '', stored:sub(space + length + 1), fields.c or '', fields.b or '', fields.a or '', fields.i or '',
    fields.r or '', stored:sub(space + 1, space + length), fields.q or ''}
end
