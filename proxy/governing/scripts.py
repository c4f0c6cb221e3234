"""The Lua scripts of the limits; what they count is explained in claims.py and rates.py.

All begin with storage.kv's prologue, which sets `now` (the server's, in microseconds) and ends a
call that comes too late. Numbers leave as text: Redis would cut them to 14 digits or whole ones.
Money is two halves, high x 10^9 + low, because Lua's numbers are exact to 2^53 only.
"""

from storage.kv import Script

_PARTS = """
local SPLIT, WINDOW = 1000000000, 60000000
local function text(number) return string.format('%.0f', number) end
-- What is not there has been lost, or never was: the caller's last knowledge stands in for it.
local function money(key, known_high, known_low)
  local found = redis.call('HMGET', key, 'high', 'low')
  return tonumber(found[1] or known_high), tonumber(found[2] or known_low)
end
local function sum(high, low, more_high, more_low)
  local rest = low + more_low
  local carry = math.floor(rest / SPLIT)
  return high + more_high + carry, rest - carry * SPLIT
end
local function put_money(key, high, low, expires_ms, known_high, known_low)
  redis.call('HSET', key, 'high', text(high), 'low', text(low))
  local is_new = redis.call('HSETNX', key, 'since', text(now)) == 1
  -- A sum that began from somebody's knowledge needs no telling of what was before.
  if is_new and (tonumber(known_high) > 0 or tonumber(known_low) > 0) then
    redis.call('HSET', key, 'seeded', 'known')
  end
  if tonumber(expires_ms) > 0 then redis.call('PEXPIREAT', key, expires_ms) end
end
local function level_of(key, limit)
  local found = redis.call('HMGET', key, 'level', 'at')
  if not found[1] then return 0 end
  return math.max(0, tonumber(found[1]) - limit * (now - tonumber(found[2])))
end
local function put_level(key, level, limit)
  redis.call('HSET', key, 'level', text(level), 'at', text(now))
  redis.call('PEXPIRE', key, math.ceil(level / math.max(limit, 1) / 1000) + 1000)
end
"""

# KEYS: the counters. ARGV: id, lease in ms; for each counter kind, limit in two halves (a high one
# of -1 for none), amount in two halves, expiry in unix ms, what its sum was when last heard of in
# two halves. Answer: the place of the first that is refused or -1, then the states.
RESERVE = Script(
    _PARTS
    + """
local id, lease_ms = ARGV[1], tonumber(ARGV[2])
local refused, states, writes = -1, {}, {}
for place, key in ipairs(KEYS) do
  local at = place * 8 - 5
  local kind, limit = ARGV[at], tonumber(ARGV[at + 1])
  local fits = true
  if kind == 'money' then
    local high, low = money(key, ARGV[at + 6], ARGV[at + 7])
    high, low = sum(high, low, tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
    local limit_low = tonumber(ARGV[at + 2])
    fits = limit < 0 or high < limit or (high == limit and low <= limit_low)
    states[place] = text(high) .. ':' .. text(low)
    writes[place] = function()
      put_money(key, high, low, ARGV[at + 5], ARGV[at + 6], ARGV[at + 7])
    end
  elseif kind == 'open' then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
    local count = redis.call('ZCARD', key) + 1
    fits = count <= limit
    states[place] = text(count)
    writes[place] = function()
      redis.call('ZADD', key, text(now + lease_ms * 1000), id)
      redis.call('PEXPIRE', key, lease_ms + 1000)
    end
  else
    local level = level_of(key, limit) + tonumber(ARGV[at + 3]) * WINDOW
    fits = level <= limit * WINDOW
    states[place] = text(level)
    writes[place] = function() put_level(key, level, limit) end
  end
  if not fits and refused < 0 then refused = place - 1 end
end
if refused < 0 then for _, write in ipairs(writes) do write() end end
local answer = {text(refused)}
for place, state in ipairs(states) do answer[place + 1] = state end
return answer
"""
)

# KEYS: counters. ARGV: lease in ms; for each counter a kind and five values, 0 for none:
# money high low expiry known_high known_low | rate difference limit | close id | open id.
CORRECT = Script(
    _PARTS
    + """
local lease_ms = tonumber(ARGV[1])
for place, key in ipairs(KEYS) do
  local at = place * 6 - 4
  local kind, first, second = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if kind == 'money' then
    local high, low = money(key, ARGV[at + 4], ARGV[at + 5])
    high, low = sum(high, low, tonumber(first), tonumber(second))
    if high < 0 then high, low = 0, 0 end
    put_money(key, high, low, ARGV[at + 3], ARGV[at + 4], ARGV[at + 5])
  elseif kind == 'rate' then
    local limit = tonumber(second)
    put_level(key, math.max(0, level_of(key, limit) + tonumber(first)), limit)
  elseif kind == 'close' then
    redis.call('ZREM', key, first)
  else
    redis.call('ZADD', key, text(now + lease_ms * 1000), first)
    redis.call('PEXPIRE', key, lease_ms + 1000)
  end
end
return {'0'}
"""
)

# KEYS: one sum of money. ARGV: what was used before its asker started, in two halves, and for how
# many microseconds that one has been running. Added once, and only to a sum that is younger.
SEED = Script(
    _PARTS
    + """
local key, high, low = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local found = redis.call('HMGET', key, 'since', 'seeded')
if not found[1] then return {} end
local seeded = found[2] or '0:0'
local used_high, used_low = money(key, 0, 0)
if seeded ~= 'known' and now - tonumber(found[1]) < tonumber(ARGV[3]) then
  local told = string.find(seeded, ':')
  local had_high = tonumber(string.sub(seeded, 1, told - 1))
  local had_low = tonumber(string.sub(seeded, told + 1))
  if high > had_high or (high == had_high and low > had_low) then
    used_high, used_low = sum(used_high, used_low, high - had_high, low - had_low)
    redis.call('HSET', key, 'high', text(used_high), 'low', text(used_low))
    redis.call('HSET', key, 'seeded', text(high) .. ':' .. text(low))
  end
end
return {text(used_high) .. ':' .. text(used_low)}
"""
)
