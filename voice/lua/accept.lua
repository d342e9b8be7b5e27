-- Everything one request brings, or nothing. Repeating it changes nothing and answers with the first result.
-- KEYS 1 once  2 message  3 recipients  4 calls  5 due or bulk  6 valid  7 owners  8 wake  9 owner of the message
--      10 due hooks  11 wake of the hooks
-- ARGV 1 prefix  2 owner  3 ref  4 message body  5 life_ms  6 due_ms  7 valid_ms  8 lane
--      9 once: '' or fingerprint  10 status  11 answer  12 once key or ''  13 life of a delivery, s  14 calls  15 deliveries
--      16 '1': a campaign, '': alerts  17 limits of the key and what it takes (JSON), or '', then per call: id, body, event id, event, number; per delivery: id, event id, url, body, format, call id
whole(5, 6, 7, 13, 14, 15)
local prefix, owner, ref, life, due_ms, valid_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[5], ARGV[6], ARGV[7]
if ARGV[9] ~= '' then
  local first = redis.call('HMGET', KEYS[1], 'fingerprint', 'status', 'body')
  if first[1] then
    if first[1] ~= ARGV[9] then return {'mismatch'} end
    return {'replayed', first[2], first[3]}
  end
end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'replayed'} end

local now, base, count = now_ms(), base_of(prefix, owner), tonumber(ARGV[14])
local toll = ARGV[17] ~= '' and toll_of(ARGV[17], count)
if toll then
  local numbers = {}
  for index = 1, count do numbers[index] = ARGV[17 + 5 * index] end
  local over = over_caps(toll, numbers, tonumber(due_ms), now)
  if over then return over end
  reserve(toll, count, tonumber(due_ms), now)
end
if ARGV[9] ~= '' then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[9], 'status', ARGV[10], 'body', ARGV[11])
  redis.call('PEXPIRE', KEYS[1], life)
end
redis.call('HSET', KEYS[2], 'body', ARGV[4], 'total', count, 'n:pending', count, 'once', ARGV[12])
redis.call('PEXPIRE', KEYS[2], life)
redis.call('SET', KEYS[9], owner, 'PX', life)
local at = 18
for index = 1, count do
  local id, body, event_id, event, number = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  put_call(prefix, base, owner, id, body, event_id, event, ref, valid_ms, life, ARGV[16])
  if toll then
    remember_toll(toll, base .. 'call:' .. id, id, toll.each[index], number, tonumber(due_ms), tonumber(valid_ms))
  end
  redis.call('RPUSH', KEYS[3], cjson.encode({number, 'pending', {id}}))
  redis.call('ZADD', KEYS[4], 0, id)
  redis.call('ZADD', KEYS[5], due_ms, id)
  redis.call('ZADD', KEYS[6], valid_ms, id)
  at = at + 5
end
keep(KEYS[3], life)
keep(KEYS[4], life)
keep(KEYS[5], life)
keep(KEYS[6], life)
for _ = 1, tonumber(ARGV[15]) do
  put_delivery(prefix .. 'delivery:' .. ARGV[at], KEYS[10], KEYS[11], ARGV[at], ARGV[at + 1], ARGV[at + 2],
               ARGV[at + 3], ARGV[at + 4], now, ARGV[13], owner, ARGV[at + 5], prefix .. 'deliveries:' .. ARGV[at + 5])
  at = at + 6
end
redis.call('ZADD', KEYS[7], 'NX', 0, owner)
wake(KEYS[8])

-- The index forgets calls whose life is over: as many looks as calls were added, so it cannot outgrow them.
for _, old in ipairs(redis.call('ZRANGE', KEYS[4], 0, count)) do
  if redis.call('EXISTS', base .. 'call:' .. old) == 1 then break end
  redis.call('ZREM', KEYS[4], old)
end
return {'accepted'}
