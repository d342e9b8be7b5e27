-- Put in front of every script of the call store. Times are Unix milliseconds of the server: one clock for all dialers.
-- Keys of an account share the tag {owner}; they are made here from `base`, because only the server knows the ids.

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function base_of(prefix, owner)
  return prefix .. '{' .. owner .. '}:'
end

-- Several messages share a key: it lives as long as the longest of them.
local function keep(key, ms)
  if redis.call('PTTL', key) < tonumber(ms) then redis.call('PEXPIRE', key, ms) end
end

local function wake(key)
  redis.call('XADD', key, 'MAXLEN', '~', 32, '*', 'w', '1')
  redis.call('EXPIRE', key, 86400)
end

-- An account has two queues in a lane: `due` for alerts, `bulk` for campaigns. A call stands in one of them, so a
-- change that only moves what is there may simply be made in both.
local function queues_of(base, lane)
  return {base .. 'q:' .. lane .. ':due', base .. 'q:' .. lane .. ':bulk'}
end

local function is_queued(status) return status == 'queued' end

local function is_final(status)
  return not (status == 'queued' or status == 'dialing' or status == 'ringing' or status == 'answered')
end

-- A call as it begins: queued, with its first event; whoever calls puts it into the queue.
local function put_call(prefix, base, owner, id, body, event_id, event, ref, valid_ms, life, bulk)
  local key, events = base .. 'call:' .. id, base .. 'events:' .. id
  redis.call('HSET', key, 'body', body, 'status', 'queued', 'sequence', 1, 'epoch', 0, 'leases', 0, 'holder', '',
             'intent', '', 'event', event_id, 'ref', ref, 'valid', valid_ms, 'bulk', bulk)
  redis.call('PEXPIRE', key, life)
  redis.call('RPUSH', events, event)
  redis.call('PEXPIRE', events, life)
  redis.call('SET', prefix .. 'owner:' .. id, owner, 'PX', life)
end

-- A call is taken: the next epoch, and nobody else's for lease_ms. Appends to `leases` what Python makes a Lease of.
local function take(base, owner, lane, call_id, holder, until_ms, leases)
  local key = base .. 'call:' .. call_id
  local is = redis.call('HMGET', key, 'body', 'status', 'ref', 'intent')
  if not is[1] then  -- its life is over: the queue forgets it
    for _, queue in ipairs(queues_of(base, lane)) do redis.call('ZREM', queue, call_id) end
    redis.call('ZREM', base .. 'valid:' .. lane, call_id)
    return false
  end
  local epoch = redis.call('HINCRBY', key, 'epoch', 1)
  local times = redis.call('HINCRBY', key, 'leases', 1)
  redis.call('HSET', key, 'holder', holder)
  if is_queued(is[2]) then
    for _, queue in ipairs(queues_of(base, lane)) do redis.call('ZADD', queue, 'XX', until_ms, call_id) end
  else
    redis.call('ZADD', base .. 'valid:' .. lane, 'XX', until_ms, call_id)
  end
  local message = redis.call('HGET', base .. 'message:' .. is[3], 'body')
  leases[#leases + 1] = {is[1], message, epoch, is[4] or '', times}
  return true
end
