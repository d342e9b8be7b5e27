"""RTP and RTCP on the wire (RFC 3550) and telephone keys in RTP (RFC 4733): pure, no sockets, no clock of its own."""

import struct
from dataclasses import dataclass, field

HEADER = 12
PTIME_S = 0.02
SAMPLES = 160  # in one packet of 20 ms at 8000 Hz

KEYS = "0123456789*#ABCD"  # event codes 0 to 15

_NTP_EPOCH = 2_208_988_800  # 1900 to 1970, seconds
_SR, _RR, _SDES, _BYE = 200, 201, 202, 203
# RFC 3550 appendix A.1: a jump beyond this is a new stream rather than loss.
_MAX_DROPOUT = 3000


class NotRtp(ValueError):
    """The datagram is no RTP packet."""


@dataclass(frozen=True, slots=True)
class Packet:
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse(datagram: bytes) -> Packet:
    """Raises NotRtp."""
    if len(datagram) < HEADER or datagram[0] >> 6 != 2:
        raise NotRtp("no version 2 header")
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", datagram)
    start = HEADER + 4 * (first & 0x0F)
    end = len(datagram)
    if first & 0x10:
        if end < start + 4:
            raise NotRtp("cut extension")
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= datagram[-1]
    if end < start:
        raise NotRtp("cut payload")
    return Packet(second & 0x7F, second >= 0x80, sequence, timestamp, ssrc, datagram[start:end])


def build(payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def key_event(code: int, duration: int, end: bool, volume: int = 10) -> bytes:
    """The payload of RFC 4733 section 2.3: `duration` in samples, `volume` in dB below 0 dBm0."""
    return struct.pack("!BBH", code, (0x80 if end else 0) | volume, duration)


@dataclass(frozen=True, slots=True)
class Report:
    """One report block about a sender (RFC 3550 section 6.4.1). `lsr` and `dlsr` in 1/65536 s."""

    ssrc: int
    fraction: int  # lost since the last report, of 256
    lost: int
    highest: int
    jitter: int  # in samples
    lsr: int
    dlsr: int


@dataclass(slots=True)
class Receiver:
    """Counts one incoming stream: expected, lost, jitter (RFC 3550 appendices A.1, A.3, A.8)."""

    ssrc: int | None = None
    received: int = 0
    jitter: float = 0.0  # in samples
    _base: int = 0
    _highest: int = 0  # extended by the cycles
    _transit: float | None = None
    _expected_prior: int = 0
    _received_prior: int = 0
    _last_sr: tuple[int, float] | None = field(default=None)

    def count(self, packet: Packet, arrival: float) -> None:
        """`arrival` in seconds of any steady clock."""
        step = (packet.sequence - self._highest) & 0xFFFF
        if packet.ssrc != self.ssrc or _MAX_DROPOUT <= step < 0x10000 - _MAX_DROPOUT:
            self._restart(packet)
        elif step < _MAX_DROPOUT:
            self._highest += step
        else:
            # A packet that was overtaken; at the very start it is the true first one, and not one too many.
            self._base = min(self._base, self._highest + step - 0x10000)
        self.received += 1
        self._note_jitter(packet.timestamp, arrival)

    def _restart(self, packet: Packet) -> None:
        self.ssrc = packet.ssrc
        self.received = self._expected_prior = self._received_prior = 0
        self._base = self._highest = packet.sequence
        self._transit, self.jitter = None, 0.0

    def _note_jitter(self, timestamp: int, arrival: float) -> None:
        transit = (arrival * 8000 - timestamp) % 2**32
        if self._transit is not None:
            moved = (transit - self._transit + 2**31) % 2**32 - 2**31
            self.jitter += (abs(moved) - self.jitter) / 16
        self._transit = transit

    def heard_sender_report(self, middle: int, arrival: float) -> None:
        """The middle 32 bits of the NTP time in a sender report: our next report gives them back (round trip)."""
        self._last_sr = (middle, arrival)

    @property
    def expected(self) -> int:
        return self._highest - self._base + 1 if self.ssrc is not None else 0

    @property
    def lost(self) -> int:
        return max(0, self.expected - self.received)

    def report(self, now: float) -> Report | None:
        """The next report block, None before the first packet. Starts a new interval for `fraction`."""
        if self.ssrc is None:
            return None
        expected = self.expected - self._expected_prior
        lost = expected - (self.received - self._received_prior)
        self._expected_prior, self._received_prior = self.expected, self.received
        fraction = min(255, lost * 256 // expected) if expected > 0 and lost > 0 else 0
        lsr, dlsr = (self._last_sr[0], int((now - self._last_sr[1]) * 65536)) if self._last_sr else (0, 0)
        highest = self._highest & 0xFFFFFFFF
        return Report(self.ssrc, fraction, min(self.lost, 0x7FFFFF), highest, int(self.jitter), lsr, dlsr)


def ntp(unix_s: float) -> int:
    """64-bit NTP time."""
    return int((unix_s + _NTP_EPOCH) * 2**32) & (2**64 - 1)


def control(
    ssrc: int,
    cname: str,
    report: Report | None,
    sent: tuple[int, int, int, int] | None,
    bye: bool = False,
) -> bytes:
    """A compound RTCP packet: SR or RR, SDES with our name, and BYE if this is the end (sections 6.1, 6.4 to 6.6).

    `sent` is (NTP time, RTP timestamp, packets, octets) when we sent anything since the last report.
    """
    blocks = b"" if report is None else _block(report)
    count = 0 if report is None else 1
    if sent is None:
        packets = _rtcp(count, _RR, struct.pack("!I", ssrc) + blocks)
    else:
        packets = _rtcp(count, _SR, struct.pack("!IQIII", ssrc, *sent) + blocks)
    name = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(name)) + name + b"\x00"
    packets += _rtcp(1, _SDES, chunk + b"\x00" * (-len(chunk) % 4))
    return packets + (_rtcp(1, _BYE, struct.pack("!I", ssrc)) if bye else b"")


def _block(report: Report) -> bytes:
    head = struct.pack("!IBxH", report.ssrc, report.fraction, report.lost & 0xFFFF)
    head = head[:5] + bytes([(report.lost >> 16) & 0xFF]) + head[6:]
    return head + struct.pack("!IIII", report.highest, report.jitter, report.lsr, report.dlsr & 0xFFFFFFFF)


def _rtcp(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def sender_report_times(datagram: bytes) -> list[int]:
    """The middle 32 bits of the NTP time of every sender report in a compound packet."""
    times, at = [], 0
    while at + 4 <= len(datagram) and datagram[at] >> 6 == 2:
        size = 4 + 4 * int.from_bytes(datagram[at + 2 : at + 4], "big")
        if datagram[at + 1] == _SR and at + 16 <= len(datagram):
            times.append(int.from_bytes(datagram[at + 10 : at + 14], "big"))
        at += size
    return times


def is_control(datagram: bytes) -> bool:
    """Whether a datagram on the RTP port is RTCP (RFC 5761 section 4)."""
    return len(datagram) >= 8 and 192 <= datagram[1] <= 223
