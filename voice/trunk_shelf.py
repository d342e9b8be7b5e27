"""Where a book lies (trunks, tolls): rows of text under one version. The port, its twin in memory, and Valkey's."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from messaging.store import Script, unsure

_VERSION = ":version"  # no id of a trunk begins with a colon


@dataclass(frozen=True, slots=True)
class Page:
    """All rows as they stood together. `version` grows by one with each write that changed something."""

    version: int = 0
    rows: Mapping[str, str] = field(default_factory=dict)


class TrunkShelf(Protocol):
    async def read(self) -> Page: ...

    async def version(self) -> int: ...

    async def write(self, expected: int, put: Mapping[str, str], drop: Sequence[str] = ()) -> bool:
        """All of it at once; False, and nothing is written, when the version is not the expected one any more.

        A repeat of what was written is True and changes nothing. Raises Unavailable when the outcome is not known.
        """
        ...


class MemoryTrunkShelf:
    def __init__(self) -> None:
        self._page = Page()

    async def read(self) -> Page:
        return self._page

    async def version(self) -> int:
        return self._page.version

    async def write(self, expected: int, put: Mapping[str, str], drop: Sequence[str] = ()) -> bool:
        rows = {name: text for name, text in self._page.rows.items() if name not in drop} | dict(put)
        if rows == self._page.rows:
            return True
        if expected != self._page.version:
            return False
        self._page = Page(self._page.version + 1, rows)
        return True


class ValkeyTrunkShelf:
    """One hash: id -> row, and the version. Key after the prefix: the name of the book."""

    def __init__(self, redis: Redis, prefix: str, book: str = "trunks") -> None:
        self._redis = redis
        self._key = f"{prefix}{book}"
        self._write = Script((files("voice") / "lua" / "book.lua").read_text())

    async def read(self) -> Page:
        with unsure():
            rows = await cast(Awaitable[dict[str, str]], self._redis.hgetall(self._key))
        return Page(int(rows.pop(_VERSION, 0)), rows)

    async def version(self) -> int:
        with unsure():
            return int(await cast(Awaitable[Any], self._redis.hget(self._key, _VERSION)) or 0)

    async def write(self, expected: int, put: Mapping[str, str], drop: Sequence[str] = ()) -> bool:
        pairs = [text for pair in put.items() for text in pair]
        _, done = await self._write(self._redis, [self._key], [expected, len(put), *pairs, *drop])
        return bool(done)
