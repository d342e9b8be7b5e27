"""MemoryQueue: the Queue port without a server, for fast tests. One process; nothing survives it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from messaging.clock import Clock


@dataclass(frozen=True, slots=True)
class _Place:
    due: float  # on the clock's monotonic scale
    leased: bool


class MemoryQueue:
    """Passes the same contract test as ValkeyQueue."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: dict[str, _Place] = {}
        self._woken = asyncio.Event()

    async def put(self, entry: str, delay_s: float = 0.0) -> None:
        due = self._clock.monotonic() + delay_s
        there = self._places.get(entry)
        if there is not None and (there.leased or there.due <= due):
            return
        self._move(entry, due)

    async def lease(self, most: int, lease_s: float) -> Sequence[str]:
        now = self._clock.monotonic()
        due = sorted((place.due, entry) for entry, place in self._places.items() if place.due <= now)
        entries = [entry for _, entry in due[:most]]
        for entry in entries:
            self._places[entry] = _Place(now + lease_s, leased=True)
        return entries

    async def extend(self, entries: Sequence[str], lease_s: float) -> None:
        for entry in entries:
            if entry in self._places:
                self._places[entry] = _Place(self._clock.monotonic() + lease_s, leased=True)

    async def done(self, entry: str) -> None:
        self._places.pop(entry, None)

    async def retry(self, entry: str, delay_s: float) -> None:
        if entry in self._places:
            self._move(entry, self._clock.monotonic() + delay_s)

    async def wait(self, timeout_s: float) -> None:
        now = self._clock.monotonic()
        first = min((place.due for place in self._places.values()), default=now + timeout_s)
        if first <= now:
            return
        woken = self._woken  # nothing is awaited between looking and waiting, so no put can fall between
        try:
            async with asyncio.timeout(min(timeout_s, first - now)):
                await woken.wait()
        except TimeoutError:
            pass

    async def size(self) -> int:
        return len(self._places)

    def _move(self, entry: str, due: float) -> None:
        self._places[entry] = _Place(due, leased=False)
        self._woken.set()
        self._woken = asyncio.Event()
