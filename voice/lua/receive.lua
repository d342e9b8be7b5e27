-- A call that came in: held by whoever answers it from the first moment, never queued. Repeating it changes nothing.
-- KEYS 1 message  2 recipients  3 calls  4 valid  5 owners  6 owner of the message  7 due hooks  8 wake of the hooks
-- ARGV 1 prefix  2 owner  3 ref  4 message body, or '' when it is there  5 life_ms  6 lane  7 holder  8 lease_ms
--      9 call id  10 its body  11 event id  12 event  13 caller  14 recipient, from 0  15 status
--      16 life of a delivery, s  17 deliveries, then per delivery: id, event id, url, body, format, call id
whole(5, 8, 14, 16, 17)
local prefix, owner, id, life = ARGV[1], ARGV[2], ARGV[9], ARGV[5]
local base = base_of(prefix, owner)
if redis.call('EXISTS', base .. 'call:' .. id) == 1 then return 'done' end
if redis.call('EXISTS', KEYS[1]) == 0 then
  if ARGV[4] == '' then return 'gone' end
  redis.call('HSET', KEYS[1], 'body', ARGV[4], 'total', 1, 'n:pending', 1, 'once', '', 'started', 1)
  redis.call('RPUSH', KEYS[2], cjson.encode({ARGV[13], 'pending', {id}}))
  redis.call('SET', KEYS[6], owner, 'PX', life)
else
  local row = redis.call('LINDEX', KEYS[2], ARGV[14])
  if row then
    local recipient = cjson.decode(row)
    table.insert(recipient[3], id)
    redis.call('LSET', KEYS[2], ARGV[14], cjson.encode(recipient))
  end
end

local now = now_ms()
put_call(prefix, base, owner, id, ARGV[10], ARGV[11], ARGV[12], ARGV[3], now, life, '')
redis.call('HSET', base .. 'call:' .. id, 'status', ARGV[15], 'epoch', 1, 'leases', 1, 'holder', ARGV[7])
redis.call('ZADD', KEYS[3], 0, id)
redis.call('ZADD', KEYS[4], now + ARGV[8], id)
for _, key in ipairs({KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6]}) do keep(key, life) end
redis.call('ZADD', KEYS[5], 'NX', 0, owner)
local at = 18
for _ = 1, tonumber(ARGV[17]) do
  put_delivery(prefix .. 'delivery:' .. ARGV[at], KEYS[7], KEYS[8], ARGV[at], ARGV[at + 1], ARGV[at + 2],
               ARGV[at + 3], ARGV[at + 4], now, ARGV[16], owner, ARGV[at + 5], prefix .. 'deliveries:' .. ARGV[at + 5])
  at = at + 6
end
return 'done'
