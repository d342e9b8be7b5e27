"""What a self-test that rings takes of the limits of its key: on both boards, to the call, beside calls."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from messaging.errors import OverLimit, Unavailable
from messaging.ids import test_id as new_id
from tests.valkey import TestValkey
from tests.voice_values import OWNER, an_intake
from voice.caps import Caps, Need, Over, Overrun, Reservation, Used
from voice.selftest import Step, StepName, TrunkTest, TrunkTestRunning, Verdict
from voice.selftest_board import LATE_MOST, MemorySelfTests, SelfTestBoard, ValkeySelfTests
from voice.selftest_toll import most, reservation
from voice.store import CallStore
from voice.store_memory import MemoryCallStore
from voice.store_valkey import ValkeyCallStore
from voice.tariffs import Tariff

KEY, DAY = "key_1", "20261124"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TARIFF = Tariff("234", "0.06", "EUR", 60, 60)  # a test call takes 60 s and 60,000 millionths at most
NUMBER = "2348020000000"


@dataclass(frozen=True, slots=True)
class Both:
    board: SelfTestBoard
    store: CallStore

    async def ask(self, test: TrunkTest, **caps: Any) -> Overrun | None:
        """As a client does it: what the store could not promise is asked again."""
        while True:
            try:
                return await self.board.ask(test, reservation(test, Caps(**caps), "UTC"))
            except Unavailable:
                continue

    async def used(self) -> Used:
        return await self.store.used(OWNER, KEY, DAY)

    async def accept(self, number: str = NUMBER, **caps: Any) -> Overrun | None:
        """A call of the same key, of a minute."""
        asked = Reservation(KEY, DAY, Caps(**caps), (Need(60, 60_000),))
        one = replace(an_intake(1), reservation=asked)
        one = replace(one, calls=tuple(replace(call, to_number=number) for call in one.calls))
        return (await self.store.accept(one)).overrun


@pytest.fixture(params=["memory", "valkey"])
def both(request: pytest.FixtureRequest) -> Both:
    if request.param == "memory":
        store = MemoryCallStore()
        return Both(MemorySelfTests(store.caps), store)
    server: TestValkey = request.getfixturevalue("valkey")
    board = ValkeySelfTests(server.redis, server.blocking, server.prefix)
    return Both(board, ValkeyCallStore(server.redis, server.blocking, server.prefix))


def a_test(trunk_id: str = "lagos-1", to: str = NUMBER) -> TrunkTest:
    return TrunkTest(new_id(), trunk_id, OWNER, KEY, False, NOON, to, tariff=TARIFF if to else None)


def answered(test: TrunkTest, ms: int) -> TrunkTest:
    for name in (StepName.DNS, StepName.INVITE):
        test = test.with_step(Step(name, Verdict.OK, "Fine.", ms=5))
    return test.with_step(Step(StepName.RTP, Verdict.OK, "Sound.", ms=ms)).finished(test.asked_at)


async def test_a_test_holds_what_its_call_may_take_and_counts_what_it_took(both: Both) -> None:
    test = a_test()
    assert await both.ask(test) is None
    assert most(test) == Need(60, 60_000)
    assert await both.used() == Used(1, 0, 60, 0, 60_000, 1)

    await both.board.tell(test.with_step(Step(StepName.DNS, Verdict.OK, "There.")))
    assert await both.used() == Used(1, 0, 60, 0, 60_000, 1)
    done = answered(test, 3_300)
    assert await both.board.tell(done, over=True)
    assert await both.board.tell(done, over=True)

    assert await both.used() == Used(1, 60, 0, 60_000, 0, 0)


async def test_a_test_that_nobody_answered_took_a_call_and_no_time(both: Both) -> None:
    test = a_test()
    await both.ask(test)
    test = test.with_step(Step(StepName.INVITE, Verdict.FAILED, "486 Busy Here"))
    await both.board.tell(test.finished(test.asked_at), over=True)

    assert await both.used() == Used(calls=1)


async def test_a_test_without_a_call_takes_nothing(both: Both) -> None:
    test = a_test(to="")
    assert await both.ask(test, calls_per_day=0, open_calls=0, calls_per_second=0) is None
    await both.board.tell(test.finished(test.asked_at), over=True)

    assert await both.used() == Used()


@pytest.mark.parametrize(
    ("caps", "over"),
    [
        ({"calls_per_day": 1}, Over.CALLS),
        ({"minutes_per_day": 1}, Over.MINUTES),
        ({"amount_per_day": "0.1"}, Over.AMOUNT),
        ({"open_calls": 1}, Over.OPEN),
        ({"calls_per_second": 0}, Over.PACE),  # none at all: more would be a matter of how fast this is
        ({"calls_per_number_per_hour": 1}, Over.NUMBER),
    ],
)
@pytest.mark.parametrize("first", ["call", "test"])
async def test_a_test_above_a_limit_is_not_asked_and_calls_and_tests_count_together(
    both: Both, caps: dict[str, Any], over: Over, first: str
) -> None:
    before_it = {} if over is Over.PACE else caps
    assert (await both.accept(**before_it) if first == "call" else await both.ask(a_test(), **before_it)) is None
    before = await both.used()
    while await both.board.take(0.05):
        pass
    refused = a_test("lagos-2")

    overrun = await both.ask(refused, **caps)
    as_a_call = await both.accept(**caps)

    assert overrun is not None
    assert overrun.over is over
    assert as_a_call is not None
    assert replace(overrun, wait_s=0) == replace(as_a_call, wait_s=0)
    assert await both.used() == before
    assert await both.board.read(refused.test_id) is None
    assert await both.board.take(0.05) is None
    assert await both.ask(a_test("lagos-2")) is None  # the trunk is free


async def test_a_limit_is_exact_however_many_tests_are_asked_at_once(both: Both) -> None:
    answers = await asyncio.gather(*(both.ask(a_test(f"lagos-{n}"), calls_per_day=7) for n in range(30)))

    assert [answer is None for answer in answers].count(True) == 7
    assert (await both.used()).calls == 7


async def test_a_test_that_is_asked_again_takes_nothing_again(both: Both) -> None:
    test = a_test()
    for _ in range(2):
        assert await both.ask(test, calls_per_day=1) is None
    await both.board.tell(test.finished(test.asked_at), over=True)
    assert await both.ask(test, calls_per_day=1) is None

    assert (await both.used()).calls == 1


async def test_the_twin_forgets_a_lost_test_as_the_server_does() -> None:
    """tests/store/test_selftest_board.py shows the same of the server, where time does it."""
    store = MemoryCallStore()
    board = MemorySelfTests(store.caps)
    both, lost = Both(board, store), a_test()
    assert await both.ask(lost, open_calls=1) is None
    board.drop("lagos-1")

    assert await both.ask(a_test(), open_calls=1) is None
    assert await both.used() == Used(2, 0, 120, 0, 120_000, 1)


async def test_a_test_that_is_not_made_for_another_reason_takes_nothing(both: Both) -> None:
    test = a_test()
    await both.ask(test)
    with pytest.raises(TrunkTestRunning):
        await both.ask(a_test())
    for _ in range(LATE_MOST - 1):
        await both.board.tell(test.finished(test.asked_at), over=True)
        test = a_test(to="")
        await both.ask(test)
    await both.board.tell(test.finished(test.asked_at), over=True)
    with pytest.raises(OverLimit):
        await both.ask(a_test())

    assert await both.used() == Used(calls=1)
