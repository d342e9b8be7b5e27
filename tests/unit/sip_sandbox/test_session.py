"""Session timers (RFC 4028): what is asked, what is granted, when the next step is due."""

import pytest

from sip.sandbox import messages, session
from sip.sandbox.messages import Request
from sip.sandbox.session import Session, TooShort


def _request(rows: str) -> Request:
    request = messages.parse(
        f"INVITE sip:x@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n"
        f"Call-ID: c\r\nCSeq: 1 INVITE\r\n{rows}\r\n".encode()
    )
    assert isinstance(request, Request)
    return request


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("", None),
        ("Session-Expires: 1800\r\n", Session(1800, by_us=False)),
        ("x: 90;refresher=uac\r\n", Session(90, by_us=False)),
        ("Session-Expires: 90 ; refresher=UAS\r\n", Session(90, by_us=True)),
        ("Session-Expires: 999999999\r\n", Session(86400, by_us=False)),
        ("Session-Expires: soon\r\n", None),
        ("Session-Expires: ²\r\n", None),
    ],
)
def test_what_a_caller_asks_for_is_read(rows: str, expected: Session | None) -> None:
    assert session.asked(_request(rows), 90) == expected


def test_too_short_is_said() -> None:
    with pytest.raises(TooShort):
        session.asked(_request("Session-Expires: 89\r\n"), 90)


@pytest.mark.parametrize(
    ("granted", "seconds"),
    [(Session(90, by_us=True), 45), (Session(90, by_us=False), 60), (Session(1800, by_us=False), 1768)],
)
def test_the_next_step_is_our_refresh_or_the_end_of_our_patience(granted: Session, seconds: float) -> None:
    assert granted.next_step_s == seconds


def test_timer_is_required_only_of_a_caller_that_knows_it() -> None:
    granted = Session(90, by_us=False)

    assert granted.headers(_request("Supported: 100rel, timer\r\n")) == [
        ("Session-Expires", "90;refresher=uac"),
        ("Require", "timer"),
    ]
    assert granted.headers(_request("")) == [("Session-Expires", "90;refresher=uac")]
