"""The sound of one call: its RTP and RTCP sockets, mouth and ear, reports; and the one timer that paces all calls."""

import asyncio
import random
import secrets
import socket
import time
from collections.abc import Callable

from sip.sandbox import rtp
from sip.sandbox.ear import Ear
from sip.sandbox.mouth import Mouth
from sip.sandbox.road import Road
from sip.sandbox.sdp import Agreed

# RFC 3550 section 6.2 asks for 5 s and allows less for small sessions; a test call is short, and its caller wants to
# learn loss and round trip while it lasts.
REPORT_EVERY_S = 1.0
# The first one early; one more right after each sender report of the caller, which makes the round trip exact.
FIRST_REPORT_S = 0.5
# After a stall the pacer sends what is due in one go, but not more than this: beyond it, sound is skipped.
MOST_LATE_TICKS = 10
_PORT_TRIES = 100
_BIGGEST = 2048


class NoPorts(OSError):
    """No free pair of UDP ports."""


class Pacer:
    """One timer for every call: a tick each 20 ms on an absolute grid, so that nothing drifts; asleep without calls."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sounds: dict[Sound, None] = {}
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def add(self, sound: "Sound") -> None:
        self._sounds[sound] = None
        if self._handle is None:
            self._due = self._loop.time()
            self._handle = self._loop.call_at(self._due, self._tick)

    def remove(self, sound: "Sound") -> None:
        self._sounds.pop(sound, None)
        if not self._sounds and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        now = self._loop.time()
        ticks = int((now - self._due) / rtp.PTIME_S) + 1
        self._due += ticks * rtp.PTIME_S
        self._handle = self._loop.call_at(self._due, self._tick)
        for sound in list(self._sounds):
            sound.tick(now, ticks)


class Sound:
    """RTP and RTCP of one call, from the answer to the end. `listen` is told the time 50 times a second."""

    def __init__(self, pacer: Pacer, host: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._pacer = pacer
        self._rtp, self._rtcp = _port_pair(host)
        self.port: int = self._rtp.getsockname()[1]
        self.mouth: Mouth | None = None
        self.ear: Ear | None = None
        self._agreed: Agreed | None = None
        self._ways: tuple[Road, Road] | None = None
        self._listen: Callable[[float], None] = lambda now: None
        self._silent = False
        self._next_report = 0.0
        self._reported = 0
        self._cname = secrets.token_hex(6)
        self._closed = False

    def begin(
        self,
        agreed: Agreed,
        *,
        silent: bool,
        bad_road: tuple[float, float] | None,
        listen: Callable[[float], None],
    ) -> None:
        """Start to send and hear. `bad_road` is (loss share, jitter in ms) for each direction."""
        now = self._loop.time()
        kinds = (agreed.law, agreed.payload_type, agreed.event_type)
        self._agreed, self._silent, self._listen = agreed, silent, listen
        self.mouth = Mouth(
            *kinds,
            ssrc=secrets.randbits(32),
            sequence=random.getrandbits(15),
            timestamp=random.getrandbits(32),
        )
        self.ear = Ear(*kinds, answered=now)
        if bad_road is not None:
            self._ways = (Road(*bad_road, seed=f"out {self._cname}"), Road(*bad_road, seed=f"in {self._cname}"))
        self._next_report = now + FIRST_REPORT_S
        self._loop.add_reader(self._rtp, self._readable)
        self._loop.add_reader(self._rtcp, self._control_readable)
        self._pacer.add(self)

    def change(self, agreed: Agreed) -> None:
        """What a re-INVITE or UPDATE agreed."""
        self._agreed = agreed
        for side in (self.mouth, self.ear):
            if side is not None:
                side.change(agreed.law, agreed.payload_type, agreed.event_type)

    def tick(self, now: float, ticks: int) -> None:
        """`ticks` times 20 ms have passed: normally 1."""
        mouth, agreed = self.mouth, self._agreed
        if mouth is None or agreed is None or self._closed:
            return
        for late in range(ticks, 0, -1):
            if agreed.sends and not self._silent and late <= MOST_LATE_TICKS:
                self._speak(mouth.packet(), agreed)
            else:
                mouth.skip()
        if now >= self._next_report and not self._silent:
            self._report(now)
        self._listen(now)

    def _speak(self, datagram: bytes, agreed: Agreed) -> None:
        if self._ways is None:
            _send(self._rtp, datagram, agreed.rtp)
        else:
            self._ways[0].carry(self._loop, lambda _: None if self._closed else _send(self._rtp, datagram, agreed.rtp))

    def _readable(self) -> None:
        datagram, arrival = _received(self._rtp), self._loop.time()
        if datagram is None or self._silent or self.ear is None or self._agreed is None or not self._agreed.hears:
            return
        if rtp.is_control(datagram):
            self._hear_control(datagram, arrival)
        elif self._ways is None:
            self.ear.hear(datagram, arrival)
        else:
            self._ways[1].carry(self._loop, self._late(self.ear, datagram))

    def _late(self, ear: Ear, datagram: bytes) -> Callable[[float], None]:
        def deliver(arrival: float) -> None:
            if not self._closed:
                ear.hear(datagram, arrival)

        return deliver

    def _control_readable(self) -> None:
        datagram = _received(self._rtcp)
        if datagram is not None:
            self._hear_control(datagram, self._loop.time())

    def _hear_control(self, datagram: bytes, arrival: float) -> None:
        if self.ear is None or self._silent:
            return
        for middle in rtp.sender_report_times(datagram):
            self.ear.receiver.heard_sender_report(middle, arrival)
            self._next_report = min(self._next_report, arrival)

    def _report(self, now: float, bye: bool = False) -> None:
        mouth, ear, agreed = self.mouth, self.ear, self._agreed
        if mouth is None or ear is None or agreed is None:
            return
        sent = None
        if mouth.sent_packets > self._reported:
            sent = (rtp.ntp(time.time()), mouth.timestamp, mouth.sent_packets, mouth.sent_octets & 0xFFFFFFFF)
        self._reported = mouth.sent_packets
        self._next_report = now + REPORT_EVERY_S
        _send(self._rtcp, rtp.control(mouth.ssrc, self._cname, ear.receiver.report(now), sent, bye), agreed.rtcp)

    def close(self) -> None:
        """Say goodbye by RTCP and give the ports back. Harmless when repeated."""
        if self._closed:
            return
        if self._agreed is not None and not self._silent:
            self._report(self._loop.time(), bye=True)
        self._closed = True
        self._pacer.remove(self)
        for sock in (self._rtp, self._rtcp):
            self._loop.remove_reader(sock)
            sock.close()


def _port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """An even port for RTP and the odd one above it for RTCP (RFC 3550 section 11). Raises NoPorts."""
    for _ in range(_PORT_TRIES):
        first, second = _udp(), _udp()
        try:
            first.bind((host, 0))
            port = first.getsockname()[1]
            if port % 2 == 0 and port < 65535:
                second.bind((host, port + 1))
                return first, second
        except OSError:
            pass
        first.close()
        second.close()
    raise NoPorts("no free pair of UDP ports for RTP and RTCP")


def _udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return sock


def _send(sock: socket.socket, datagram: bytes, target: tuple[str, int]) -> None:
    try:
        sock.sendto(datagram, target)
    except OSError:
        pass  # a full buffer or a closed port at the other end: a lost packet, as on any network


def _received(sock: socket.socket) -> bytes | None:
    """One datagram. The event loop comes back while there are more, so a flood does not starve the other calls."""
    try:
        return sock.recv(_BIGGEST)
    except OSError:
        return None  # nothing there after all, or an ICMP answer to what we sent
