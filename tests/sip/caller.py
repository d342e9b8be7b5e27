"""A caller that writes SIP and RTP by hand, so that a test can also do what a good caller never does."""

import asyncio
import itertools
import re
import ssl
import struct
from dataclasses import dataclass, field

PATIENCE_S = 10.0
PCMA_SILENCE = b"\xd5" * 160


@dataclass(slots=True)
class Heard:
    """One SIP message that reached the caller."""

    at: float
    text: str

    @property
    def first(self) -> str:
        return self.text.partition("\r\n")[0]

    @property
    def code(self) -> int:
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else 0

    @property
    def body(self) -> str:
        return self.text.partition("\r\n\r\n")[2]

    def header(self, name: str) -> str | None:
        found = re.search(rf"^{name}: (.*)\r$", self.text, re.M | re.I)
        return found[1] if found else None


class _Socket(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.put_nowait((asyncio.get_running_loop().time(), data))


async def udp() -> tuple[asyncio.DatagramTransport, _Socket, int]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(_Socket, local_addr=("127.0.0.1", 0))
    return transport, protocol, transport.get_extra_info("sockname")[1]


class Connection(asyncio.Protocol):
    """Wire and socket in one, over TCP or TLS: what came is cut into messages (RFC 3261 section 18.3)."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._came += data
        while b"\r\n\r\n" in self._came:
            head = self._came.index(b"\r\n\r\n") + 4
            length = re.search(rb"^Content-Length:\s*(\d+)", self._came[:head], re.M | re.I)
            end = head + (int(length[1]) if length else 0)
            if len(self._came) < end:
                return
            self.heard.put_nowait((asyncio.get_running_loop().time(), self._came[:end]))
            self._came = self._came[end:]

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()


async def connected(port: int, secure: ssl.SSLContext | None = None) -> tuple[Connection, int]:
    """A connection to that port of ours, and the port that it comes from."""
    transport, connection = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port, ssl=secure, server_hostname="localhost" if secure else None
    )
    return connection, transport.get_extra_info("sockname")[1]


@dataclass(slots=True)
class Rtp:
    """The caller's end of the sound: one RTP and one RTCP socket, not neighbours (a=rtcp says so)."""

    rtp: asyncio.DatagramTransport
    heard: _Socket
    port: int
    rtcp: asyncio.DatagramTransport
    control: _Socket
    control_port: int
    sequence: int = 100
    timestamp: int = 5000

    def send(self, to: int, payload: bytes = PCMA_SILENCE, kind: int = 8, *, lost: bool = False) -> None:
        """The next 20 ms to the phone's port `to`; `lost` on the way, if the test wants it so."""
        if not lost:
            self.rtp.sendto(
                struct.pack("!BBHII", 0x80, kind, self.sequence, self.timestamp, 77) + payload, ("127.0.0.1", to)
            )
        self.sequence += 1
        self.timestamp += 160

    def packets(self) -> list[tuple[float, bytes]]:
        """What has arrived since the last time."""
        return _drain(self.heard)

    def reports(self) -> list[bytes]:
        return [data for _, data in _drain(self.control)]


def _drain(socket: _Socket) -> list[tuple[float, bytes]]:
    found = []
    while not socket.heard.empty():
        found.append(socket.heard.get_nowait())
    return found


@dataclass(slots=True)
class Caller:
    """One dialog with the phone."""

    phone_port: int
    wire: asyncio.DatagramTransport | Connection
    socket: _Socket | Connection
    port: int
    rtp: Rtp
    number: str = "12025550100"
    user: str = "caller"  # who calls
    over: str = "udp"
    call_id: str = ""
    to_tag: str = ""
    cseq: int = 1
    seen: list[Heard] = field(default_factory=list)
    branches: "itertools.count[int]" = field(default_factory=itertools.count)

    def offer(self, formats: str = "8 0 101", extra: str = "") -> str:
        return (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.rtp.port} RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\n"
            f"a=rtcp:{self.rtp.control_port}\r\n{extra}"
        )

    def request(
        self,
        method: str,
        *,
        body: str = "",
        headers: str = "",
        branch: str | None = None,
        cseq: int | None = None,
        uri: str | None = None,
        kind: str = "application/sdp",
    ) -> bytes:
        """A whole request; lines of `headers` end with CRLF."""
        tag = f";tag={self.to_tag}" if self.to_tag else ""
        number = self.cseq if cseq is None else cseq
        branch = branch or f"z9hG4bK{self.call_id}{next(self.branches)}"
        content = f"Content-Type: {kind}\r\n" if body else ""
        way = "" if self.over == "udp" else f";transport={self.over}"
        return (
            f"{method} {uri or f'sip:{self.number}@127.0.0.1'} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.over.upper()} 127.0.0.1:{self.port};branch={branch};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{self.user}@127.0.0.1>;tag=mine\r\n"
            f"To: <sip:{self.number}@127.0.0.1>{tag}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {number} {method}\r\n"
            f"Contact: <sip:caller@127.0.0.1:{self.port}{way}>\r\n"
            f"{headers}{content}Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def send(self, datagram: bytes) -> None:
        self.wire.sendto(datagram, ("127.0.0.1", self.phone_port))

    def invite(self, headers: str = "", **changes: str) -> bytes:
        """Sends an INVITE with an offer; returns it, for a test that repeats or cancels it."""
        datagram = self.request("INVITE", body=changes.pop("body", self.offer()), headers=headers, **changes)
        self.send(datagram)
        return datagram

    async def next(self) -> Heard:
        async with asyncio.timeout(PATIENCE_S):
            at, data = await self.socket.heard.get()
        heard = Heard(at, data.decode(errors="backslashreplace"))
        self.seen.append(heard)
        return heard

    async def until(self, wanted: int | str) -> Heard:
        """The next message with this status code or of this method; those before it are only noted."""
        while True:
            heard = await self.next()
            if heard.code == wanted or heard.first.startswith(f"{wanted} "):
                return heard

    async def answered(self, headers: str = "", **changes: str) -> Heard:
        """INVITE, 200, ACK."""
        self.invite(headers, **changes)
        ok = await self.until(200)
        self.ack(ok)
        return ok

    def learn(self, response: Heard) -> None:
        found = re.search(r";tag=([^;\r]+)", response.header("To") or "")
        self.to_tag = found[1] if found else ""

    def ack(self, response: Heard, body: str = "") -> None:
        """For 2xx, with a branch of its own (RFC 3261 section 13.2.2.4)."""
        self.learn(response)
        self.send(self.request("ACK", cseq=int((response.header("CSeq") or "").split()[0]), body=body))

    def ack_refusal(self, invite: bytes, response: Heard) -> None:
        """For other finals: same branch as the INVITE (section 17.1.1.3)."""
        self.learn(response)
        branch = re.search(rb"branch=([^;\r]+)", invite)
        assert branch is not None
        self.send(self.request("ACK", branch=branch[1].decode()))

    def agree(self, request: Heard) -> None:
        """200 to a request of the phone."""
        rows = "".join(f"{name}: {request.header(name)}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
        self.send(f"SIP/2.0 200 OK\r\n{rows}Content-Length: 0\r\n\r\n".encode())

    async def hang_up(self) -> Heard:
        self.cseq += 1
        self.send(self.request("BYE"))
        while True:
            heard = await self.next()
            if heard.code == 200 and "BYE" in (heard.header("CSeq") or ""):
                return heard


def media_port(ok: Heard) -> int:
    """The RTP port in the phone's description."""
    found = re.search(r"m=audio (\d+)", ok.body)
    assert found is not None
    return int(found[1])
