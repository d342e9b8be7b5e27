"""What can be asked of the calls in Valkey: the reading half of ValkeyCallStore."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from messaging.store import unsure
from voice.calls import Call
from voice.codec import from_json
from voice.keys import Keys, id_range
from voice.messages import Message, Recipient, Tally
from voice.rows import ended_of, recipient_of, tally_of
from voice.store import CallEvent, CallFilter, CallPage, Ended, Heard, Lane, matches

SCAN_CHUNK = 200  # calls read at once while a filtered page is collected
SCAN_MOST = 20_000  # then the page ends early, with a cursor to go on
FOLLOW_LOOK_S = 5.0  # who follows a call looks so often, told or not


class ValkeyCallReading:
    def __init__(self, redis: Redis, blocking: Redis, keys: Keys) -> None:
        self._redis = redis
        self._blocking = blocking
        self._keys = keys

    async def call(self, owner: str | None, call_id: str) -> Call | None:
        owner = owner or await self._owner(call_id)
        if owner is None:
            return None
        with unsure():
            body = await text_of(self._redis.hget(self._keys.call(owner, call_id), "body"))
        return from_json(Call, body) if body else None

    async def message(self, owner: str | None, ref_id: str) -> Message | None:
        owner = owner or await self._owner(ref_id)
        if owner is None:
            return None
        with unsure():
            body = await text_of(self._redis.hget(self._keys.message(owner, ref_id), "body"))
        return from_json(Message, body) if body else None

    async def tally(self, ref_id: str) -> Tally:
        owner = await self._owner(ref_id)
        if owner is None:
            return Tally(0)
        with unsure():
            kept = dict(await cast(Awaitable[dict[str, str]], self._redis.hgetall(self._keys.message(owner, ref_id))))
        return tally_of(kept)

    async def recipients(self, ref_id: str, offset: int, limit: int) -> Sequence[Recipient]:
        """`limit` -1: all."""
        owner = await self._owner(ref_id)
        if owner is None or limit == 0:
            return ()
        last = -1 if limit < 0 else offset + limit - 1
        with unsure():
            rows = await listed(self._redis.lrange(self._keys.recipients(owner, ref_id), offset, last))
        return tuple(recipient_of(offset + at, row) for at, row in enumerate(rows))

    async def calls(self, owner: str, which: CallFilter, before: str | None, limit: int) -> CallPage:
        low, high = id_range(which, before)
        found: list[Call] = []
        for _ in range(0, SCAN_MOST, SCAN_CHUNK):
            ids, bodies = await self._newest(owner, low, high)
            for body in bodies:
                call = from_json(Call, body) if body else None
                if call is None or not matches(call, which):
                    continue
                if len(found) == limit:
                    return CallPage(tuple(found), found[-1].call_id)
                found.append(call)
            if len(ids) < SCAN_CHUNK:
                return CallPage(tuple(found), None)
            high = f"({ids[-1]}"
        return CallPage(tuple(found), ids[-1])

    async def _newest(self, owner: str, low: str, high: str) -> tuple[list[str], list[str | None]]:
        with unsure():
            ids = await listed(
                self._redis.zrange(self._keys.calls(owner), high, low, bylex=True, desc=True, offset=0, num=SCAN_CHUNK)
            )
            async with self._redis.pipeline(transaction=False) as reads:
                for call_id in ids:
                    reads.hget(self._keys.call(owner, call_id), "body")
                return ids, await reads.execute()

    async def events(self, call_id: str) -> Sequence[CallEvent]:
        owner = await self._owner(call_id)
        if owner is None:
            return ()
        with unsure():
            rows = await listed(self._redis.lrange(self._keys.events(owner, call_id), 0, -1))
        return tuple(from_json(CallEvent, row) for row in rows)

    async def follow(self, call_id: str, after_sequence: int) -> AsyncIterator[CallEvent]:
        owner, seen = await self._owner(call_id), after_sequence
        if owner is None:
            return
        key = self._keys.events(owner, call_id)
        async with self._blocking.pubsub() as told:
            with unsure():
                await told.subscribe(key)  # before the first look, so that nothing falls between
            while (call := await self.call(owner, call_id)) is not None:
                with unsure():
                    rows = await listed(self._redis.lrange(key, seen, -1))  # event n stands at n - 1: no gaps
                for row in rows:
                    event = from_json(CallEvent, row)
                    seen = event.sequence
                    yield event
                if call.status.is_final and call.sequence <= seen:
                    return
                with unsure():
                    await told.get_message(ignore_subscribe_messages=True, timeout=FOLLOW_LOOK_S)

    async def trace(self, call_id: str) -> str | None:
        owner = await self._owner(call_id)
        if owner is None:
            return None
        with unsure():
            return await text_of(self._redis.get(self._keys.trace(owner, call_id)))

    async def heard(self, owner: str, to: str | None, call_id: str | None = None) -> Heard | None:
        with unsure():
            wanted = [call_id] if call_id else await listed(self._redis.zrevrange(self._keys.heard_index(owner), 0, -1))
            # One question for all: whoever waits for a number looks ten times a second.
            texts = await listed(self._redis.mget([self._keys.heard(owner, one) for one in wanted])) if wanted else []
        for text in texts:
            heard = from_json(Heard, text) if text else None
            if heard and to in (None, heard.to):
                return heard
        return None

    async def queued(self, lane: Lane) -> int:
        with unsure():
            owners = await listed(self._redis.zrange(self._keys.owners(lane), 0, -1))
            async with self._redis.pipeline(transaction=False) as reads:
                for owner in owners:
                    reads.zcard(self._keys.due(owner, lane))
                    reads.zcard(self._keys.bulk(owner, lane))
                return sum(await reads.execute())

    async def endings(self) -> Mapping[Ended, int]:
        with unsure():
            counted: dict[str, str] = await cast("Any", self._redis.hgetall(self._keys.endings()))
        return {ended_of(field): int(count) for field, count in counted.items()}

    async def _owner(self, an_id: str) -> str | None:
        with unsure():
            return await text_of(self._redis.get(self._keys.owner(an_id)))


# redis-py types every answer as "now or awaitable"; here it is always awaited.
async def text_of(answer: Any) -> str | None:
    return cast("str | None", await answer)


async def listed(answer: Any) -> list[Any]:
    return cast("list[Any]", await answer)
