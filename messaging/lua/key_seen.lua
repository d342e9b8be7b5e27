-- KEYS key   ARGV coarse_ms   →   its fields; notes when it was used last, not more often than each coarse_ms
local fields = redis.call('HGETALL', KEYS[1])
if #fields == 0 then return fields end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('HGET', KEYS[1], 'last_used_ms') or '0')
if now - last >= tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'last_used_ms', string.format('%.0f', now))
end
return fields
