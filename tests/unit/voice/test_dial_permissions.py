"""The second look, right before dialling: what was accepted may not be allowed any more."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from messaging.numbers import PremiumNumber
from tests.dialer_bench import SANDBOX, Bench, Spied
from voice.calls import Call
from voice.destinations import GeoBlocked
from voice.store_memory import MemoryCallStore


@pytest.fixture
async def line() -> AsyncIterator[Spied]:
    line = Spied()
    yield line
    await line.aclose()


@pytest.fixture
def bench(line: Spied, tmp_path: Path) -> Bench:
    return Bench(MemoryCallStore(), tmp_path, {"sandbox": (SANDBOX, line)})


def told(call: Call) -> tuple[str, str, str]:
    assert call.ending is not None
    return call.status.value, call.ending.cause, call.ending.detail


async def test_a_country_that_was_closed_meanwhile_is_not_dialled(bench: Bench, line: Spied) -> None:
    intake = await bench.calls(["12025550100", "12025550110"])
    bench.refused["12025550100"] = GeoBlocked("It was closed.")
    async with bench.run():
        closed, open_ = await bench.final(intake), await bench.final(intake, 1)

    assert told(closed) == ("blocked", "geo_blocked", "It was closed.")
    assert closed.start_at is None
    assert open_.status.value == "completed"
    assert [dial.call_id for dial in line.dials] == [open_.call_id]


async def test_a_number_that_is_known_as_premium_meanwhile_is_not_dialled(bench: Bench, line: Spied) -> None:
    intake = await bench.call()
    bench.refused["12025550100"] = PremiumNumber()
    async with bench.run():
        call = await bench.final(intake)

    assert told(call)[:2] == ("blocked", "invalid_number")
    assert line.dials == []


async def test_a_country_that_is_closed_while_the_audio_is_made_is_not_dialled(bench: Bench, line: Spied) -> None:
    bench.prompts.gate.clear()
    async with bench.run():
        intake = await bench.call()
        await bench.until_rendering()
        bench.refused["12025550100"] = GeoBlocked("It was closed.")
        bench.prompts.gate.set()
        call = await bench.final(intake)

    assert told(call)[:2] == ("blocked", "geo_blocked")
    assert line.dials == []


async def test_calls_of_a_suspended_key_wait_and_go_on_when_it_is_resumed(bench: Bench, line: Spied) -> None:
    bench.suspended.add("key_1")
    async with bench.run():
        waiting = await bench.call(key_id="key_1")
        other = await bench.final(await bench.call(key_id="key_2"))
        call = await bench.store.call(None, waiting.calls[0].call_id)
        dialled = [dial.call_id for dial in line.dials]

    assert call is not None
    assert (call.status.value, other.status.value) == ("queued", "completed")
    assert dialled == [other.call_id]
    bench.suspended.clear()
    assert not bench.desk.is_suspended("main.test", "key_1")
