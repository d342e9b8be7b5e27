"""What is told of a trunk, and when: `trunk.*` events from how it stands, once for the service. Pure.

How it stands is three words: its state, its registration, its channels. A word is told when it has held for HOLD_S, and
at most BURST times in BURST_S: a trunk that flaps is told of now and then, and never floods.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

HOLD_S = 3.0  # longer than the word of a dialer takes to reach the others, so that all of them see the same
BURST = 4  # of one trunk's states, or registrations, or full channels
BURST_S = 60.0

STATE, REGISTRATION, CHANNELS = "state", "registration", "channels"
_EVENTS: dict[tuple[str, str], str] = {
    (STATE, "up"): "trunk.up",
    (STATE, "degraded"): "trunk.degraded",
    (STATE, "down"): "trunk.down",
    (REGISTRATION, "registered"): "trunk.registered",
    (REGISTRATION, "auth_rejected"): "trunk.auth_rejected",
    (REGISTRATION, "unreachable"): "trunk.unregistered",
    (REGISTRATION, "stopped"): "trunk.unregistered",
    (CHANNELS, "full"): "trunk.channels_full",
}
TYPES = tuple(dict.fromkeys(_EVENTS.values()))
_AT_FIRST = {STATE: "up", REGISTRATION: "stopped", CHANNELS: "free"}  # nobody has to be told of these


@dataclass(frozen=True, slots=True)
class Aspect:
    """The last word about one side of a trunk that was told, or kept in silence. `times`: told since `burst_at`."""

    name: str
    word: str
    since: datetime
    burst_at: datetime
    times: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What the service told of a trunk. `version` grows with each change, `sequence` with each event."""

    version: int = 0
    sequence: int = 0
    aspects: tuple[Aspect, ...] = ()

    def aspect(self, name: str) -> Aspect | None:
        return next((one for one in self.aspects if one.name == name), None)

    def since(self, name: str, word: str) -> datetime | None:
        """When it began to stand so; None: nobody knows."""
        last = self.aspect(name)
        return last.since if last is not None and last.word == word else None


@dataclass(frozen=True, slots=True)
class Standing:
    """A word, and since when it holds."""

    word: str
    since: datetime


def words_of(status: Mapping[str, Any]) -> dict[str, str]:
    """What a status says. A trunk that somebody switched off says nothing, nor does a registration under way."""
    words: dict[str, str] = {}
    if status["state"] in ("up", "degraded", "down"):
        words[STATE] = status["state"]
        words[CHANNELS] = "full" if status["channels"]["used"] >= status["channels"]["limit"] else "free"
    if (REGISTRATION, status["registration"]["state"]) in _EVENTS:
        words[REGISTRATION] = status["registration"]["state"]
    return words


def standing(before: Mapping[str, Standing], words: Mapping[str, str], now: datetime) -> dict[str, Standing]:
    """Each word with the moment since when it was seen without a break."""
    return {
        name: before[name] if name in before and before[name].word == word else Standing(word, now)
        for name, word in words.items()
    }


def is_news(told: Told, seen: Mapping[str, Standing], now: datetime) -> bool:
    return any(_next(told.aspect(name), name, one, now) is not None for name, one in seen.items())


def tell(told: Told, seen: Mapping[str, Standing], now: datetime) -> tuple[Told, str | None]:
    """The next step of what is told, one aspect at a time, and its event; `told` itself when there is nothing new."""
    for name, one in seen.items():
        after = _next(told.aspect(name), name, one, now)
        if after is None:
            continue
        last = told.aspect(name)
        others = tuple(other for other in told.aspects if other.name != name)
        event = _EVENTS.get((name, one.word))
        silent = last is None and one.word == _AT_FIRST[name]
        event = None if silent else event
        return replace(
            told, version=told.version + 1, sequence=told.sequence + (event is not None), aspects=(*others, after)
        ), event
    return told, None


def _next(last: Aspect | None, name: str, seen: Standing, now: datetime) -> Aspect | None:
    """The aspect as it is told now; None: there is nothing to tell, or not yet."""
    if (last is not None and last.word == seen.word) or now - seen.since < timedelta(seconds=HOLD_S):
        return None
    if last is None:
        return Aspect(name, seen.word, seen.since, now, 1)
    if now - last.burst_at >= timedelta(seconds=BURST_S):
        return Aspect(name, seen.word, seen.since, now, 1)
    if last.times >= BURST:
        return None
    return Aspect(name, seen.word, seen.since, last.burst_at, last.times + 1)
