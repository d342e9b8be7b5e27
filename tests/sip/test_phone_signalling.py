"""The catch-all phone obeys RFC 3261, 3311, 3581 and 4028 towards callers that behave and callers that do not."""

import asyncio
import itertools
import re
from pathlib import Path

import pytest

from sip.sandbox.phone import CatchAllPhone, PhoneCall
from sip.sandbox.scripts import HUMAN_S, PhoneScript, script_for
from tests.sip.caller import Caller, Heard, media_port
from tests.sip.phones import QUICK, MakeCaller, MakePhone, Reached, RingingPhone

pytest_plugins = ["tests.sip.phone_fixtures"]

AT_ONCE = "X-Tocsin-Sandbox: answer_after=0\r\n"


async def _settled(caller: Caller, seconds: float = 0.15) -> list[Heard]:
    """What arrives within `seconds`: for tests that something is *not* sent."""
    found: list[Heard] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                found.append(await caller.next())
    except TimeoutError:
        return found


async def test_a_call_is_rung_answered_after_a_human_moment_and_reported(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone, "2348020000000")

    await caller.answered("X-Call-Id: call_01TEST\r\n")
    up = phone.phone.calls_up()
    await caller.hang_up()
    call = await phone.over()

    assert [heard.code for heard in caller.seen] == [100, 180, 200, 200]
    assert up == 1
    assert phone.phone.calls_up() == 0
    assert (call.call_id, call.to, call.ended_by, call.invites) == ("call_01TEST", "2348020000000", "caller", 1)
    assert call.answered_at is not None
    assert HUMAN_S[0] - 0.01 <= call.answered_at - call.started_at <= HUMAN_S[1] + 0.3
    assert call.ended_at >= call.answered_at


async def test_a_response_repeats_what_it_must_and_adds_tag_received_and_rport(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)
    record_route = "<sip:127.0.0.1:9;lr>"

    caller.invite(f"{AT_ONCE}Record-Route: {record_route}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKfar\r\n")
    ringing, ok = await caller.until(180), await caller.until(200)

    for response in (ringing, ok):
        vias = re.findall(r"^Via: (.*)\r$", response.text, re.M)
        assert f";rport={caller.port}" in vias[0]
        assert ";received=127.0.0.1" in vias[0]
        assert vias[1] == "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKfar"
        assert response.header("Record-Route") == record_route
        assert response.header("Contact") == f"<sip:phone@127.0.0.1:{phone.port}>"
    assert ringing.header("To") == ok.header("To")
    assert ";tag=" in (ok.header("To") or "")


async def test_without_rport_the_answer_goes_to_the_port_in_the_via(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller, other = await make_caller(phone), await make_caller(phone)

    other.send(caller.request("OPTIONS").replace(b";rport", b""))

    assert (await caller.until(200)).code == 200


async def test_a_repeated_invite_is_absorbed_and_gets_the_same_answer(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)

    invite = caller.invite("X-Tocsin-Sandbox: answer_after=0.1\r\n")
    ringing = await caller.until(180)
    caller.send(invite)
    again = await caller.until(180)
    ok = await caller.until(200)
    caller.send(invite)
    ok_again = await caller.until(200)
    caller.ack(ok)
    caller.send(invite)  # one that was long under way
    ok_late = await caller.until(200)
    await caller.hang_up()
    call = await phone.over()

    assert again.text == ringing.text
    assert ok_again.text == ok_late.text == ok.text
    assert call.invites == 1
    assert phone.ended.empty()


async def test_the_200_is_repeated_from_t1_to_t2_until_the_ack(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)

    caller.invite(AT_ONCE)
    oks = [await caller.until(200) for _ in range(6)]
    caller.ack(oks[-1])
    await _settled(caller, 0.05)
    later = await _settled(caller, 3 * QUICK.t2)

    gaps = [after.at - before.at for before, after in itertools.pairwise(oks)]
    for gap, wanted in zip(gaps, [0.025, 0.05, 0.1, 0.1, 0.1], strict=True):
        assert wanted - 0.005 <= gap <= wanted + 0.06
    assert later == []
    assert phone.phone.calls_up() == 1


async def test_a_call_whose_ack_never_comes_is_ended_with_a_bye(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)

    caller.invite(AT_ONCE)
    bye = await caller.until("BYE")
    caller.agree(bye)
    call = await phone.over()

    assert call.ended_by == "no_ack"
    assert call.ended_at - (call.answered_at or 0) == pytest.approx(64 * QUICK.t1, abs=0.4)


async def test_a_refusal_is_repeated_until_its_ack(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550101")

    invite = caller.invite()
    busy = [await caller.until(486) for _ in range(3)]
    caller.ack_refusal(invite, busy[-1])
    await _settled(caller, 0.05)
    caller.send(invite)  # one that was long under way
    late = await caller.until(486)
    later = await _settled(caller, 3 * QUICK.t2)

    assert busy[0].text == busy[2].text == late.text
    assert later == []
    assert (await phone.over()).ended_by == "phone"
    assert phone.ended.empty()


async def test_cancel_gets_200_and_the_invite_487_with_one_tag(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550102")

    invite = caller.invite()
    await caller.until(180)
    branch = re.search(rb"branch=([^;\r]+)", invite)
    assert branch is not None
    caller.send(caller.request("CANCEL", branch=branch[1].decode()))
    ok, terminated = await caller.until(200), await caller.until(487)
    caller.ack_refusal(invite, terminated)
    call = await phone.over()

    assert (ok.header("CSeq"), terminated.header("CSeq")) == ("1 CANCEL", "1 INVITE")
    assert ok.header("To") == terminated.header("To")
    assert (call.ended_by, call.answered_at, call.recording) == ("cancel", None, None)


async def test_a_cancel_that_comes_after_the_answer_changes_nothing(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)

    invite = caller.invite(AT_ONCE)
    ok = await caller.until(200)
    branch = re.search(rb"branch=([^;\r]+)", invite)
    assert branch is not None
    caller.send(caller.request("CANCEL", branch=branch[1].decode()))
    canceled = await caller.until(200)
    caller.ack(ok)

    assert canceled.header("CSeq") == "1 CANCEL"
    assert phone.phone.calls_up() == 1


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("OPTIONS", 200),
        ("BYE", 481),
        ("CANCEL", 481),
        ("UPDATE", 481),
        ("INFO", 481),
        ("REGISTER", 405),
        ("MESSAGE", 405),
        ("DANCE", 501),
    ],
)
async def test_a_request_outside_a_call_is_answered_as_the_rfc_says(
    phone: RingingPhone, make_caller: MakeCaller, method: str, code: int
) -> None:
    caller = await make_caller(phone)

    caller.send(caller.request(method))
    heard = await caller.next()

    assert heard.code == code
    if code in (200, 405, 501):
        assert "INVITE, ACK, CANCEL, BYE, OPTIONS" in (heard.header("Allow") or "")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ((b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia"), 505),
        ((b"CSeq: 1 INVITE", b"CSeq: 1 OPTIONS"), 400),
        ((b"CSeq: 1 INVITE", b"CSeq: 9999999999 INVITE"), 400),
        ((b"Content-Length: ", b"Content-Length: 9"), 400),
        ((b"application/sdp", b"application/pdf"), 415),
        ((b"Max-Forwards: 70", b"Require: 100rel, timer"), 420),
        ((b"sip:12025550100@127.0.0.1 SIP", b"http:12025550100 SIP"), 416),
        ((b"v=0", b"x=0"), 400),
        ((b"RTP/AVP 8 0 101", b"RTP/SAVP 8 0 101"), 488),
        ((b"RTP/AVP 8 0 101", b"RTP/AVP 18 101"), 488),
        ((b"c=IN IP4 127.0.0.1", b"c=IN IP4 192.0.2.1"), 488),
    ],
)
async def test_an_invite_that_cannot_be_obeyed_is_refused_with_its_reason(
    phone: RingingPhone, make_caller: MakeCaller, change: tuple[bytes, bytes], code: int
) -> None:
    caller = await make_caller(phone)
    invite = caller.request("INVITE", body=caller.offer())
    assert change[0] in invite
    wrong = invite.replace(*change, 1)
    if b"Content-Length" not in change[0]:  # the length of the body may have changed
        body = wrong.partition(b"\r\n\r\n")[2]
        wrong = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), wrong)

    caller.send(wrong)
    heard = await caller.next()

    assert heard.code == code
    assert phone.phone.calls_up() == 0


async def test_a_refused_invite_may_come_back_with_the_same_call_id(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)

    invite = caller.request("INVITE", body=caller.offer("18"))
    caller.send(invite)
    refusal = await caller.until(488)
    caller.ack_refusal(invite, refusal)
    caller.to_tag, caller.cseq = "", 2
    await caller.answered(AT_ONCE)

    assert phone.phone.calls_up() == 1


async def test_the_same_invite_by_another_way_is_a_loop(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550102")

    caller.invite()
    await caller.until(180)
    caller.invite()

    assert (await caller.until(482)).header("CSeq") == "1 INVITE"
    assert phone.phone.calls_up() == 1


async def test_an_invite_without_an_offer_gets_one_and_the_ack_answers(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)

    caller.send(caller.request("INVITE", headers=AT_ONCE))
    ok = await caller.until(200)
    caller.ack(ok, body=caller.offer("0 101"))
    async with asyncio.timeout(5):
        _, first = await caller.rtp.heard.heard.get()

    assert "m=audio" in ok.body
    assert "8 0 101" in ok.body
    assert first[1] & 0x7F == 0  # PCMU, as the ACK chose


async def test_a_reinvite_may_hold_the_call_and_take_it_back(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)
    first = await caller.answered(AT_ONCE)

    caller.cseq = 2
    held = await caller.answered(body=caller.offer(extra="a=sendonly\r\n"))
    await asyncio.sleep(0)
    caller.rtp.packets()
    caller.cseq = 3
    resumed = await caller.answered(body=caller.offer())
    await caller.hang_up()
    call = await phone.over()

    assert "a=recvonly" in held.body
    assert "a=sendrecv" in resumed.body
    assert media_port(held) == media_port(resumed) == media_port(first)
    assert int(re.findall(r"o=- \d+ (\d+)", resumed.body)[0]) > int(re.findall(r"o=- \d+ (\d+)", held.body)[0])
    assert call.invites == 1


async def test_the_phone_hangs_up_towards_the_latest_contact(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller, moved = await make_caller(phone), await make_caller(phone)
    await caller.answered("X-Tocsin-Sandbox: answer_after=0;hangup_after=0.3\r\n")

    contact = f"caller@127.0.0.1:{caller.port}".encode(), f"moved@127.0.0.1:{moved.port}".encode()
    caller.send(caller.request("UPDATE", cseq=2).replace(*contact))
    await caller.until(200)
    bye = await moved.until("BYE")
    moved.agree(bye)

    assert bye.first == f"BYE sip:moved@127.0.0.1:{moved.port} SIP/2.0"


async def test_a_reinvite_that_cannot_be_agreed_leaves_the_call_up(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)
    await caller.answered(AT_ONCE)

    caller.cseq = 2
    invite = caller.request("INVITE", body=caller.offer("18"))
    caller.send(invite)
    caller.ack_refusal(invite, await caller.until(488))
    await caller.hang_up()

    assert (await phone.over()).ended_by == "caller"


async def test_an_update_refreshes_the_session_and_the_phone_gives_up_a_session_that_nobody_refreshes(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)
    session = "Supported: timer\r\nSession-Expires: 3;refresher=uac\r\n"

    ok = await caller.answered(AT_ONCE + session)
    caller.cseq = 2
    caller.send(caller.request("UPDATE", headers=session))
    refreshed = await caller.until(200)
    bye = await caller.until("BYE")
    caller.agree(bye)

    for response in (ok, refreshed):
        assert response.header("Session-Expires") == "3;refresher=uac"
        assert response.header("Require") == "timer"
    assert refreshed.header("CSeq") == "2 UPDATE"
    assert refreshed.body == ""
    assert bye.at - refreshed.at == pytest.approx(2.0, abs=0.2)  # a third before the end: RFC 4028 section 10
    assert (await phone.over()).ended_by == "session_expired"


async def test_the_phone_refreshes_when_the_caller_asks_it_to(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)

    ok = await caller.answered(AT_ONCE + "Supported: timer\r\nSession-Expires: 1;refresher=uas\r\n")
    update = await caller.until("UPDATE")
    caller.agree(update)
    second = await caller.until("UPDATE")
    caller.agree(second)
    await caller.hang_up()

    assert ok.header("Session-Expires") == "1;refresher=uas"
    assert update.header("CSeq") == "1 UPDATE"
    assert second.header("CSeq") == "2 UPDATE"
    assert (await phone.over()).ended_by == "caller"


async def test_a_session_that_is_too_short_is_refused_with_the_least(
    make_phone: MakePhone, make_caller: MakeCaller
) -> None:
    phone = await make_phone(timers=type(QUICK)())
    caller = await make_caller(phone)

    caller.invite("Session-Expires: 60\r\n")

    assert (await caller.until(422)).header("Min-SE") == "90"


async def test_a_request_for_a_strange_dialog_is_481_and_one_out_of_order_500(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)
    await caller.answered(AT_ONCE)
    mine = caller.to_tag

    caller.to_tag = "stranger"
    caller.send(caller.request("BYE", cseq=2))
    strange = await caller.next()
    caller.to_tag = mine
    caller.send(caller.request("INFO", cseq=1))
    late = await caller.next()

    assert (strange.code, late.code) == (481, 500)
    assert phone.phone.calls_up() == 1


async def test_the_phone_hangs_up_through_the_recorded_route(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller, proxy = await make_caller(phone), await make_caller(phone)

    await caller.answered(
        f"X-Tocsin-Sandbox: answer_after=0;hangup_after=0.1\r\nRecord-Route: <sip:127.0.0.1:{proxy.port};lr>\r\n"
    )
    bye = await proxy.until("BYE")
    proxy.agree(bye)
    call = await phone.over()

    assert bye.first == f"BYE sip:caller@127.0.0.1:{caller.port} SIP/2.0"
    assert bye.header("Route") == f"<sip:127.0.0.1:{proxy.port};lr>"
    assert "tag=mine" in (bye.header("To") or "")
    assert call.ended_by == "phone"


async def test_nothing_leaves_the_machine_whatever_the_contact_says(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)
    invite = caller.request(
        "INVITE", body=caller.offer(), headers="X-Tocsin-Sandbox: answer_after=0;hangup_after=0\r\n"
    )

    caller.send(invite.replace(b"Contact: <sip:caller@127.0.0.1", b"Contact: <sip:caller@192.0.2.1"))
    caller.ack(await caller.until(200))

    assert "sip:caller@192.0.2.1" in (await caller.until("BYE")).first


async def test_two_byes_that_cross_both_get_200(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)
    await caller.answered("X-Tocsin-Sandbox: answer_after=0;hangup_after=0.05\r\n")

    bye = await caller.until("BYE")
    ours = await caller.hang_up()
    caller.agree(bye)

    assert ours.code == 200
    assert (await phone.over()).ended_by == "phone"
    assert phone.ended.empty()


async def test_a_bye_is_repeated_until_it_is_answered(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)
    await caller.answered("X-Tocsin-Sandbox: answer_after=0;hangup_after=0\r\n")

    first, second = await caller.until("BYE"), await caller.until("BYE")
    caller.agree(second)
    later = await _settled(caller, 3 * QUICK.t2)

    assert first.text == second.text
    assert [heard for heard in later if heard.at > second.at + 0.05] == []


async def test_keys_may_come_by_info(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)
    await caller.answered(AT_ONCE)

    caller.cseq = 2
    caller.send(caller.request("INFO", body="Signal=5\r\nDuration=160\r\n", kind="application/dtmf-relay"))
    await caller.until(200)
    await caller.hang_up()

    assert (await phone.over()).digits_heard == "5"


async def test_closing_the_phone_hangs_up_and_reports_every_call(
    make_phone: MakePhone, make_caller: MakeCaller
) -> None:
    phone = await make_phone()
    talking, ringing = await make_caller(phone), await make_caller(phone, "12025550102")
    await talking.answered(AT_ONCE)
    ringing.invite()
    await ringing.until(180)

    closing = asyncio.create_task(phone.phone.aclose())
    talking.agree(await talking.until("BYE"))
    refusal = await ringing.until(480)
    await closing

    assert refusal.code == 480
    assert {(await phone.over()).ended_by, (await phone.over()).ended_by} == {"shutdown"}
    assert phone.phone.calls_up() == 0


async def test_an_awaitable_report_is_awaited_before_the_phone_is_closed(
    make_caller: MakeCaller, tmp_path: Path
) -> None:
    told: list[str] = []

    async def tell(call: object) -> None:
        await asyncio.sleep(0.01)
        told.append("told")

    phone = CatchAllPhone(tmp_path, on_end=tell, timers=QUICK)
    port = await phone.start()
    caller = await make_caller(Reached(port), "12025550101")
    caller.invite()
    await caller.until(486)
    await phone.aclose()

    assert told == ["told"]


async def test_a_report_that_is_not_taken_disturbs_no_call(
    make_caller: MakeCaller, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(call: PhoneCall) -> None:
        raise RuntimeError("no room for this")

    phone = CatchAllPhone(tmp_path, on_end=refuse, timers=QUICK)
    port = await phone.start()
    caller = await make_caller(Reached(port), "12025550101")
    caller.invite()
    await caller.until(486)
    await phone.aclose()

    assert "the report of a call was not taken" in caplog.text


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "localhost.example"])
def test_the_phone_refuses_to_listen_anywhere_but_on_loopback(host: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        CatchAllPhone(tmp_path, host=host)


async def test_a_script_of_the_test_decides_when_it_is_given_one(
    make_phone: MakePhone, make_caller: MakeCaller
) -> None:
    def always_refuse(number: str, override: str | None) -> PhoneScript:
        return script_for(number, "code=599")

    phone = await make_phone(scripts=always_refuse)
    caller = await make_caller(phone)

    caller.invite()

    assert (await caller.until(599)).code == 599
