-- KEYS due, wake   ARGV entry, delay_ms, wake_maxlen
whole(2, 3)
local time = redis.call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
if redis.call('ZADD', KEYS[1], 'XX', 'CH', at, ARGV[1]) == 1 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'w', '1')
end
