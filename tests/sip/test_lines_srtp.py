"""SRTP with baresip: heard and said in both directions, demanded where the trunk demands it, never without TLS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from media.heard import compare
from sip.commands import AfterScript, Dial, Why
from sip.events import Ended, LineEvent, Trace
from sip.line import LinesDown
from sip.lines import Lines
from sip.outcomes import Cause, Ending, judge
from sip.trunk import Srtp, Tls, Transport, Trunk, TrunkUri
from tests import sipp
from tests.authority import authority, issue
from tests.baresip import BARESIP, Baresip
from tests.kamailio import KAMAILIO, Kamailio
from tests.sip.bench import Bench
from tests.sip.sounds import sound, warble

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(
        BARESIP is None or KAMAILIO is None or sipp.SIPP is None, reason="baresip, Kamailio or SIPp: make peers"
    ),
]
NUMBER = "2348020000000"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as one:
        yield one


async def call(lines: Lines, dial: Dial) -> tuple[list[LineEvent], Ended]:
    async with asyncio.timeout(30):
        leg = await lines.dial(dial)
        events = [event async for event in leg.events()]
    assert isinstance(events[-1], Ended)
    return events, events[-1]


@pytest.mark.parametrize(
    ("srtp", "secret", "profile", "encrypted"),
    [
        (Srtp.REQUIRED, "srtp-mand", "RTP/SAVP", True),
        (Srtp.OPTIONAL, "srtp", "RTP/AVP", True),
        (Srtp.OPTIONAL, "", "RTP/AVP", False),
        (Srtp.OFF, "", "RTP/AVP", False),
    ],
)
async def test_both_sides_hear_each_other(
    stack: AsyncExitStack, tmp_path: Path, srtp: Srtp, secret: str, profile: str, encrypted: bool
) -> None:
    ours = authority(tmp_path)
    said, answer = warble(tmp_path / "said.wav", 3.0, 500), warble(tmp_path / "answer.wav", 6.0, 900)
    phone = await stack.enter_async_context(
        Baresip(tmp_path, NUMBER, says=answer, secret=secret, certificate=issue(tmp_path, ours, "localhost"))
    )
    uri = TrunkUri("localhost", phone.tls, Transport.TLS)
    trunk = Trunk("t", "t", (uri,), cps=20.0, tls=Tls(ca=str(ours.certificate)), srtp=srtp)
    lines = Lines(trunk, most=4, journal_dir=tmp_path / "journal")
    stack.push_async_callback(lines.aclose)
    await lines.start()
    record = tmp_path / "call.wav"

    events, end = await call(
        lines,
        Dial(
            "c1",
            f"sip:{NUMBER}@localhost:{phone.tls};transport=tls",
            "sip:12025550199@localhost",
            said,
            then=AfterScript.WAIT,
            max_duration_s=6.0,
            record=str(record),
        ),
    )

    invite = next(event.text for event in events if isinstance(event, Trace))
    assert end.code == 200, (end, phone.log())
    assert f" {profile} 8 0 120" in invite
    assert ("a=crypto:" in invite) is (srtp is not Srtp.OFF)
    assert len(invite) < 1300
    assert ("SRTP is Enabled" in phone.log()) is encrypted
    at_phone = compare(sound(said), await phone.heard())
    at_ours = compare(sound(answer), sound(record, 1))
    print(f"{srtp}: at the phone {at_phone}, at ours {at_ours}")
    assert (at_phone.match or 0) > 0.8
    assert (at_phone.coverage or 0) > 0.9
    assert (at_ours.match or 0) > 0.8


async def test_a_trunk_that_requires_srtp_ends_a_call_answered_in_the_clear(
    bench: Bench, ear: sipp.Ear, stack: AsyncExitStack, tmp_path: Path
) -> None:
    """R5: not one packet of speech leaves in the clear."""
    await bench.set_up(sipp.answers(ear.port))
    ours = authority(tmp_path)
    door = await stack.enter_async_context(
        Kamailio(tmp_path, carrier=bench.carrier.port, certificate=issue(tmp_path, ours, "localhost"))
    )
    uri = TrunkUri("localhost", door.tls, Transport.TLS)
    trunk = Trunk("t", "t", (uri,), cps=20.0, tls=Tls(ca=str(ours.certificate)), srtp=Srtp.REQUIRED)
    lines = Lines(trunk, most=4, journal_dir=tmp_path / "journal")
    stack.push_async_callback(lines.aclose)
    await lines.start()

    _, end = await call(lines, replace(bench.dial(), uri=f"sip:{NUMBER}@localhost:{door.tls};transport=tls"))

    outcome = judge(end, rang=True, answered=True)
    assert ear.packets == []
    assert (end.why, end.rtp.sent_packets) == (Why.INSECURE, 0)
    assert "without SRTP" in (end.error or "")
    assert (outcome.ending, outcome.cause, outcome.silent) == (Ending.COMPLETED, Cause.SECURITY_REQUIRED, True)
    assert [row[0] for row in door.saw("BYE")] == ["tls"]


@pytest.mark.parametrize("over", [Transport.UDP, Transport.TCP])
async def test_srtp_without_tls_refuses_to_dial(tmp_path: Path, over: Transport) -> None:
    trunk = Trunk("t", "t", (TrunkUri("127.0.0.1", 9, over),), srtp=Srtp.OPTIONAL)
    lines = Lines(trunk, most=4, journal_dir=tmp_path)

    with pytest.raises(LinesDown, match="SRTP without TLS"):
        await lines.start()
