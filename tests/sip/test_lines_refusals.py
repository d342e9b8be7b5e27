"""What a callee, or the trunk, asks of us on a call that is up makes no call, tells no password and cuts no sound."""

import numpy as np
import pytest

from media.heard import compare
from media.speech import Sound
from sip.events import Ended, Trace
from sip.trunk import Credentials
from tests import sipp
from tests.sip.bench import Bench
from tests.sip.sounds import sound, warble
from tests.sip.strangers import OFFER, WITH_SDP, ask

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]
PREMIUM = "19005550000"
LOGIN = Credentials("tocsin", "trunk.example", "s3cret-CANARY")


def heard_by(ear: sipp.Ear) -> Sound:
    """PCMA as it came in; ITU-T G.711 section 3."""
    octets = b"".join(packet.payload for packet in ear.packets if packet.payload_type == 8)
    code = np.frombuffer(octets, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F).astype(np.int32)
    longer = ((mantissa << 4) + 0x108) << (np.maximum(exponent, 1) - 1)
    size = np.where(exponent == 0, (mantissa << 4) + 8, longer)
    return Sound((np.where(code & 0x80, size, -size) / 32768).astype(np.float32), 8000)


def nobody_was_rung(bench: Bench, ear: sipp.Ear, call_id: str) -> bool:
    """One dialog at the carrier, and not a packet of SIP where the premium number is."""
    reached = any(packet.payload.startswith(b"ITE") for packet in ear.packets)  # an INVITE, read as RTP
    return set(bench.carrier.dialogs()) == {call_id} and not reached


def no_login_left(bench: Bench) -> bool:
    return not any("uthorization:" in message.text for message in bench.carrier.messages() if message.received)


PLAYED = [
    pytest.param("REFER", "Refer-To: <sip:{premium}>", 603, "", id="REFER"),
    pytest.param("REFER", "Refer-To: <sip:{premium}>\nReferred-By: <sip:boss@127.0.0.1>", 603, "", id="REFER by"),
    pytest.param("SUBSCRIBE", "Event: presence\nExpires: 60", 500, "", id="SUBSCRIBE"),
    pytest.param("MESSAGE", "Content-Type: text/plain", 200, "ring +19005550000", id="MESSAGE"),
    pytest.param("NOTIFY", "Event: refer\nSubscription-State: active", 500, "", id="NOTIFY"),
    pytest.param("OPTIONS", "Accept: application/sdp", 500, "", id="OPTIONS"),
    pytest.param("UPDATE", "Session-Expires: 90;refresher=uac", 200, "", id="UPDATE"),
    pytest.param("INVITE", "Content-Type: application/sdp", 200, "SDP", id="re-INVITE"),
    pytest.param("INVITE", "Subject: late offer", 200, "", id="re-INVITE without SDP"),
]


@pytest.mark.parametrize(("method", "headers", "answer", "body"), PLAYED)
async def test_a_request_of_the_callee_makes_no_call_and_cuts_no_word(
    bench: Bench, ear: sipp.Ear, method: str, headers: str, answer: int, body: str
) -> None:
    said = warble(bench.directory / "said.wav", 3.0, 500)
    if body == "SDP":
        body = (
            "v=0\no=carrier 1 2 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=audio {ear.port} RTP/AVP 8 120\na=rtpmap:120 telephone-event/8000"
        )
    headers = headers.format(premium=f"{PREMIUM}@127.0.0.1:{ear.port}")
    await bench.set_up(sipp.answers_and_asks(ear.port, method, headers, answer, body), trunk={"auth": LOGIN})
    (pid,) = bench.lines.pids()

    _, end = await bench.call(audio=said)

    match = compare(sound(said), heard_by(ear))
    answers = [m.first for m in bench.carrier.messages() if m.received and m.header("CSeq") == f"2 {method}"]
    assert [first for first in answers if first.startswith(f"SIP/2.0 {answer}")] != []
    assert end.played_to_end
    assert (match.match or 0) > 0.9
    assert nobody_was_rung(bench, ear, "c1")
    assert no_login_left(bench)
    assert bench.lines.pids() == (pid,)


FROM_THE_TRUNK = [
    ("REFER", (f"Refer-To: <sip:{PREMIUM}@127.0.0.1:9>",), "", ("",)),
    ("INVITE", WITH_SDP, OFFER, ("500",)),
    ("INVITE", (), "", ("500",)),  # a late offer
    ("INVITE", (*WITH_SDP, "Replaces: nothing;to-tag=a;from-tag=b"), OFFER, ("481",)),
    ("SUBSCRIBE", ("Event: presence", "Expires: 60"), "", ("403",)),
    ("SUBSCRIBE", ("Event: dialog", "Expires: 60"), "", ("489",)),
    ("MESSAGE", ("Content-Type: text/plain",), f"ring {PREMIUM}", ("200", "202")),  # answered, and nobody reads it
    ("NOTIFY", ("Event: message-summary", "Subscription-State: active"), "", ("", "481")),
    ("NOTIFY", ("Event: refer", "Subscription-State: active"), "", ("", "481")),
    ("OPTIONS", (), "", ("200",)),
    ("PUBLISH", ("Event: presence",), "", ("", "405", "489")),
    ("REGISTER", (), "", ("", "405")),
    ("UPDATE", (), "", ("", "481")),
    ("BYE", (), "", ("", "481")),
]


async def test_requests_that_the_trunk_sends_to_nobody_ring_nobody(bench: Bench, ear: sipp.Ear) -> None:
    """From its very address, so no packet filter helps: to an idle process, then to one with a call up."""
    said = warble(bench.directory / "said.wav", 8.0, 500)
    await bench.set_up(sipp.answers(ear.port), trunk={"auth": LOGIN})
    (pid,) = bench.lines.pids()
    port = bench.lines.status()[0].ready.sip_port

    async def ask_all() -> None:
        for method, headers, body, allowed in FROM_THE_TRUNK:
            answer = await ask(port, method, *headers, body=body, may_be_silent="" in allowed)
            assert any(answer[:3] == code for code in allowed), (method, answer)

    await ask_all()
    leg = await bench.lines.dial(bench.dial(audio=said))
    await ask_all()
    events = [event async for event in leg.events()]

    end = events[-1]
    assert isinstance(end, Ended)
    assert end.played_to_end
    assert (compare(sound(said), heard_by(ear)).match or 0) > 0.9
    assert nobody_was_rung(bench, ear, "c1")
    assert no_login_left(bench)
    assert bench.lines.pids() == (pid,)


async def test_a_redirect_to_a_premium_number_is_not_followed(bench: Bench, ear: sipp.Ear) -> None:
    contact = f"Contact: <sip:{PREMIUM}@127.0.0.1:{ear.port}>"
    await bench.set_up(sipp.refuses("302 Moved Temporarily", contact), trunk={"auth": LOGIN})

    _, end = await bench.call()

    assert (end.code, end.rtp.sent_packets) == (302, 0)
    assert nobody_was_rung(bench, ear, "c1")
    assert ear.packets == []


def challenges(realm: str) -> str:
    asks = f'Proxy-Authenticate: Digest realm="{realm}", nonce="47364c23432d2e131a5fb210812c", algorithm=MD5'
    return sipp.scenario(sipp.recv("INVITE"), sipp.send("407 Proxy Authentication Required", asks), sipp.recv("ACK"))


async def test_a_challenge_from_a_foreign_realm_gets_no_login(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(challenges("attacker.example"), trunk={"auth": LOGIN})

    events, end = await bench.call()

    assert end.code == 407
    assert len(bench.carrier.received("INVITE")) == 1
    assert no_login_left(bench)
    assert not any("CANARY" in event.text for event in events if isinstance(event, Trace))


async def test_a_challenge_to_our_bye_gets_no_login_either(bench: Bench, ear: sipp.Ear) -> None:
    asks = 'Proxy-Authenticate: Digest realm="attacker.example", nonce="47364c23432d2e131a5fb210812c", algorithm=MD5'
    scenario = sipp.scenario(
        sipp.recv("INVITE"),
        sipp.send("200 OK", sdp_port=ear.port),
        sipp.recv("ACK"),
        sipp.recv("BYE"),
        sipp.send("407 Proxy Authentication Required", asks),
        sipp.pause(500),
    )
    await bench.set_up(scenario, trunk={"auth": LOGIN})

    _, end = await bench.call()

    assert end.played_to_end
    assert bench.carrier.received("BYE") != []
    assert no_login_left(bench)


async def test_the_realm_of_the_trunk_does_get_the_login(bench: Bench, ear: sipp.Ear) -> None:
    """Else the two sentences above would hold for a caller without a login."""
    await bench.set_up(challenges("trunk.example"), trunk={"auth": LOGIN})

    leg = await bench.lines.dial(bench.dial(ring_timeout_s=2.0))
    [event async for event in leg.events()]

    assert not no_login_left(bench)
