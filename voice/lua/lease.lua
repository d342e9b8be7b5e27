-- Due queued calls, the owners in turn: the one that was served longest ago first.
-- KEYS 1 owners   ARGV 1 prefix  2 lane  3 holder  4 most  5 lease_ms
local prefix, lane, holder, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local now = now_ms()
local queues, leases = {}, {}
for _, owner in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local base = base_of(prefix, owner)
  local due = redis.call('ZRANGEBYSCORE', base .. 'q:' .. lane .. ':due', '-inf', now, 'LIMIT', 0, most)
  if #due > 0 then
    queues[#queues + 1] = {owner = owner, base = base, due = due, next = 1}
  elseif redis.call('EXISTS', base .. 'q:' .. lane .. ':due', base .. 'valid:' .. lane) == 0 then
    redis.call('ZREM', KEYS[1], owner)
  end
end
local turn, left = now * 1000, true
while left and #leases < most do
  left = false
  for _, queue in ipairs(queues) do
    if #leases < most and queue.due[queue.next] then
      if take(queue.base, queue.owner, lane, queue.due[queue.next], holder, now + ARGV[5], leases) then
        turn = turn + 1
        redis.call('ZADD', KEYS[1], 'XX', turn, queue.owner)
      end
      queue.next = queue.next + 1
      left = true
    end
  end
end
return leases
