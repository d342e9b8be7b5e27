"""What is kept of a trunk beside the book: what was told of it, its events, and the ladder of its registration.

Key after the prefix   what
  told:{trunk_id}      string: trunk_news.Told (JSON); lives 30 days after the last change
  ladder:{trunk_id}    string: the SIP ladder of its registration (JSON), of the dialer that spoke last; lives a day
  {{owner}}:feed       stream: events about no call, `event` (JSON); those of the last 30 days
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from itertools import chain
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from messaging.clock import rfc3339
from messaging.outbox import HOOK_QUEUE, OUTBOX_LUA, queue_keys
from messaging.store import Script, unsure
from voice.codec import from_json, to_json
from voice.store import Delivery
from voice.trunk_news import Told

TOLD_LIFE_S = 30 * 86_400
FEED_LIFE_S = 30 * 86_400
LADDER_LIFE_S = 86_400
DELIVERY_KEEP_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """`data`: the status of the trunk as it stood then."""

    event_id: str
    type: str
    at: datetime
    sequence: int
    trunk_id: str
    data: dict[str, Any] = field(default_factory=dict)

    def as_object(self) -> dict[str, Any]:
        return {
            "id": self.event_id,
            "type": self.type,
            "timestamp": rfc3339(self.at),
            "sequence": self.sequence,
            "trunk_id": self.trunk_id,
            "data": self.data,
        }


@dataclass(frozen=True, slots=True)
class FeedPage:
    """`cursor`: where to go on, also when nothing is there yet."""

    events: tuple[dict[str, Any], ...]
    cursor: str


class TrunkRecord(Protocol):
    async def told(self, trunk_id: str) -> Told: ...

    async def tell(
        self,
        trunk_id: str,
        before: Told,
        after: Told,
        owner: str,
        event: FeedEvent | None = None,
        deliveries: Sequence[Delivery] = (),
    ) -> bool:
        """All of it, or nothing and False when somebody else told something meanwhile. A repeat changes nothing."""
        ...

    async def feed(self, owner: str, after: str, most: int) -> FeedPage:
        """Events after that cursor, oldest first. `after` "0-0": from the first that is kept."""
        ...

    async def save_ladder(self, trunk_id: str, ladder: str) -> None: ...

    async def ladder(self, trunk_id: str) -> str | None: ...


class MemoryTrunkRecord:
    def __init__(self) -> None:
        self._told: dict[str, Told] = {}
        self._feed: dict[str, list[dict[str, Any]]] = {}
        self._ladders: dict[str, str] = {}
        self.deliveries: list[Delivery] = []

    async def told(self, trunk_id: str) -> Told:
        return self._told.get(trunk_id, Told())

    async def tell(
        self,
        trunk_id: str,
        before: Told,
        after: Told,
        owner: str,
        event: FeedEvent | None = None,
        deliveries: Sequence[Delivery] = (),
    ) -> bool:
        stood = self._told.get(trunk_id, Told())
        if stood == after:
            return True
        if stood.version != before.version:
            return False
        self._told[trunk_id] = after
        if event is not None:
            self._feed.setdefault(owner, []).append(event.as_object())
            self.deliveries += deliveries
        return True

    async def feed(self, owner: str, after: str, most: int) -> FeedPage:
        rows = self._feed.get(owner, [])
        first = int(after.partition("-")[0])
        found = tuple(rows[first : first + most])
        return FeedPage(found, f"{first + len(found)}-0")

    async def save_ladder(self, trunk_id: str, ladder: str) -> None:
        self._ladders[trunk_id] = ladder

    async def ladder(self, trunk_id: str) -> str | None:
        return self._ladders.get(trunk_id)


class ValkeyTrunkRecord:
    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, prefix
        lua = files("voice") / "lua"
        parts = (OUTBOX_LUA, (lua / "common.lua").read_text(), (lua / "told.lua").read_text())
        self._tell = Script("\n".join(parts))

    async def told(self, trunk_id: str) -> Told:
        with unsure():
            text = await self._redis.get(self._told_key(trunk_id))
        return from_json(Told, text) if text else Told()

    async def tell(
        self,
        trunk_id: str,
        before: Told,
        after: Told,
        owner: str,
        event: FeedEvent | None = None,
        deliveries: Sequence[Delivery] = (),
    ) -> bool:
        told = ((one.delivery_id, one.event_id, one.url, one.body, one.format) for one in deliveries)
        keys = [self._told_key(trunk_id), self._feed_key(owner), *queue_keys(self._prefix, HOOK_QUEUE)]
        args: list[str | int] = [
            before.version,
            to_json(after),
            TOLD_LIFE_S * 1000,
            json.dumps(event.as_object(), separators=(",", ":")) if event else "",
            FEED_LIFE_S * 1000,
            DELIVERY_KEEP_S,
            owner,
            trunk_id,
            self._prefix,
            *chain.from_iterable(told),
        ]
        return bool(await self._tell(self._redis, keys, args))

    async def feed(self, owner: str, after: str, most: int) -> FeedPage:
        with unsure():
            rows = cast("list[Any]", await self._redis.xrange(self._feed_key(owner), f"({after}", "+", count=most))
        return FeedPage(tuple(json.loads(row["event"]) for _, row in rows), rows[-1][0] if rows else after)

    async def save_ladder(self, trunk_id: str, ladder: str) -> None:
        with unsure():
            await self._redis.set(self._ladder_key(trunk_id), ladder, ex=LADDER_LIFE_S)

    async def ladder(self, trunk_id: str) -> str | None:
        with unsure():
            return cast("str | None", await self._redis.get(self._ladder_key(trunk_id)))

    def _told_key(self, trunk_id: str) -> str:
        return f"{self._prefix}told:{trunk_id}"

    def _ladder_key(self, trunk_id: str) -> str:
        return f"{self._prefix}ladder:{trunk_id}"

    def _feed_key(self, owner: str) -> str:
        return f"{self._prefix}{{{owner}}}:feed"
