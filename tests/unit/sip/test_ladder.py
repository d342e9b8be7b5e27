"""What a person reads of a call's SIP, and what nobody may read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.events import Trace
from sip.ladder import ROWS_MAX, as_json, as_text, from_json, ladder
from sip.messages import TEXT_MAX
from tests.unit.sip.wording import OFFER, answer, messages, request


def trace(at: float, sent: bool, text: str) -> Trace:
    return Trace("call_1", at, sent, "41.2.3.4:5060", text)


LOGIN = 'Proxy-Authorization: Digest username="alarm",\r\n  response="5ecre7"\r\n'
CALL = [
    trace(100.000, True, request("INVITE", OFFER)),
    trace(100.018, False, answer("100 Trying")),
    trace(100.059, False, answer("407 Proxy Authentication Required")),
    trace(100.061, True, request("ACK")),
    trace(100.062, True, request("INVITE", OFFER, LOGIN)),
    trace(103.012, False, answer("180 Ringing")),
    trace(106.132, False, answer("200 OK", "v=0\r\nm=audio 4000 RTP/AVP 8\r\n")),
    trace(115.000, False, request("BYE")),
]


def test_rows_tell_time_direction_first_line_sdp_and_size() -> None:
    rows = ladder(reversed(CALL))

    assert [row.delta_ms for row in rows] == [0, 18, 41, 2, 1, 2950, 3120, 8868]
    assert [row.sent for row in rows] == [True, False, False, True, True, False, False, False]
    assert rows[0].first_line == "INVITE sip:2348020000000@41.2.3.4 SIP/2.0"
    assert (rows[0].sdp, rows[0].codecs) == (True, ("PCMA", "PCMU", "tel"))
    assert (rows[1].sdp, rows[1].codecs) == (False, ())
    assert rows[6].codecs == ("PCMA",)
    assert rows[0].size == len(CALL[0].text)


def test_the_text_ladder_reads_like_one() -> None:
    text = as_text(ladder(CALL), "tocsin 10.0.0.5", "lagos-1 41.2.3.4")

    assert text.splitlines() == [
        "    Δ ms    tocsin 10.0.0.5               lagos-1 41.2.3.4",
        "      +0    │────── INVITE (SDP PCMA,PCMU,tel) ─────────►│",
        "     +18    │◄······ 100 Trying ·························│",
        "     +41    │◄══════ 407 Proxy Authentication Required ══│",
        "      +2    │────── ACK ────────────────────────────────►│",
        "      +1    │────── INVITE (auth) (SDP PCMA,PCMU,tel) ──►│",
        "   +2950    │◄······ 180 Ringing ························│  ← slow: 3.0 s",
        "   +3120    │◄══════ 200 OK (SDP PCMA) ══════════════════│",
        "   +8868    │◄────── BYE ────────────────────────────────│",
    ]


def test_json_goes_there_and_back() -> None:
    rows = ladder(CALL)

    objects = json.loads(as_json(rows))
    again = from_json(as_json(rows))

    assert objects[0]["at"] == "1970-01-01T00:01:40.000Z"
    assert objects[0]["direction"] == "sent"
    assert objects[4]["codecs"] == ["PCMA", "PCMU", "tel"]
    assert "5ecre7" not in as_json(rows)
    assert again == rows


def test_a_ladder_is_bounded() -> None:
    rows = ladder(trace(float(number), True, "OPTIONS sip:x SIP/2.0\r\n\r\n" + "x" * 9000) for number in range(1000))

    assert len(rows) == ROWS_MAX
    assert (rows[0].at, rows[-1].at) == (0.0, 999.0)
    assert all(len(row.text) == TEXT_MAX for row in rows)
    assert rows[0].size > 9000


traces_seen = st.builds(Trace, st.just("call_1"), st.floats(0, 4e9), st.booleans(), st.text(max_size=80), messages)


@given(st.lists(traces_seen, max_size=5))
def test_any_message_becomes_a_row_and_a_line(traces: list[Trace]) -> None:
    rows = ladder(traces)

    assert len(rows) == len(traces)
    assert len(as_text(rows, "us", "them").splitlines()) == len(rows) + 1
    assert len(json.loads(as_json(rows))) == len(rows)
    assert as_text(rows, "us", "them").encode() + as_json(rows).encode()
    assert all(row.delta_ms >= 0 and row.first_line.isprintable() for row in rows)


@pytest.mark.timeout(10)
def test_a_hostile_message_is_read_in_no_time() -> None:
    for evil in ("m=audio " + "1" * 65000, "\n " * 30000, "Authorization:" + "\n " * 30000, "a=rtpmap:1 " * 6000):
        assert len(ladder([trace(1.0, False, evil)])) == 1
