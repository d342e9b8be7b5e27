"""Why a call ended as it did, with what proves it: a row of the ladder, or a member of the Call object."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.causes import ABOUT, Again, Cause, Sit
from sip.commands import Why
from sip.events import Ended, Origin, Phase, RtpStats, Trace
from sip.ladder import Ladder, ladder
from sip.outcomes import NEVER_DIALLED, SIP_CODES
from tests.unit.sip.wording import OFFER, answer, messages, request
from tests.voice_values import a_message, an_intake, dialed, now
from voice.calls import Ending, Rang, Refusal, Status, WasAnswered, advance
from voice.endings import lost, not_taken, of_leg, without_leg
from voice.explaining import Value, explained
from voice.explanations import CAUSES
from voice.ticket import as_ticket


def call(
    status: str, cause: str | None = None, code: int | None = None, reason: str = "", **more: Any
) -> dict[str, Any]:
    """A Call object, as far as an explanation reads it."""
    sip = {"code": code, "reason": reason, "origin": "remote", "q850": None, "reason_header": None, "call_id": "sip-1"}
    dialled = code is not None or status in ("completed", "ringing", "no_answer")
    return {
        "call_id": "call_01K0ABCDEFGHJKMNPQRSTVWXYZ",
        "status": status,
        "hangup_cause": cause,
        "hangup_source": "trunk" if cause else None,
        "start_at": "2026-10-24T22:54:06.000Z" if dialled else None,
        "ring_at": None,
        "answer_at": "2026-10-24T22:54:09.100Z" if status == "completed" else None,
        "end_at": "2026-10-24T22:54:30.000Z" if cause else None,
        "fault": ABOUT[Cause(cause)][2] if cause else None,
        "sip": sip | more.pop("sip", {}) if code else None,
        "trunk_id": "lagos-1",
        "wire_to": "2348020000000" if dialled else None,
        "wire_from": "2348020000099" if dialled else None,
        "digits": "",
        "may_have_rung": False,
        "permanent": False,
        "quality": None,
        **more,
    }


def seen(*messages: tuple[bool, str]) -> Ladder:
    """Sent or received, in order, 100 ms apart."""
    return ladder(Trace("c", 100 + n / 10, sent, "41.2.3.4:5060", text) for n, (sent, text) in enumerate(messages))


INVITE = (True, request("INVITE", OFFER))
ACK = (True, request("ACK"))
TRYING, RINGING = (False, answer("100 Trying")), (False, answer("180 Ringing"))
OK = (False, answer("200 OK", "v=0\r\nm=audio 4000 RTP/AVP 8\r\n"))
OK_BYE = (False, answer("200 OK", method="BYE"))
BYE_THEIRS = (False, request("BYE", extra='Reason: Q.850;cause=16;text="Normal"\r\n'))


def said(line: str, *headers: str) -> tuple[bool, str]:
    head = "".join(f"{header}\r\n" for header in headers)
    return False, f"SIP/2.0 {line}\r\nVia: SIP/2.0/UDP 10.0.0.5\r\nCSeq: 1 INVITE\r\n{head}\r\n"


Fact = tuple[str, Value, int | None]

# The Call object, its ladder, whose side, may it be tried again, and facts that must be among the evidence.
CASES: list[tuple[str, dict[str, Any], Ladder, str | None, bool, list[Fact]]] = [
    (
        "busy, as the network says",
        call("busy", "user_busy", 486, "Busy Here",
             sip={"q850": 17, "reason_header": 'Q.850;cause=17;text="User busy"'}),
        seen(INVITE, TRYING, said("486 Busy Here", 'Reason: Q.850;cause=17;text="User busy"'), ACK),
        "person",
        True,
        [
            ("invite_sent_at", "2026-10-24T22:54:06.000Z", 1),
            ("sip_answer", "486 Busy Here", 3),
            ("origin", "remote", 3),
            ("reason_header", 'Q.850;cause=17;text="User busy"', 3),
            ("q850", 17, 3),
        ],
    ),
    (
        "declined",
        call("rejected", "call_declined", 603, "Decline", permanent=True, pdd_ms=200),
        seen(INVITE, TRYING, RINGING, said("603 Decline"), ACK),
        "person",
        False,
        [("sip_answer", "603 Decline", 4), ("pdd_ms", 200, 3), ("permanent", True, None)],
    ),
    (
        "the login was asked for and refused",
        call("failed", "forbidden", 403, "Forbidden"),
        seen(INVITE, said("407 Proxy Auth", 'Proxy-Authenticate: Digest realm="lagos", nonce="1"'), ACK, INVITE,
             said("403 Forbidden", 'Warning: 399 gw "caller id not allowed"'), ACK),
        "account",
        True,
        [
            ("invites_sent", 2, 4),
            ("login_asked", "lagos", 2),
            ("sip_answer", "403 Forbidden", 5),
            ("warning", '399 gw "caller id not allowed"', 5),
        ],
    ),
    (
        "a login that is asked for again is refused: the last answer counts",
        call("failed", "auth_failed", 401, "Unauthorized"),
        seen(INVITE, said("401 Unauthorized"), ACK, INVITE, said("401 Unauthorized"), ACK),
        "account",
        False,
        [("login_asked", "", 2), ("login_asked", "", 5), ("sip_answer", "401 Unauthorized", 5)],
    ),
    (
        "the trunk is overloaded",
        call("failed", "trunk_failure", 503, "Service Unavailable"),
        seen(INVITE, said("503 Service Unavailable", "Retry-After: 5"), ACK),
        "trunk",
        True,
        [("sip_answer", "503 Service Unavailable", 2), ("retry_after", "5", 2)],
    ),
    (
        "silence: our own 408 is in no row",
        call("failed", "trunk_timeout", 408, "", sip={"origin": "local"}, may_have_rung=True),
        seen(INVITE, INVITE, INVITE),
        "trunk",
        False,
        [
            ("invites_sent", 3, 3),
            ("answers_received", 0, None),
            ("sip_answer", "408", None),
            ("origin", "local", None),
            ("may_have_rung", True, None),
        ],
    ),
    (
        "rang until we gave up",
        call("no_answer", "ring_timeout", 487, "Request Terminated", hangup_source="platform",
             ring_at="2026-10-24T22:54:06.200Z"),
        seen(INVITE, TRYING, RINGING, (True, request("CANCEL")), (False, answer("200 OK", method="CANCEL")),
             said("487 Request Terminated"), ACK),
        "person",
        True,
        [
            ("rang_after_ms", 200, 3),
            ("sip_answer", "487 Request Terminated", 6),
            ("ended_by", "platform", 4),
            ("end_message", "CANCEL sent", 4),
        ],
    ),
    (
        "no codec in common",
        call("failed", "media_incompatible", 488, "Not Acceptable Here"),
        seen(INVITE, said("488 Not Acceptable Here", 'Warning: 305 gw "Incompatible media format"'), ACK),
        "trunk",
        False,
        [("codecs_offered", "PCMA, PCMU, tel", 1), ("warning", '305 gw "Incompatible media format"', 2)],
    ),
    (
        "redirected",
        call("failed", "redirected", 302, "Moved"),
        seen(INVITE, said("302 Moved", "Contact: <sip:9@evil.example>"), ACK),
        "trunk",
        False,
        [("contact", "<sip:9@evil.example>", 2)],
    ),
    (
        "heard to the end, and they hung up",
        call("completed", "normal_clearing", 200, "OK", hangup_source="callee", heard_ms=3000, heard_pct=100,
             played_to_end=True, codec="PCMA", quality={"mos": 4.4, "loss_pct": 0.0, "rtt_ms": None}),
        seen(INVITE, RINGING, OK, ACK, BYE_THEIRS, (True, answer("200 OK", method="BYE"))),
        None,
        False,
        [
            ("answered_after_ms", 3100, 3),
            ("sip_answer", "200 OK", 3),
            ("ended_by", "callee", 5),
            ("end_message", "BYE received", 5),
            ("end_reason_header", 'Q.850;cause=16;text="Normal"', 5),
            ("heard_pct", 100, None),
            ("played_to_end", True, None),
            ("mos", 4.4, None),
            ("loss_pct", 0.0, None),
        ],
    ),
    (
        "answered in silence",
        call("completed", "no_audio", 200, "OK", hangup_source="platform", heard_ms=0, heard_pct=0),
        seen(INVITE, OK, ACK, (True, request("BYE")), OK_BYE),
        "us",
        True,
        [("heard_ms", 0, None), ("sip_answer", "200 OK", 2), ("end_message", "BYE sent", 4)],
    ),
    (
        "the number was on the do-not-call list",
        call("blocked", "suppressed"),
        (),
        "person",
        False,
        [("dialled", False, None)],
    ),
    (
        "it rings",
        call("ringing"),
        seen(INVITE, RINGING),
        None,
        False,
        [("invite_sent_at", "2026-10-24T22:54:06.000Z", 1)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "rows", "side", "retryable", "facts"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_call_is_explained_with_what_proves_it(
    body: dict[str, Any], rows: Ladder, side: str | None, retryable: bool, facts: Sequence[Fact]
) -> None:
    told = explained(body, rows)
    found = [(fact.what, fact.value, fact.ladder_row) for fact in told.evidence]

    assert (told.side, told.retryable) == (side, retryable)
    assert told.code == body["hangup_cause"] or body["hangup_cause"] is None
    assert told.sentence
    assert told.next_step
    assert [fact for fact in facts if fact not in found] == []


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_its_side_its_verdict_and_its_next_step(cause: Cause) -> None:
    undialled = cause in NEVER_DIALLED
    told = explained(call("blocked" if undialled else "failed", cause, None if undialled else 500, "No"))
    fault = ABOUT[cause][2]

    assert told.code == cause
    assert told.side == (fault.value if fault else None)
    assert told.retryable is CAUSES[cause].retryable
    assert told.next_step == CAUSES[cause].next_step
    assert told.sentence.startswith(CAUSES[cause].sentence.removesuffix("."))
    whats = {fact.what for fact in told.evidence}
    assert whats >= ({"dialled", "ended_by"} if undialled else {"sip_answer", "origin", "ended_by", "wire_to"})


def _ends() -> Iterator[Ending]:
    """Every row of the outcome table, by every combination of facts that leads to one."""
    message, accepted = a_message(), an_intake(1).calls[0]
    dialling = advance(accepted, dialed())
    begun = dialling, advance(dialling, Rang(now())), advance(dialling, WasAnswered(now()))
    codes = (0, 200, *SIP_CODES)
    facts = product(begun, codes, Phase, (None, *Why), Origin, (True, False), (True, False), (True, False))
    for before, code, phase, why, origin, sent, barred, in_full in facts:
        ended = Ended("c", now().timestamp(), code, "", origin, phase, why is not None, why, sent)
        ended = replace(ended, played_to_end=in_full, played_ms=1000, audio_ms=2000, rtp=RtpStats(sent_packets=100))
        yield of_leg(before, message, ended, None, 80, barred=barred)
    for sit in Sit:
        ended = Ended("c", now().timestamp(), 480, "", Origin.REMOTE, Phase.RINGING, sit=sit)
        yield of_leg(dialling, message, ended, None, 80)
    unheard = Ended("c", now().timestamp(), 200, "", Origin.REMOTE, Phase.ANSWERED, played_to_end=True, audio_ms=2000)
    yield of_leg(begun[-1], message, unheard, None, 80)
    yield lost(now())
    yield lost(now(), sent=False)
    for cause in NEVER_DIALLED:
        yield without_leg(cause, now())
    for refused in (Refusal("trunk_failure", "next_trunk"), Refusal("unallocated_number", "dead_number")):
        yield not_taken(replace(accepted, refused=refused), Cause.VALIDITY_EXPIRED, now())


def test_trying_again_is_promised_where_the_retry_class_of_the_call_allows_it_and_nowhere_else() -> None:
    rows = {(one.cause, one.again): one for one in _ends()}
    wrong = []
    for (cause, again), ending in rows.items():
        body = call(ending.status, cause, permanent=ending.permanent, may_have_rung=ending.may_have_rung)
        promised = explained(body, (), again).retryable
        if promised is not (again in ("later", "next_trunk", "none")):  # none: it was never tried
            wrong.append((cause, again, promised))

    assert wrong == []
    assert {again for _, again in rows} == set(Again)
    assert {cause for cause, _ in rows} == set(Cause)
    assert {again for cause, again in rows if cause == Cause.FORBIDDEN} >= {"next_trunk", "later", "config"}
    assert {again for cause, again in rows if cause == Cause.MAX_DURATION} >= {"ok", "later"}


def test_the_ticket_promises_what_the_retry_class_does() -> None:
    body = call("failed", "forbidden", 403, "Forbidden")

    assert "**Trying again helps:** yes." in as_ticket(body, (), "next_trunk")
    assert "**Trying again helps:** no." in as_ticket(body, (), "config")


def test_the_side_of_the_call_stands_over_that_of_its_cause() -> None:
    assert explained(call("failed", "trunk_failure", 500, fault="us")).side == "us"


def test_an_announcement_of_the_network_is_evidence() -> None:
    announced = "the network's announcement tone: number not in service"
    found = explained(call("failed", "unallocated_number", 480, "Because", detail=announced))

    assert found.sentence == f"That number does not exist (SIP 480 Because; {announced})."
    assert ("detail", announced) in [(fact.what, fact.value) for fact in found.evidence]


def test_nothing_is_promised_where_the_phone_may_have_rung() -> None:
    assert explained(call("failed", "trunk_failure", 500)).retryable is True
    assert explained(call("failed", "trunk_failure", 500, may_have_rung=True)).retryable is False


def test_the_ticket_begins_with_the_verdict_and_ends_with_the_numbered_ladder() -> None:
    title, body, rows, *_ = CASES[0]
    text = as_ticket(body, rows)

    lines = text.splitlines()
    assert lines[0] == "# Busy (call_01K0ABCDEFGHJKMNPQRSTVWXYZ)"
    assert lines[2] == "**Verdict:** The phone is busy (SIP 486 Busy Here)."
    assert lines[4] == "**Whose side:** person. **Trying again helps:** yes."
    assert "| SIP Call-ID | `sip-1` |" in lines
    assert "| called, as sent | `2348020000000` |" in lines
    assert """| reason header | `Q.850;cause=17;text="User busy"` | 3 |""" in lines
    assert any(line.startswith("   3     +100    │◄══════ 486 Busy Here ═") for line in lines), title
    assert (lines[-1], lines.count("```text"), lines.count("```")) == ("```", 1, 1)


def test_a_ticket_holds_no_key_that_was_pressed_and_nothing_secret() -> None:
    login = 'Authorization: Digest response="5ecre7"\r\n'
    body = call("completed", "normal_clearing", 200, "OK", digits="90210", played_to_end=True)

    text = as_ticket(body, seen((True, request("INVITE", OFFER, login)), OK, (True, request("INFO", "Signal=90210"))))

    assert "90210" not in text
    assert "5ecre7" not in text
    assert "heard the whole message" in text


def test_a_peer_cannot_write_into_a_ticket() -> None:
    evil = "Busy `|[click](http://evil)<img src=x>\r\n# Title"
    text = as_ticket(call("busy", "user_busy", 486, evil))

    assert "[click](" not in text.replace("`486 Busy '\\|[click](http://evil)<img src=x>  # Title`", "")
    assert "\\[click\\](" in text
    assert not any(line.startswith("# Title") for line in text.splitlines())


@given(
    st.sampled_from([*Cause, None]),
    st.sampled_from(list(Status)),
    st.lists(st.tuples(st.booleans(), messages), max_size=5),
)
def test_whatever_crossed_the_wire_can_be_explained(
    cause: Cause | None, status: Status, wire: list[tuple[bool, str]]
) -> None:
    rows = seen(*wire)
    told = explained(call(status, cause, 486, "Busy"), rows)

    assert all(fact.ladder_row is None or 1 <= fact.ladder_row <= len(rows) for fact in told.evidence)
    assert as_ticket(call(status, cause, 486, "Busy"), rows).startswith("# ")
    assert told.as_dict()["evidence"][0]["what"]
