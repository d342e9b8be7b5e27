-- KEYS due   ARGV lease_ms, entry…
local time = redis.call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1]) + 0.5
for index = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', at, ARGV[index])
end
