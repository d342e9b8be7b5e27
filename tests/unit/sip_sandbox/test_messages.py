"""SIP messages: compact, folded, repeated, cut and hostile ones."""

import re

import pytest

from sip.sandbox import messages
from sip.sandbox.messages import Malformed, Request, Response

INVITE = (
    b"INVITE sip:+2348020000000@127.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.1.1.1:5070;branch=z9hG4bKone;rport\r\n"
    b'From: "A, B" <sip:a@h;tag=not-this>;tag=mine\r\nTo: <sip:b@h>\r\nCall-ID: c1\r\nCSeq: 7 INVITE\r\n'
    b"Content-Length: 4\r\n\r\nbodyrest"
)
SOURCE = ("127.0.0.1", 40000)


def _request(datagram: bytes = INVITE) -> Request:
    message = messages.parse(datagram)
    assert isinstance(message, Request)
    return message


def test_an_ordinary_request_is_read() -> None:
    request = _request()

    assert (request.method, request.uri, request.call_id, request.cseq) == (
        "INVITE",
        "sip:+2348020000000@127.0.0.1",
        "c1",
        7,
    )
    assert (request.from_tag, request.to_tag) == ("mine", "")
    assert (request.via.host, request.via.port, request.via.branch, request.via.has_rport) == (
        "10.1.1.1",
        5070,
        "z9hG4bKone",
        True,
    )
    assert request.body == b"body"  # cut at Content-Length
    assert request.problem is None


def test_compact_forms_folded_lines_bare_newlines_and_odd_case_are_understood() -> None:
    request = _request(
        b"\r\n\r\nBYE sip:x@h SIP/2.0\nv:SIP / 2.0 / UDP h;branch=z9\nf: <sip:a@h>;\n  tag=t1\nT : sip:b@h;tag=t2\n"
        b"i: x\nCSEQ: 1 BYE\nk: timer,\n 100rel\nl: 0\n\n"
    )

    assert (request.from_tag, request.to_tag, request.via.port) == ("t1", "t2", 5060)
    assert request.headers.all("supported") == ["timer", "100rel"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia", 505),
        (b"7 INVITE", b"7 BYE", 400),
        (b"7 INVITE", b"4294967296 INVITE", 400),
        (b"Content-Length: 4", b"Content-Length: 400", 400),
        (b"Content-Length: 4", b"Content-Length: -4", 400),
        (b"Call-ID: c1", b"Call-ID: c1\r\nCall-ID: c2", 400),
    ],
)
def test_a_faulty_request_that_can_be_answered_says_with_what(old: bytes, new: bytes, code: int) -> None:
    assert old in INVITE
    problem = _request(INVITE.replace(old, new)).problem

    assert problem is not None
    assert problem[0] == code


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\r\n\r\n",
        b"\x00" * 40,
        b"hello",
        b"SIP/2.0 999 Odd\r\n\r\n",
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n",
        b"INVITE sip:x@h\r\n\r\n",
        INVITE.replace(b"Via:", b"Vi:"),
        INVITE.replace(b"Call-ID:", b"Call-XX:"),
        INVITE.replace(b"CSeq: 7", b"CSeq: x"),
        INVITE.replace(b":5070", b":99999"),
        INVITE.replace(b"SIP/2.0/UDP 10", b"SMTP/2.0/UDP 10"),
        INVITE.replace(b"INVITE sip", b"INV\xffITE sip"),
    ],
)
def test_what_cannot_be_answered_is_malformed_and_nothing_else(datagram: bytes) -> None:
    with pytest.raises(Malformed):
        messages.parse(datagram)


def test_a_response_is_known_by_branch_and_method() -> None:
    response = messages.parse(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9x\r\nCSeq: 3 BYE\r\n\r\n")

    assert isinstance(response, Response)
    assert (response.code, response.branch, response.method) == (200, "z9x", "BYE")


def test_bytes_that_are_no_utf_8_are_echoed_as_they_came() -> None:
    request = _request(INVITE.replace(b"Call-ID: c1", b"Call-ID: c\xff\xfe1"))

    assert b"Call-ID: c\xff\xfe1\r\n" in messages.respond(request, 200, source=SOURCE, to_tag="t")


def test_a_response_cannot_be_split_by_what_a_header_carries() -> None:
    request = _request(INVITE.replace(b"Call-ID: c1", b"Call-ID: c1\rX-Injected: 1"))

    lines = messages.respond(request, 200, source=SOURCE, to_tag="t").split(b"\r\n")
    assert not [line for line in lines if line.startswith(b"X-Injected")]


@pytest.mark.parametrize(
    ("via", "stamped"),
    [
        ("10.1.1.1:5070;branch=b;rport", "10.1.1.1:5070;branch=b;rport=40000;received=127.0.0.1"),
        ("10.1.1.1:5070;rport;branch=b", "10.1.1.1:5070;rport=40000;branch=b;received=127.0.0.1"),
        ("10.1.1.1:5070;branch=b", "10.1.1.1:5070;branch=b;received=127.0.0.1"),
        ("127.0.0.1:5070;branch=b", "127.0.0.1:5070;branch=b"),
    ],
)
def test_the_top_via_is_stamped_with_where_the_request_came_from(via: str, stamped: str) -> None:
    datagram = re.sub(rb"Via: [^\r]*", f"Via: SIP/2.0/UDP {via}".encode(), INVITE)

    assert f"Via: SIP/2.0/UDP {stamped}\r\n".encode() in messages.respond(
        _request(datagram), 180, source=SOURCE, to_tag="t"
    )


def test_the_to_tag_is_added_to_all_but_100_and_never_twice() -> None:
    request, inside = _request(), _request(INVITE.replace(b"To: <sip:b@h>", b"To: <sip:b@h>;tag=old"))

    assert b"To: <sip:b@h>\r\n" in messages.respond(request, 100, source=SOURCE, to_tag="new")
    assert b"To: <sip:b@h>;tag=new\r\n" in messages.respond(request, 180, source=SOURCE, to_tag="new")
    assert b"To: <sip:b@h>;tag=old\r\n" in messages.respond(inside, 200, source=SOURCE, to_tag="new")


def test_the_port_of_the_answer_follows_rport_and_else_the_via() -> None:
    without = _request(INVITE.replace(b";rport", b""))

    assert messages.response_address(_request(), SOURCE) == SOURCE
    assert messages.response_address(without, SOURCE) == ("127.0.0.1", 5070)


@pytest.mark.parametrize(
    ("uri", "user", "address"),
    [
        ("sip:2348@127.0.0.1:5070;transport=udp", "2348", ("127.0.0.1", 5070)),
        ("sip:2348;phone-context=x@127.0.0.1", "2348", ("127.0.0.1", 5060)),
        ("sip:127.0.0.1:5080", "", ("127.0.0.1", 5080)),
        ("tel:+2348;x=y", "+2348", None),
        ("sip:a@host.example", "a", None),
        ("sip:a@127.0.0.1:99999", "a", None),
        ("nonsense", "", None),
    ],
)
def test_a_uri_gives_its_user_and_its_numeric_address(uri: str, user: str, address: object) -> None:
    assert messages.uri_user(uri) == user
    assert messages.uri_address(uri) == address


def test_commas_in_quotes_and_brackets_do_not_separate() -> None:
    assert messages.split_list('"a, \\"b" <sip:x,y@h>;p=1, <sip:z>') == ['"a, \\"b" <sip:x,y@h>;p=1', "<sip:z>"]
