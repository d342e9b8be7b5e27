"""A ladder as a capture (pcapng), for Wireshark, tshark and sngrep. Pure.

Nothing was captured: the frames are made anew around the stored messages, and the file says so. Every message travels
as one UDP datagram, whatever carried it; addresses are those of the messages, as far as they tell them.
"""

import ipaddress
import re
import struct
from collections.abc import Sequence

from sip.ladder import Row, host
from sip.messages import HIDDEN, TEXT_MAX

ABOUT = (
    "Not a capture: frames rebuilt by Tocsin from the SIP messages it stored. Every message is one UDP datagram, "
    "whatever transport carried it; Ethernet addresses and IP ids are made up. Credentials, media keys and pressed "
    "keys are hidden."
)
# For a side whose address is not told (RFC 5737, RFC 3849): never anybody's.
_NOBODY = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
_SIP_PORT = 5060
_MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))  # locally administered: ours, theirs
_TTL = 64
_UDP = 17
_PAYLOAD_MOST = 65_000  # bytes of one message: a UDP datagram holds 65,507

_VIA = re.compile(
    r"^(?:via|v)[ \t]*:[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*\w+[ \t]+(\[[0-9a-f:.]+\]|[^\s:;,\[\]]+)"
    r"(?:[ \t]*:[ \t]*(\d{1,5}))?",
    re.IGNORECASE | re.MULTILINE,
)
_LENGTH = re.compile(r"^((?:content-length|l)[ \t]*:[ \t]*)(\d+)[ \t]*(?=\r?$)", re.IGNORECASE | re.MULTILINE)
_LOGIN = re.compile(rf"^((?:proxy-)?authorization[ \t]*:)[ \t]*{re.escape(HIDDEN)}", re.IGNORECASE | re.MULTILINE)
_KEY = re.compile(rf"^a=(crypto|key-mgmt):{re.escape(HIDDEN)}", re.IGNORECASE | re.MULTILINE)
_BODY = re.compile(rb"\r?\n\r?\n")

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6  # pcapng block types
_COMMENT, _APPLICATION, _NAME = 1, 4, 2  # options
_ETHERNET = 1

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
End = tuple[Address, int]


def as_pcap(rows: Sequence[Row]) -> bytes:
    """A whole pcapng file, little endian, times in microseconds; each changed message says so in its comment."""
    blocks = [
        _block(
            _SECTION,
            struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + _options((_COMMENT, ABOUT), (_APPLICATION, "Tocsin")),
        ),
        _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + _options((_NAME, "rebuilt"))),
    ]
    for number, row in enumerate(rows, 1):
        message, remark = _message(row)
        near, far = _ends(row, rows)
        frame = _frame(near, far, message, number) if row.sent else _frame(far, near, message, number, received=True)
        blocks.append(_packet(frame, row.at, remark))
    return b"".join(blocks)


def _message(row: Row) -> tuple[bytes, str]:
    """The bytes, and what was changed: a part that is hidden or cut changes the length, and the header must fit."""
    # A login that is no login, and a key that is no key, would make the whole packet a malformed one.
    readable = _KEY.sub(rf"a=x-\1:{HIDDEN}", _LOGIN.sub(rf'\1 Digest response="{HIDDEN}"', row.text))
    raw = readable.encode("utf-8", "replace")[:_PAYLOAD_MOST]
    cut = len(row.text) >= TEXT_MAX or len(raw) == _PAYLOAD_MOST
    if not cut and HIDDEN not in row.text:
        return raw, ""
    head, *rest = _BODY.split(raw, maxsplit=1)
    head = _LENGTH.sub(rf"\g<1>{len(rest[0]) if rest else 0}", head.decode("utf-8", "replace")).encode()
    remark = "The end was not stored" if cut else "Secrets are hidden"
    return (b"\r\n\r\n".join([head, *rest]) if rest else head), f"{remark}; Content-Length was set to what is left."


def _ends(row: Row, rows: Sequence[Row]) -> tuple[End, End]:
    """Ours and theirs. Ours stands in the Via that we write: on top of what we send, and of the answers to it."""
    far = _end(host(row.peer), row.peer.rpartition(":")[2] if ":" in row.peer else "")
    version = far[0].version if far else 4
    near = _ours(row) or next(filter(None, map(_ours, rows)), None)
    us, them = _NOBODY[version]
    if near is None or near[0].version != version:
        near = (ipaddress.ip_address(us), near[1] if near else _SIP_PORT)
    return near, far or (ipaddress.ip_address(them), _SIP_PORT)


def _ours(row: Row) -> End | None:
    is_answer = row.first_line.startswith("SIP/2.0 ")
    if row.sent is is_answer:  # the Via on top is theirs
        return None
    via = _VIA.search(row.text)
    return _end(via[1].strip("[]"), via[2] or "") if via else None


def _end(address: str, port: str) -> End | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    return found, int(port) if port.isdigit() and 0 < int(port) < 65536 else _SIP_PORT


def _frame(source: End, target: End, payload: bytes, number: int, *, received: bool = False) -> bytes:
    length = 8 + len(payload)
    addresses = source[0].packed + target[0].packed
    udp = struct.pack("!HHHH", source[1], target[1], length, 0)
    # RFC 768 and RFC 8200 section 8.1: over the addresses, the protocol and the length; 0 is written as 0xFFFF.
    check = _checksum(addresses + struct.pack("!II", length, _UDP) + udp + payload) or 0xFFFF
    datagram = udp[:6] + struct.pack("!H", check) + payload
    ours, theirs = _MACS
    ethernet = ours + theirs if received else theirs + ours
    if source[0].version == 6:
        ip = struct.pack("!IHBB", 6 << 28, length, _UDP, _TTL) + addresses
        return ethernet + b"\x86\xdd" + ip + datagram
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, number & 0xFFFF, 0x4000, _TTL, _UDP, 0) + addresses
    ip = ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:]
    return ethernet + b"\x08\x00" + ip + datagram


def _checksum(octets: bytes) -> int:
    """RFC 1071."""
    padded = octets + b"\x00" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packet(frame: bytes, at: float, remark: str) -> bytes:
    microseconds = max(0, round(at * 1_000_000))
    head = struct.pack("<IIIII", 0, microseconds >> 32, microseconds & 0xFFFFFFFF, len(frame), len(frame))
    return _block(_PACKET, head + _padded(frame) + (_options((_COMMENT, remark)) if remark else b""))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def _options(*pairs: tuple[int, str]) -> bytes:
    written = b"".join(struct.pack("<HH", code, len(text.encode())) + _padded(text.encode()) for code, text in pairs)
    return written + struct.pack("<HH", 0, 0)


def _padded(octets: bytes) -> bytes:
    return octets + b"\x00" * (-len(octets) % 4)
