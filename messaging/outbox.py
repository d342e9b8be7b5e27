"""The outbox: webhooks are written in the same script as the state they tell. This file owns the keys and the Lua.

A store that emits events prepends `OUTBOX_LUA` to its script and calls `put_delivery(...)` in it. The courier
(messaging/courier.py) is the only reader.

Key after the prefix        what
  delivery:{id}             hash: event_id, url, body, format, state (pending|done|dead), tries (JSON list), created_ms
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


WAKE_MAXLEN = 32  # a wake-up carries nothing, so old ones are worthless; work itself is never trimmed

# put_delivery(delivery_key, due_key, wake_key, id, event_id, url, body, format, now_ms, ttl_s)
# Repeating it changes nothing: the delivery exists already, and a delivered one is not queued again.
OUTBOX_LUA = f"""
local function put_delivery(key, due, wake, id, event_id, url, body, format, now_ms, ttl_s)
  if redis.call('EXISTS', key) == 1 then return end
  redis.call('HSET', key, 'event_id', event_id, 'url', url, 'body', body, 'format', format,
             'state', 'pending', 'tries', '[]', 'created_ms', now_ms)
  redis.call('EXPIRE', key, ttl_s)
  redis.call('ZADD', due, 'NX', now_ms, id)
  redis.call('XADD', wake, 'MAXLEN', '~', {WAKE_MAXLEN}, '*', 'w', '1')
end
"""
