-- Keep holding. Answers id, wish, id, wish … for those that are still to be held.
-- ARGV 1 prefix  2 lane  3 lease_ms, then per call: id, and the trunk on which it has a seat or ''
whole(3)
local prefix, lane = ARGV[1], ARGV[2]
local until_ms, wishes = now_ms() + ARGV[3], {}
for at = 4, #ARGV, 2 do
  local id = ARGV[at]
  local owner = redis.call('GET', prefix .. 'owner:' .. id)
  local base = owner and base_of(prefix, owner)
  local is = base and redis.call('HMGET', base .. 'call:' .. id, 'status', 'intent')
  if is and is[1] and not is_final(is[1]) then
    local held = is_queued(is[1]) and queues_of(base, lane) or {base .. 'valid:' .. lane}
    for _, key in ipairs(held) do redis.call('ZADD', key, 'XX', until_ms, id) end
    if ARGV[at + 1] ~= '' then  -- one that was queued again has left its seat; one in progress cannot be without
      local seats = prefix .. 'seats:' .. ARGV[at + 1]
      if not is_queued(is[1]) or redis.call('ZSCORE', seats, id) then redis.call('ZADD', seats, until_ms, id) end
      keep(seats, ARGV[3] + 1000)
    end
    wishes[#wishes + 1] = id
    wishes[#wishes + 1] = is[2]
  end
end
return wishes
