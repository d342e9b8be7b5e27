-- The daily amount of a trunk, in front of seat.lua and apply.lua. What a call holds of it, by call id, as text:
-- key of its day | millionths | millionths a minute, 0: the price of the call | Unix ms when it is nobody's any more

local DAY_KEPT_MS = 172800000  -- two days: a call that began before midnight ends on the next

local function hold_of(text) return string.match(text, '^(.-)|(%d+)|(%d+)|(%d+)$') end

-- Would the day's calls pass it with this one? A hold without a seat is counted until its call must have ended.
local function is_spent(held, seats, spent, id, need, most, now)
  local sum, rows = tonumber(redis.call('GET', spent) or 0), redis.call('HGETALL', held)
  for at = 1, #rows, 2 do
    local day, amount, _, until_ms = hold_of(rows[at + 1])
    if rows[at] ~= id then
      if tonumber(until_ms) < now and not redis.call('ZSCORE', seats, rows[at]) then
        redis.call('HDEL', held, rows[at])
      elseif day == spent then
        sum = sum + amount
      end
    end
  end
  return sum + need > most
end

-- A call leaves its trunk: what it cost in place of what it might have cost.
local function settle_trunk(held, id, ended, seconds, amount)
  local text = redis.call('HGET', held, id)
  if not text then return end
  redis.call('HDEL', held, id)
  local day, _, price = hold_of(text)
  if not ended then return end
  if price ~= '0' then amount = string.format('%.0f', math.floor((price * seconds + 59) / 60)) end
  redis.call('INCRBY', day, amount)
  redis.call('PEXPIRE', day, DAY_KEPT_MS)
end
