"""Wait for a condition, with a bound: the one loop with a sleep in it, for what has no event of its own."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

LOOK_EVERY_S = 0.01

V = TypeVar("V")


async def until(condition: Callable[[], V | Awaitable[V]], within_s: float = 10.0) -> V:
    """The first true value of `condition`, which may be async. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            value = await found if inspect.isawaitable(found) else cast(V, found)
            if value:
                return value
            await asyncio.sleep(LOOK_EVERY_S)


async def time_passes(seconds: float) -> None:
    """For sentences that say that nothing happens meanwhile, and for clocks that are not ours."""
    await asyncio.sleep(seconds)
