-- KEYS key   ARGV now_ms, keep_ms   →   1 when there is such a key. The first revocation's time stays.
whole(1, 2)
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HSETNX', KEYS[1], 'revoked_ms', ARGV[1]) == 1 then
  redis.call('PEXPIREAT', KEYS[1], tonumber(ARGV[1]) + tonumber(ARGV[2]), 'LT')
end
return 1
