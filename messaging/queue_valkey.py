"""ValkeyQueue: the Queue port on a sorted set and a wake-up stream. Each verb one script; the server's clock rules."""

import asyncio
import math
from collections.abc import Sequence

from redis.asyncio import Redis

from messaging.outbox import WAKE_MAXLEN, QueueKeys
from messaging.store import Script, unsure

WAIT_GRACE_S = 1.5  # beyond what XREAD was told to wait: then the server hangs

_PUT = Script.named("queue_put")
_LEASE = Script.named("queue_lease")
_EXTEND = Script.named("queue_extend")
_RETRY = Script.named("queue_retry")
_LOOK = Script.named("queue_look")


class ValkeyQueue:
    """`redis` answers at once (store.connect), `blocking` waits (store.connect_blocking). Raises Unavailable."""

    def __init__(self, redis: Redis, blocking: Redis, keys: QueueKeys) -> None:
        self._redis = redis
        self._blocking = blocking
        self._keys = keys

    async def put(self, entry: str, delay_s: float = 0.0) -> None:
        await _PUT(self._redis, [self._keys.due, self._keys.wake], [entry, _ms(delay_s), WAKE_MAXLEN])

    async def lease(self, most: int, lease_s: float) -> Sequence[str]:
        entries: list[str] = await _LEASE(self._redis, [self._keys.due], [most, _ms(lease_s)])
        return entries

    async def extend(self, entries: Sequence[str], lease_s: float) -> None:
        if entries:
            await _EXTEND(self._redis, [self._keys.due], [_ms(lease_s), *entries])

    async def done(self, entry: str) -> None:
        with unsure():
            await self._redis.zrem(self._keys.due, entry)

    async def retry(self, entry: str, delay_s: float) -> None:
        await _RETRY(self._redis, [self._keys.due, self._keys.wake], [entry, _ms(delay_s), WAKE_MAXLEN])

    async def wait(self, timeout_s: float) -> None:
        gap_ms, last = await _LOOK(self._redis, [self._keys.due, self._keys.wake])
        patience_ms = _ms(timeout_s) if gap_ms < 0 else min(_ms(timeout_s), int(gap_ms))
        if patience_ms <= 0:
            return
        with unsure():
            async with asyncio.timeout(patience_ms / 1000 + WAIT_GRACE_S):
                await self._blocking.xread({self._keys.wake: last}, count=1, block=patience_ms)

    async def size(self) -> int:
        with unsure():
            return int(await self._redis.zcard(self._keys.due))


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)
