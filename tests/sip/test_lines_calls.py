"""Real PJSIP against SIPp as the carrier: every way a call can end, in the words the outcome table needs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from sip.commands import Why
from sip.events import Answered, Digit, LineEvent, Origin, Phase, Ringing, Trace
from sip.line import LinesDown, NoFreeLine
from sip.lines import Lines
from sip.trunk import Credentials, Trunk, TrunkUri
from tests import sipp
from tests.sip.bench import Bench

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]


def ladder(events: list[LineEvent]) -> list[str]:
    """What crossed the wire: > ours, < theirs."""
    rows = [event for event in events if isinstance(event, Trace)]
    return [
        ("> " if row.sent else "< ") + row.text.splitlines()[0].removeprefix("SIP/2.0 ").split(" sip:")[0]
        for row in rows
    ]


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        ("486 Busy Here", ('Reason: Q.850;cause=17;text="User busy"',), {"q850": 17}),
        ("302 Moved Temporarily", ("Contact: <sip:19005550000@127.0.0.1:9>",), {}),
        ("503 Service Unavailable", ("Retry-After: 7",), {"retry_after_s": 7}),
        ("480 Temporarily Unavailable", ("Reason: SIP;cause=480, Q.850 ;cause=34",), {"q850": 34}),
        ("408 Request Timeout", (), {}),
        ("502 Bad Gateway", (), {}),
        ("603 Nein, danke", (), {}),
        ("699 Whatever", (), {}),
    ],
)
async def test_a_refusal_arrives_word_for_word(
    bench: Bench, status: str, headers: tuple[str, ...], expected: dict[str, object]
) -> None:
    await bench.set_up(sipp.refuses(status, *headers))

    events, end = await bench.call()

    assert f"{end.code} {end.reason}" == status
    assert (end.origin, end.phase, end.by_us, end.sent) == (Origin.REMOTE, Phase.TRYING, False, True)
    assert {name: getattr(end, name) for name in expected} == expected
    assert ladder(events) == ["> INVITE", f"< {status}", "> ACK"]
    assert end.invited_at == next(event.at for event in events if isinstance(event, Trace))
    assert len(bench.carrier.received("INVITE")) == 1  # 3xx: the premium number in it was never called


async def test_the_ladder_of_an_answered_call_is_whole(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))

    events, end = await bench.call()

    assert ladder(events) == ["> INVITE", "< 180 Ringing", "< 200 OK", "> ACK", "> BYE", "< 200 OK"]
    assert end.reason_header is None
    assert all(
        isinstance(event, Trace) and event.peer == f"127.0.0.1:{bench.carrier.port}"
        for event in events
        if isinstance(event, Trace)
    )


async def test_the_invite_says_what_a_trunk_may_know_and_no_more(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))

    await bench.call(call_id="call_01K9")

    invite = bench.carrier.received("INVITE")[0]
    assert invite.header("X-Call-Id") == "call_01K9"
    assert invite.header("User-Agent") == "Tocsin"
    assert "m=audio " in invite.text
    assert " RTP/AVP 8 0 120" in invite.text
    assert invite.header("Session-Expires") == "90"
    assert not any(word in invite.text for word in ("speex", "X-nat", ";ob", "a=ice", "a=crypto"))
    assert len(invite.text.encode()) < 1300


async def test_behind_nat_only_the_public_address_is_told(bench: Bench) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"), trunk={"public_address": "203.0.113.7"})

    await bench.call()

    invite = bench.carrier.received("INVITE")[0]
    assert invite.header("Contact").startswith("<sip:tocsin@203.0.113.7:")
    assert "c=IN IP4 203.0.113.7" in invite.text
    assert "127.0.0.1" not in invite.text.partition("v=0")[2]


async def test_pace_delays_a_dial_and_never_loses_it(bench: Bench) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"), trunk={"cps": 5.0})

    ends = [(await bench.call(call_id=f"c{n}"))[1] for n in range(9)]

    assert {end.code for end in ends} == {486}
    at = [message.at for message in bench.carrier.received("INVITE")]
    assert len(at) == 9
    assert at[8] - at[3] >= 0.8  # four at once, then five a second: 1 s, less what SIPp noted the fourth too late


async def test_a_storm_of_dials_gets_plain_answers(bench: Bench) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"), most=4)
    (pid,) = bench.lines.pids()

    async def one(n: int) -> int:
        try:
            return (await bench.call(call_id=f"c{n}"))[1].code
        except NoFreeLine:
            return 0

    codes = await asyncio.gather(*(one(n) for n in range(60)))

    assert set(codes) == {0, 486}
    assert codes.count(486) == len(bench.carrier.dialogs())
    assert bench.lines.pids() == (pid,)


async def test_a_ringing_phone_is_cancelled_after_the_ring_timeout(bench: Bench) -> None:
    await bench.set_up(sipp.rings_for_ever())

    events, end = await bench.call(ring_timeout_s=0.5)

    assert ladder(events)[2:] == ["> CANCEL", "< 200 OK", "< 487 Request Terminated", "> ACK"]
    assert (end.code, end.phase, end.by_us, end.why) == (487, Phase.RINGING, True, Why.RING_TIMEOUT)


async def test_an_answer_that_crosses_our_cancel_gets_ack_and_bye_and_is_no_answer(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers_while_cancelled(ear.port))

    events, end = await bench.call(ring_timeout_s=0.5)

    assert "> BYE" in ladder(events)
    assert not any(isinstance(event, Answered) for event in events)
    assert (end.code, end.phase, end.why) == (0, Phase.RINGING, Why.RING_TIMEOUT)
    assert len(bench.carrier.received("BYE")) == 1


async def test_early_media_is_not_an_answer(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.early_media(ear.port, early_ms=500))

    events, end = await bench.call()

    ringing = [event for event in events if isinstance(event, Ringing)]
    answered = [event for event in events if isinstance(event, Answered)]
    assert [(event.code, event.early_media) for event in ringing] == [(183, True)]
    assert answered[0].at - ringing[0].at >= 0.45
    assert end.played_ms == 600  # the words waited for the answer
    assert end.rtp.sent_packets * 20 >= 500 + 600  # silence flowed before it


async def test_a_silent_trunk_is_given_up_and_its_line_stays_taken(bench: Bench) -> None:
    await bench.set_up(sipp.is_silent(), silent_s=0.7)

    events, end = await bench.call()

    assert (end.code, end.phase, end.why, end.sent) == (0, Phase.SILENT, Why.TRUNK_SILENT, True)
    assert set(ladder(events)) == {"> INVITE"}
    assert bench.lines.capacity().busy == 1
    assert set(bench.carrier.dialogs()) == {"c1"}
    assert len(bench.carrier.dialogs()["c1"]) == 1


async def test_a_peer_that_hangs_up_mid_message_is_told_apart(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers_and_hangs_up(ear.port, after_ms=700))

    events, end = await bench.call(audio=sipp.tone(bench.directory / "long.wav", 5000))

    assert (end.code, end.origin, end.by_us, end.phase) == (200, Origin.REMOTE, False, Phase.ANSWERED)
    assert 400 <= end.played_ms <= 700  # 700 ms less the pause, by packets
    assert not end.played_to_end
    assert end.audio_ms == 5000
    assert (end.reason_header, end.q850) == ('Q.850;cause=16;text="Normal call clearing"', 16)
    assert ladder(events)[-2:] == ["< BYE", "> 200 OK"]


async def test_a_login_that_is_refused_twice_ends_the_call(bench: Bench) -> None:
    login = Credentials("tocsin", "carrier.test", "s3cret")
    await bench.set_up(sipp.asks_for_a_login(3, "carrier.test"), trunk={"auth": login})

    events, end = await bench.call()

    assert (end.code, end.origin) == (401, Origin.REMOTE)
    invites = bench.carrier.received("INVITE")
    assert len(invites) == 2
    assert 'username="tocsin"' in invites[1].header("Authorization")
    told = "".join(event.text for event in events if isinstance(event, Trace))
    assert "Authorization: (hidden)" in told
    assert invites[1].header("Authorization").split('response="')[1][:32] not in told


@pytest.mark.parametrize("more", ["", ", stale=true"])
async def test_a_peer_that_asks_with_a_new_nonce_for_ever_gets_two_logins(bench: Bench, more: str) -> None:
    login = Credentials("tocsin", "carrier.test", "s3cret")
    await bench.set_up(sipp.asks_for_a_login(9, "carrier.test", fresh=True, more=more), trunk={"auth": login})
    (pid,) = bench.lines.pids()

    _, end = await bench.call()

    assert (end.code, end.origin, end.why) == (401, Origin.REMOTE, None)
    logins = [invite.header("Authorization") != "" for invite in bench.carrier.received("INVITE")]
    assert logins == [False, True, True]
    assert len(bench.carrier.received("ACK")) == 3
    assert bench.lines.pids() == (pid,)
    assert bench.lines.capacity().busy == 0


async def test_a_strange_realm_never_gets_our_digest(bench: Bench) -> None:
    login = Credentials("tocsin", "carrier.test", "s3cret")
    await bench.set_up(sipp.asks_for_a_login(3, "attacker.example"), trunk={"auth": login})

    _, end = await bench.call()

    assert end.code == 401
    assert [invite.header("Authorization") for invite in bench.carrier.received("INVITE")] == [""]


async def test_keys_are_heard(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))
    async with asyncio.timeout(20):
        leg = await bench.lines.dial(bench.dial(audio=sipp.tone(bench.directory / "long.wav", 2000)))
        keys: list[str] = []
        async for event in leg.events():
            if isinstance(event, Answered):
                ear.press("19#")
            if isinstance(event, Digit):
                keys.append(event.digit + " " + event.method)

    assert keys == ["1 rfc4733", "9 rfc4733", "# rfc4733"]


async def test_a_trunk_known_by_name_is_dialled_at_its_address(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), host="localhost")

    _, end = await bench.call(host="localhost")

    assert end.played_to_end
    invite = bench.carrier.received("INVITE")[0]
    assert invite.first.startswith(f"INVITE sip:2348020000000@localhost:{bench.carrier.port} ")
    assert invite.header("Route") == ""


async def test_a_trunk_nobody_knows_fails_without_sending(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))

    _, end = await bench.call(host="no-such-trunk.invalid")

    assert (end.code, end.origin, end.sent) == (502, Origin.LOCAL, False)
    assert bench.carrier.received("INVITE") == []


async def test_a_peer_without_any_media_ends_the_call_in_time(bench: Bench) -> None:
    async with sipp.Ear() as mute:
        await bench.set_up(sipp.answers(mute.port))

        _, end = await bench.call(audio=sipp.tone(bench.directory / "long.wav", 9000), rtp_timeout_s=1.0)

    assert (end.code, end.why, end.by_us) == (200, Why.MEDIA_TIMEOUT, True)
    assert 0 < end.played_ms < 2500
    assert end.rtp.received_packets == 0


@pytest.mark.parametrize(
    ("trunk", "reason"),
    [
        ({"auth": Credentials("u", "*", "p")}, "no realm of its own"),
        ({"auth": Credentials("u" * 200, "r", "p")}, "longer than"),
        ({"bind_address": "0.0.0.0"}, "every interface"),
        ({"codecs": ("speex",)}, "no codec"),
        ({"session_expires_s": 10}, "session timer"),
    ],
)
async def test_a_forbidden_setting_is_refused_at_the_start(tmp_path: Path, trunk: dict[str, Any], reason: str) -> None:
    lines = Lines(Trunk("t", "t", (TrunkUri("127.0.0.1", 5060),), **trunk), most=4, journal_dir=tmp_path)

    with pytest.raises(LinesDown, match=reason):
        await lines.start()

    assert lines.pids() == ()
