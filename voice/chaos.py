"""The chaos that was declared for the catch-all phone: kept for all who call it, seen by it within a moment.

Key after the prefix    what
  chaos                 string: the settings (JSON); lives for a day after they were declared
"""

import asyncio
import json
from collections.abc import Callable
from typing import Protocol

import structlog
from redis.asyncio import Redis

from messaging.errors import Unavailable
from messaging.store import unsure
from sip.sandbox.faults import CALM, Chaos, from_dict

log = structlog.get_logger(__name__)

LIFE_S = 86_400  # a chaos that somebody forgot ends by itself
LOOK_S = 1.0  # a message that was lost costs no more
AGAIN_S = 1.0  # between two tries when the store is away


class ChaosBoard(Protocol):
    """Where the chaos is declared; one for everybody, because there is one phone. Each verb raises Unavailable."""

    async def declared(self) -> Chaos: ...

    async def declare(self, chaos: Chaos) -> None:
        """In place of what was declared before; CALM ends it."""
        ...


class MemoryChaos:
    """The twin."""

    def __init__(self) -> None:
        self._chaos = CALM

    async def declared(self) -> Chaos:
        return self._chaos

    async def declare(self, chaos: Chaos) -> None:
        self._chaos = chaos


class ValkeyChaos:
    def __init__(self, redis: Redis, blocking: Redis, prefix: str) -> None:
        self._redis, self._blocking, self._key = redis, blocking, f"{prefix}chaos"

    async def declared(self) -> Chaos:
        with unsure():
            text = await self._redis.get(self._key)
        return from_dict(json.loads(text)) if text else CALM

    async def declare(self, chaos: Chaos) -> None:
        with unsure():
            if chaos.is_on:
                await self._redis.set(self._key, json.dumps(chaos.as_dict()), ex=LIFE_S)
            else:
                await self._redis.delete(self._key)
            await self._redis.publish(self._key, "")  # only a nudge: the key is the truth

    async def keep_watching(self, take: Callable[[Chaos], None]) -> None:
        """Until canceled: `take` gets every change. A store that is away is no reason to stop, and changes nothing."""
        now = CALM
        while True:
            try:
                async with self._blocking.pubsub() as told:
                    with unsure():
                        await told.subscribe(self._key)  # before the first look, so that nothing falls between
                    while True:
                        found = await self.declared()
                        if found != now:
                            now = found
                            take(now)
                            log.info("chaos declared", **now.as_dict())
                        with unsure():
                            await told.get_message(ignore_subscribe_messages=True, timeout=LOOK_S)
            except Unavailable:
                await asyncio.sleep(AGAIN_S)
