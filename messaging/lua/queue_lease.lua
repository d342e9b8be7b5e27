-- KEYS due   ARGV most, lease_ms
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])
for _, entry in ipairs(entries) do
  redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]) + 0.5, entry)
end
return entries
