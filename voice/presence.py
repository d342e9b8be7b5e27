"""Who is there: each process says so every few seconds, with a few facts for readiness and the doctor.

Key after the prefix    what
  present:{role}        hash: holder -> JSON {until_ms, facts…}; lives for a day after the last word
  starts                hash: role -> how many of its processes came up; stays
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from redis.asyncio import Redis

from messaging.clock import Clock, to_ms
from messaging.errors import Unavailable
from messaging.store import unsure

EVERY_S = 2.0
STALE_S = 7.0  # three words missed
KEY_LIFE_S = 86_400


class Presence:
    def __init__(self, redis: Redis, prefix: str, clock: Clock) -> None:
        self._redis, self._prefix, self._clock = redis, prefix, clock

    async def announce(self, role: str, holder: str, facts: Mapping[str, Any]) -> None:
        word = json.dumps({**facts, "until_ms": to_ms(self._clock.now()) + int(STALE_S * 1000)})
        with unsure():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(self._key(role), holder, word)
                pipe.expire(self._key(role), KEY_LIFE_S)
                await pipe.execute()

    async def keep_announcing(self, role: str, holder: str, facts: Callable[[], Mapping[str, Any]]) -> None:
        """Until canceled. A store that is away is no reason to stop: whoever reads sees the silence."""
        while True:
            try:
                await self.announce(role, holder, facts())
            except Unavailable:
                pass
            await asyncio.sleep(EVERY_S)

    async def started(self, role: str) -> None:
        """Once in the life of each process. Not repeatable: a lost answer may count it twice, which harms nobody."""
        with unsure():
            await cast("Any", self._redis.hincrby(self._starts, role, 1))

    async def starts(self) -> dict[str, int]:
        with unsure():
            counted: dict[str, str] = await cast("Any", self._redis.hgetall(self._starts))
        return {role: int(count) for role, count in counted.items()}

    async def leave(self, role: str, holder: str) -> None:
        with unsure():
            await cast("Any", self._redis.hdel(self._key(role), holder))

    async def present(self, role: str) -> list[dict[str, Any]]:
        """The facts of those who spoke lately. Raises Unavailable."""
        with unsure():
            said: dict[str, str] = await cast("Any", self._redis.hgetall(self._key(role)))
        now = to_ms(self._clock.now())
        facts = [json.loads(word) for word in said.values()]
        return [fact for fact in facts if fact["until_ms"] > now]

    @property
    def _starts(self) -> str:
        return f"{self._prefix}starts"

    def _key(self, role: str) -> str:
        return f"{self._prefix}present:{role}"
