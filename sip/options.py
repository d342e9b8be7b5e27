"""Is somebody there? One OPTIONS request (RFC 3261 section 11) over UDP or TCP, and what came back. No PJSIP in it.

It has a socket of its own, connected to the target, so that nobody else's datagrams reach it; of what comes back only
the first line and the Via's branch are read. TLS targets are not pinged.
"""

import asyncio
import re
import secrets
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
    return target.enabled and target.transport is not Transport.TLS and is_host(target.host)


async def ping(target: TrunkUri, bind_address: str, within_s: float = WITHIN_S) -> Answered | None:
    """None: nothing came back in time, or the way there is closed."""
    started = time.monotonic()
    asking = _over_tcp if target.transport is Transport.TCP else _over_udp
    try:
        async with asyncio.timeout(within_s):
            code = await asking(target, bind_address)
    except (TimeoutError, OSError, EOFError, ValueError):
        return None
    return Answered(code, round((time.monotonic() - started) * 1000))


async def _over_udp(target: TrunkUri, bind_address: str) -> int:
    loop = asyncio.get_running_loop()
    waiting = _Waiting()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: waiting, local_addr=(bind_address, 0), remote_addr=(target.host.strip("[]"), target.port)
    )
    try:
        branch = _branch()
        request = _request(target, branch, transport.get_extra_info("sockname"))
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

    def datagram_received(self, data: bytes, addr: object) -> None:
        code = final_code(data, self.branch)
        if code is not None and not self.code.done():
            self.code.set_result(code)


async def _over_tcp(target: TrunkUri, bind_address: str) -> int:
    reader, writer = await asyncio.open_connection(
        target.host.strip("[]"), target.port, local_addr=(bind_address, 0), limit=HEAD_MOST
    )
    try:
        branch = _branch()
        writer.write(_request(target, branch, writer.get_extra_info("sockname")))
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


def _request(target: TrunkUri, branch: str, ours: tuple[str, int]) -> bytes:
    host, port = _bracketed(target.host), target.port
    me = f"{_bracketed(ours[0])}:{ours[1]}"
    name = target.transport.value
    uri = f"sip:{host}:{port}" + ("" if target.transport is Transport.UDP else f";transport={name}")
    lines = (
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/{name.upper()} {me};branch={branch};rport",
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
