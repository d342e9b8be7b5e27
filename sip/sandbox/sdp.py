"""SDP offer and answer (RFC 4566, RFC 3264) for one audio stream of G.711 with telephone keys: pure.

Codecs are agreed by the order of the offer among those the phone has. Every stream of the offer is answered; all but
the first usable audio stream are refused with port 0.
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum

from sip.sandbox.g711 import LAWS, Law
from sip.sandbox.messages import Address

PTIME_MS = 20
# What the phone proposes itself when the INVITE brought no offer (RFC 3261 section 13.2.1).
OWN_EVENT_TYPE = 101


class BadSdp(ValueError):
    """The body is no SDP we can read."""


class NotAcceptable(ValueError):
    """A readable offer without a stream we can take; the text is for the Warning header."""


class Direction(StrEnum):
    """As seen by whom the word is said about."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


_MIRROR = {
    Direction.SENDRECV: Direction.SENDRECV,
    Direction.SENDONLY: Direction.RECVONLY,
    Direction.RECVONLY: Direction.SENDONLY,
    Direction.INACTIVE: Direction.INACTIVE,
}


@dataclass(frozen=True, slots=True)
class Stream:
    """One m= section. `lines` are its attribute values without "a="."""

    media: str
    port: int
    profile: str
    formats: tuple[str, ...]
    host: str
    lines: tuple[str, ...]
    direction: Direction

    def attribute(self, name: str) -> str | None:
        return next((line[len(name) + 1 :].strip() for line in self.lines if line.startswith(name + ":")), None)

    def encoding(self, payload_type: str) -> str:
        """Such as "PCMA/8000", in capitals; "" when the offer does not name it."""
        for line in self.lines:
            found = re.match(rf"rtpmap:{payload_type}\s+([^\s/]+/[0-9]+)(?:/1)?$", line)
            if found:
                return found[1].upper()
        return {"0": "PCMU/8000", "8": "PCMA/8000"}.get(payload_type, "")


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the two sides speak. `direction` is ours. `event_type`: payload type of keys both ways, None: no keys."""

    law: Law
    payload_type: int
    event_type: int | None
    rtp: Address
    rtcp: Address
    direction: Direction

    @property
    def sends(self) -> bool:
        return self.direction in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def hears(self) -> bool:
        return self.direction in (Direction.SENDRECV, Direction.RECVONLY)


def parse(body: bytes) -> tuple[Stream, ...]:
    """The streams of a session description. Raises BadSdp."""
    host, direction = "", Direction.SENDRECV
    sections: list[tuple[str, str, list[str]]] = []  # (m= value, c= host, a= values)
    lines = [line.strip() for line in body.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines or lines[0] != "v=0":
        raise BadSdp("no v=0 at the start")
    for line in lines:
        kind, value = line[:2], line[2:]
        if kind == "m=":
            sections.append((value, host, []))
        elif kind == "c=":
            found = re.fullmatch(r"IN IP[46] ([^\s/]+)(?:/[0-9]+)*", value)
            if not found:
                raise BadSdp("bad c= line")
            if sections:
                sections[-1] = (sections[-1][0], found[1], sections[-1][2])
            else:
                host = found[1]
        elif kind == "a=" and sections:
            sections[-1][2].append(value)
        elif kind == "a=" and value in list(Direction):
            direction = Direction(value)
    if not sections:
        raise BadSdp("no m= line")
    return tuple(_stream(*section, direction) for section in sections)


def _stream(value: str, host: str, lines: list[str], default: Direction) -> Stream:
    found = re.fullmatch(r"(\S+) ([0-9]{1,5})(?:/[0-9]+)? (\S+)((?: \S+)*)", value)
    if not found or int(found[2]) > 65535:
        raise BadSdp("bad m= line")
    direction = next((Direction(line) for line in lines if line in list(Direction)), default)
    if host == "0.0.0.0":  # the old way to hold (RFC 2543): nothing may be sent there
        direction = Direction.INACTIVE
    return Stream(found[1], int(found[2]), found[3], tuple(found[4].split()), host, tuple(lines), direction)


def agree(streams: tuple[Stream, ...]) -> tuple[int, Agreed]:
    """The index of the stream we take, and what is agreed in it. Raises NotAcceptable."""
    for index, stream in enumerate(streams):
        law = _first_law(stream)
        if stream.media == "audio" and stream.port and stream.profile in ("RTP/AVP", "RTP/AVPF") and law:
            return index, _agreed(stream, *law)
    raise NotAcceptable("PCMA or PCMU over RTP/AVP is needed")


def _first_law(stream: Stream) -> tuple[Law, int] | None:
    by_name = {f"{law.name}/8000": law for law in LAWS}
    for number in stream.formats:
        if _is_payload_type(number) and stream.encoding(number) in by_name:
            return by_name[stream.encoding(number)], int(number)
    return None


def _is_payload_type(text: str) -> bool:
    return bool(re.fullmatch("[0-9]{1,3}", text)) and int(text) < 128


def _agreed(stream: Stream, law: Law, payload_type: int) -> Agreed:
    events = [n for n in stream.formats if _is_payload_type(n) and stream.encoding(n) == "TELEPHONE-EVENT/8000"]
    if stream.host != "0.0.0.0" and not is_loopback(stream.host):
        raise NotAcceptable("this phone sends sound on loopback only")
    rtcp_port = re.match(r"([0-9]{1,5})", stream.attribute("rtcp") or "")
    control = int(rtcp_port[1]) if rtcp_port else stream.port + 1
    return Agreed(
        law,
        payload_type,
        int(events[0]) if events else None,
        rtp=(stream.host, stream.port),
        rtcp=(stream.host, control if 0 < control < 65536 else stream.port),
        direction=_MIRROR[stream.direction],
    )


def is_loopback(host: str) -> bool:
    """Whether `host` is an IPv4 loopback address, written as a number."""
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def answer(
    streams: tuple[Stream, ...],
    index: int,
    agreed: Agreed,
    here: Address,
    session: tuple[int, int],
    *,
    wrong: bool = False,
) -> bytes:
    """The answer to `streams`; `here` is our RTP address (RTCP is one above), `session` its number and version.

    `wrong`: with a codec that was not offered, which RFC 3264 section 6.1 forbids.
    """
    sections = [
        (_never_offered(here[1]) if wrong else _audio(agreed, here[1]))
        if at == index
        else [f"m={stream.media} 0 {stream.profile} {' '.join(stream.formats) or '0'}"]
        for at, stream in enumerate(streams)
    ]
    return _session(here[0], session, sections)


def offer(here: Address, session: tuple[int, int]) -> bytes:
    """Our own offer: PCMA, then PCMU, with keys."""
    formats = " ".join(str(law.payload_type) for law in LAWS)
    lines = [f"m=audio {here[1]} RTP/AVP {formats} {OWN_EVENT_TYPE}"]
    lines += [f"a=rtpmap:{law.payload_type} {law.name}/8000" for law in LAWS]
    return _session(here[0], session, [[*lines, *_events(OWN_EVENT_TYPE), *_tail(Direction.SENDRECV)]])


def _audio(agreed: Agreed, port: int) -> list[str]:
    formats = [agreed.payload_type, *([] if agreed.event_type is None else [agreed.event_type])]
    return [
        f"m=audio {port} RTP/AVP {' '.join(map(str, formats))}",
        f"a=rtpmap:{agreed.payload_type} {agreed.law.name}/8000",
        *([] if agreed.event_type is None else _events(agreed.event_type)),
        *_tail(agreed.direction),
    ]


def _never_offered(port: int) -> list[str]:
    """G.729: no caller of this product offers it."""
    return [f"m=audio {port} RTP/AVP 18", "a=rtpmap:18 G729/8000", *_tail(Direction.SENDRECV)]


def _events(payload_type: int) -> list[str]:
    return [f"a=rtpmap:{payload_type} telephone-event/8000", f"a=fmtp:{payload_type} 0-15"]


def _tail(direction: Direction) -> list[str]:
    return [f"a=ptime:{PTIME_MS}", f"a={direction}"]


def _session(host: str, session: tuple[int, int], sections: list[list[str]]) -> bytes:
    number, version = session
    head = ["v=0", f"o=- {number} {version} IN IP4 {host}", "s=catch-all phone", f"c=IN IP4 {host}", "t=0 0"]
    return ("\r\n".join([*head, *(line for section in sections for line in section)]) + "\r\n").encode()
