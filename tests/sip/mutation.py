"""Good SIP and RTP made bad, the same way for the same seed: what a broken or a hostile program might send."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

TORTURE = Path(__file__).parent / "torture"
"""The 49 messages of RFC 4475, byte for byte as in the archive of its appendix A; `TORTURE_SECTIONS` says which."""

UDP_MOST = 60_000  # octets: a datagram that any system takes
_NUMBERS = (b"0", b"-1", b"255", b"65536", b"4294967295", b"4294967296", b"99999999999999999999")
_JUNK = (b"\x00", b"\r\n\r\n", b"\n", b"\r", b";", b",", b'"', b"<", b"%00", b"%", b"\xff\xfe", b"=?", b"[", b":")
_GROWS = (
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%d\r\n",
    b"Record-Route: <sip:192.0.2.%d;lr>\r\n",
    b"Route: <sip:192.0.2.%d;lr>\r\n",
    b"Contact: <sip:a@192.0.2.%d>\r\n",
    b"Service-Route: <sip:192.0.2.%d;lr>\r\n",
    b"Path: <sip:192.0.2.%d;lr>\r\n",
    b"X-%d: y\r\n",
    b"Allow: INVITE, ACK, M%d\r\n",
    b"Supported: tag%d\r\n",
    b"Require: tag%d\r\n",
    b'WWW-Authenticate: Digest realm="r%d", nonce="n"\r\n',
)

# fmt: off
# Which section of RFC 4475 says what each of its messages is for.
TORTURE_SECTIONS = {
    "wsinv": "3.1.1.1", "intmeth": "3.1.1.2", "esc01": "3.1.1.3", "escnull": "3.1.1.4", "esc02": "3.1.1.5",
    "lwsdisp": "3.1.1.6", "longreq": "3.1.1.7", "dblreq": "3.1.1.8", "semiuri": "3.1.1.9", "transports": "3.1.1.10",
    "mpart01": "3.1.1.11", "unreason": "3.1.1.12", "noreason": "3.1.1.13", "badinv01": "3.1.2.1", "clerr": "3.1.2.2",
    "ncl": "3.1.2.3", "scalar02": "3.1.2.4", "scalarlg": "3.1.2.5", "quotbal": "3.1.2.6", "ltgtruri": "3.1.2.7",
    "lwsruri": "3.1.2.8", "lwsstart": "3.1.2.9", "trws": "3.1.2.10", "escruri": "3.1.2.11", "baddate": "3.1.2.12",
    "regbadct": "3.1.2.13", "badaspec": "3.1.2.14", "baddn": "3.1.2.15", "badvers": "3.1.2.16",
    "mismatch01": "3.1.2.17", "mismatch02": "3.1.2.18", "bigcode": "3.1.2.19", "badbranch": "3.2.1", "insuf": "3.3.1",
    "unkscm": "3.3.2", "novelsc": "3.3.3", "unksm2": "3.3.4", "bext01": "3.3.5", "invut": "3.3.6",
    "regaut01": "3.3.7", "multi01": "3.3.8", "mcl01": "3.3.9", "bcast": "3.3.10", "zeromf": "3.3.11",
    "cparam01": "3.3.12", "cparam02": "3.3.13", "regescrt": "3.3.14", "sdp01": "3.3.15", "inv2543": "3.4.1",
}
# fmt: on


def torture() -> dict[str, bytes]:
    """By name."""
    return {name: (TORTURE / f"{name}.dat").read_bytes() for name in TORTURE_SECTIONS}


class Mutator:
    """`sip` and `rtp` give another bad datagram each time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def sip(self, good: bytes) -> bytes:
        for _ in range(self.random.choice((1, 1, 2, 3, 5))):
            good = self.random.choice(_SIP)(self.random, good)
        return good[:UDP_MOST]

    def rtp(self, good: bytes) -> bytes:
        for _ in range(self.random.choice((0, 1, 1, 2, 4))):
            good = self.random.choice(_RTP)(self.random, good)
        return good[:UDP_MOST]


Change = Callable[[random.Random, bytes], bytes]


def _flip(rng: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 32)) if made else 0):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_JUNK) * rng.choice((1, 2, 16)) + data[at:]


def _lines(data: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def _joined(lines: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _repeat(rng: random.Random, data: bytes) -> bytes:
    """A header many times."""
    lines, body = _lines(data)
    if len(lines) > 1:
        at = rng.randrange(1, len(lines))
        lines[at:at] = [lines[at]] * rng.choice((1, 2, 16, 64, 300))
    return _joined(lines, body)


def _drop(rng: random.Random, data: bytes) -> bytes:
    lines, body = _lines(data)
    if len(lines) > 1:
        del lines[rng.randrange(1, len(lines))]
    return _joined(lines, body)


def _swap(rng: random.Random, data: bytes) -> bytes:
    lines, body = _lines(data)
    if len(lines) > 2:
        one, other = rng.randrange(1, len(lines)), rng.randrange(1, len(lines))
        lines[one], lines[other] = lines[other], lines[one]
    return _joined(lines, body)


def _grow(rng: random.Random, data: bytes) -> bytes:
    """A huge number of headers."""
    first, _, rest = data.partition(b"\r\n")
    kind = rng.choice(_GROWS)
    return first + b"\r\n" + b"".join(kind % n for n in range(rng.choice((16, 17, 32, 64, 200, 900)))) + rest


def _stretch(rng: random.Random, data: bytes) -> bytes:
    """A value of some thousand characters."""
    lines, body = _lines(data)
    at = rng.randrange(len(lines))
    lines[at] += rng.choice((b"a", b";x", b"\xc3\xa9", b"%41", b" ")) * rng.choice((64, 256, 1024, 8000))
    return _joined(lines, body)


def _lie_about_length(rng: random.Random, data: bytes) -> bytes:
    lines, body = _lines(data)
    kept = [line for line in lines if not line.lower().startswith((b"content-length", b"l:"))]
    return _joined([*kept, b"Content-Length: " + rng.choice(_NUMBERS)], body)


def _number(rng: random.Random, data: bytes) -> bytes:
    """Some run of digits becomes a number at the edge of something."""
    digits = [at for at, octet in enumerate(data) if 48 <= octet <= 57]
    if not digits:
        return data
    start = end = rng.choice(digits)
    while end < len(data) and 48 <= data[end] <= 57:
        end += 1
    return data[:start] + rng.choice(_NUMBERS) + data[end:]


def _body(rng: random.Random, data: bytes) -> bytes:
    """Another body: parts that do not end, SDP that makes no sense."""
    lines, _ = _lines(data)
    kept = [line for line in lines if not line.lower().startswith((b"content-", b"l:", b"c:"))]
    kind, body = rng.choice(_BODIES)
    return _joined([*kept, b"Content-Type: " + kind, b"Content-Length: %d" % len(body)], body)


_SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
_BODIES = (
    (b"multipart/mixed;boundary=b", b"--b\r\n\r\n"),
    (b"multipart/mixed;boundary=b", b"--b\r\nContent-ID: <\r\n\r\nx\r\n--b--"),
    (b"multipart/mixed;boundary=", b"--\r\n--"),
    (b"application/sdp", b""),
    (b"application/sdp", _SDP + b"m=audio 0 RTP/AVP\r\n"),
    (b"application/sdp", _SDP + b"m=audio 65535 RTP/AVP 8\r\na=ptime:4294967295\r\na=maxptime:0\r\n"),
    (
        b"application/sdp",
        _SDP + b"m=audio 9 RTP/AVP 8 120\r\na=rtpmap:8 PCMA/0\r\na=rtpmap:120 telephone-event/8000\r\n",
    ),
    (b"application/sdp", _SDP + b"m=audio 9 RTP/AVP " + b"8 " * 400 + b"\r\n"),
    (b"application/sdp", _SDP + b"m=audio 9 RTP/SAVP 8\r\n" + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n" * 80),
    (b"application/sdp", _SDP + b"m=audio 9 RTP/AVP 8\r\n" * 60),
    (b"application/sdp", _SDP + b"a=" + b"x" * 9000 + b"\r\n"),
    (b"application/dtmf-relay", b"Signal=\r\nDuration=99999999999\r\n"),
    (b"message/sipfrag", b"SIP/2.0 "),
    (b"application/pidf+xml", b"<a>" * 3000),
)
_SIP: tuple[Change, ...] = (
    *(_flip, _flip, _cut, _insert, _repeat, _drop, _swap, _grow, _stretch, _lie_about_length, _number, _number, _body),
)


def _rtp_header(rng: random.Random, data: bytes) -> bytes:
    """Version, padding, extension, count of sources; marker and payload type: all as it comes."""
    return bytes((rng.randrange(256), rng.randrange(256))) + data[2:]


def _rtp_extension(rng: random.Random, data: bytes) -> bytes:
    """An extension that claims to be longer than the packet."""
    lie = struct.pack("!HH", rng.randrange(65536), rng.choice((0, 1, 255, 16383, 65535)))
    return bytes((0x90 | (data[0] & 0x0F),)) + data[1:12] + lie + data[12:] if len(data) >= 12 else data


def _rtp_padding(rng: random.Random, data: bytes) -> bytes:
    return bytes((data[0] | 0x20,)) + data[1:] + bytes((rng.choice((0, 1, 200, 255)),)) if data else data


def _rtp_far(rng: random.Random, data: bytes) -> bytes:
    """A sequence number or a timestamp from another day."""
    return data[:2] + rng.randbytes(6) + data[8:] if len(data) >= 8 else data


def _rtp_long(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.choice((1, 100, 1500, 9000, 50_000)))


_RTP: tuple[Change, ...] = (_flip, _cut, _rtp_header, _rtp_extension, _rtp_padding, _rtp_far, _rtp_long)


def rtp_seeds() -> list[bytes]:
    """Sound, keys, comfort noise, Speex of a hundred frames, and the five kinds of RTCP."""

    def packet(kind: int, payload: bytes) -> bytes:
        return struct.pack("!BBHII", 0x80, kind, 7, 1120, 0x70C51) + payload

    def report(kind: int, count: int, body: bytes) -> bytes:
        return struct.pack("!BBHI", 0x80 | count, kind, len(body) // 4 + 1, 0x70C51) + body

    speex = b"\x1d\x9d\x66\x00" * 500  # narrow-band frames, one after the other
    return [
        *(packet(kind, b"\xd5" * 160) for kind in (0, 8, 9, 3, 18)),
        packet(120, struct.pack("!BBH", 5, 0x8A, 800)),
        packet(120, struct.pack("!BBH", 255, 0xFF, 65535)),
        packet(13, b"\x40"),
        *(packet(kind, speex) for kind in (96, 97, 98, 99, 110)),
        report(200, 1, bytes(20 + 24)),
        report(201, 31, bytes(24 * 31)),
        report(202, 1, b"\x01\xff" + b"a" * 14),
        report(203, 1, b"\xffbye"),
        report(204, 0, b"name" + bytes(8)),
        report(207, 0, bytes(40)),
    ]
