-- A self-test is put on the board, and what its call may take is reserved; or nothing. After common.lua and caps.lua.
-- KEYS 1 who tests this trunk  2 the test  3 tests wanted  4 tests of late  5 toll of the test
-- ARGV 1 id  2 body  3 keep s  4 taken within ms  5 most of late  6 of late s
--      7 limits of the key and what the call takes (JSON), or '': nobody is rung  8 number
-- Answers {'asked'}; {'running'}: another test holds the trunk; {'often', s to wait}; {'over', …}: caps.lua.
-- Repeating it changes nothing: the same test is asked once.
if redis.call('EXISTS', KEYS[2]) == 1 then return {'asked'} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {'running'} end
if number_of(redis.call('GET', KEYS[4])) >= tonumber(ARGV[5]) then
  return {'often', math.max(1, redis.call('TTL', KEYS[4]))}
end
if ARGV[7] ~= '' then
  local toll, now = cjson.decode(ARGV[7]), now_ms()
  local over = over_caps(toll, {ARGV[8]}, now, now)
  if over then return over end
  reserve(toll, 1, now, now)
  remember_toll(toll, KEYS[5], ARGV[1], toll.each[1], ARGV[8], now, now)
  redis.call('PEXPIRE', KEYS[5], toll.life_ms)
end
if redis.call('INCR', KEYS[4]) == 1 then redis.call('EXPIRE', KEYS[4], ARGV[6]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return {'asked'}
