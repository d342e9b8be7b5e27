"""What both self-test boards keep: the one in Valkey, and its twin in memory."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from messaging.errors import OverLimit
from messaging.ids import test_id as new_id
from tests.valkey import TestValkey
from voice.selftest import Stage, Step, StepName, TrunkTest, TrunkTestRunning, Verdict
from voice.selftest_board import LATE_MOST, MemorySelfTests, SelfTestBoard, ValkeySelfTests

STEP = Step(StepName.DNS, Verdict.OK, "It is there.", ms=3)


@pytest.fixture(params=["memory", "valkey"])
def board(request: pytest.FixtureRequest) -> SelfTestBoard:
    if request.param == "memory":
        return MemorySelfTests()
    valkey: TestValkey = request.getfixturevalue("valkey")
    return ValkeySelfTests(valkey.redis, valkey.blocking, valkey.prefix)


def a_test(trunk_id: str = "lagos-1") -> TrunkTest:
    return TrunkTest(
        new_id(), trunk_id, "main.live", "key_1", False, datetime(2026, 11, 24, tzinfo=UTC), "2348020000000"
    )


async def test_a_test_is_asked_taken_by_one_told_and_read(board: SelfTestBoard) -> None:
    test = a_test()
    await board.ask(test)
    assert await board.read(test.test_id) == (test, True)

    taken = [one for one in await asyncio.gather(board.take(0.3), board.take(0.3)) if one is not None]
    assert taken == [test]
    under_way = test.with_step(STEP)
    assert await board.tell(under_way)
    assert await board.read(test.test_id) == (under_way, True)
    done = under_way.finished(test.asked_at)
    assert await board.tell(done, over=True)
    assert await board.read(test.test_id) == (done, False)
    assert done.stage is Stage.FINISHED


async def test_a_word_that_is_repeated_changes_nothing(board: SelfTestBoard) -> None:
    test = a_test()
    await board.ask(test)
    await board.ask(test)
    assert await board.take(0.3) == test
    assert await board.take(0.1) is None
    done = test.finished(test.asked_at)
    assert await board.tell(done, over=True)
    assert await board.tell(done, over=True)


async def test_a_trunk_is_tested_once_at_a_time_and_others_meanwhile(board: SelfTestBoard) -> None:
    first = a_test()
    await board.ask(first)
    with pytest.raises(TrunkTestRunning):
        await board.ask(a_test())
    await board.ask(a_test("lagos-2"))
    await board.tell(first.finished(first.asked_at), over=True)
    await board.ask(a_test())


async def test_a_trunk_is_not_tested_all_day(board: SelfTestBoard) -> None:
    for _ in range(LATE_MOST):
        test = a_test()
        await board.ask(test)
        await board.tell(test.finished(test.asked_at), over=True)
    with pytest.raises(OverLimit) as refused:
        await board.ask(a_test())
    assert 0 < (refused.value.retry_after_s or 0) <= 600
    await board.ask(a_test("lagos-2"))


async def test_whoever_lost_a_test_writes_nothing_any_more(board: SelfTestBoard) -> None:
    test = a_test()
    await board.ask(test)
    await board.tell(test.finished(test.asked_at), over=True)
    assert not await board.tell(test.with_step(STEP))
    assert not await board.tell(replace(a_test(), trunk_id="nobody"))
    assert (await board.read(test.test_id) or (None, True))[1] is False


async def test_what_nobody_asked_is_not_there(board: SelfTestBoard) -> None:
    assert await board.read(new_id()) is None
    assert await board.take(0.1) is None


async def test_the_keys_that_the_phone_heard_are_told_to_who_waits(board: SelfTestBoard) -> None:
    waiting = asyncio.create_task(board.keys("test_1", 5.0))
    await board.tell_keys("test_2", "9")
    await board.tell_keys("test_1", "5")
    assert await waiting == "5"
    assert await board.keys("test_1", 0.1) is None
