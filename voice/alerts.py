"""What the account itself is told, beside the story of its calls: that a key was suspended.

Key after the prefix   what
  alert:{id}           string: this alert was told; lives as long as the feed keeps it
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog
from redis.asyncio import Redis

from messaging.clock import Clock, rfc3339
from messaging.ids import ulid
from messaging.outbox import HOOK_QUEUE, OUTBOX_LUA, delivery_key, queue_keys
from messaging.store import Script
from voice.caps import Over, Overrun
from voice.tariffs import decimal_text
from voice.toll_book import Suspension, TollBook
from voice.toll_guard import TollGuard
from voice.trunk_record import feed_key

log = structlog.get_logger(__name__)

SPEND_CAP = "account.spend_cap"
KEEP_S = 30 * 86_400  # a delivered alert can be looked at for so long

_TELL = Script(
    OUTBOX_LUA
    + """
whole(5, 6)
if not redis.call('SET', KEYS[5], '1', 'NX', 'EX', ARGV[6]) then return end
redis.call('XADD', KEYS[4], 'MINID', '~', string.format('%.0f', ARGV[5] - ARGV[6] * 1000), '*', 'event', ARGV[8])
redis.call('EXPIRE', KEYS[4], ARGV[6])
if ARGV[3] ~= '' then
  put_delivery(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3], ARGV[4], 'standard', ARGV[5], ARGV[6], ARGV[7], '')
end
"""
)


class Outbox(Protocol):
    async def tell(self, owner: str, alert_id: str, body: str, at: datetime) -> None:
        """One webhook to the account. The same `alert_id` again changes nothing. Raises Unavailable."""
        ...


class MemoryOutbox:
    """The twin."""

    def __init__(self) -> None:
        self.told: dict[str, dict[str, Any]] = {}

    async def tell(self, owner: str, alert_id: str, body: str, at: datetime) -> None:
        self.told.setdefault(f"{owner}:{alert_id}", json.loads(body))


class ValkeyOutbox:
    """Into the feed of the account, and as a webhook when there is a `url`."""

    def __init__(self, redis: Redis, prefix: str, url: str | None) -> None:
        self._redis, self._prefix, self._url = redis, prefix, url

    async def tell(self, owner: str, alert_id: str, body: str, at: datetime) -> None:
        queue = queue_keys(self._prefix, HOOK_QUEUE)
        delivery_id, event_id = f"dlv_{alert_id}", f"evt_{alert_id}"
        keys = [
            delivery_key(self._prefix, delivery_id), queue.due, queue.wake,
            feed_key(self._prefix, owner), f"{self._prefix}alert:{alert_id}",
        ]  # fmt: skip
        event = json.dumps({"id": event_id, **json.loads(body), "sequence": 1, "trunk_id": None})
        at_ms = round(at.timestamp() * 1000)
        args: list[str | int] = [delivery_id, event_id, self._url or "", body, at_ms, KEEP_S, owner, event]
        await _TELL(self._redis, keys, args)


@dataclass(frozen=True, slots=True)
class Suspender:
    """Suspends a key that would have passed a limit of its day, and tells the account."""

    book: TollBook
    guard: TollGuard
    outbox: Outbox
    clock: Clock

    async def __call__(self, owner: str, key_id: str, overrun: Overrun) -> None:
        """However many requests find the limit at once, the account is told once. Raises Unavailable."""
        now = self.clock.now()
        ours = Suspension(overrun.over.value, now, ulid(round(now.timestamp() * 1000)))
        first = await self.book.suspend(owner, key_id, ours)
        await self.guard.read()
        await self.outbox.tell(owner, first.alert_id, spend_cap_body(key_id, overrun, first.at), first.at)
        if first == ours:
            log.error("key suspended", account=owner, key_id=key_id, cap=overrun.over.value)


def spend_cap_body(key_id: str, overrun: Overrun, at: datetime) -> str:
    def shown(count: int) -> int | str:
        if overrun.over is Over.AMOUNT:
            return decimal_text(count)
        return count // 60 if overrun.over is Over.MINUTES else count

    data = {
        "key_id": key_id,
        "cap": overrun.over.value,
        "used": shown(overrun.used),
        "limit": shown(overrun.most),
        "suspended": True,
    }
    return json.dumps({"type": SPEND_CAP, "timestamp": rfc3339(at), "data": data})
