"""Who is not the trunk can neither ring, nor hurt, a process that dials: idle, or with a call up."""

import asyncio

import pytest

from sip.commands import Why
from sip.events import Answered, Ended, LineEvent
from sip.line import Leg
from tests import sipp
from tests.sip.bench import Bench
from tests.sip.strangers import OFFER, STRANGER, WITH_SDP, Flood, ask

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]
REPEATS = 4  # of 600 ms, with pauses: floods are over before


async def answered(bench: Bench, ear: sipp.Ear) -> Leg:
    """A call that says 600 ms of tone, again and again, while the test does its worst."""
    await bench.set_up(sipp.answers(ear.port))
    leg = await bench.lines.dial(bench.dial(repeat=REPEATS, repeat_gap_ms=100))
    async for event in leg.events():
        if isinstance(event, Answered):
            return leg
    raise AssertionError("never answered")


async def rest_of(leg: Leg) -> tuple[list[LineEvent], Ended]:
    async with asyncio.timeout(15):
        events = [event async for event in leg.events()]
    end = events[-1]
    assert isinstance(end, Ended)
    return events, end


def unharmed(ear: sipp.Ear, end: Ended) -> None:
    """Played on: every packet of the sound was sent, in its pace, and heard."""
    sound = [packet for packet in ear.packets if packet.payload_type == 8]
    loud = [packet for packet in sound if len(set(packet.payload)) > 20]
    assert end.why is Why.PLAYED_OUT
    assert end.played_to_end
    assert REPEATS * 28 <= len(loud) <= REPEATS * 31
    assert len(sound) >= 0.9 * end.rtp.sent_packets


FLOODS = [
    pytest.param("INVITE", WITH_SDP, OFFER, id="INVITE"),
    pytest.param("INVITE", (), "", id="INVITE without SDP"),
    pytest.param("MESSAGE", ("Content-Type: text/plain",), "hello", id="MESSAGE"),
    pytest.param("SUBSCRIBE", ("Event: presence", "Expires: 60"), "", id="SUBSCRIBE"),
    pytest.param("REFER", ("Refer-To: <sip:19005550000@127.0.0.1>",), "", id="REFER"),
]


@pytest.mark.parametrize(("method", "headers", "body"), FLOODS)
async def test_a_flood_of_requests_is_not_even_answered(
    bench: Bench, ear: sipp.Ear, method: str, headers: tuple[str, ...], body: str
) -> None:
    leg = await answered(bench, ear)
    (pid,) = bench.lines.pids()
    flood = Flood(bench.lines.status()[0].ready.sip_port, method, 1000, 1000.0, headers, body)

    await flood.run()
    _, end = await rest_of(leg)

    assert flood.answers == {}
    assert bench.lines.pids() == (pid,)
    assert set(bench.carrier.dialogs()) == {"c1"}
    unharmed(ear, end)


async def test_a_flood_of_options_is_answered_as_far_as_it_goes_and_hurts_no_call(bench: Bench, ear: sipp.Ear) -> None:
    leg = await answered(bench, ear)
    (pid,) = bench.lines.pids()
    flood = Flood(bench.lines.status()[0].ready.sip_port, "OPTIONS", 2000, 1000.0)

    await flood.run()
    _, end = await rest_of(leg)

    assert set(flood.answers) <= {"SIP/2.0 200 OK"}
    assert bench.lines.pids() == (pid,)
    unharmed(ear, end)


async def test_an_idle_process_survives_a_flood_of_invites(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))
    (pid,) = bench.lines.pids()
    flood = Flood(bench.lines.status()[0].ready.sip_port, "INVITE", 1000, 500.0, WITH_SDP, OFFER)

    await flood.run()
    _, end = await bench.call()

    assert end.played_to_end
    assert bench.lines.pids() == (pid,)


@pytest.mark.parametrize(
    ("method", "headers", "answer"),
    [
        ("OPTIONS", (), "200 OK"),
        ("INVITE", (), ""),
        ("INVITE", ("Replaces: nothing;to-tag=a;from-tag=b",), ""),
        ("SUBSCRIBE", ("Event: presence", "Expires: 60"), ""),
        ("MESSAGE", ("Content-Type: text/plain",), ""),
        ("NOTIFY", ("Event: message-summary", "Subscription-State: active"), ""),
        ("REFER", ("Refer-To: <sip:19005550000@127.0.0.1>",), ""),
        ("PUBLISH", ("Event: presence",), ""),
        ("REGISTER", (), ""),
    ],
)
async def test_what_a_stranger_hears(
    bench: Bench, ear: sipp.Ear, method: str, headers: tuple[str, ...], answer: str
) -> None:
    await bench.set_up(sipp.answers(ear.port))

    said = await ask(
        bench.lines.status()[0].ready.sip_port, method, *headers, source=STRANGER, may_be_silent=not answer
    )

    assert said == answer
