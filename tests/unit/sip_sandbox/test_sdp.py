"""Offers and answers (RFC 3264)."""

import pytest

from sip.sandbox import sdp
from sip.sandbox.g711 import PCMA, PCMU
from sip.sandbox.sdp import BadSdp, Direction, NotAcceptable

HEAD = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
HERE = ("127.0.0.1", 30000)


def _agree(rest: bytes) -> tuple[int, sdp.Agreed]:
    return sdp.agree(sdp.parse(HEAD + rest))


@pytest.mark.parametrize(
    ("formats", "law", "payload_type"),
    [
        (b"8 0", PCMA, 8),
        (b"0 8", PCMU, 0),
        (b"18 3 0", PCMU, 0),
        (b"96 0\r\na=rtpmap:96 pcma/8000", PCMA, 96),
        (b"97 8\r\na=rtpmap:97 PCMU/16000", PCMA, 8),
    ],
)
def test_the_first_codec_of_the_offer_that_we_have_is_taken(formats: bytes, law: object, payload_type: int) -> None:
    _, agreed = _agree(b"m=audio 4000 RTP/AVP " + formats + b"\r\n")

    assert (agreed.law, agreed.payload_type) == (law, payload_type)


def test_keys_are_agreed_with_the_callers_number_for_them_and_rtcp_with_its_port() -> None:
    _, agreed = _agree(
        b"m=audio 4000 RTP/AVP 8 120\r\na=rtpmap:120 telephone-event/8000\r\na=rtcp:4555 IN IP4 127.0.0.1\r\n"
    )
    _, plain = _agree(b"m=audio 4000 RTP/AVP 8\r\n")

    assert (agreed.event_type, agreed.rtp, agreed.rtcp) == (120, ("127.0.0.1", 4000), ("127.0.0.1", 4555))
    assert (plain.event_type, plain.rtcp) == (None, ("127.0.0.1", 4001))


@pytest.mark.parametrize(
    ("theirs", "ours", "sends", "hears"),
    [
        (b"sendrecv", Direction.SENDRECV, True, True),
        (b"sendonly", Direction.RECVONLY, False, True),
        (b"recvonly", Direction.SENDONLY, True, False),
        (b"inactive", Direction.INACTIVE, False, False),
    ],
)
def test_the_direction_is_mirrored(theirs: bytes, ours: Direction, sends: bool, hears: bool) -> None:
    _, agreed = _agree(b"m=audio 4000 RTP/AVP 8\r\na=" + theirs + b"\r\n")

    assert (agreed.direction, agreed.sends, agreed.hears) == (ours, sends, hears)


def test_the_direction_of_the_session_holds_for_its_streams() -> None:
    streams = sdp.parse(HEAD + b"a=inactive\r\nm=audio 4000 RTP/AVP 8\r\nm=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n")

    assert [stream.direction for stream in streams] == [Direction.INACTIVE, Direction.SENDRECV]


def test_an_address_of_zeros_is_the_old_way_to_hold() -> None:
    _, agreed = _agree(b"m=audio 4000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n")

    assert agreed.direction is Direction.INACTIVE


def test_every_stream_is_answered_and_all_but_one_refused() -> None:
    streams = sdp.parse(
        HEAD + b"m=video 5000 RTP/AVP 31\r\nm=audio 0 RTP/AVP 8\r\nm=audio 4000 RTP/AVP 0 101\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\nm=audio 4002 RTP/AVP 8\r\n"
    )
    index, agreed = sdp.agree(streams)

    answer = sdp.answer(streams, index, agreed, HERE, (5, 2)).decode()

    assert [line for line in answer.splitlines() if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 31",
        "m=audio 0 RTP/AVP 8",
        "m=audio 30000 RTP/AVP 0 101",
        "m=audio 0 RTP/AVP 8",
    ]
    assert "o=- 5 2 IN IP4 127.0.0.1" in answer
    assert "a=fmtp:101 0-15" in answer
    assert answer.endswith("\r\n")


def test_our_own_offer_can_be_agreed_with() -> None:
    index, agreed = sdp.agree(sdp.parse(sdp.offer(HERE, (1, 1))))

    assert (index, agreed.law, agreed.event_type, agreed.rtp) == (0, PCMA, 101, HERE)


@pytest.mark.parametrize(
    "rest",
    [
        b"m=audio 4000 RTP/AVP 18\r\n",
        "m=audio 4000 RTP/AVP ² ٨\r\n".encode(),
        b"m=audio 0 RTP/AVP 8\r\n",
        b"m=video 4000 RTP/AVP 8\r\n",
        b"m=audio 4000 RTP/SAVP 8\r\n",
        b"m=audio 4000 RTP/AVP 8\r\nc=IN IP4 192.0.2.7\r\n",
        b"m=audio 4000 RTP/AVP 8\r\nc=IN IP6 ::1\r\n",
    ],
)
def test_an_offer_without_a_stream_for_us_is_not_acceptable(rest: bytes) -> None:
    with pytest.raises(NotAcceptable):
        _agree(rest)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"m=audio 1 RTP/AVP 8",
        HEAD,
        HEAD + b"m=audio x RTP/AVP 8",
        HEAD + b"c=OUT",
        HEAD + b"m=audio 70000 RTP/AVP 8",
    ],
)
def test_what_is_no_session_description_is_bad(body: bytes) -> None:
    with pytest.raises(BadSdp):
        sdp.parse(body)
