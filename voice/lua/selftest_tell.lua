-- How a self-test stands; its end settles what was reserved for its call. After common.lua and caps.lua.
-- KEYS who tests this trunk, the test, toll of the test
-- ARGV id, body, keep s, lease ms (0: it is over), then what its call took: s, millionths
-- Answers 1: written. 0: it is not ours any more, nothing was written. Repeating it changes nothing.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.call('GET', KEYS[2]) == ARGV[2] and 1 or 0
end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
if ARGV[4] == '0' then
  redis.call('DEL', KEYS[1])
  settle(KEYS[3], ARGV[1], ARGV[5], ARGV[6])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
