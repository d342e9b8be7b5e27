"""Somebody on the network, at an address of his own on loopback: one request, or very many."""

import asyncio
import socket
from dataclasses import dataclass, field

STRANGER = "127.0.0.66"  # an address of this machine that no trunk of a test has
OFFER = (
    "v=0\r\no=s 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
)
WITH_SDP = ("Content-Type: application/sdp",)
ANSWERS_WITHIN_S = 10.0
SILENT_S = 1.0


def request(
    method: str, port: int, source: str, mine: int, number: int, headers: tuple[str, ...] = (), body: str = ""
) -> bytes:
    """A whole request outside of any dialog, the `number`-th of its sender."""
    lines = [
        f"{method} sip:x@127.0.0.1:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {source}:{mine};branch=z9hG4bKstranger{mine}n{number}",
        "Max-Forwards: 70",
        f"From: <sip:stranger@{source}>;tag=s{mine}n{number}",
        f"To: <sip:x@127.0.0.1:{port}>",
        f"Call-ID: stranger-{mine}-{number}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:stranger@{source}:{mine}>",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def ask(
    port: int, method: str, *headers: str, body: str = "", source: str = "127.0.0.1", may_be_silent: bool = False
) -> str:
    """The status line of the final answer, or "" when there was none. Who must answer may take its time."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((source, 0))
        stranger.setblocking(False)
        mine = stranger.getsockname()[1]
        await loop.sock_sendto(stranger, request(method, port, source, mine, 1, headers, body), ("127.0.0.1", port))
        try:
            async with asyncio.timeout(SILENT_S if may_be_silent else ANSWERS_WITHIN_S):
                while True:
                    first = (await loop.sock_recv(stranger, 65536)).decode().split("\r\n")[0]
                    if not first.startswith("SIP/2.0 1"):
                        return first.removeprefix("SIP/2.0 ")
        except TimeoutError:
            return ""


@dataclass(slots=True)
class Flood:
    """So many requests, so fast; what came back, by status line."""

    port: int
    method: str
    count: int
    per_s: float
    headers: tuple[str, ...] = ()
    body: str = ""
    source: str = STRANGER
    answers: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((self.source, 0))
            sock.setblocking(False)
            mine, began = sock.getsockname()[1], loop.time()
            for number in range(self.count):
                sock.sendto(
                    request(self.method, self.port, self.source, mine, number, self.headers, self.body),
                    ("127.0.0.1", self.port),
                )
                self._read(sock)
                await asyncio.sleep(max(0.0, began + (number + 1) / self.per_s - loop.time()))
            self._read(sock)

    def _read(self, sock: socket.socket) -> None:
        while True:
            try:
                first = sock.recv(65536).decode(errors="replace").split("\r\n")[0]
            except BlockingIOError:
                return
            self.answers[first] = self.answers.get(first, 0) + 1
