"""The toll book: what each account may call, the same for all processes. Rows under one version, as the trunk book has.

Row                what
  allow:{owner}    its allow list (JSON): countries and prefixes; no row: what the setting says

Key after the prefix: `toll` (a hash; trunk_shelf.py).
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from messaging.errors import Conflict, Unavailable
from voice.trunk_shelf import TrunkShelf

SHELF = "toll"
LOOK_EVERY_S = 1.0  # a change is obeyed everywhere about so soon; one small read a second and process
TRIES_MOST = 20  # writers that meet take turns; so many in a row are no accident


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything in it, as of one version. `allow`: by owner."""

    version: int = 0
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class TollBook:
    def __init__(self, shelf: TrunkShelf) -> None:
        self._shelf = shelf

    async def read(self) -> Rules:
        """Raises Unavailable."""
        page = await self._shelf.read()
        named = [(name.split(":", 1), text) for name, text in page.rows.items()]
        allow = {owner: tuple(json.loads(text)) for (kind, owner), text in named if kind == "allow"}
        return Rules(page.version, allow)

    async def watch(self, every_s: float = LOOK_EVERY_S) -> AsyncIterator[Rules]:
        """What is in it, then again whenever it changed. While the store does not answer, it waits."""
        seen: int | None = None
        while True:
            with contextlib.suppress(Unavailable):
                if await self._shelf.version() != seen:
                    rules = await self.read()
                    seen = rules.version
                    yield rules
            await asyncio.sleep(every_s)

    async def set_allow(self, owner: str, allow: Sequence[str]) -> None:
        """In place of what was there. Raises Unavailable."""
        await self._put(f"allow:{owner}", lambda _: json.dumps(list(allow)))

    async def _put(self, name: str, change: Callable[[str | None], str]) -> None:
        for _ in range(TRIES_MOST):
            page = await self._shelf.read()
            if await self._shelf.write(page.version, {name: change(page.rows.get(name))}):
                return
        raise Conflict("Others are changing the rules at the same time.", hint="Try again.")
