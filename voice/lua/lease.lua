-- Due queued calls: alerts first, then campaigns as far as they may; the owners in turn, the one that was served
-- longest ago first.
-- KEYS 1 owners   ARGV 1 prefix  2 lane  3 holder  4 most  5 lease_ms  6 most of them from campaigns
whole(4, 5, 6)
local prefix, lane, holder, most, most_bulk = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
local now = now_ms()
local leases, owners = {}, redis.call('ZRANGE', KEYS[1], 0, -1)
local turn = now * 1000

local function take_in_turns(which, up_to)
  local queues = {}
  for _, owner in ipairs(owners) do
    local base = base_of(prefix, owner)
    local key = queues_of(base, lane)[which]
    local due = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, up_to)
    if #due > 0 then queues[#queues + 1] = {owner = owner, base = base, due = due, next = 1} end
  end
  local left = true
  while left and #leases < up_to do
    left = false
    for _, queue in ipairs(queues) do
      if #leases < up_to and queue.due[queue.next] then
        if take(queue.base, queue.owner, lane, queue.due[queue.next], holder, now + ARGV[5], leases) then
          turn = turn + 1
          redis.call('ZADD', KEYS[1], 'XX', turn, queue.owner)
        end
        queue.next = queue.next + 1
        left = true
      end
    end
  end
end

take_in_turns(1, most)
local alerts = #leases
if alerts < most and most_bulk > 0 then take_in_turns(2, math.min(most, alerts + most_bulk)) end
for _, owner in ipairs(owners) do
  local base = base_of(prefix, owner)
  local queues = queues_of(base, lane)
  if redis.call('EXISTS', queues[1], queues[2], base .. 'valid:' .. lane) == 0 then
    redis.call('ZREM', KEYS[1], owner)
  end
end
return leases
