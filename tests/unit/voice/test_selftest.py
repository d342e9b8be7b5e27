"""A self-test's verdict, and the dialer's side of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from messaging.clock import SystemClock
from messaging.errors import Forbidden, NotFound, ServiceError
from sip.trunk import Trunk, TrunkUri
from tests.until import until
from voice.selftest import GONE, NOBODY, Stage, Step, StepName, TrunkTest, Verdict, as_seen
from voice.selftest_board import MemorySelfTests
from voice.selftest_desk import STOPPED, SelfTestDesk
from voice.selftest_news import SelfTestNews
from voice.selftest_run import Bench
from voice.trunk_entry import AdminState, Entry, ManagedBy
from voice.trunk_news import Told
from voice.trunk_record import MemoryTrunkRecord

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ASKED = TrunkTest("test_1", "lagos-1", "main.live", "key_1", False, NOW, "2348020000000", "2347080670000")
TRUNK = Trunk("lagos-1", "Lagos", (TrunkUri("127.0.0.1"),), enabled=False)


def step(name: StepName, verdict: Verdict = Verdict.OK) -> Step:
    return Step(name, verdict, f"{name} was seen.", "Mend it." if verdict is Verdict.FAILED else "", 5)


@pytest.mark.parametrize(
    ("steps", "verdict", "summary"),
    [
        ([step(name) for name in StepName], Verdict.OK, "Everything works."),
        ([step(StepName.DNS)], Verdict.OK, "Everything works up to dns."),
        ([step(StepName.DNS), step(StepName.OPTIONS, Verdict.WARNING)], Verdict.WARNING, "It works; look at options."),
        ([step(StepName.DNS, Verdict.FAILED)], Verdict.FAILED, "dns failed: dns was seen."),
        ([step(StepName.OPTIONS, Verdict.WARNING), step(StepName.RTP, Verdict.FAILED)], Verdict.FAILED, "rtp failed: "),
    ],
)
def test_the_first_step_that_failed_is_the_verdict(steps: list[Step], verdict: Verdict, summary: str) -> None:
    test = ASKED
    for one in steps:
        test = test.with_step(one)
    assert test.verdict is None
    test = test.finished(NOW)

    assert (test.verdict, test.stage) == (verdict, Stage.FINISHED)
    assert test.summary.startswith(summary)
    assert {one.name for one in test.steps} == set(StepName)
    said = test.as_object()
    assert said["failed_step"] == (test.failed.name if test.failed else None)
    assert (said["fix"] == "Mend it.") is (verdict is Verdict.FAILED)
    assert list(said["steps"][0]) == ["step", "verdict", "ms", "what", "fix"]


def test_a_test_that_nobody_holds_is_over_and_says_why() -> None:
    running = ASKED.with_step(step(StepName.DNS))
    done = running.finished(NOW)

    assert as_seen(ASKED, held=True, now=NOW) is ASKED
    assert as_seen(running, held=True, now=NOW) is running
    assert as_seen(done, held=False, now=NOW) is done
    assert as_seen(ASKED, held=False, now=NOW).summary == NOBODY
    lost = as_seen(running, held=False, now=NOW)
    assert (lost.verdict, lost.summary, lost.failed) == (Verdict.FAILED, GONE, None)


# -- the dialer's side


async def _find(trunk_id: str) -> Entry:
    if trunk_id != TRUNK.id:
        raise NotFound
    return Entry(TRUNK, ManagedBy.API, state=AdminState.DISABLED)


def _bench() -> Bench:
    async def heard(_: str) -> str | None:
        return None

    return Bench(lambda *_: pytest.fail("no lines are needed here"), lambda _: None, heard)


async def _passes(test: TrunkTest, trunk: Trunk, bench: Bench, tell: Callable[[Step], Awaitable[None]]) -> str:
    await tell(step(StepName.DNS))
    return ""


@asynccontextmanager
async def desk(board: MemorySelfTests, **changes: Any) -> AsyncIterator[asyncio.Task[None]]:
    facts: dict[str, Any] = {"run": _passes, "find": _find, "bench": _bench()} | changes
    one = SelfTestDesk(board, facts.pop("find"), facts.pop("bench"), SystemClock(), **facts)
    working = asyncio.create_task(one.keep_testing())
    try:
        yield working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _finished(board: MemorySelfTests, test_id: str = "test_1") -> TrunkTest:
    async def over() -> TrunkTest | None:
        found = await board.read(test_id)
        return found[0] if found and found[0].stage is Stage.FINISHED else None

    found = await until(over)
    assert found is not None
    return found


async def test_a_dialer_makes_the_test_of_a_disabled_trunk_and_lets_go_of_it() -> None:
    board = MemorySelfTests()
    await board.ask(ASKED)
    async with desk(board):
        test = await _finished(board)

    assert test.verdict is Verdict.OK
    assert await board.read("test_1") == (test, False)


async def _forbids(owner: str, to: str) -> ServiceError | None:
    return Forbidden(f"{owner} may not ring {to}.")


@pytest.mark.parametrize(
    ("asked", "changes", "words"),
    [
        (replace(ASKED, trunk_id="gone"), {}, "no such trunk"),
        (replace(ASKED, sandbox=True), {}, "do not go together"),
        (replace(ASKED, to="12025550100"), {}, "do not go together"),
        (ASKED, {"bench": None}, "simulated"),
        (ASKED, {"refusal": _forbids}, "main.live may not ring 234"),
        (ASKED, {"is_suspended": lambda *key: key == ("main.live", "key_1")}, "The key that asked for it"),
    ],
)
async def test_what_must_not_be_tested_is_not_and_says_why(
    asked: TrunkTest, changes: dict[str, Any], words: str
) -> None:
    board = MemorySelfTests()
    await board.ask(asked)
    async with desk(board, **changes):
        test = await _finished(board)

    assert test.verdict is Verdict.FAILED
    assert words in test.summary
    assert {one.verdict for one in test.steps} == {Verdict.SKIPPED}


async def test_who_tested_a_trunk_and_what_came_of_it_is_an_event_of_the_account() -> None:
    board, record = MemorySelfTests(), MemoryTrunkRecord()
    before = Told(version=7, sequence=3)
    await record.tell(TRUNK.id, Told(), before, "main.live")
    await board.ask(ASKED)
    async with desk(board, news=SelfTestNews(record, "https://example.com/hook")):
        test = await _finished(board)
    [event] = (await record.feed("main.live", "0-0", 10)).events
    [posted] = record.deliveries

    assert (event["type"], event["sequence"], event["trunk_id"]) == ("trunk.tested", 4, "lagos-1")
    assert event["data"] == {"trunk_id": "lagos-1", "sequence": 4, "key_id": "key_1", **test.as_object()}
    assert (posted.url, json.loads(posted.body)["type"]) == ("https://example.com/hook", "trunk.tested")
    assert await record.told(TRUNK.id) == replace(before, version=8, sequence=4)


async def test_the_guard_is_not_asked_when_no_phone_is_rung() -> None:
    async def guard(owner: str, to: str) -> ServiceError | None:
        raise AssertionError("nothing is rung")

    board = MemorySelfTests()
    await board.ask(replace(ASKED, to="", from_number=""))
    async with desk(board, refusal=guard, is_suspended=lambda *_: True):
        test = await _finished(board)

    assert test.verdict is Verdict.OK


async def test_a_dialer_that_stops_ends_its_test_in_words() -> None:
    async def hangs(*_: object) -> str:
        await asyncio.Event().wait()
        return ""

    board = MemorySelfTests()
    await board.ask(ASKED)
    async with desk(board, run=hangs):
        await until(lambda: _is_running(board))
    test = await _finished(board)

    assert (test.verdict, test.summary) == (Verdict.FAILED, STOPPED)


async def _is_running(board: MemorySelfTests) -> bool:
    found = await board.read("test_1")
    return found is not None and found[0].stage is Stage.RUNNING


async def test_a_test_that_breaks_is_our_own_fault_and_the_next_one_is_made() -> None:
    async def breaks(test: TrunkTest, *_: object) -> str:
        if test.test_id == "test_1":
            raise RuntimeError("a fault")
        return ""

    board = MemorySelfTests()
    await board.ask(ASKED)
    async with desk(board, run=breaks):
        broken = await _finished(board)
        await board.ask(replace(ASKED, test_id="test_2"))
        next_one = await _finished(board, "test_2")

    assert "Our own fault" in broken.summary
    assert next_one.verdict is Verdict.OK
