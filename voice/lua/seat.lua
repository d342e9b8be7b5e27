-- A channel of a trunk and the next place in its pace, over all dialers: a seat is a lease, so a crash cannot keep it.
-- Repeating it takes no second seat, but a further place in the pace. Answers {taken, seats in use, µs to wait, spent}.
-- KEYS 1 seats  2 pace  3 spent of its day  4 held of it   ARGV 1 call id  2 channels  3 interval_us  4 lease_ms
--      5 daily amount or ''  6 what the call may cost  7 its price a minute  8 how long it holds that, ms
whole(2, 3, 4)
if ARGV[5] ~= '' then whole(5, 6, 7, 8) end
local t = redis.call('TIME')
local now_us = t[1] * 1000000 + t[2]
local now = math.floor(now_us / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local used = redis.call('ZCARD', KEYS[1])
local mine = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not mine and used >= tonumber(ARGV[2]) then return {0, used, 0, 0} end
if ARGV[5] ~= '' and is_spent(KEYS[4], KEYS[1], KEYS[3], ARGV[1], ARGV[6], tonumber(ARGV[5]), now) then
  return {0, used, 0, 1}
end
local at = math.max(now_us, tonumber(redis.call('GET', KEYS[2]) or 0))
local wait_us = at - now_us
local wait_ms = math.ceil(wait_us / 1000)
redis.call('SET', KEYS[2], string.format('%.0f', at + ARGV[3]), 'PX', wait_ms + math.ceil(ARGV[3] / 1000) + 1000)
redis.call('ZADD', KEYS[1], now + wait_ms + ARGV[4], ARGV[1])
keep(KEYS[1], wait_ms + ARGV[4] + 1000)
if ARGV[5] ~= '' then
  local until_ms = string.format('%.0f', now + wait_ms + ARGV[8])
  redis.call('HSET', KEYS[4], ARGV[1], table.concat({KEYS[3], ARGV[6], ARGV[7], until_ms}, '|'))
  keep(KEYS[4], wait_ms + ARGV[8] + 1000)
end
return {1, mine and used or used + 1, wait_us, 0}
