-- KEYS delivery, due, wake, dead letters   ARGV id, wake_maxlen   →   1 when it goes out again
-- The schedule begins anew; the tries so far stay in the log.
whole(2)
if redis.call('HGET', KEYS[1], 'state') ~= 'dead' then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'state', 'pending', 'tries_before', redis.call('HGET', KEYS[1], 'tries'))
redis.call('HDEL', KEYS[1], 'failed_first_ms', 'ended_ms')
redis.call('PERSIST', KEYS[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[2], '*', 'w', '1')
return 1
