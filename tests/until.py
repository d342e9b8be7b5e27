"""Wait for a condition, with a bound: the only loop with a sleep in it that tests need."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

LOOK_EVERY_S = 0.01


async def until(condition: Callable[[], Any], within_s: float = 10.0) -> Any:
    """The first true value of `condition`, which may be async. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while True:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(LOOK_EVERY_S)
