-- KEYS trunks   ARGV version expected, how many are put, id, body, …, ids to drop …
-- Answers the version and 1; or the version and 0: somebody was quicker, nothing was done.
-- Repeating it changes nothing: what stands there already counts as done.
whole(1, 2)
local key, puts, done = KEYS[1], tonumber(ARGV[2]), true
local first_drop = 3 + 2 * puts
for index = 3, first_drop - 1, 2 do
  done = done and redis.call('HGET', key, ARGV[index]) == ARGV[index + 1]
end
for index = first_drop, #ARGV do done = done and redis.call('HEXISTS', key, ARGV[index]) == 0 end
local version = tonumber(redis.call('HGET', key, ':version') or '0')
if done then return {version, 1} end
if version ~= tonumber(ARGV[1]) then return {version, 0} end
for index = 3, first_drop - 1, 2 do redis.call('HSET', key, ARGV[index], ARGV[index + 1]) end
for index = first_drop, #ARGV do redis.call('HDEL', key, ARGV[index]) end
return {redis.call('HINCRBY', key, ':version', 1), 1}
