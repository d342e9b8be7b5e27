-- KEYS who tests this trunk, the test, tests wanted, tests of late   ARGV id, body, keep s, taken within ms, most, of late s
-- Answers 1: asked. 0: another test holds the trunk. Below: too many of late, as many seconds are to be waited.
-- Repeating it changes nothing: the same test is asked once.
whole(3, 4, 5, 6)
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return 1 end
if holder then return 0 end
local count = redis.call('INCR', KEYS[4])
if count == 1 then redis.call('EXPIRE', KEYS[4], ARGV[6]) end
if count > tonumber(ARGV[5]) then
  redis.call('DECR', KEYS[4])
  return -math.max(1, redis.call('TTL', KEYS[4]))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return 1
