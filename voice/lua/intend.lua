-- Leave a wish for whoever holds these calls (or take it back: ''). A queued one becomes overdue, so the sweep ends it
-- when nobody holds it.
-- Answers the calls that are not final.
-- KEYS 1 valid  2 wake  3 message, when the wish is about all of it   ARGV 1 base  2 intent, then call ids
local left = 0
for at = 3, #ARGV do
  local key = ARGV[1] .. 'call:' .. ARGV[at]
  local is = redis.call('HMGET', key, 'status', 'valid')
  local status = is[1]
  if status and not is_final(status) then
    redis.call('HSET', key, 'intent', ARGV[2])
    if is_queued(status) then redis.call('ZADD', KEYS[1], 'XX', ARGV[2] == '' and is[2] or 0, ARGV[at]) end
    left = left + 1
  end
end
if left > 0 then
  wake(KEYS[2])
  if KEYS[3] and redis.call('EXISTS', KEYS[3]) == 1 then redis.call('HSET', KEYS[3], 'intent', ARGV[2]) end
end
return left
