"""Is somebody there? One OPTIONS request (RFC 3261 section 11), and what came back. No PJSIP in it.

It has a socket of its own, connected to the target, so that nobody else's datagrams reach it; of what comes back only
the first line and the Via's branch are read. Whoever asks over TLS brings the certificates to believe.
"""

import asyncio
import re
import secrets
import ssl
import time
from dataclasses import dataclass

from sip.trunk import Transport, TrunkUri
from sip.uri import is_host

WITHIN_S = 4.0  # as long as a call waits for the first sign of life
T1_S, T2_S = 0.5, 4.0  # RFC 3261 section 17.1.2.2: a UDP request is repeated after T1, then twice as late, at most T2
HEAD_MOST = 16 * 1024  # of a TCP answer: nobody has a longer head, but a stranger

_STATUS = re.compile(rb"SIP/2\.0 ([1-6]\d\d) ")


@dataclass(frozen=True, slots=True)
class Answered:
    """The final answer to an OPTIONS: any says that somebody is there."""

    code: int
    rtt_ms: int


def can_ping(target: TrunkUri) -> bool:
    return target.enabled and is_host(target.host)


@dataclass(frozen=True, slots=True)
class Via:
    """Where the packets go. `host`: a name or an address; `name`: whom its certificate has to name, with `tls`.

    `proxy`: "host:port" of an outbound proxy that reads the request first; empty: there is none.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    name: str = ""
    proxy: str = ""


async def ask(target: TrunkUri, bind_address: str, within_s: float = WITHIN_S, via: Via | None = None) -> Answered:
    """Raises TimeoutError: nothing came back. ConnectionRefusedError: their machine says that nobody listens. OSError,
    EOFError, ValueError: no connection, a certificate that we do not believe, it ended, or what came is no SIP.
    """
    started = time.monotonic()
    way = via or Via(target.host.strip("[]"), target.port)
    waiting = _Waiting()
    try:
        async with asyncio.timeout(within_s):
            if target.transport is Transport.UDP:
                code = await _over_udp(target, bind_address, way, waiting)
            else:
                code = await _over_stream(target, bind_address, way)
    except TimeoutError:
        if waiting.closed:
            raise ConnectionRefusedError("nobody listens at that port") from None
        raise
    return Answered(code, round((time.monotonic() - started) * 1000))


async def _over_udp(target: TrunkUri, bind_address: str, via: Via, waiting: "_Waiting") -> int:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: waiting, local_addr=(bind_address, 0), remote_addr=(via.host, via.port)
    )
    try:
        branch = _branch()
        request = _request(target, branch, transport.get_extra_info("sockname"), via.proxy)
        waiting.branch = branch
        pause_s = T1_S
        while True:
            transport.sendto(request)
            done, _ = await asyncio.wait({waiting.code}, timeout=pause_s)
            if done:
                return waiting.code.result()
            pause_s = min(T2_S, pause_s * 2)
    finally:
        waiting.code.cancel()
        transport.close()


class _Waiting(asyncio.DatagramProtocol):
    """For the final answer to one branch. A port that is closed does not say that nobody comes back: we repeat."""

    def __init__(self) -> None:
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.branch = ""
        self.closed = False

    def error_received(self, exc: Exception) -> None:
        self.closed = self.closed or isinstance(exc, ConnectionRefusedError)  # ICMP: port unreachable

    def datagram_received(self, data: bytes, addr: object) -> None:
        code = final_code(data, self.branch)
        if code is not None and not self.code.done():
            self.code.set_result(code)


async def _over_stream(target: TrunkUri, bind_address: str, via: Via) -> int:
    reader, writer = await asyncio.open_connection(
        via.host,
        via.port,
        local_addr=(bind_address, 0),
        limit=HEAD_MOST,
        ssl=via.tls,
        server_hostname=via.name if via.tls else None,
    )
    try:
        branch = _branch()
        writer.write(_request(target, branch, writer.get_extra_info("sockname"), via.proxy))
        await writer.drain()
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            code = final_code(head, branch)
            if code is not None:
                return code
    except asyncio.LimitOverrunError as error:
        raise ValueError("a head without an end") from error
    finally:
        writer.close()


def final_code(data: bytes, branch: str) -> int | None:
    """The status of a final answer to our request; None for anything else."""
    found = _STATUS.match(data[:HEAD_MOST])
    if found is None or int(found[1]) < 200 or branch.encode() not in data[:HEAD_MOST]:
        return None
    return int(found[1])


def _branch() -> str:
    return f"z9hG4bK{secrets.token_hex(12)}"


def _request(target: TrunkUri, branch: str, ours: tuple[str, int], proxy: str = "") -> bytes:
    host, port = _bracketed(target.host), target.port
    me = f"{_bracketed(ours[0])}:{ours[1]}"
    name = target.transport.value
    over = "" if target.transport is Transport.UDP else f";transport={name}"
    uri = f"sip:{host}:{port}{over}"
    lines = (
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/{name.upper()} {me};branch={branch};rport",
        *((f"Route: <sip:{proxy}{over};lr>",) if proxy else ()),
        "Max-Forwards: 70",
        f"From: <sip:{me}>;tag={secrets.token_hex(8)}",
        f"To: <{uri}>",
        f"Call-ID: {secrets.token_hex(16)}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:{me}>",
        "Accept: application/sdp",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
