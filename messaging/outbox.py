"""The outbox: webhooks are written in the same script as the state they tell. This file owns the keys and the Lua.

A store that emits events prepends `OUTBOX_LUA` to its script and calls `put_delivery(...)` in it. The courier
(messaging/courier.py) reads them, messaging/deliveries.py knows their fields.

Key after the prefix        what
  delivery:{id}             hash: event_id, url, body, format, owner, call_id, state (pending|done|dead), tries (their
                            number), keep_s, created_ms; a pending one never expires, an ended one keep_s later
  deliveries:{call_id}      list: the deliveries that tell about this call
  dead:{owner}              sorted set: delivery id -> Unix ms of its last failure; 30 days
  q:hook:due                sorted set: delivery id -> Unix ms from which it may be taken
  q:hook:wake               stream, a few entries: wakes whoever waits
"""

from typing import NamedTuple


class QueueKeys(NamedTuple):
    due: str
    wake: str


def queue_keys(prefix: str, name: str) -> QueueKeys:
    return QueueKeys(f"{prefix}q:{name}:due", f"{prefix}q:{name}:wake")


def delivery_key(prefix: str, delivery_id: str) -> str:
    return f"{prefix}delivery:{delivery_id}"


def call_deliveries_key(prefix: str, call_id: str) -> str:
    return f"{prefix}deliveries:{call_id}"


def dead_key(prefix: str, owner: str) -> str:
    return f"{prefix}dead:{owner}"


HOOK_QUEUE = "hook"
WAKE_MAXLEN = 32  # a wake-up carries nothing, so old ones are worthless; work itself is never trimmed
INDEX_KEEP_S = 34 * 86400  # of deliveries:{call_id}: 75 h of tries, then 30 days as a dead letter, and a margin

# put_delivery(delivery_key, due_key, wake_key, id, event_id, url, body, format, now_ms, ttl_s
#              [, owner, call_id, list_key])
# Repeating it changes nothing: the delivery exists already, and a delivered one is not queued again. ttl_s counts from
# its end. The last three may be left out: without an owner the strict address rules hold, without a call_id the
# deliveries of one call are not kept in order, without list_key (call_deliveries_key) they are not listed by call.
OUTBOX_LUA = f"""
local function put_delivery(key, due, wake, id, event_id, url, body, format, now_ms, ttl_s, owner, call_id, list_key)
  if redis.call('EXISTS', key) == 1 then return end
  redis.call('HSET', key, 'event_id', event_id, 'url', url, 'body', body, 'format', format,
             'owner', owner or '', 'call_id', call_id or '', 'state', 'pending', 'tries', '0',
             'keep_s', ttl_s, 'created_ms', now_ms)
  if list_key then
    redis.call('RPUSH', list_key, id)
    redis.call('EXPIRE', list_key, {INDEX_KEEP_S})
  end
  redis.call('ZADD', due, 'NX', now_ms, id)
  redis.call('XADD', wake, 'MAXLEN', '~', {WAKE_MAXLEN}, '*', 'w', '1')
end
"""
