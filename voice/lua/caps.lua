-- The limits of a key, in front of accept.lua and apply.lua. What they count per key and day:
-- calls, s and amount (ended calls; amount in millionths), held_s and held_amount (calls in flight, at their most).

local function number_of(text) return tonumber(text or '0') or 0 end

-- Raises when a number in it is none: nothing is written yet.
local function toll_of(text, count)
  local toll = cjson.decode(text)
  for _, name in ipairs({'seconds', 'amount', 'window_ms', 'margin_ms', 'life_ms'}) do must_be_whole(toll[name], name) end
  for name, most in pairs(toll.most) do must_be_whole(most, name) end
  for index = 1, count do
    for part = 1, 2 do must_be_whole(toll.each[index][part], 'the need of a call') end
  end
  return toll
end

-- Nothing is written here. nil, or {'over', limit, used, most, wait_s, index from 0 …}.
local function over_caps(toll, numbers, due_ms, now)
  local count, most = #numbers, toll.most
  local is = redis.call('HMGET', toll.spent, 'calls', 's', 'held_s', 'amount', 'held_amount')
  redis.call('ZREMRANGEBYSCORE', toll.open, '-inf', now)
  local rows = {
    {'calls_per_day', number_of(is[1]), count},
    {'minutes_per_day', number_of(is[2]) + number_of(is[3]), toll.seconds},
    {'amount_per_day', number_of(is[4]) + number_of(is[5]), toll.amount},
    {'open_calls', redis.call('ZCARD', toll.open), count},
  }
  for _, row in ipairs(rows) do
    local limit = most[row[1]]
    if limit and row[2] + row[3] > limit then
      return {'over', row[1], string.format('%.0f', row[2]), string.format('%.0f', limit), 1}
    end
  end
  local pace = most.calls_per_second
  if pace then
    local ahead_ms = math.max(0, number_of(redis.call('GET', toll.pace)) - now)
    if ahead_ms * pace + count * 1000 > pace * 1000 + 1 then return {'over', 'calls_per_second', 0, pace, 1} end
  end
  local repeats = most.calls_per_number_per_hour
  if not repeats then return nil end
  local often, wait_ms = {}, 0
  for index, number in ipairs(numbers) do
    local key = toll.rang .. number
    local from, to = '(' .. (due_ms - toll.window_ms), '(' .. (due_ms + toll.window_ms)
    if redis.call('ZCOUNT', key, from, to) >= repeats then
      often[#often + 1] = index - 1
      local rang = repeats > 0 and redis.call('ZREVRANGEBYSCORE', key, to, from, 'WITHSCORES', 'LIMIT', repeats - 1, 1)
      wait_ms = math.max(wait_ms, (rang and rang[2] or due_ms) + toll.window_ms - due_ms)
    end
  end
  if #often == 0 then return nil end
  return {'over', 'calls_per_number_per_hour', repeats, repeats, math.max(1, math.ceil(wait_ms / 1000)), unpack(often)}
end

-- For calls that are accepted now. Call by call: remember_toll.
local function reserve(toll, count, due_ms, now)
  redis.call('HINCRBY', toll.spent, 'calls', count)
  redis.call('HINCRBY', toll.spent, 'held_s', toll.seconds)
  redis.call('HINCRBY', toll.spent, 'held_amount', string.format('%.0f', toll.amount))
  keep(toll.spent, toll.life_ms)
  local pace = toll.most.calls_per_second
  if pace and pace > 0 then
    local next_ms = math.max(now, number_of(redis.call('GET', toll.pace))) + count * 1000 / pace
    redis.call('SET', toll.pace, string.format('%.0f', next_ms), 'PX', math.ceil(next_ms - now) + 1000)
  end
end

local function remember_toll(toll, call_key, call_id, need, number, due_ms, valid_ms)
  redis.call('HSET', call_key, 'toll', table.concat({toll.spent, toll.open, need[1], string.format('%.0f', need[2])}, '|'))
  redis.call('ZADD', toll.open, valid_ms + toll.margin_ms, call_id)  -- a call whose end nobody tells is open no longer then
  keep(toll.open, toll.life_ms)
  if toll.most.calls_per_number_per_hour then
    local key = toll.rang .. number
    redis.call('ZADD', key, due_ms, call_id)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', due_ms - 2 * toll.window_ms)
    keep(key, math.max(0, due_ms - now_ms()) + toll.window_ms)
  end
end

-- A call has ended, or its reservation goes to the next hop (`next_key`, `next_id`).
local function settle(call_key, call_id, seconds, amount, next_key, next_id)
  local toll = redis.call('HGET', call_key, 'toll')
  if not toll or toll == '' then return end
  local spent, open, held_s, held_amount = string.match(toll, '^(.-)|(.-)|(%d+)|(%d+)$')
  redis.call('HDEL', call_key, 'toll')
  local until_ms = redis.call('ZSCORE', open, call_id)
  redis.call('ZREM', open, call_id)
  if next_key then
    redis.call('HSET', next_key, 'toll', toll)
    if until_ms then redis.call('ZADD', open, until_ms, next_id) end
    return
  end
  if redis.call('EXISTS', spent) == 0 then return end  -- its day is forgotten
  for field, held in pairs({held_s = held_s, held_amount = held_amount}) do  -- "-0" is no integer to the server
    redis.call('HINCRBY', spent, field, string.format('%.0f', 0 - held))
  end
  redis.call('HINCRBY', spent, 's', seconds)
  redis.call('HINCRBY', spent, 'amount', amount)
end
