"""The toll book: what each account may call and spend, the same for all processes. Rows under one version.

Row                            what
  allow:{owner}                its allow list (JSON): countries and prefixes; no row: what the setting says
  caps:{owner}                 limits of its keys (JSON): `all`, and `keys` by key id; no row: what the settings say
  rates:{owner}                its price list (JSON): `currency`, `rows`; no row: the file of the setting
  suspended:{owner}:{key_id}   why and since when a key is suspended (JSON)

Key after the prefix: `toll` (a hash; trunk_shelf.py).
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from messaging.errors import Conflict, Unavailable
from voice.caps import Caps
from voice.codec import from_json, from_plain, plain, to_json
from voice.tariffs import Rates, Tariff
from voice.trunk_shelf import TrunkShelf

SHELF = "toll"
LOOK_EVERY_S = 1.0  # a change is obeyed everywhere about so soon; one small read a second and process
TRIES_MOST = 20  # writers that meet take turns; so many in a row are no accident


@dataclass(frozen=True, slots=True)
class KeyCaps:
    """`all`: for every key of the account; `keys`: for some of them besides, by key id."""

    all: Caps = Caps()
    keys: Mapping[str, Caps] = field(default_factory=dict)

    def of(self, key_id: str) -> Caps:
        return self.keys.get(key_id, Caps()).or_else(self.all)


@dataclass(frozen=True, slots=True)
class Suspension:
    cap: str  # the limit that would have been passed
    at: datetime
    alert_id: str = ""  # of the one alert about it


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything in it, as of one version. By owner; `suspended`: by owner and key."""

    version: int = 0
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    caps: Mapping[str, KeyCaps] = field(default_factory=dict)
    rates: Mapping[str, Rates] = field(default_factory=dict)
    suspended: Mapping[tuple[str, str], Suspension] = field(default_factory=dict)


class TollBook:
    def __init__(self, shelf: TrunkShelf) -> None:
        self._shelf = shelf

    async def read(self) -> Rules:
        """Raises Unavailable."""
        page = await self._shelf.read()
        rows: dict[str, dict[str, str]] = {"allow": {}, "caps": {}, "rates": {}, "suspended": {}}
        for name, text in page.rows.items():
            kind, _, owner = name.partition(":")
            rows.setdefault(kind, {})[owner] = text
        return Rules(
            page.version,
            {owner: tuple(json.loads(text)) for owner, text in rows["allow"].items()},
            {owner: _caps_of(json.loads(text)) for owner, text in rows["caps"].items()},
            {owner: _rates_of(json.loads(text)) for owner, text in rows["rates"].items()},
            {_pair(name): from_json(Suspension, text) for name, text in rows["suspended"].items()},
        )

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

    async def set_caps(self, owner: str, caps: KeyCaps) -> None:
        row = {"all": plain(caps.all), "keys": {key_id: plain(one) for key_id, one in caps.keys.items()}}
        await self._put(f"caps:{owner}", lambda _: json.dumps(row))

    async def set_rates(self, owner: str, rates: Rates) -> None:
        row = {"currency": rates.currency, "rows": [plain(one) for one in rates.rows]}
        await self._put(f"rates:{owner}", lambda _: json.dumps(row))

    async def suspend(self, owner: str, key_id: str, suspension: Suspension) -> Suspension:
        """The one that stands: the first. Raises Unavailable."""
        text = await self._put(f"suspended:{owner}:{key_id}", lambda there: there or to_json(suspension))
        return from_json(Suspension, text)

    async def resume(self, owner: str, key_id: str) -> bool:
        """False when it was not suspended. Raises Unavailable."""
        name = f"suspended:{owner}:{key_id}"
        for _ in range(TRIES_MOST):
            page = await self._shelf.read()
            if name not in page.rows:
                return False
            if await self._shelf.write(page.version, {}, [name]):
                return True
        raise _busy()

    async def _put(self, name: str, change: Callable[[str | None], str]) -> str:
        for _ in range(TRIES_MOST):
            page = await self._shelf.read()
            text = change(page.rows.get(name))
            if await self._shelf.write(page.version, {name: text}):
                return text
        raise _busy()


def _busy() -> Conflict:
    return Conflict("Others are changing the rules at the same time.", hint="Try again.")


def _caps_of(row: dict[str, Any]) -> KeyCaps:
    keys = {key_id: from_plain(Caps, one) for key_id, one in row["keys"].items()}
    return KeyCaps(from_plain(Caps, row["all"]), keys)


def _rates_of(row: dict[str, Any]) -> Rates:
    return Rates.of(row["currency"], [from_plain(Tariff, one) for one in row["rows"]])


def _pair(name: str) -> tuple[str, str]:
    owner, _, key_id = name.rpartition(":")
    return owner, key_id
