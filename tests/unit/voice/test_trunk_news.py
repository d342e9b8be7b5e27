"""What is told of a trunk: once, when it holds, and never in floods."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from voice.api.replies import TRUNK_EVENTS, TrunkEventType
from voice.selftest_news import TESTED
from voice.trunk_news import BURST, BURST_S, HOLD_S, TYPES, Told, is_news, standing, tell, words_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def status(state: str = "up", registration: str = "n/a", used: int = 0) -> dict[str, Any]:
    return {"state": state, "registration": {"state": registration}, "channels": {"used": used, "limit": 4}}


class Observer:
    """Looks each second, and tells what there is to tell."""

    def __init__(self) -> None:
        self.told, self.now = Told(), NOON
        self._seen: dict[str, Any] = {}

    def sees(self, seconds: float, **words: Any) -> list[str]:
        return list(self._sees(seconds, words))

    def _sees(self, seconds: float, words: dict[str, Any]) -> Iterator[str]:
        until = self.now + timedelta(seconds=seconds)
        while self.now < until:
            self._seen = standing(self._seen, words_of(status(**words)), self.now)
            while is_news(self.told, self._seen, self.now):
                self.told, event = tell(self.told, self._seen, self.now)
                if event:
                    yield event
            self.now += timedelta(seconds=1)


LONG = HOLD_S + 2


@pytest.mark.parametrize(
    ("words", "events"),
    [
        ({"state": "up"}, []),
        ({"state": "down"}, ["trunk.down"]),
        ({"state": "degraded"}, ["trunk.degraded"]),
        ({"state": "disabled", "used": 4}, []),
        ({"state": "draining"}, []),
        ({"registration": "registered"}, ["trunk.registered"]),
        ({"registration": "auth_rejected"}, ["trunk.auth_rejected"]),
        ({"registration": "unreachable"}, ["trunk.unregistered"]),
        ({"registration": "stopped"}, []),
        ({"registration": "registering"}, []),
        ({"used": 4}, ["trunk.channels_full"]),
        ({"used": 3}, []),
    ],
)
def test_what_is_told_of_a_trunk_that_nobody_knew(words: dict[str, Any], events: list[str]) -> None:
    observer = Observer()

    assert observer.sees(LONG, **words) == events
    assert observer.sees(60, **words) == []


def test_a_change_is_told_both_ways_and_only_once() -> None:
    observer = Observer()

    steps = [("up", "registered"), ("down", "auth_rejected"), ("down", "auth_rejected"), ("up", "registered")]
    told = [observer.sees(LONG, state=state, registration=how) for state, how in [*steps, ("up", "stopped")]]

    assert told == [
        ["trunk.registered"],
        ["trunk.down", "trunk.auth_rejected"],
        [],
        ["trunk.up", "trunk.registered"],
        ["trunk.unregistered"],
    ]
    assert observer.told.sequence == 6


def test_what_does_not_hold_is_not_told() -> None:
    observer = Observer()
    observer.sees(LONG)

    flapping = [
        event for _ in range(20) for state in ("down", "up") for event in observer.sees(HOLD_S - 1, state=state)
    ]

    assert flapping == []


def test_slow_flapping_is_told_now_and_then_and_the_last_word_is_true() -> None:
    observer = Observer()
    observer.sees(LONG)

    events = [event for _ in range(60) for state in ("down", "up") for event in observer.sees(LONG, state=state)]
    windows = 60 * 2 * LONG / BURST_S
    last = observer.sees(2 * BURST_S, state="down")

    assert BURST * (windows - 2) <= len(events) <= BURST * (windows + 1)
    assert (last, observer.told.since("state", "down") is not None) == (["trunk.down"], True)


def test_since_is_when_it_began_and_not_when_it_was_told() -> None:
    observer = Observer()
    observer.sees(LONG)
    began = observer.now
    observer.sees(LONG, state="down")

    assert observer.told.since("state", "down") == began
    assert observer.told.since("state", "up") is None


def test_an_operators_pause_changes_nothing_that_was_told() -> None:
    observer = Observer()
    observer.sees(LONG, state="down")

    assert observer.sees(LONG, state="disabled") == []
    assert observer.sees(LONG, state="down") == []
    assert observer.sees(LONG, state="up") == ["trunk.up"]


def test_the_description_knows_every_type() -> None:
    assert {*TYPES, TESTED} == set(TRUNK_EVENTS) == set(get_args(TrunkEventType))
