-- What the service told of a trunk: compare the version, then the new word, its event and its deliveries together.
-- Repeating it changes nothing: what stands there already counts as done. Answers 1, or 0: somebody was quicker.
-- KEYS 1 told  2 feed  3 due hooks  4 wake of the hooks
-- ARGV 1 version expected  2 told, JSON  3 life_ms  4 event, JSON, or ''  5 life of the feed, ms  6 life of a delivery, s
--      7 owner  8 trunk id  9 prefix  then per delivery: id, event id, url, body, format
whole(1, 3, 5, 6)
local stood = redis.call('GET', KEYS[1])
if stood == ARGV[2] then return 1 end
local version = stood and (cjson.decode(stood).version or 0) or 0
if version ~= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[4] == '' then return 1 end
local now = now_ms()
redis.call('XADD', KEYS[2], 'MINID', '~', string.format('%.0f', now - ARGV[5]), '*', 'event', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
for at = 10, #ARGV, 5 do
  put_delivery(ARGV[9] .. 'delivery:' .. ARGV[at], KEYS[3], KEYS[4], ARGV[at], ARGV[at + 1], ARGV[at + 2],
               ARGV[at + 3], ARGV[at + 4], now, ARGV[6], ARGV[7], ARGV[8])
end
return 1
