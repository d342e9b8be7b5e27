"""SIPp as the carrier: answers every call, waits for its end, and tells from its log what came over the wire, when."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from config.children import free_port

# `rtp_port`: where the far end's sound is; SIPp itself has none.
_SCENARIO = """<?xml version="1.0" encoding="us-ascii"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="answers">
<recv request="INVITE" crlf="true"/>
{ringing}
<pause milliseconds="50"/>
{answer}
<recv request="ACK" crlf="true"/>
<recv request="BYE" crlf="true"/>
{goodbye}
</scenario>
"""
_SEND = """<send><![CDATA[

SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
{more}Content-Length: [len]

{body}]]></send>"""
_SDP = """v=0
o=carrier 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {rtp_port} RTP/AVP 8
"""
_LISTENS_WITHIN_S = 5.0


class NoSipp(Exception):
    """SIPp is not there or does not listen; the text says what to do."""


@dataclass(slots=True)
class Seen:
    """One call as the carrier saw it; Unix seconds, None for what did not happen."""

    number: str
    invite: float
    up: float | None = None
    bye: float | None = None


@dataclass(frozen=True, slots=True)
class Carrier:
    port: int
    log: Path

    def calls(self) -> list[Seen]:
        """Every call so far, by what SIPp received: the first INVITE, ACK and BYE of each Call-ID."""
        found: dict[str, Seen] = {}
        for line in self.log.read_text(errors="replace").splitlines() if self.log.exists() else ():
            fields = line.split("\t")
            if len(fields) < 7 or fields[3] != "R":
                continue
            at, call_id, (method, uri, *_) = float(fields[2]), fields[4], fields[6].split(" ")
            if method == "INVITE" and call_id not in found:
                found[call_id] = Seen(uri.removeprefix("sip:").partition("@")[0], at)
            elif method == "ACK" and call_id in found:
                found[call_id].up = found[call_id].up or at
            elif method == "BYE" and call_id in found:
                found[call_id].bye = found[call_id].bye or at
        return list(found.values())


def most_at_once(calls: list[Seen]) -> int:
    """Calls up at the same time: from their ACK to their BYE."""
    moments = [(call.up, 1) for call in calls if call.up] + [(call.bye, -1) for call in calls if call.up and call.bye]
    up = most = 0
    for _, step in sorted(moments):
        up += step
        most = max(most, up)
    return most


@contextlib.asynccontextmanager
async def carrier(folder: Path, rtp_port: int, bound_s: float) -> AsyncIterator[Carrier]:
    """Ends with the block, and by itself after `bound_s`. Raises NoSipp."""
    sipp = shutil.which("sipp")
    if sipp is None:
        raise NoSipp("SIPp is not installed: make peers")
    file, one = folder / "carrier.xml", Carrier(free_port(socket.SOCK_DGRAM), folder / "carrier.log")
    answer = _SEND.format(status="200 OK", more="Content-Type: application/sdp\n", body=_SDP.format(rtp_port=rtp_port))
    bare = {"more": "", "body": ""}
    steps = {
        "ringing": _SEND.format(status="180 Ringing", **bare),
        "answer": answer,
        "goodbye": _SEND.format(status="200 OK", **bare),
    }
    file.write_text(_SCENARIO.format(**steps))
    process = await asyncio.create_subprocess_exec(
        *(sipp, "-sf", str(file), "-i", "127.0.0.1", "-p", str(one.port), "-mp", str(free_port(socket.SOCK_DGRAM))),
        *("-nostdin", "-nd", "-trace_shortmsg", "-shortmessage_file", str(one.log), "-timeout", str(round(bound_s))),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listens(process, one.port)
        yield one
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _listens(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(_LISTENS_WITHIN_S):
        while not _udp_port_is_used(port):
            if process.returncode is not None:
                raise NoSipp(f"SIPp ended at once (exit {process.returncode})")
            await asyncio.sleep(0.02)


def _udp_port_is_used(port: int) -> bool:
    return f":{port:04X} " in Path("/proc/net/udp").read_text()
