"""What a person reads of a call's SIP, and what nobody may read."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sip.events import Trace
from sip.ladder import HIDDEN, ROWS_MAX, TEXT_MAX, as_json, as_text, from_json, ladder, masked

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n"
    "m=audio 30000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def request(method: str, body: str = "", extra: str = "") -> str:
    return (
        f"{method} sip:2348020000000@41.2.3.4 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5\r\n"
        f"CSeq: 1 {method}\r\n{extra}\r\n{body}"
    )


def answer(line: str, body: str = "", method: str = "INVITE") -> str:
    return f"SIP/2.0 {line}\r\nVia: SIP/2.0/UDP 10.0.0.5\r\nCSeq: 1 {method}\r\n\r\n{body}"


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


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Digest CANARY",
        "authorization : Digest CANARY",
        "PROXY-AUTHORIZATION:Digest CANARY",
        "Proxy-Authorization: Digest username=a,\r\n response=CANARY",
        "Authorization:\r\n\tDigest\r\n CANARY",
        "Authorization: Digest \rCANARY",
        "Authorization: Digest \x0bCANARY",
        "Authorization: Digest \u2028CANARY",
        "Subject: x\rAuthorization: CANARY",
        " Authorization: CANARY",
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_credentials_are_hidden_however_they_are_folded(secret: str, end: str) -> None:
    text = f"INVITE sip:1@x SIP/2.0{end}{secret}{end}Via: kept{end}{end}"

    hidden = masked(text)

    assert "CANARY" not in hidden
    assert "Via: kept" in hidden
    assert HIDDEN in hidden
    assert "CANARY" not in masked(secret)


def test_challenges_stay_because_a_wrong_login_is_explained_by_them() -> None:
    text = answer("407 X").replace("CSeq", 'Proxy-Authenticate: Digest realm="r", nonce="abc"\r\nCSeq')

    assert masked(text) == text


@pytest.mark.parametrize("line", ["a=crypto:1 AES_CM_128 inline:CANARY", "a=key-mgmt:mikey CANARY", "k=base64:CANARY"])
def test_media_keys_are_hidden(line: str) -> None:
    hidden = masked(request("INVITE", f"v=0\r\n{line}\r\nm=audio 4000 RTP/AVP 8\r\n"))

    assert "CANARY" not in hidden
    assert "m=audio 4000" in hidden


@pytest.mark.parametrize(
    "text", [request("INFO", "Signal=CANARY\r\nDuration=160"), answer("200 OK", "Signal=CANARY", "INFO")]
)
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_bodies_of_info_are_hidden_because_they_carry_keys(text: str, end: str) -> None:
    hidden = masked(text.replace("\r\n", end))

    assert "CANARY" not in hidden
    assert "Via" in hidden


def test_a_ladder_is_bounded() -> None:
    rows = ladder(trace(float(number), True, "OPTIONS sip:x SIP/2.0\r\n\r\n" + "x" * 9000) for number in range(1000))

    assert len(rows) == ROWS_MAX
    assert (rows[0].at, rows[-1].at) == (0.0, 999.0)
    assert all(len(row.text) == TEXT_MAX for row in rows)
    assert rows[0].size > 9000


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
@example("")
@example("\r\n\r\n")
@example(b"\xff\xfe\x00")
@example("m=audio 1 RTP/AVP " + "9" * 400)
@example("SIP/2.0 ")
@example("\ud800")
def test_masking_never_raises_and_repeating_it_changes_nothing(raw: str | bytes) -> None:
    once = masked(raw)

    assert masked(once) == once


pieces = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["INVITE ", "INFO ", "SIP/2.0 ", "200", "\r\n", "\n", "\r", " ", "m=audio 1 RTP/AVP 8", "a=rtpmap:8 X/8000",
         "CSeq: 1 INFO", "Authorization:", "a=crypto:", "\x00", "\u2028", "9" * 30]
    ),
)  # fmt: skip
messages = st.lists(pieces, max_size=12).map("".join)


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


@given(
    before=messages, header=st.sampled_from(["Authorization", "pRoXy-AuThOrIzAtIoN"]), value=messages, after=messages
)
def test_no_credential_survives_anywhere_in_a_message(before: str, header: str, value: str, after: str) -> None:
    line = value.replace("\n", "")

    assert "CANARY" not in masked(f"{before}\r\n{header}: {line}CANARY\r\nVia: x{after}")
