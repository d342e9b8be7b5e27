-- A channel of a trunk and the next place in its pace, over all dialers: a seat is a lease, so a crash cannot keep it.
-- Repeating it takes no second seat, but a further place in the pace. Answers {taken, seats in use, µs to wait}.
-- KEYS 1 seats  2 pace   ARGV 1 call id  2 channels  3 interval_us  4 lease_ms
local t = redis.call('TIME')
local now_us = t[1] * 1000000 + t[2]
local now = math.floor(now_us / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local used = redis.call('ZCARD', KEYS[1])
local mine = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not mine and used >= tonumber(ARGV[2]) then return {0, used, 0} end
local at = math.max(now_us, tonumber(redis.call('GET', KEYS[2]) or 0))
local wait_us = at - now_us
local wait_ms = math.ceil(wait_us / 1000)
redis.call('SET', KEYS[2], string.format('%.0f', at + ARGV[3]), 'PX', wait_ms + math.ceil(ARGV[3] / 1000) + 1000)
redis.call('ZADD', KEYS[1], now + wait_ms + ARGV[4], ARGV[1])
keep(KEYS[1], wait_ms + ARGV[4] + 1000)
return {1, mine and used or used + 1, wait_us}
