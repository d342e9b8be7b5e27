"""Many callers at once that send sound at pace and measure the pace of what comes back, by the kernel's clock."""

import asyncio
import contextlib
import itertools
import re
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_SO_TIMESTAMPNS = 35  # Linux; Python has no name for it
_FRAME_S = 0.02
_PATIENCE_S = 20.0


@dataclass(slots=True)
class _Member:
    sound: socket.socket
    number: int
    tag: str = ""
    target: tuple[str, int] | None = None
    arrivals: list[tuple[int, float]] = field(default_factory=list)  # sequence number, seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """Deviation of each gap between two packets from 20 ms, and of each stream's end from its plan."""

    packets: int
    lost: int
    repeated: int
    p50_s: float
    p99_s: float
    worst_s: float
    drift_s: float

    def words(self) -> str:
        ms = [1000 * value for value in (self.p50_s, self.p99_s, self.worst_s, self.drift_s)]
        return "{} packets, {} lost, deviation p50 {:.2f} p99 {:.2f} max {:.2f} ms, drift {:.2f} ms".format(
            self.packets, self.lost, *ms
        )


class Crowd:
    def __init__(self, phone_port: int, count: int) -> None:
        self._phone = ("127.0.0.1", phone_port)
        self._loop = asyncio.get_running_loop()
        self._sip = _udp()
        self._port = self._sip.getsockname()[1]
        self._members = [_Member(_udp(stamped=True), number) for number in range(count)]
        self._up = asyncio.Event()
        self._gone = 0
        self._all_gone = asyncio.Event()
        self.sent = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def gathered(cls, phone_port: int, count: int) -> "AsyncIterator[Crowd]":
        """Everybody has called and was answered."""
        crowd = cls(phone_port, count)
        crowd._loop.add_reader(crowd._sip, crowd._on_sip)
        try:
            for member in crowd._members:
                crowd._loop.add_reader(member.sound, crowd._on_sound, member)
                crowd._sip.sendto(crowd._request("INVITE", member, 1), crowd._phone)
                await asyncio.sleep(0.005)
            async with asyncio.timeout(_PATIENCE_S):
                await crowd._up.wait()
            yield crowd
        finally:
            crowd.close()

    def _request(self, method: str, member: _Member, cseq: int) -> bytes:
        body = ""
        if method == "INVITE":
            port = member.sound.getsockname()[1]
            body = (
                f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
            )
        tag = f";tag={member.tag}" if member.tag else ""
        return (
            f"{method} sip:2348020000{member.number:03d}@127.0.0.1 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self._port};branch=z9hG4bK{method}{member.number};rport\r\n"
            f"From: <sip:a@127.0.0.1>;tag={member.number}\r\nTo: <sip:b@127.0.0.1>{tag}\r\n"
            f"Call-ID: {member.number}-{self._port}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n"
            f"Contact: <sip:a@127.0.0.1:{self._port}>\r\nContent-Type: application/sdp\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _on_sip(self) -> None:
        text = self._sip.recv(4000).decode()
        found = re.search(r"Call-ID: (\d+)-", text)
        if not found or not text.startswith("SIP/2.0 200"):
            return
        member = self._members[int(found[1])]
        if re.search(r"CSeq: \d+ BYE", text):
            self._gone += 1
            if self._gone == len(self._members):
                self._all_gone.set()
            return
        tag, port = re.search(r"To:.*;tag=(\S+)", text), re.search(r"m=audio (\d+)", text)
        if tag and port:
            member.tag, member.target = tag[1], ("127.0.0.1", int(port[1]))
            self._sip.sendto(self._request("ACK", member, 1), self._phone)
        if all(each.target for each in self._members):
            self._up.set()

    def _on_sound(self, member: _Member) -> None:
        data, extra, _, _ = member.sound.recvmsg(2048, 256)
        if data[1] & 0x7F != 8:  # a report for the call whose RTP port is one below this one
            return
        for _, _, stamp in extra:
            seconds, nanoseconds = struct.unpack("qq", stamp[:16])
            member.arrivals.append((int.from_bytes(data[2:4], "big"), seconds + nanoseconds / 1e9))

    async def talk(self, seconds: float) -> None:
        for member in self._members:
            member.arrivals.clear()
        start = self._loop.time()
        for number in range(round(seconds / _FRAME_S)):
            header = struct.pack("!BBHI", 0x80, 8, self.sent & 0xFFFF, self.sent * 160)
            for member in self._members:
                if member.target:
                    member.sound.sendto(header + bytes([0, 0, 0, member.number]) + bytes(range(160)), member.target)
            self.sent += 1
            await asyncio.sleep(max(0.0, start + (number + 1) * _FRAME_S - self._loop.time()))

    def pace(self) -> Pace:
        gaps, drifts, lost, repeated = [], [], 0, 0
        for member in self._members:
            first = member.arrivals[0][0]
            rows = [(((number - first + 32768) & 0xFFFF) - 32768, at) for number, at in member.arrivals]
            numbers = {number for number, _ in rows}
            lost += max(numbers) - min(numbers) + 1 - len(numbers)
            repeated += len(rows) - len(numbers)
            gaps += [abs(b[1] - a[1] - _FRAME_S) for a, b in itertools.pairwise(rows)]
            drifts.append(abs(rows[-1][1] - rows[0][1] - (rows[-1][0] - rows[0][0]) * _FRAME_S))
        gaps.sort()
        return Pace(len(gaps), lost, repeated, gaps[len(gaps) // 2], gaps[len(gaps) * 99 // 100], gaps[-1], max(drifts))

    async def hang_up(self) -> None:
        for member in self._members:
            self._sip.sendto(self._request("BYE", member, 2), self._phone)
            await asyncio.sleep(0.002)
        async with asyncio.timeout(_PATIENCE_S):
            await self._all_gone.wait()

    def close(self) -> None:
        for sock in (self._sip, *(member.sound for member in self._members)):
            self._loop.remove_reader(sock)
            sock.close()


def _udp(*, stamped: bool = False) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    if stamped:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return sock
