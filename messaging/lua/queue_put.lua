-- KEYS due, wake   ARGV entry, delay_ms, wake_maxlen
-- A score with half a millisecond marks an entry that is leased: putting it again must not make it due.
whole(2, 3)
local time = redis.call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
local there = redis.call('ZSCORE', KEYS[1], ARGV[1])
if there and (tonumber(there) % 1 ~= 0 or tonumber(there) <= at) then return 0 end
redis.call('ZADD', KEYS[1], at, ARGV[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'w', '1')
return 1
