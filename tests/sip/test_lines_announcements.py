"""Announcement tones in early media, over real RTP: each is in the facts of the end, and nothing else is touched."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from sip.causes import Sit
from sip.commands import Why
from sip.events import Answered, Ended
from sip.trunk import DtmfWay
from tests import sipp
from tests.sip.bench import Bench
from tests.sip.tones import KEY_5, SIGNALS, ringback

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is missing: make peers"),
]
SAYS_MS = 6000  # four times a tone's length: a busy machine is late, and tears some of them


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as one:
        yield one


async def announced(bench: Bench, stack: AsyncExitStack, sound: bytes, status: str, **trunk: Any) -> Ended:
    ear = await stack.enter_async_context(sipp.Ear(talks=True, says=sound))
    await bench.set_up(
        sipp.rings_then_refuses("183 Session Progress", status, sdp_port=ear.port, after_ms=SAYS_MS), trunk=trunk
    )
    return (await bench.call())[1]


@pytest.mark.parametrize("dtmf", [DtmfWay.RFC4733, DtmfWay.INBAND])
@pytest.mark.parametrize("sit", list(Sit))
async def test_each_tone_before_a_refusal_is_told(bench: Bench, stack: AsyncExitStack, sit: Sit, dtmf: DtmfWay) -> None:
    end = await announced(bench, stack, SIGNALS[sit], "480 Temporarily Unavailable", dtmf=dtmf)

    assert (end.code, end.sit, end.digits, end.error) == (480, sit, "", None)


async def test_ringing_in_early_media_is_no_announcement(bench: Bench, stack: AsyncExitStack) -> None:
    end = await announced(bench, stack, ringback(), "480 Temporarily Unavailable")

    assert (end.code, end.sit) == (480, None)


async def test_a_tone_that_begins_after_the_answer_is_not_the_networks(bench: Bench, stack: AsyncExitStack) -> None:
    ear = await stack.enter_async_context(sipp.Ear(talks=True, says=SIGNALS[Sit.VACANT]))
    await bench.set_up(sipp.answers(ear.port))

    _, end = await bench.call(pause_ms=SAYS_MS)

    assert (end.code, end.sit, end.played_ms) == (200, None, 600)


async def test_keys_before_the_answer_are_none_and_after_it_they_count(bench: Bench, stack: AsyncExitStack) -> None:
    """The trunk's keys are in the sound: one ear gives the tap to the other."""
    ear = await stack.enter_async_context(sipp.Ear(talks=True, says=KEY_5))
    await bench.set_up(sipp.early_media(ear.port, early_ms=1500), trunk={"dtmf": DtmfWay.INBAND})

    events, end = await bench.call(pause_ms=1000)

    assert (end.sit, end.played_ms) == (None, 600)
    [answer] = [n for n, event in enumerate(events) if isinstance(event, Answered)]
    assert not any(type(event).__name__ == "Digit" for event in events[:answer])
    assert set(end.digits) == {"5"}


async def test_a_lent_tap_hears_each_call_and_brings_nothing_along(bench: Bench, stack: AsyncExitStack) -> None:
    """It is given back at the answer, and goes to the next call of the same process."""
    ear = await stack.enter_async_context(sipp.Ear(talks=True, says=SIGNALS[Sit.NO_CIRCUIT]))
    await bench.set_up(sipp.early_media(ear.port, early_ms=SAYS_MS), most=1)

    heard = []
    for n, sound in enumerate((SIGNALS[Sit.NO_CIRCUIT], ringback(), SIGNALS[Sit.VACANT])):
        ear.says = sound
        _, end = await bench.call(call_id=f"c{n}")
        heard.append(end.sit)
        assert (end.code, end.why, end.played_ms) == (200, Why.PLAYED_OUT, 600)

    assert heard == [Sit.NO_CIRCUIT, None, Sit.VACANT]
