-- Calls to be ended without a dial: queued past their validity (or canceled: 0) and held by nobody, and calls beyond
-- `queued` whose holder is gone longer than the grace.
-- KEYS 1 owners   ARGV 1 prefix  2 lane  3 holder  4 most  5 lease_ms  6 grace_ms
whole(4, 5, 6)
local prefix, lane, most = ARGV[1], ARGV[2], tonumber(ARGV[4])
local now, leases = now_ms(), {}
local LOOKS = 256  -- entries that are ripe but held, at most so many are passed over for one owner
for _, owner in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local base = base_of(prefix, owner)
  local ripe = redis.call('ZRANGEBYSCORE', base .. 'valid:' .. lane, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most + LOOKS)
  for at = 1, #ripe, 2 do
    if #leases >= most then return leases end
    local id = ripe[at]
    local is = redis.call('HMGET', base .. 'call:' .. id, 'status', 'holder')
    local must_end
    if is_queued(is[1]) then
      local due = 0
      for _, queue in ipairs(queues_of(base, lane)) do due = tonumber(redis.call('ZSCORE', queue, id) or due) end
      must_end = is[2] == '' or due <= now
    else
      must_end = ripe[at + 1] + ARGV[6] <= now
    end
    if must_end then take(base, owner, lane, id, ARGV[3], now + ARGV[5], leases) end
  end
end
return leases
