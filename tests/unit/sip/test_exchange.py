"""The calls of a line process while the process itself is held up: a file system or a machine may stand still."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from sip.commands import Dial
from sip.engine import Engine
from sip.events import Ready
from sip.exchange import Exchange
from sip.setup import LineSetup
from sip.trunk import Trunk, TrunkUri
from tests.sipp import tone

SETUP = LineSetup(Trunk("t", "t", (TrunkUri("127.0.0.1"),)), 4, 30000, 16, "/tmp")
LATE_S = SETUP.silent_s + 1


class Standing:
    """An engine in whose turns time passes. `turns`: is anything read first, and how long it takes then."""

    is_tidy = False

    def __init__(self, watcher: Exchange, clock: "Clock", turns: list[tuple[bool, float]]) -> None:
        self._watcher, self._clock, self._turns = watcher, clock, turns
        self.ready = Ready(1, "2.15.1", 4, "127.0.0.1", 5060, 30000, 16)
        self.hung_up: list[str] = []

    def pump(self, _: int) -> None:
        is_heard, takes_s = self._turns.pop(0)
        if is_heard:
            self._watcher.trying("c1")
        self._clock.now += takes_s

    def sip_call_id(self, call_id: str) -> str:
        return f"sip-{call_id}"

    def hang_up(self, call_id: str) -> None:
        self.hung_up.append(call_id)

    def messages(self, *_: float) -> list[Any]:
        return []

    played_out = tidy = messages

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Whatever else it is asked goes well, and has nothing to say."""
        return lambda *_: None


class Clock:
    now = 1000.0


def dialled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *turns: tuple[bool, float]) -> list[str]:
    """The calls that were given up when these turns were over."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)

    def engine(_: LineSetup, watcher: Exchange) -> Engine:
        return cast(Engine, Standing(watcher, clock, list(turns)))

    exchange = Exchange(SETUP, engine)
    exchange.obey(Dial("c1", "sip:1@127.0.0.1", "sip:2@127.0.0.1", tone(tmp_path / "tone.wav", 100)))
    for _ in turns:
        exchange.pump()
    return cast(Standing, exchange._engine).hung_up


def test_a_trunk_that_answered_while_we_were_held_up_was_not_silent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert dialled(monkeypatch, tmp_path, (False, LATE_S), (True, 0.0), (False, 0.0)) == []


def test_a_trunk_that_says_nothing_is_silent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert dialled(monkeypatch, tmp_path, (False, LATE_S), (False, 0.0)) == ["c1"]
