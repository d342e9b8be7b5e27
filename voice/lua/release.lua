-- Give a queued call back; it was not to blame, so this lease does not count. Repeating it changes nothing.
-- KEYS 1 call  2 its queue   ARGV 1 call id  2 epoch  3 delay_ms
whole(3)
local is = redis.call('HMGET', KEYS[1], 'epoch', 'holder', 'status')
if is[1] ~= ARGV[2] or is[2] == '' or not is_queued(is[3]) then return 0 end
redis.call('HSET', KEYS[1], 'holder', '')
redis.call('HINCRBY', KEYS[1], 'leases', -1)
redis.call('ZADD', KEYS[2], 'XX', now_ms() + ARGV[3], ARGV[1])
return 1
