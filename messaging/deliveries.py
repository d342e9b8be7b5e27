"""Deliveries as they are stored: read, record a try, list dead letters, send one again. Keys: messaging/outbox.py."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis

from messaging.clock import from_ms, to_ms
from messaging.outbox import (
    HOOK_QUEUE,
    WAKE_MAXLEN,
    call_deliveries_key,
    dead_key,
    delivery_key,
    queue_keys,
)
from messaging.store import Script, unsure
from messaging.webhooks import Verdict

DEAD_KEEP_S = 30 * 86400
TRIES_KEPT = 20  # of the log of one delivery; a schedule has ten, a replay begins another

_RECORD = Script.named("delivery_record")
_REPLAY = Script.named("delivery_replay")
_FIELDS = (
    "event_id",
    "url",
    "body",
    "format",
    "owner",
    "call_id",
    "state",
    "tries",
    "tries_before",
    "failed_first_ms",
    "created_ms",
)


class State(StrEnum):
    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook's journey so far. `tries_before`: those of before its last replay."""

    delivery_id: str
    event_id: str
    url: str
    body: str
    format: str
    owner: str
    call_id: str
    state: State
    tries: int
    tries_before: int
    failed_first_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt: an HTTP status, or a word for what went wrong instead. Never a part of the answer."""

    number: int
    at: datetime
    took_ms: int
    verdict: Verdict
    status: int | None = None
    error: str | None = None


class Move(StrEnum):
    """What becomes of a delivery after a try."""

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"


class Deliveries:
    """Raises Unavailable when the store does not answer; every write may be repeated."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._queue = queue_keys(prefix, HOOK_QUEUE)

    async def read(self, delivery_ids: Sequence[str]) -> Sequence[Delivery | None]:
        """In the order asked; None for one that is gone."""
        with unsure():
            async with self._redis.pipeline(transaction=False) as pipe:
                for delivery_id in delivery_ids:
                    pipe.hmget(delivery_key(self._prefix, delivery_id), _FIELDS)
                rows = await pipe.execute()
        return [_parse(delivery_id, row) for delivery_id, row in zip(delivery_ids, rows, strict=True)]

    async def record(self, delivery: Delivery, attempt: Try, move: Move, delay_s: float = 0.0) -> None:
        """The result of a try and what follows from it, in one script."""
        await _RECORD(
            self._redis,
            self._keys(delivery.delivery_id, delivery.owner),
            [
                delivery.delivery_id,
                attempt.number,
                _written(attempt),
                move,
                round(delay_s * 1000),
                TRIES_KEPT,
                DEAD_KEEP_S,
                WAKE_MAXLEN,
            ],
        )

    async def attempts(self, delivery_id: str) -> Sequence[Try]:
        """The last tries, oldest first."""
        with unsure():
            fields: dict[Any, Any] = await self._redis.hgetall(delivery_key(self._prefix, delivery_id))
        tries = [_read(text) for name, text in fields.items() if str(name).startswith("try:")]
        return sorted(tries, key=lambda attempt: attempt.number)

    async def for_call(self, call_id: str) -> Sequence[Delivery]:
        """In the order they were written."""
        with unsure():
            found = await self._redis.lrange(call_deliveries_key(self._prefix, call_id), 0, -1)
        return [delivery for delivery in await self.read([str(one) for one in found]) if delivery]

    async def dead(self, owner: str, limit: int, offset: int = 0) -> Sequence[Delivery]:
        """Dead letters, the latest first."""
        with unsure():
            found = await self._redis.zrevrange(dead_key(self._prefix, owner), offset, offset + limit - 1)
        return [delivery for delivery in await self.read([str(one) for one in found]) if delivery]

    async def pending(self) -> int:
        """How many wait for a try, or are being sent, of all owners."""
        with unsure():
            return int(await self._redis.zcard(self._queue.due))

    async def dead_count(self, owner: str) -> int:
        """Dead letters of the last 30 days."""
        since = to_ms(datetime.now(UTC)) - DEAD_KEEP_S * 1000
        with unsure():
            return int(await self._redis.zcount(dead_key(self._prefix, owner), since, "+inf"))

    async def replay(self, owner: str, delivery_id: str) -> bool:
        """Send a dead letter again: same event id, new signature. False when this owner has no such dead letter."""
        [delivery] = await self.read([delivery_id])
        if delivery is None or delivery.owner != owner:
            return False
        return bool(await _REPLAY(self._redis, self._keys(delivery_id, owner), [delivery_id, WAKE_MAXLEN]))

    def _keys(self, delivery_id: str, owner: str) -> list[str]:
        return [delivery_key(self._prefix, delivery_id), *self._queue, dead_key(self._prefix, owner)]


def _parse(delivery_id: str, row: Sequence[Any]) -> Delivery | None:
    fields = dict(zip(_FIELDS, row, strict=True))
    if fields["state"] is None:
        return None
    first = fields["failed_first_ms"]
    return Delivery(
        delivery_id=delivery_id,
        event_id=fields["event_id"],
        url=fields["url"],
        body=fields["body"],
        format=fields["format"],
        owner=fields["owner"] or "",
        call_id=fields["call_id"] or "",
        state=State(fields["state"]),
        tries=int(fields["tries"]),
        tries_before=int(fields["tries_before"] or 0),
        failed_first_at=from_ms(float(first)) if first else None,
        created_at=from_ms(float(fields["created_ms"])),
    )


def _written(attempt: Try) -> str:
    return json.dumps(
        {
            "number": attempt.number,
            "at_ms": to_ms(attempt.at),
            "took_ms": attempt.took_ms,
            "verdict": attempt.verdict,
            "status": attempt.status,
            "error": attempt.error,
        }
    )


def _read(text: str) -> Try:
    fields = json.loads(text)
    return Try(
        number=fields["number"],
        at=from_ms(fields["at_ms"]),
        took_ms=fields["took_ms"],
        verdict=Verdict(fields["verdict"]),
        status=fields["status"],
        error=fields["error"],
    )
