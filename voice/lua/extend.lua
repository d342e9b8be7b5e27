-- Keep holding. Answers id, wish, id, wish … for those that are still to be held.
-- ARGV 1 prefix  2 lane  3 lease_ms, then call ids
local prefix, lane = ARGV[1], ARGV[2]
local until_ms, wishes = now_ms() + ARGV[3], {}
for at = 4, #ARGV do
  local id = ARGV[at]
  local owner = redis.call('GET', prefix .. 'owner:' .. id)
  local base = owner and base_of(prefix, owner)
  local is = base and redis.call('HMGET', base .. 'call:' .. id, 'status', 'intent')
  if is and is[1] and not is_final(is[1]) then
    local queue = is_queued(is[1]) and 'q:' .. lane .. ':due' or 'valid:' .. lane
    redis.call('ZADD', base .. queue, 'XX', until_ms, id)
    wishes[#wishes + 1] = id
    wishes[#wishes + 1] = is[2]
  end
end
return wishes
