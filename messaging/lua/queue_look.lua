-- KEYS due, wake   →   ms until the first entry is due (-1: none), id of the last wake-up
-- Both in one moment: a put after it is a wake-up after that id, so nobody who waits from there can miss it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local gap = -1
if first[2] then gap = math.max(0, math.ceil(tonumber(first[2]) - now)) end
return {gap, last[1] and last[1][1] or '0-0'}
