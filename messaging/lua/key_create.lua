-- KEYS key, keys of the account   ARGV digest, gone_at_ms, field, value, … (key_id is the first pair)
-- Repeating it changes nothing.
whole(2)
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
for index = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1]) end
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[4], ARGV[1])
return 1
