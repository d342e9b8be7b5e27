"""Nothing that a user writes gets into SIP: whatever the API takes, the bytes of the INVITE keep to a strict grammar.

`STRINGS` says how many requests; 2000 is the whole of it, and the default a tenth.
"""

import asyncio
import json
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.service import LIVE_KEY, running
from tests.until import time_passes, until

MANY = int(os.environ.get("STRINGS", "200"))
pytestmark = [pytest.mark.sip, pytest.mark.timeout(120 + MANY // 5)]

SEED = 3261
AT_ONCE = 12
NUMBER = "2347080670000"
_TOKEN = r"[A-Za-z0-9.!%*_+`'~-]+"
_HOST = r"127\.0\.0\.1"

# Every line that an INVITE of ours may have, word for word; each at most once, and nothing else.
LINES = {
    "Request": rf"INVITE sip:234802\d{{7}}@{_HOST}:\d{{1,5}} SIP/2\.0",
    "Via": rf"Via: SIP/2\.0/UDP {_HOST}:\d{{1,5}};rport;branch=z9hG4bK{_TOKEN}",
    "Max-Forwards": r"Max-Forwards: 70",
    "From": rf"From: <sip:{NUMBER}@{_HOST}>;tag={_TOKEN}",
    "To": rf"To: <sip:234802\d{{7}}@{_HOST}>",
    "Contact": rf"Contact: <sip:tocsin@{_HOST}:\d{{1,5}}>",
    "Call-ID": rf"Call-ID: {_TOKEN}",
    "CSeq": r"CSeq: \d{1,5} INVITE",
    "Allow": r"Allow: [A-Z]+(?:, [A-Z]+)*",
    "Supported": r"Supported: [a-z0-9]+(?:, [a-z0-9-]+)*",
    "Session-Expires": r"Session-Expires: 90",
    "Min-SE": r"Min-SE: 90",
    "User-Agent": r"User-Agent: Tocsin",
    "X-Call-Id": r"X-Call-Id: call_[0-9A-HJKMNP-TV-Z]{26}",
    "Content-Type": r"Content-Type: application/sdp",
    "Content-Length": r"Content-Length: {1,3}\d{1,3}",
}
BODY = re.compile(
    rf"v=0\r\no=- \d+ \d+ IN IP4 {_HOST}\r\ns=pjmedia\r\n(?:b=AS:\d+\r\n)?t=0 0\r\n(?:a=X-nat:0\r\n)?"
    rf"m=audio \d+ RTP/AVP 8 0 120\r\nc=IN IP4 {_HOST}\r\n(?:b=TIAS:\d+\r\n)?a=rtcp:\d+ IN IP4 {_HOST}\r\n"
    r"a=sendrecv\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n(?:a=ssrc:\d+ cname:[0-9a-f]+\r\n)?"
    r"a=rtpmap:120 telephone-event/8000\r\na=fmtp:120 0-16\r\n(?:a=ssrc:\d+ cname:[0-9a-f]+\r\n)?"
)


def complaints(invite: bytes) -> list[str]:
    """What is in it that may not be."""
    text = invite.decode("ascii", "backslashreplace")
    head, _, body = text.partition("\r\n\r\n")
    found, seen = [], Counter[str]()
    for line in head.split("\r\n"):
        kind = next((kind for kind, pattern in LINES.items() if re.fullmatch(pattern, line)), None)
        if kind is None:
            found.append(repr(line))
        else:
            seen[kind] += 1
    found += [f"{kind} {count} times" for kind, count in seen.items() if count > 1]
    found += [f"no {kind}" for kind in LINES if not seen[kind]]
    return found + ([] if BODY.fullmatch(body) else [f"SDP: {body!r}"])


class Callee(asyncio.DatagramProtocol):
    """Busy, and remembers the bytes."""

    def __init__(self) -> None:
        self.invites: dict[bytes, bytes] = {}  # by Call-ID
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        call_id = re.search(rb"^Call-ID: (.*)\r$", data, re.MULTILINE)
        if not data.startswith(b"INVITE ") or call_id is None or self._transport is None:
            return
        self.invites.setdefault(call_id[1], data)
        kept = [line for line in data.split(b"\r\n") if line.startswith((b"Via:", b"From:", b"Call-ID:", b"CSeq:"))]
        to = re.search(rb"^To: .*?(?=\r$)", data, re.MULTILINE)
        lines = [
            b"SIP/2.0 486 Busy Here",
            *kept,
            (to[0] if to else b"To: <sip:x>") + b";tag=busy",
            b"Content-Length: 0",
        ]
        self._transport.sendto(b"\r\n".join(lines) + b"\r\n\r\n", addr)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


_BITS = (
    *("\r\n", "\n", "\r", "\x00", "\t", "\x7f", "\u2028", "%0d%0a", "%00", "\\", '"', "<", ">", ";", ",", "@", ":"),
    *(
        "sip:",
        "tel:",
        "?",
        "=",
        "&",
        "é",
        "\u202e",
        "٣",
        "９",
        "０",
        "𝟗",
        "\ud83d\ude00",
        "+",
        "00",
        "*",
        "#",
        "(",
        ")",
    ),
    *("Route: <sip:evil.example;lr>", "X-Evil: 1", "\r\nContact: <sip:evil@evil.example>\r\n", ";phone-context=evil"),
    *("@evil.example", ";user=phone", ";transport=tcp", "INVITE sip:1@evil.example SIP/2.0", "a" * 300, "9" * 40),
    *("\r\n\r\nv=0\r\nm=audio 9 RTP/AVP 3\r\n", "{{7*7}}", "${jndi:x}", "' OR 1=1", "2348020000000", " ", "-", "."),
)


def hostile(rng: random.Random) -> str:
    return "".join(rng.choice(_BITS) for _ in range(rng.randrange(1, 5)))


def request(rng: random.Random, n: int) -> dict[str, Any]:
    """A good request in which one or two members are what somebody with bad intentions writes."""
    good = f"234802{n:07}"
    body: dict[str, Any] = {"to": good, "text": "One.", "from": NUMBER}
    for member in rng.sample(_MEMBERS, rng.choice((1, 1, 2))):
        evil = hostile(rng)
        match member:
            case "to":
                at = rng.randrange(len(good) + 1)
                body["to"] = rng.choice((evil, good + evil, evil + good, good[:at] + evil + good[at:]))
            case "from":
                body["from"] = rng.choice((evil, NUMBER + evil, evil + NUMBER))
            case "gather":
                body["gather"] = {"valid": evil}
            case "name":
                body[evil] = "x"
            case _:
                body[member] = evil
    return body


_MEMBERS = (
    *("to", "to", "from", "client_reference", "client_reference", "callback_data", "callback_data"),
    *("language", "voice", "trunk_id", "callback_url", "media_url", "gather", "name", "send_at"),
)


async def test_whatever_a_user_writes_the_invite_keeps_to_its_grammar(tmp_path: Path) -> None:
    rng, callee = random.Random(SEED), Callee()
    await callee.open()
    trunks = tmp_path / "trunks.toml"
    trunks.write_text(
        f'[trunks.carrier]\nhost = "127.0.0.1:{callee.port}"\ncaller_ids = ["{NUMBER}"]\nchannels = 40\ncps = 100\n'
    )
    async with (
        running(tmp_path / "data", ready_s=60, TOCSIN_TRUNKS=str(trunks)) as service,
        service.client(LIVE_KEY) as http,
    ):
        answers = await _asked(http, [request(rng, n) for n in range(MANY)])
        accepted = answers[202]

        async def all_are_over() -> bool:
            await time_passes(0.3)
            live = [(await http.get("/v1/calls", params={"status": s})).json()["data"] for s in ("queued", "dialing")]
            return not any(live)

        await until(all_are_over, 60 + MANY / 5)
    callee.close()
    wrong = [found for invite in callee.invites.values() if (found := complaints(invite))]

    assert not wrong, wrong[:5]
    assert set(answers) <= {202, 400, 404, 422}
    assert len(callee.invites) > MANY // 8, f"{answers}: too few calls to say anything"
    assert len(callee.invites) <= accepted
    print(f"{MANY} requests: {dict(answers)}; {len(callee.invites)} INVITEs, all to the letter")


_JSON = {"Content-Type": "application/json"}


async def _asked(http: httpx2.AsyncClient, bodies: list[dict[str, Any]]) -> Counter[int]:
    places, answers = asyncio.Semaphore(AT_ONCE), Counter[int]()

    async def ask(body: dict[str, Any]) -> None:
        async with places:
            # Escaped, so that half a surrogate pair gets there, too.
            response = await http.post("/v1/calls", content=json.dumps(body), headers=_JSON)
            answers[response.status_code] += 1

    await asyncio.gather(*(ask(body) for body in bodies))
    return answers
