"""What every `Line` keeps, real or simulated."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import pytest

from sip.callee import Callee
from sip.commands import AfterScript, Dial, Why
from sip.events import Answered, Ended, LineEvent, Origin, Phase, Played, Ringing, Speaking
from sip.line import Leg, Line, LineError, NoFreeLine
from sip.lines import Lines
from sip.messages import Answer
from sip.simulated import SimulatedLine
from sip.trunk import Trunk, TrunkUri
from tests import sipp


class Far(StrEnum):
    """What the far end does."""

    ANSWERS = "answers"
    BUSY = "busy"
    RINGS = "rings"


class World(Protocol):
    """A line, and what a test may do to it."""

    async def line(self, far: Far, most: int) -> Line: ...

    def lose(self, leg: Leg) -> None: ...

    def uri(self) -> str: ...

    def dialled(self) -> int: ...


class Simulated:
    """Ten times as fast as life."""

    _FAR = {  # noqa: RUF012  # a table
        Far.ANSWERS: Callee(rings_after_s=0.01, answers_after_s=0.01),
        Far.BUSY: Callee(None, None, Answer(486, "Busy Here")),
        Far.RINGS: Callee(answers_after_s=None),
    }

    def __init__(self) -> None:
        self._line: SimulatedLine | None = None
        self._count = 0

    async def line(self, far: Far, most: int) -> Line:
        self._line = SimulatedLine(most=most, speed=10.0, callee=lambda *_: self._met(far))
        return self._line

    def _met(self, far: Far) -> Callee:
        self._count += 1
        return self._FAR[far]

    def lose(self, leg: Leg) -> None:
        assert self._line is not None
        self._line.lose(leg.call_id)

    def uri(self) -> str:
        return "sip:2348020000000@trunk.test"

    def dialled(self) -> int:
        return self._count


class Pjsip:
    """Line processes, with SIPp as the carrier."""

    def __init__(self, directory: Path, stack: contextlib.AsyncExitStack) -> None:
        self._directory, self._stack = directory, stack
        self._lines: Lines | None = None
        self._carrier: sipp.Sipp | None = None

    async def line(self, far: Far, most: int) -> Line:
        ear = await self._stack.enter_async_context(sipp.Ear())
        scenario = {
            Far.ANSWERS: sipp.answers(ear.port),
            Far.BUSY: sipp.refuses("486 Busy Here"),
            Far.RINGS: sipp.rings_for_ever(),
        }[far]
        self._carrier = await self._stack.enter_async_context(sipp.Sipp(scenario, self._directory))
        trunk = Trunk("t", "t", (TrunkUri("127.0.0.1", self._carrier.port),), cps=20.0)
        self._lines = Lines(trunk, most=most, journal_dir=self._directory / "journal")
        self._stack.push_async_callback(self._lines.aclose)
        await self._lines.start()
        return self._lines

    def lose(self, leg: Leg) -> None:
        assert self._lines is not None
        pid = self._lines.pid_of(leg.call_id)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def uri(self) -> str:
        assert self._carrier is not None
        return f"sip:2348020000000@127.0.0.1:{self._carrier.port}"

    def dialled(self) -> int:
        assert self._carrier is not None
        return len(self._carrier.dialogs())


@pytest.fixture(
    params=[
        "simulated",
        pytest.param(
            "pjsip",
            marks=[
                pytest.mark.sip,
                pytest.mark.peer,
                pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
            ],
        ),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "simulated":
        yield Simulated()
        return
    async with contextlib.AsyncExitStack() as stack:
        yield Pjsip(tmp_path, stack)


@pytest.fixture
def dial(world: World, tmp_path: Path) -> Callable[..., Dial]:
    audio = sipp.tone(tmp_path / "tone.wav", 600)

    def make(call_id: str = "c1", **changes: object) -> Dial:
        facts: dict[str, object] = {
            "call_id": call_id,
            "uri": world.uri(),
            "from_uri": "sip:12025550199@127.0.0.1",
            "audio": audio,
            "headers": (("X-Call-Id", call_id),),
            "pause_ms": 100,
        }
        return Dial(**(facts | changes))  # type: ignore[arg-type]  # a test's shorthand

    return make


async def life(leg: Leg) -> list[LineEvent]:
    async with asyncio.timeout(20):
        return [event async for event in leg.events()]


async def reached(leg: Leg, kind: type[LineEvent]) -> AsyncIterator[LineEvent]:
    """The leg's events; the caller holds the iterator when `kind` has been seen."""
    events = leg.events()
    async with asyncio.timeout(20):
        async for event in events:
            if isinstance(event, kind):
                return events
    raise AssertionError(f"no {kind.__name__}")


async def rest(events: AsyncIterator[LineEvent]) -> list[LineEvent]:
    async with asyncio.timeout(20):
        return [event async for event in events]


def the_end(events: list[LineEvent]) -> Ended:
    """There is exactly one, and it is the last."""
    assert [type(event) for event in events].count(Ended) == 1
    last = events[-1]
    assert isinstance(last, Ended)
    return last


async def test_an_answered_call_rings_answers_speaks_plays_and_ends_once(
    world: World, dial: Callable[..., Dial]
) -> None:
    line = await world.line(Far.ANSWERS, most=4)

    events = await life(await line.dial(dial()))

    told = [type(event) for event in events if isinstance(event, (Ringing, Answered, Speaking, Played, Ended))]
    assert told == [Ringing, Answered, Speaking, Played, Ended]
    end = the_end(events)
    assert (end.code, end.phase, end.by_us, end.why) == (200, Phase.ANSWERED, True, Why.PLAYED_OUT)
    assert end.played_to_end
    assert end.played_ms == end.audio_ms == 600
    assert end.rtp.sent_packets * 20 >= 600


async def test_a_busy_phone_ends_in_the_peers_own_words(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.BUSY, most=4)

    end = the_end(await life(await line.dial(dial())))

    assert (end.code, end.reason, end.origin, end.by_us) == (486, "Busy Here", Origin.REMOTE, False)
    assert end.sent
    assert not end.lost


async def test_every_repetition_is_said(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.ANSWERS, most=4)

    events = await life(await line.dial(dial(repeat=2, repeat_gap_ms=100)))

    assert [event.repeat for event in events if isinstance(event, Speaking)] == [1, 2]
    end = the_end(events)
    assert (end.repeats, end.played_ms, end.audio_ms) == (2, 1200, 1200)


async def test_no_free_line_sends_nothing(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.RINGS, most=1)
    first = await line.dial(dial("first"))
    assert line.capacity().free == 0

    with pytest.raises(NoFreeLine):
        await line.dial(dial("second"))

    events = await reached(first, Ringing)  # an INVITE nobody answered keeps its line for a while
    await first.hang_up(Why.API)
    async with asyncio.timeout(20):
        the_end([event async for event in events])
    assert world.dialled() == 1
    assert line.capacity().free == 1


async def test_hanging_up_twice_is_harmless(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.ANSWERS, most=4)
    leg = await line.dial(dial(then=AfterScript.WAIT))
    events = await reached(leg, Answered)

    await leg.hang_up(Why.API)
    await leg.hang_up(Why.API)

    end = the_end(await rest(events))
    assert (end.why, end.phase) == (Why.API, Phase.ANSWERED)
    await leg.hang_up(Why.API)  # and after the end


async def test_a_phone_that_rings_for_ever_is_given_up(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.RINGS, most=4)

    end = the_end(await life(await line.dial(dial(ring_timeout_s=0.5))))

    assert (end.code, end.by_us, end.why, end.phase) == (487, True, Why.RING_TIMEOUT, Phase.RINGING)


async def test_a_call_has_a_longest_duration(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.ANSWERS, most=4)

    end = the_end(await life(await line.dial(dial(then=AfterScript.WAIT, max_duration_s=1.0))))

    assert (end.code, end.why) == (200, Why.MAX_DURATION)
    assert end.played_to_end


async def test_silence_and_another_file_while_the_call_is_up(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.ANSWERS, most=4)
    leg = await line.dial(dial(repeat=9, then=AfterScript.WAIT))
    events = await reached(leg, Speaking)

    await leg.stop_playing()
    await leg.play(dial().audio, AfterScript.HANG_UP)

    after = await rest(events)
    played = [event for event in after if isinstance(event, Played)]
    assert [event.to_end for event in played] == [False, True]
    end = the_end(after)
    assert end.why is Why.PLAYED_OUT
    assert not end.played_to_end


async def test_a_call_without_readable_audio_is_never_sent(
    world: World, dial: Callable[..., Dial], tmp_path: Path
) -> None:
    line = await world.line(Far.ANSWERS, most=4)

    end = the_end(await life(await line.dial(dial(audio=str(tmp_path / "missing.wav")))))

    assert not end.sent
    assert end.error


async def test_one_call_is_not_dialled_twice(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.RINGS, most=4)
    leg = await line.dial(dial("same"))

    with pytest.raises(LineError):
        await line.dial(dial("same"))

    await leg.hang_up(Why.API)
    the_end(await life(leg))


async def test_a_lost_process_ends_its_calls_and_only_its_calls(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.ANSWERS, most=8)
    legs = [await line.dial(dial(f"c{n}", then=AfterScript.WAIT, max_duration_s=2.5)) for n in range(8)]
    streams = [await reached(leg, Answered) for leg in legs]

    world.lose(legs[0])
    ends = [the_end(await rest(events)) for events in streams]

    lost = [end for end in ends if end.lost]
    assert ends[0].lost
    assert len(lost) == 4
    assert all(end.phase is Phase.ANSWERED and end.code == 200 for end in lost)
    assert all(end.why is Why.MAX_DURATION for end in ends if not end.lost)


async def test_drain_waits_for_the_last_call_and_takes_no_new_one(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.ANSWERS, most=4)
    leg = await line.dial(dial())

    async with asyncio.TaskGroup() as group:
        drain = group.create_task(line.drain())
        await reached(leg, Answered)
        assert not drain.done()
        with pytest.raises(NoFreeLine):
            await line.dial(dial("late"))

    assert line.capacity().busy == 0


async def test_closing_ends_every_call(world: World, dial: Callable[..., Dial]) -> None:
    line = await world.line(Far.RINGS, most=4)
    legs = [await line.dial(dial(f"c{n}")) for n in range(3)]

    async with asyncio.timeout(8):
        await line.aclose()

    for leg in legs:
        assert the_end(await life(leg)).why is Why.SHUTDOWN
