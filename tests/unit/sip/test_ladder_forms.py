"""The drawn ladders: a picture, a diagram and a capture of the same rows, and nothing secret in any of them."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.events import Trace
from sip.ladder import Row, as_json, as_text, from_json, host, ladder, method
from sip.ladder_mermaid import as_mermaid
from sip.ladder_pcap import as_pcap
from sip.ladder_svg import ROW_PX, as_svg
from tests.unit.sip.test_ladder import CALL, trace
from tests.unit.sip.wording import OFFER, answer, messages, request

SVG = "{http://www.w3.org/2000/svg}"

FORMS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    "json": lambda rows: as_json(rows).encode(),
    "text": lambda rows: as_text(rows, "tocsin", "trunk", numbered=True).encode(),
    "mermaid": lambda rows: as_mermaid(rows, "tocsin").encode(),
    "svg": lambda rows: as_svg(rows, "tocsin", "call_1").encode(),
    "pcap": as_pcap,
}


def picture(rows: Sequence[Row]) -> ET.Element:
    return ET.fromstring(as_svg(rows, "tocsin", "call_1"))


def test_the_picture_has_an_arrow_a_label_and_a_time_for_each_message() -> None:
    drawn = picture(ladder(CALL))

    groups = drawn.findall(f"{SVG}g")
    words = [[text.text for text in group.findall(f"{SVG}text")] for group in groups]
    looks = [group.findall(f"{SVG}path")[0].attrib["class"] for group in groups]
    ys = [int(group.findall(f"{SVG}text")[0].attrib["y"]) for group in groups]

    assert words[0] == ["+0", "INVITE (SDP PCMA,PCMU,tel)"]
    assert words[5] == ["+2950", "180 Ringing", "← slow: 3.0 s"]
    assert looks == [
        "arrow request",
        "arrow provisional",
        "arrow final other",
        "arrow request",
        "arrow request",
        "arrow provisional",
        "arrow final good",
        "arrow request",
    ]
    assert {below - above for above, below in pairwise(ys)} == {ROW_PX}


def test_the_picture_tells_itself_to_who_cannot_see_it() -> None:
    drawn = picture(ladder(CALL))
    title, words = drawn.find(f"{SVG}title"), drawn.find(f"{SVG}desc")

    assert title is not None
    assert words is not None
    assert title.text == "SIP ladder of call_1"
    assert drawn.attrib["role"] == "img"
    assert drawn.attrib["aria-labelledby"].split() == [title.attrib["id"], words.attrib["id"]]
    assert (words.text or "").startswith("8 messages in 15.0 s between tocsin and 41.2.3.4: sent INVITE")
    assert (words.text or "").endswith("received BYE, +8868 ms.")


def test_the_picture_needs_nothing_else_and_follows_the_readers_theme() -> None:
    text = as_svg(ladder(CALL), "tocsin", "call_1")

    assert "prefers-color-scheme:dark" in text
    assert text.count("http") == 1  # the name space
    assert not any(word in text for word in ("<script", "href", "url(", "@import"))


def test_each_host_has_its_lane_whatever_its_port() -> None:
    rows = ladder(
        [
            Trace("c", 1.0, True, "41.2.3.4:5060", request("INVITE")),
            Trace("c", 2.0, False, "41.2.3.4:5070", answer("503 No")),
            Trace("c", 3.0, True, "[2001:db8::7]:5060", request("INVITE")),
        ]
    )
    heads = [text.text for text in picture(rows).findall(f"{SVG}text")]

    assert heads == ["Δ ms", "tocsin", "41.2.3.4", "2001:db8::7"]
    assert "us->>peer2: +1000 ms INVITE" in as_mermaid(rows, "tocsin")


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("41.2.3.4:5060", "41.2.3.4"), ("[::1]:5060", "::1"), ("proxy.example", "proxy.example"), ("", "")],
)
def test_a_host_is_told_from_its_port(peer: str, expected: str) -> None:
    assert host(peer) == expected


def test_the_diagram_reads_like_one() -> None:
    assert as_mermaid(ladder(CALL), "tocsin").splitlines() == [
        "sequenceDiagram",
        "    participant us as tocsin",
        "    participant peer1 as 41.2.3.4",
        "    us->>peer1: +0 ms INVITE (SDP PCMA,PCMU,tel)",
        "    peer1--)us: +18 ms 100 Trying",
        "    peer1-->>us: +41 ms 407 Proxy Authentication Required",
        "    us->>peer1: +2 ms ACK",
        "    us->>peer1: +1 ms INVITE (auth) (SDP PCMA,PCMU,tel)",
        "    peer1--)us: +2950 ms 180 Ringing",
        "    Note over us: slow: 3.0 s",
        "    peer1-->>us: +3120 ms 200 OK (SDP PCMA)",
        "    peer1->>us: +8868 ms BYE",
    ]


def test_a_peer_cannot_write_into_a_drawing() -> None:
    rows = ladder([trace(1.0, False, answer('486 <script>alert(1)</script>; end "`]] %%{init}%%'))])

    (group,) = picture(rows).findall(f"{SVG}g")
    assert group.findall(f"{SVG}text")[1].text == '486 <script>alert(1)</script>; end "`]] %%{init}%%'
    assert group.find(f"{SVG}script") is None
    said = as_mermaid(rows, "tocsin").splitlines()[-1].partition(": +0 ms ")[2]
    assert said.startswith("486 #60;script#62;alert(1)#60;/script#62;#59; end ")
    assert not set(said) & set("<>\"`%{}'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (request("INVITE"), "INVITE"),
        (answer("200 OK", method="BYE"), "BYE"),
        ("SIP/2.0 200 OK\r\ncseq : 7  cancel\r\n\r\n", "CANCEL"),
        ("SIP/2.0 200 OK\r\n\r\n", ""),
        ("", ""),
    ],
)
def test_an_answer_knows_what_it_answers(text: str, expected: str) -> None:
    (row,) = ladder([trace(1.0, False, text)])

    assert method(row) == expected


CANARY = "5ecre7canary"
KEYS = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + CANARY
SECRETS = [
    request("INVITE", OFFER + KEYS + "\r\n", f'Authorization: Digest username="a", response="{CANARY}"\r\n'),
    request("REGISTER", "", f"Proxy-Authorization: Digest\r\n  response={CANARY}\r\n"),
    request("INFO", f"Signal={CANARY}\r\n"),
    answer("200 OK", OFFER + KEYS + "\r\n"),
    answer("200 OK", f"v=0\r\nk=base64:{CANARY}\r\nm=audio 4000 RTP/AVP 8\r\na=key-mgmt:mikey {CANARY}\r\n"),
    f'SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nAuthentication-Info: rspauth="{CANARY}"\r\n\r\n',
]


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_ladder_holds_a_credential_a_media_key_or_a_pressed_key(form: str) -> None:
    rows = ladder(trace(float(number), number % 2 == 0, text) for number, text in enumerate(SECRETS))

    assert len(rows) == len(SECRETS)
    for kept in (rows, from_json(as_json(rows))):
        assert CANARY.encode() not in FORMS[form](kept)


@given(st.lists(st.tuples(messages, st.booleans(), st.text(max_size=20)), max_size=6))
def test_whatever_a_peer_sends_can_be_drawn(seen: list[tuple[str, bool, str]]) -> None:
    rows = ladder(Trace("c", float(n), sent, peer, text) for n, (text, sent, peer) in enumerate(seen))

    assert len(picture(rows).findall(f"{SVG}g")) == len(rows)
    assert as_mermaid(rows, "tocsin").startswith("sequenceDiagram\n")
    assert as_pcap(rows)[:4] == bytes.fromhex("0a0d0d0a")
    assert json.loads(as_json(rows)) is not None
