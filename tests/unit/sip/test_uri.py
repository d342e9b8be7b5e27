"""What may be written into a SIP message, read back with a grammar of our own (RFC 3261 section 25.1, narrowed)."""

import os
import re
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sip.trunk import CallerIdHeader, CallerIdPolicy, NumberFormat, Transport, Trunk, TrunkUri
from sip.uri import (
    HEADER_VALUE_MAX,
    UriError,
    from_uri,
    headers,
    is_host,
    request_uri,
    wire_caller_id,
    wire_number,
)

EXAMPLES = int(os.environ.get("EXAMPLES", "500"))  # 500 take a second; ask for more before the grammar changes
NUMBER = "2348020000000"
URI = TrunkUri("sip.example.net")
TRUNK = Trunk(id="lagos-1", name="lagos-1", uris=(URI,), caller_ids=("2347080670000",))

STRICT_URI = re.compile(
    r"sip:\+?[0-9*]{3,32}@"
    r"(?:[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])"
    r"(?::[0-9]{1,5})?(?:;transport=(?:tcp|tls))?"
)
STRICT_HEADER = re.compile(
    r"(?:[Xx]-[A-Za-z0-9-]{1,62}|[Uu][Ss][Ee][Rr]-[Tt][Oo]-[Uu][Ss][Ee][Rr]): [\x20-\x7e]{0,256}"
)

# Anything at all, with a bias to what hurts.
HOSTILE = [
    "\r\n",
    "\n",
    "\r",
    "\x00",
    "@",
    ";",
    "?",
    "<",
    ">",
    '"',
    "%0d%0a",
    "sip:",
    "٠١٢",
    "１２",
    "é",
    " ",
    "#",
    ":",
    "&",
]
pieces = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=4), st.text("0123456789", min_size=1, max_size=9))
nasty = st.lists(pieces, max_size=5).map("".join)
likely = st.one_of(nasty, st.text("0123456789", min_size=7, max_size=15))
formats = st.builds(
    NumberFormat,
    out=st.sampled_from(["+e164", "e164", "00", "national", "custom"]),
    country=st.none() | likely,
    strip=nasty,
    prefix=nasty,
)


@pytest.mark.parametrize(
    ("how", "wire"),
    [
        (NumberFormat("e164"), "2348020000000"),
        (NumberFormat("+e164"), "+2348020000000"),
        (NumberFormat("00"), "002348020000000"),
        (NumberFormat("national", country="234", prefix="0"), "08020000000"),
        (NumberFormat("national", country="44", prefix="0"), "002348020000000"),
        (NumberFormat("national", country="234"), "8020000000"),
        (NumberFormat("custom", strip="234", prefix="0"), "08020000000"),
        (NumberFormat("custom", strip="44", prefix="9"), "92348020000000"),
        (NumberFormat("custom", prefix="1234*"), "1234*2348020000000"),
        (NumberFormat("e164", prefix="77"), "772348020000000"),
        (NumberFormat("+e164", prefix="77"), "772348020000000"),
        (NumberFormat("custom", prefix="+"), "+2348020000000"),
    ],
)
def test_a_number_is_written_as_the_trunk_wants_it(how: NumberFormat, wire: str) -> None:
    assert wire_number(NUMBER, how) == wire


@pytest.mark.parametrize(
    "digits",
    [
        "",
        "+2348020000000",
        "12",
        "1234567890123456",
        "23480 20000000",
        "234802000000x",
        "٢٣٤٨٠٢",
        "２３４",
        "234\r\n",
        "234\x00",
    ],
)
def test_only_ascii_digits_become_a_wire_number(digits: str) -> None:
    with pytest.raises(UriError):
        wire_number(digits, NumberFormat())


@pytest.mark.parametrize(
    "how",
    [
        NumberFormat("nonsense"),
        NumberFormat("national"),
        NumberFormat("national", country="NG"),
        NumberFormat("e164", prefix="1@evil"),
        NumberFormat("e164", prefix="#31#"),
        NumberFormat("custom", strip=NUMBER),
    ],
)
def test_a_number_format_that_cannot_be_dialled_is_refused(how: NumberFormat) -> None:
    with pytest.raises(UriError):
        wire_number(NUMBER, how)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (URI, "sip:2348020000000@sip.example.net:5060"),
        (TrunkUri("192.0.2.7", 5070), "sip:2348020000000@192.0.2.7:5070"),
        (TrunkUri("2001:db8::7", 5070), "sip:2348020000000@[2001:db8::7]:5070"),
        (TrunkUri("sip.example.net", 5061, Transport.TLS), "sip:2348020000000@sip.example.net:5061;transport=tls"),
    ],
)
def test_the_request_uri_names_number_host_and_port(uri: TrunkUri, expected: str) -> None:
    assert request_uri(NUMBER, TRUNK, uri) == expected


def test_the_caller_is_one_of_the_trunks_ids_at_the_trunks_host() -> None:
    assert from_uri("2347080670000", TRUNK) == "sip:2347080670000@sip.example.net"
    plus = replace(TRUNK, number_format=NumberFormat("+e164"))
    assert from_uri("2347080670000", plus) == "sip:+2347080670000@sip.example.net"
    assert wire_caller_id("2347080670000", plus) == "+2347080670000"
    with pytest.raises(UriError, match="caller_ids"):
        from_uri("447400123456", TRUNK)
    with pytest.raises(UriError, match="enabled"):
        from_uri("2347080670000", replace(TRUNK, uris=(replace(URI, enabled=False),)))


def test_the_first_enabled_uri_gives_the_callers_host() -> None:
    trunk = replace(TRUNK, uris=(TrunkUri("off.example.net", enabled=False), TrunkUri("on.example.net")))

    assert from_uri("2347080670000", trunk).endswith("@on.example.net")


OURS, OTHER = "2347080670000", "2347080670001"


@pytest.mark.parametrize(
    ("policy", "asked", "shown"),
    [
        (CallerIdPolicy.POOL, OTHER, OTHER),
        (CallerIdPolicy.POOL, "447400123456", None),
        (CallerIdPolicy.FIXED, OTHER, OURS),
        (CallerIdPolicy.FIXED, "447400123456", OURS),
        (CallerIdPolicy.PASS, "447400123456", "447400123456"),
        (CallerIdPolicy.PASS, "44740012345x", None),
    ],
)
def test_the_policy_decides_which_number_is_shown(policy: CallerIdPolicy, asked: str, shown: str | None) -> None:
    trunk = replace(TRUNK, caller_ids=(OURS, OTHER), caller_id_policy=policy)

    if shown is None:
        with pytest.raises(UriError):
            from_uri(asked, trunk)
    else:
        assert from_uri(asked, trunk) == f"sip:{shown}@sip.example.net"
        assert wire_caller_id(asked, trunk) == shown


def test_a_fixed_caller_id_has_to_be_there() -> None:
    with pytest.raises(UriError, match="fixed"):
        from_uri(OURS, replace(TRUNK, caller_ids=(), caller_id_policy=CallerIdPolicy.FIXED))


NOBODY = '"Anonymous" <sip:anonymous@anonymous.invalid>'
SHOWN = "sip:2347080670000@sip.example.net"


@pytest.mark.parametrize(
    ("where", "privacy", "sender", "more", "told"),
    [
        (CallerIdHeader.FROM, False, SHOWN, (), OURS),
        (CallerIdHeader.FROM, True, NOBODY, (("Privacy", "id"),), "anonymous"),
        (CallerIdHeader.PAI, False, SHOWN, (("P-Asserted-Identity", f"<{SHOWN}>"),), OURS),
        (CallerIdHeader.PAI, True, NOBODY, (("P-Asserted-Identity", f"<{SHOWN}>"), ("Privacy", "id")), OURS),
        (
            CallerIdHeader.RPID,
            False,
            SHOWN,
            (("Remote-Party-ID", f"<{SHOWN}>;party=calling;screen=yes;privacy=off"),),
            OURS,
        ),
        (
            CallerIdHeader.RPID,
            True,
            NOBODY,
            (("Remote-Party-ID", f"<{SHOWN}>;party=calling;screen=yes;privacy=full"), ("Privacy", "id")),
            OURS,
        ),
    ],
)
def test_the_caller_stands_where_the_trunk_looks(
    where: CallerIdHeader, privacy: bool, sender: str, more: tuple[tuple[str, str], ...], told: str
) -> None:
    trunk = replace(TRUNK, caller_id_header=where, privacy=privacy)

    assert from_uri(OURS, trunk) == sender
    assert headers("call_1", trunk, (("X-A", "1"),), caller=OURS) == (("X-Call-Id", "call_1"), *more, ("X-A", "1"))
    assert wire_caller_id(OURS, trunk) == told
    assert headers("call_1", trunk) == (("X-Call-Id", "call_1"),)


NO_HOSTS = [
    "",
    "a b",
    "a_b",
    "-a.example",
    "a..b",
    "evil.example;lr",
    "a@b",
    "[::1",
    "::1]",
    "[a]",
    "1.2.3",
    "1.2.3.999",
]
NO_HOSTS += ["01.2.3.4", "fe80::1%eth0", "höst", "a" * 64, "a." * 130 + "b", "host\r\n", "x:5060"]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_what_is_no_host_is_refused(host: str) -> None:
    assert not is_host(host)
    with pytest.raises(UriError):
        request_uri(NUMBER, TRUNK, TrunkUri(host))


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(UriError):
        request_uri(NUMBER, TRUNK, TrunkUri("a.example", port))


def test_our_call_id_comes_first_and_cannot_be_replaced() -> None:
    trunk = replace(TRUNK, headers=(("X-Account", "42"),))

    assert headers("call_01K", trunk, (("User-to-User", "abc;encoding=hex"),)) == (
        ("X-Call-Id", "call_01K"),
        ("X-Account", "42"),
        ("User-to-User", "abc;encoding=hex"),
    )
    for twice in ("x-call-id", "X-ACCOUNT"):
        with pytest.raises(UriError, match="twice"):
            headers("call_01K", trunk, ((twice, "1"),))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("P-Asserted-Identity", "sip:1@x"),
        ("Authorization", "x"),
        ("X-", "1"),
        ("X-a b", "1"),
        ("X-a:", "1"),
        ("X-a-", "1"),
        ("X-Ünder", "1"),
        ("X-a\n", "1"),
        ("X-" + "a" * 63, "1"),
        ("X-A", "1\r\nVia: x"),
        ("X-A", "1\x00"),
        ("X-A", "é"),
        ("X-A", "1\t"),
        ("X-A", "a" * (HEADER_VALUE_MAX + 1)),
    ],
)
def test_a_header_outside_the_grammar_is_refused(name: str, value: str) -> None:
    with pytest.raises(UriError):
        headers("call_1", TRUNK, ((name, value),))


def test_headers_are_bounded_in_number_and_size() -> None:
    with pytest.raises(UriError, match="at most"):
        headers("call_1", TRUNK, [(f"X-{number}", "1") for number in range(16)])
    with pytest.raises(UriError, match="at most"):
        headers("call_1", TRUNK, [(f"X-{number}", "a" * 250) for number in range(4)])
    with pytest.raises(UriError, match="call id"):
        headers("call 1", TRUNK)


@settings(max_examples=EXAMPLES, deadline=None)
@given(number=likely, host=st.one_of(nasty, st.just("sip.example.net")), how=formats)
@example(NUMBER, "sip.example.net", NumberFormat("national", "234", prefix="0"))
@example(NUMBER + "@evil", "sip.example.net", NumberFormat())
@example(NUMBER, "sip.example.net\r\nVia: x", NumberFormat())
@example(NUMBER, "sip.example.net", NumberFormat("national", "२३४", prefix="1;user=phone"))
def test_whatever_uri_is_written_follows_the_strict_grammar(number: str, host: str, how: NumberFormat) -> None:
    trunk = Trunk(id="t", name="t", uris=(TrunkUri(host),), number_format=how)

    for written in (lambda: request_uri(number, trunk, trunk.uris[0]), lambda: from_uri(number, trunk)):
        try:
            assert STRICT_URI.fullmatch(written())
        except UriError:
            pass


@settings(max_examples=EXAMPLES, deadline=None)
@given(call_id=likely, name=st.one_of(nasty, nasty.map("X-".__add__)), value=nasty)
@example("call_1", "X-A\r\nVia", "1\r\n")
@example("c\r\n", "X-A", "1")
def test_whatever_header_is_written_follows_the_strict_grammar(call_id: str, name: str, value: str) -> None:
    try:
        written = headers(call_id, TRUNK, ((name, value),))
    except UriError:
        return

    assert all(STRICT_HEADER.fullmatch(": ".join(pair)) for pair in written)


@settings(max_examples=300)
@given(number=st.integers(10**6, 10**15 - 1).map(str))
def test_every_international_number_can_be_written(number: str) -> None:
    assert request_uri(number, replace(TRUNK, caller_ids=()), URI) == f"sip:{number}@sip.example.net:5060"
