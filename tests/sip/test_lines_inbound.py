"""Calls that come in: who may ring, what he hears, and that nobody can hurt the process that listens."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from config.children import free_port
from sip.commands import Answer
from sip.events import Answered, Ended, LineEvent, Phase
from sip.lines import Lines
from sip.processleg import RungLeg
from sip.trunk import Inbound, Trunk, TrunkUri
from tests import sipp
from tests.sip.caller import PCMA_SILENCE, Caller, Heard, Rtp, udp
from tests.sip.strangers import OFFER, STRANGER, WITH_SDP, Flood, ask
from tests.until import time_passes, until

pytestmark = pytest.mark.sip


class House:
    """Lines whose trunk brings calls, and those that rang."""

    def __init__(self, stack: AsyncExitStack, directory: Path) -> None:
        self._stack, self.directory = stack, directory
        self.rung: asyncio.Queue[RungLeg] = asyncio.Queue()
        self.audio = sipp.tone(directory / "tone.wav", 600)
        self.lines: Lines
        self.port = 0

    async def open(self, *acl: str, **options: Any) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        inbound = Inbound(acl or ("127.0.0.1/32",), self.port)
        trunk = Trunk("t", "t", (TrunkUri("127.0.0.1", 9),), inbound=inbound, **options)
        self.lines = Lines(trunk, most=4, journal_dir=self.directory / "journal", answer=self.rung.put_nowait)
        self._stack.push_async_callback(self.lines.aclose)
        await self.lines.start()
        await until(lambda: self.listener is not None)

    @property
    def listener(self) -> int | None:
        """The process that listens, once it does."""
        process = self.lines._front.process if self.lines._front else None
        return process.pid if process is not None and process.ready is not None else None

    async def caller(self) -> Caller:
        sip, rtp, rtcp = await udp(), await udp(), await udp()
        for transport, _, _ in (sip, rtp, rtcp):
            self._stack.callback(transport.close)
        return Caller(self.port, *sip, rtp=Rtp(*rtp, *rtcp), number="12025550199", call_id=f"call-{sip[2]}")

    async def rings(self) -> RungLeg:
        async with asyncio.timeout(10):
            return await self.rung.get()

    def answer(self, **changes: Any) -> Answer:
        return Answer(**{"call_id": "", "audio": self.audio, "pause_ms": 100} | changes)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        yield House(stack, tmp_path)


async def life(leg: RungLeg) -> tuple[list[LineEvent], Ended]:
    async with asyncio.timeout(15):
        events = [event async for event in leg.events()]
    end = events[-1]
    assert isinstance(end, Ended)
    return events, end


async def hang_up_when_asked(caller: Caller) -> None:
    caller.agree(await caller.until("BYE"))


async def test_a_caller_hears_what_he_was_answered_with(house: House) -> None:
    await house.open()
    caller = await house.caller()
    caller.invite()
    leg = await house.rings()
    assert (leg.rung.caller, leg.rung.called) == ("caller", "12025550199")
    await caller.until(180)

    await leg.pick_up(house.answer())
    ok = await caller.until(200)
    caller.ack(ok)
    to = int(re.findall(r"m=audio (\d+)", ok.body)[0])
    for _ in range(5):
        caller.rtp.send(to, PCMA_SILENCE)
    await hang_up_when_asked(caller)
    events, end = await life(leg)

    assert [type(event) for event in events if isinstance(event, Answered)] == [Answered]
    assert end.played_to_end
    assert end.by_us
    assert (end.phase, end.audio_ms) == (Phase.ANSWERED, 600)
    sound = [packet for _, packet in caller.rtp.packets() if packet[1] & 0x7F == 8]
    loud = [packet for packet in sound if len(set(packet[12:])) > 20]
    assert 29 <= len(loud) <= 31  # 600 ms of tone
    assert any("INVITE sip:" in getattr(event, "text", "") for event in events)


async def test_a_caller_may_let_us_make_the_offer(house: House) -> None:
    await house.open()
    caller = await house.caller()
    caller.invite(body="")
    leg = await house.rings()

    await leg.pick_up(house.answer())
    ok = await caller.until(200)
    caller.ack(ok, body=caller.offer("8 101"))
    await hang_up_when_asked(caller)
    _, end = await life(leg)

    assert end.played_to_end


async def test_a_call_that_is_refused_gets_that_answer(house: House) -> None:
    await house.open()
    for body in (None, ""):  # the second without SDP: a late offer
        caller = await house.caller()
        invite = caller.invite(**({} if body is None else {"body": body}))
        leg = await house.rings()

        await leg.refuse(404)
        caller.ack_refusal(invite, await caller.until(404))
        _, end = await life(leg)

        assert end.phase is Phase.RINGING
    assert house.lines.pids()


async def test_a_call_that_nobody_decides_is_refused_by_itself(house: House) -> None:
    await house.open()
    caller = await house.caller()
    invite = caller.invite()
    leg = await house.rings()

    await caller.until(180)
    async with asyncio.timeout(20):  # we have ten
        at, data = await caller.socket.heard.get()
    heard = Heard(at, data.decode())
    caller.ack_refusal(invite, heard)

    assert heard.code == 480
    assert (await life(leg))[1].by_us


async def test_a_caller_who_gives_up_ends_the_call(house: House) -> None:
    await house.open()
    caller = await house.caller()
    invite = caller.invite()
    leg = await house.rings()
    branch = re.findall(r"branch=([^;\r]+)", invite.decode())[0]
    caller.send(caller.request("CANCEL", branch=branch))
    await caller.until(487)

    _, end = await life(leg)

    assert not end.by_us
    assert end.phase is Phase.RINGING


async def test_a_caller_who_hangs_up_is_seen_to(house: House) -> None:
    await house.open()
    caller = await house.caller()
    caller.invite()
    leg = await house.rings()
    await leg.pick_up(house.answer(repeat=20))
    caller.ack(await caller.until(200))
    await time_passes(0.5)

    await caller.hang_up()
    _, end = await life(leg)

    assert not end.by_us
    assert 0 < end.played_ms < end.audio_ms


async def test_more_calls_than_lines_hear_that_it_is_busy(house: House) -> None:
    await house.open()
    callers = [await house.caller() for _ in range(5)]
    for caller in callers[:4]:
        caller.invite()
        await caller.until(180)

    callers[4].invite()

    heard = await callers[4].next()
    while heard.code < 200:
        heard = await callers[4].next()
    assert heard.code in (486, 503)
    assert house.rung.qsize() == 4


async def test_an_invite_from_outside_the_acl_gets_no_answer_and_rings_nothing(house: House) -> None:
    await house.open()
    before = house.listener

    assert await ask(house.port, "INVITE", *WITH_SDP, body=OFFER, source=STRANGER, may_be_silent=True) == ""
    assert await ask(house.port, "INVITE", source=STRANGER, may_be_silent=True) == ""  # a late offer

    assert house.rung.empty()
    assert house.listener == before


async def test_the_trunk_itself_may_bring_nothing_when_the_acl_does_not_name_it(house: House) -> None:
    """The packet filter lets the trunk's address in, for re-INVITEs; the decision in the process does not."""
    await house.open("127.0.0.77/32")

    with_offer = await ask(house.port, "INVITE", *WITH_SDP, body=OFFER)
    without = await ask(house.port, "INVITE")

    assert with_offer.startswith("403")
    assert without.startswith("403")
    assert house.rung.empty()


@pytest.mark.parametrize("body", [OFFER, ""], ids=["with SDP", "without SDP"])
async def test_a_flood_of_strangers_costs_the_listener_nothing(house: House, body: str) -> None:
    await house.open()
    before = house.listener
    flood = Flood(house.port, "INVITE", 2000, 1000.0, WITH_SDP if body else (), body)

    await flood.run()
    caller = await house.caller()
    caller.invite()

    assert await house.rings()
    assert flood.answers == {}
    assert house.listener == before


async def test_a_flood_from_the_trunk_is_answered_and_survived(house: House) -> None:
    await house.open()
    before = house.listener
    flood = Flood(house.port, "INVITE", 600, 300.0, WITH_SDP, OFFER, source="127.0.0.1")

    await flood.run()
    await time_passes(1.5)

    assert house.rung.qsize() <= 4
    assert house.listener == before
