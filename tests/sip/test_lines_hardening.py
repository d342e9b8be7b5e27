"""Nobody out there can make us dial, take a call over, or end the process."""

import asyncio

import pytest

from sip.commands import AfterScript, Why
from sip.events import Answered, Digit, Ended
from tests import sipp
from tests.sip.bench import Bench
from tests.sip.strangers import ask
from tests.until import until

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]


async def test_a_callee_cannot_transfer_us_to_a_premium_number(bench: Bench, ear: sipp.Ear) -> None:
    refer = f"Refer-To: <sip:19005550000@127.0.0.1:{ear.port}>"
    await bench.set_up(sipp.answers_and_asks(ear.port, "REFER", refer, 603))

    _, end = await bench.call(audio=sipp.tone(bench.directory / "one.wav", 1000))

    assert end.played_to_end
    assert len(bench.carrier.received("INVITE")) == 1
    assert [m.first for m in bench.carrier.messages() if m.received and m.first.startswith("SIP/2.0 603")] != []
    assert not any(packet.payload.startswith(b"ITE") for packet in ear.packets)  # an INVITE at the premium number


async def test_a_key_sent_by_info_is_heard(bench: Bench, ear: sipp.Ear) -> None:
    body = "Signal=5\nDuration=160"
    headers = "Content-Type: application/dtmf-relay"
    await bench.set_up(sipp.answers_and_asks(ear.port, "INFO", headers, 200, body))

    events, end = await bench.call(audio=sipp.tone(bench.directory / "one.wav", 800))

    assert [(event.digit, event.method) for event in events if isinstance(event, Digit)] == [("5", "info")]
    assert end.digits == "5"
    assert "Signal" not in "".join(getattr(event, "text", "") for event in events)


async def test_a_stranger_cannot_take_a_call_over_with_replaces(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))
    leg = await bench.lines.dial(bench.dial(then=AfterScript.WAIT, max_duration_s=2.0))
    async for event in leg.events():
        if isinstance(event, Answered):
            break
    await until(lambda: bool(bench.carrier.received("ACK")))
    (ack,) = bench.carrier.received("ACK")
    ours, theirs = (ack.header(name).split("tag=")[1] for name in ("From", "To"))
    port = bench.lines.status()[0].ready.sip_port
    sdp = "v=0\r\no=s 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"
    replaces = f"Replaces: {ack.header('Call-ID')};to-tag={ours};from-tag={theirs}"

    answer = await ask(port, "INVITE", replaces, "Content-Type: application/sdp", body=sdp)

    async with asyncio.timeout(10):
        rest = [event async for event in leg.events()]
    end = rest[-1]
    assert answer.startswith("603")
    assert isinstance(end, Ended)
    assert end.why is Why.MAX_DURATION


@pytest.mark.parametrize(
    ("method", "headers", "answers"),
    [
        ("OPTIONS", (), ("200 OK",)),
        ("INVITE", (), ("500 ",)),
        ("SUBSCRIBE", ("Event: presence", "Expires: 60"), ("403 Forbidden",)),
        ("NOTIFY", ("Event: message-summary", "Subscription-State: active"), ("", "481 ", "489 ")),
        ("REFER", ("Refer-To: <sip:19005550000@127.0.0.1>",), ("", "403", "405", "481")),
    ],
)
async def test_what_a_stranger_gets(
    bench: Bench, ear: sipp.Ear, method: str, headers: tuple[str, ...], answers: tuple[str, ...]
) -> None:
    await bench.set_up(sipp.answers(ear.port))
    (pid,) = bench.lines.pids()

    said = await ask(bench.lines.status()[0].ready.sip_port, method, *headers, may_be_silent="" in answers)
    _, end = await bench.call()

    assert any(said == wanted or (wanted and said.startswith(wanted)) for wanted in answers), said
    assert end.played_to_end
    assert bench.lines.pids() == (pid,)
    assert set(bench.carrier.dialogs()) == {"c1"}
