"""A trunk that answers a call and then sends rubbish: about that very call, and from the addresses we trust."""

import asyncio
import re
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.sip.mutation import Mutator, rtp_seeds

_PER_CALL = 60  # bad datagrams of each kind
_HEADERS = re.compile(rb"^(Via|From|To|Call-ID|CSeq|Contact):[ \t]*(.*?)\r?$", re.MULTILINE | re.IGNORECASE)
_RTP_PORT = re.compile(rb"^m=audio (\d+)", re.MULTILINE)


class HostileTrunk:
    """`async with HostileTrunk(Mutator(1)) as trunk:`; it listens on `trunk.port`."""

    def __init__(self, mutator: Mutator) -> None:
        self._mutator = mutator
        self._rtp = _Socket(lambda data, address: None)
        self._sip = _Socket(self._heard)
        self._calls: set[asyncio.Task[None]] = set()
        self.port = 0
        self.sent_sip = self.sent_rtp = 0

    async def __aenter__(self) -> Self:
        await self._rtp.open()
        await self._sip.open()
        self.port = self._sip.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for call in self._calls:
            call.cancel()
        self._sip.close()
        self._rtp.close()

    def _heard(self, data: bytes, address: tuple[str, int]) -> None:
        if data.startswith(b"INVITE "):
            call = asyncio.get_running_loop().create_task(self._play(data, address), name="hostile call")
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        elif not data.startswith((b"SIP/2.0", b"ACK ")):
            self._sip.send(self._answer(data, b"200 OK"), address)

    async def _play(self, invite: bytes, address: tuple[str, int]) -> None:
        """An answer, good or bad; then bad messages of the dialog, and bad sound."""
        rng, bad = self._mutator.random, self._mutator
        answer = self._answer(invite, b"200 OK", self._sdp())
        if rng.random() < 0.3:
            self._tell(bad.sip(self._answer(invite, b"183 Session Progress", self._sdp())), address)
        if rng.random() < 0.3:
            self._tell(bad.sip(answer), address)
        self._sip.send(answer, address)
        found = _RTP_PORT.search(invite)
        port = int(found[1]) if found else 9
        good = [
            self._request(invite, method)
            for method in (
                b"INVITE",
                b"UPDATE",
                b"INFO",
                b"REFER",
                b"NOTIFY",
                b"MESSAGE",
                b"OPTIONS",
                b"CANCEL",
                b"PRACK",
            )
        ]
        good += [
            self._answer(invite, status, self._sdp())
            for status in (b"180 Ringing", b"200 OK", b"401 No", b"302 Moved", b"500 No")
        ]
        for n in range(_PER_CALL):
            self._tell(bad.sip(rng.choice(good)), address)
            self._rtp.send(bad.rtp(rng.choice(rtp_seeds())), ("127.0.0.1", port + (n % 4 == 0)))
            self.sent_rtp += 1
            if n % 5 == 0:
                await asyncio.sleep(0.01)

    def _tell(self, datagram: bytes, address: tuple[str, int]) -> None:
        self._sip.send(datagram, address)
        self.sent_sip += 1

    def _sdp(self) -> bytes:
        return (
            b"v=0\r\no=h 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            b"m=audio %d RTP/AVP 8 120\r\na=rtpmap:120 telephone-event/8000\r\n" % self._rtp.port
        )

    def _answer(self, request: bytes, status: bytes, body: bytes = b"") -> bytes:
        """To any request; To gets its tag."""
        lines = [b"SIP/2.0 " + status]
        for name, value in _HEADERS.findall(request):
            key = name.lower()
            if key == b"contact":
                continue
            lines.append(name + b": " + value + (b";tag=hostile" if key == b"to" and b"tag=" not in value else b""))
        return self._whole(lines, body)

    def _request(self, invite: bytes, method: bytes) -> bytes:
        """In the dialog of that INVITE, from its other end."""
        said = {name.lower(): value for name, value in _HEADERS.findall(invite)}
        target = said[b"contact"].strip(b"<>").partition(b">")[0]
        number = self._mutator.random.randrange(1, 1 << 30)
        return self._whole(
            [
                method + b" " + target + b" SIP/2.0",
                b"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%d" % (self.port, number),
                b"Max-Forwards: 70",
                b"From: " + said[b"to"] + b";tag=hostile",
                b"To: " + said[b"from"],
                b"Call-ID: " + said[b"call-id"],
                b"CSeq: %d " % number + method,
                b"Refer-To: <sip:19005550000@127.0.0.1>",
                b"Event: refer",
            ],
            self._sdp() if method in (b"INVITE", b"UPDATE") else b"",
        )

    def _whole(self, lines: list[bytes], body: bytes) -> bytes:
        more = [b"Content-Type: application/sdp"] if body else []
        contact = b"Contact: <sip:h@127.0.0.1:%d>" % self.port
        return b"\r\n".join([*lines, contact, *more, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, heard: Callable[[bytes, tuple[str, int]], None]) -> None:
        self._heard = heard
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def send(self, datagram: bytes, address: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(datagram, address)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._heard(data, addr)
