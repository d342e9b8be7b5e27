"""ASR, NER, PDD, ACD, MOS: from calls to marks to scores, in both stores, each call once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.valkey import TestValkey
from tests.voice_values import an_ending, an_intake, dialed, now, step
from voice.calls import Call, Quality, Rang, Status, WasAnswered, advance
from voice.messages import Outcome
from voice.scoreboard import Score, board, hours, marks
from voice.store import CallStore, Lane
from voice.store_memory import MemoryCallStore
from voice.store_valkey import ValkeyCallStore

AT = datetime(2026, 11, 24, 10, 59, 50, tzinfo=UTC)


def ended(status: Status, *, answered_s: float | None = None, **changes: object) -> Call:
    call = replace(an_intake(1, created_at=AT).calls[0], to_number="2348020000000", **changes)
    call = advance(call, replace(dialed(), at=AT))
    call = advance(call, Rang(AT + timedelta(seconds=2)))
    if answered_s is not None:
        call = advance(call, WasAnswered(AT + timedelta(seconds=4)))
    at = AT + timedelta(seconds=4 + (answered_s or 0))
    return advance(call, an_ending(status, at=at, quality=Quality(mos=4.2) if answered_s else None))


def test_a_call_that_never_left_and_a_test_call_score_nothing() -> None:
    blocked = advance(an_intake(1).calls[0], an_ending(Status.BLOCKED, "geo_blocked", sent=False))

    assert marks(blocked) == {}
    assert marks(ended(Status.BUSY, test=True)) == {}


def test_scores_are_those_of_e425() -> None:
    added: dict[str, int] = {}
    for call in (
        ended(Status.COMPLETED, answered_s=10),
        ended(Status.COMPLETED, answered_s=30),
        ended(Status.BUSY),
        ended(Status.FAILED),
        ended(Status.CANCELED),
    ):
        for mark, count in marks(call).items():
            added[mark] = added.get(mark, 0) + count

    expected = Score(calls=5, asr=0.4, ner=0.6, pdd_ms=2000, acd_s=20.0, mos=4.2)
    assert board(added) == {"*": expected, "234": expected}
    assert board({"*:calls": 2}) == {"*": Score(2, 0.0, 0.0, None, None, None)}


def test_every_hour_that_the_time_touches_is_read() -> None:
    assert hours(AT, AT + timedelta(minutes=2)) == ["2026-11-24T10", "2026-11-24T11"]
    assert len(hours(AT - timedelta(hours=24), AT)) == 25


@pytest.fixture(params=["memory", "valkey"])
def store(request: pytest.FixtureRequest) -> CallStore:
    if request.param == "memory":
        return MemoryCallStore()
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyCallStore(server.redis, server.blocking, server.prefix)


async def test_each_end_scores_once_however_often_it_is_written(store: CallStore) -> None:
    await store.accept(an_intake(3))
    for lease in await store.lease(Lane.SANDBOX, "d", 3, 15.0):
        _, call = await step(store, lease, lease.call, dialed())
        busy = an_ending(Status.BUSY, "user_busy")
        for _ in range(2):
            await step(store, lease, call, busy, Outcome.UNDELIVERED)

    scores = board(await store.scores.marks("sandbox", now() - timedelta(hours=2), now()))

    assert (scores["*"].calls, scores["*"].ner, scores["120"].asr) == (3, 1.0, 0.0)
    assert await store.scores.marks("another", now() - timedelta(hours=2), now()) == {}
