-- One fact about a call: compare (epoch, status, sequence), then state, event, deliveries and tally together.
-- KEYS 1 call  2 events  3 message  4 recipients  5 due  6 valid  7 owners  8 owner of the call  9 owner of the message
--      10 due hooks  11 wake of the hooks  12 calls  13 wake  14 seats of its trunk  15 score of its trunk  16 bulk
--      17 missed calls to its number  18 held of its trunk's daily amount
-- ARGV 1 call id  2 epoch  3 status before  4 sequence before  5 status after  6 sequence after  7 body after
--      8 event id  9 event  10 recipient, from 0  11 outcome or ''  12 retention_ms  13 once_ms  14 prefix  15 owner
--      16 life of a delivery, s  17 endings  18 what it counts there or ''  19 warnings of the audio, JSON, or ''
--      20 lane  21 deliveries  22 successor: '' or id  23 body  24 event id  25 event  26 valid_ms  27 life_ms
--      28 its deliveries  29 marks for the score, JSON, or ''  30 their life, ms  31 life of a missed call, ms, or ''
--      32 how many of them are kept  33 billed seconds  34 millionths
--      then per delivery, its own last: id, event id, url, body, format, call id
whole(6, 10, 12, 13, 16, 21, 26, 27, 28, 30, 32, 33, 34)
if ARGV[31] ~= '' then whole(31) end
local marks = ARGV[29] ~= '' and cjson.decode(ARGV[29]) or {}
for mark, count in pairs(marks) do must_be_whole(count, mark) end
local id, before, after = ARGV[1], ARGV[3], ARGV[5]
local is = redis.call('HMGET', KEYS[1], 'epoch', 'event', 'status', 'sequence', 'intent', 'valid', 'bulk')
local intent = is[5] or ''
local queue = is[7] == '1' and KEYS[16] or KEYS[5]
if is[1] ~= ARGV[2] then return {'stale', intent} end
if is[2] == ARGV[8] then return {'already', intent} end
if is[3] ~= before or is[4] ~= ARGV[4] then return {'stale', intent} end

redis.call('HSET', KEYS[1], 'body', ARGV[7], 'status', after, 'sequence', ARGV[6], 'event', ARGV[8])
redis.call('RPUSH', KEYS[2], ARGV[9])
redis.call('PUBLISH', KEYS[2], ARGV[6])  -- for those who follow; losing it costs them a few seconds
if before ~= 'queued' and (after == 'queued' or is_final(after)) then
  redis.call('ZREM', KEYS[14], id)
  settle_trunk(KEYS[18], id, is_final(after), ARGV[33], ARGV[34])
end
local at = 35
local now = now_ms()
local function put_deliveries(count)
  for _ = 1, tonumber(count) do
    put_delivery(ARGV[14] .. 'delivery:' .. ARGV[at], KEYS[10], KEYS[11], ARGV[at], ARGV[at + 1], ARGV[at + 2],
                 ARGV[at + 3], ARGV[at + 4], now, ARGV[16], ARGV[15], ARGV[at + 5],
                 ARGV[14] .. 'deliveries:' .. ARGV[at + 5])
    at = at + 6
  end
end
put_deliveries(ARGV[21])

if before == 'queued' and after == 'dialing' then  -- from now on: the moment when its holder counts as gone
  redis.call('ZADD', KEYS[6], 'XX', redis.call('ZSCORE', queue, id) or now, id)
  redis.call('ZREM', queue, id)
  redis.call('HSET', KEYS[3], 'started', 1)
  if ARGV[19] ~= '' then redis.call('HSET', KEYS[3], 'warnings', ARGV[19]) end
elseif before == 'dialing' and after == 'queued' then
  redis.call('ZADD', queue, redis.call('ZSCORE', KEYS[6], id) or now, id)
  keep(queue, redis.call('PTTL', KEYS[1]))
  redis.call('ZADD', KEYS[6], intent == '' and is[6] or 0, id)
end
if not is_final(after) then return {'done', intent} end

if ARGV[29] ~= '' then
  for mark, count in pairs(marks) do redis.call('HINCRBY', KEYS[15], mark, count) end
  redis.call('PEXPIRE', KEYS[15], ARGV[30])
end
if ARGV[18] ~= '' then redis.call('HINCRBY', ARGV[17], ARGV[18], 1) end  -- here, because a repeated write does not come this far

if ARGV[31] ~= '' then  -- for whoever rings back
  redis.call('ZADD', KEYS[17], now, id)
  redis.call('ZREMRANGEBYRANK', KEYS[17], 0, -ARGV[32] - 1)
  redis.call('PEXPIRE', KEYS[17], ARGV[31])
end

redis.call('ZREM', queue, id)
redis.call('ZREM', KEYS[6], id)
local goes_on = ARGV[22] ~= '' and intent ~= 'cancel'
if goes_on then  -- the next hop: a call of its own, and the recipient's outcome waits for it
  local next_id, base, life = ARGV[22], base_of(ARGV[14], ARGV[15]), ARGV[27]
  put_call(ARGV[14], base, ARGV[15], next_id, ARGV[23], ARGV[24], ARGV[25],
           redis.call('HGET', KEYS[1], 'ref'), ARGV[26], life, is[7] or '')
  settle(KEYS[1], id, 0, 0, base .. 'call:' .. next_id, next_id)
  redis.call('ZADD', KEYS[12], 0, next_id)
  redis.call('ZADD', queue, now, next_id)
  redis.call('ZADD', KEYS[6], ARGV[26], next_id)
  for _, key in ipairs({KEYS[12], queue, KEYS[6]}) do keep(key, life) end
  redis.call('ZADD', KEYS[7], 'NX', 0, ARGV[15])
  put_deliveries(ARGV[28])
  wake(KEYS[13])
else
  settle(KEYS[1], id, ARGV[33], ARGV[34])
end
if redis.call('EXISTS', KEYS[5], KEYS[16], KEYS[6]) == 0 then redis.call('ZREM', KEYS[7], ARGV[15]) end
redis.call('PEXPIRE', KEYS[1], ARGV[12])
redis.call('PEXPIRE', KEYS[2], ARGV[12])
redis.call('PEXPIRE', KEYS[8], ARGV[12])
if ARGV[11] == '' then return {'done', intent} end

local row = redis.call('LINDEX', KEYS[4], ARGV[10])
if row then
  local recipient = cjson.decode(row)
  if goes_on then
    table.insert(recipient[3], ARGV[22])
    redis.call('LSET', KEYS[4], ARGV[10], cjson.encode(recipient))
    return {'done', intent}
  end
  if recipient[2] == 'delivered' then return {'done', intent} end  -- what was heard stays heard
  redis.call('HINCRBY', KEYS[3], 'n:' .. recipient[2], -1)
  redis.call('HINCRBY', KEYS[3], 'n:' .. ARGV[11], 1)
  recipient[2] = ARGV[11]
  redis.call('LSET', KEYS[4], ARGV[10], cjson.encode(recipient))
end
if redis.call('HGET', KEYS[3], 'n:pending') == '0' then  -- the message is finished: its time to be kept begins
  redis.call('PEXPIRE', KEYS[3], ARGV[12])
  redis.call('PEXPIRE', KEYS[4], ARGV[12])
  redis.call('PEXPIRE', KEYS[9], ARGV[12])
  local once = redis.call('HGET', KEYS[3], 'once')
  if once and once ~= '' then redis.call('PEXPIRE', once, ARGV[13]) end
end
return {'done', intent}
