-- KEYS delivery, due, wake, dead letters
-- ARGV id, number of the try, the try (JSON), move (done|retry|dead), delay_ms, tries_kept, dead_keep_s, wake_maxlen
-- One try's result. Repeating it changes nothing. A success always counts, also when another courier, who got the
-- delivery after a lapsed lease, has recorded a failure under the same number.
whole(2, 5, 6, 7, 8)
local delivery, due, id, move = KEYS[1], KEYS[2], ARGV[1], ARGV[4]
local state = redis.call('HGET', delivery, 'state')
if state ~= 'pending' then
  redis.call('ZREM', due, id)
  return 0
end
local tries, number = tonumber(redis.call('HGET', delivery, 'tries')), tonumber(ARGV[2])
if number <= tries then
  if move ~= 'done' then return 0 end
  number = tries + 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', delivery, 'tries', number, 'try:' .. number, ARGV[3])
redis.call('HDEL', delivery, 'try:' .. (number - tonumber(ARGV[6])))
if move == 'retry' then
  redis.call('HSETNX', delivery, 'failed_first_ms', string.format('%.0f', now))
  redis.call('ZADD', due, now + tonumber(ARGV[5]), id)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[8], '*', 'w', '1')
  return 1
end
redis.call('ZREM', due, id)
redis.call('HSET', delivery, 'state', move, 'ended_ms', string.format('%.0f', now))
if move == 'done' then
  redis.call('EXPIRE', delivery, redis.call('HGET', delivery, 'keep_s'))
else
  redis.call('EXPIRE', delivery, ARGV[7])
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - tonumber(ARGV[7]) * 1000)
  redis.call('ZADD', KEYS[4], now, id)
  redis.call('EXPIRE', KEYS[4], ARGV[7])
end
return 1
