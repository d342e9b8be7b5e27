"""SIPp as the carrier: runs a scenario on a free loopback port and tells afterwards what crossed the wire.

Scenarios are built from a few lines each, so that a test shows what the far end does. `Ear` stands behind the port
that the scenario's SDP names: it notes every RTP packet, and can send audio and keys back.
"""

import asyncio
import re
import shutil
import socket
import struct
import wave
from array import array
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from math import sin
from pathlib import Path
from types import TracebackType
from typing import Self

from config.children import free_port
from tests.until import until

SIPP = shutil.which("sipp")
_RULER = re.compile(r"^-{20,} (\S+)[ \t](\S+)$", re.MULTILINE)
_VIA = "[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:];tag=[call_number]\n[last_Call-ID:]\n"


def tone(path: Path, ms: int, rate: int = 8000) -> str:
    """A WAV of a 440 Hz tone."""
    samples = array("h", (int(8000 * sin(2 * 3.14159265 * 440 * n / rate)) for n in range(rate * ms // 1000)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return str(path)


# -- scenario parts


def scenario(*steps: str) -> str:
    return (
        '<?xml version="1.0" encoding="us-ascii"?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n<scenario name="carrier">\n'
        + "\n".join(steps)
        + "\n</scenario>\n"
    )


def recv(method: str, extra: str = "") -> str:
    return f'<recv request="{method}" crlf="true" {extra}/>'


def pause(ms: int) -> str:
    return f'<pause milliseconds="{ms}"/>'


def send(
    status: str,
    *headers: str,
    sdp_port: int | str | None = None,
    cseq: str = "[last_CSeq:]",
    codec: int = 8,
    keys: bool = True,
) -> str:
    """`sdp_port`: "[media_port]" is SIPp's own, for -rtp_echo. `keys`: the answer takes telephone-event."""
    lines = [f"SIP/2.0 {status}", _VIA.rstrip(), cseq, "Contact: <sip:[local_ip]:[local_port]>", *headers]
    body = ""
    if sdp_port is not None:
        lines.append("Content-Type: application/sdp")
        body = (
            "v=0\no=carrier 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=audio {sdp_port} RTP/AVP {codec}" + (" 120\na=rtpmap:120 telephone-event/8000\n" if keys else "\n")
        )
    text = "\n".join([*lines, "Content-Length: [len]", "", body])
    return f"<send><![CDATA[\n{text}\n]]></send>"


# In a request of ours From and To change places; SIPp only repeats what it received, so they are noted from the ACK.
_NOTE_PARTIES = """<recv request="ACK" crlf="true"><action>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="callee"/>
</action></recv>"""
_NOTE_CONTACT = """<recv request="INVITE" crlf="true"><action>
<ereg regexp="sip:[^&gt;]*" search_in="hdr" header="Contact:" assign_to="contact"/>
</action></recv>"""
_BYE = """<send retrans="500"><![CDATA[

BYE [$contact] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From:[$callee]
To:[$caller]
[last_Call-ID:]
CSeq: 1 BYE
Max-Forwards: 70
Reason: Q.850;cause=16;text="Normal call clearing"
Content-Length: 0

]]></send>"""

WAIT_BYE = (recv("BYE"), send("200 OK"))


def answers(rtp_port: int | str, *, ring_ms: int = 0, codec: int = 8, keys: bool = True) -> str:
    """180, then 200; the caller hangs up."""
    return scenario(
        recv("INVITE"),
        send("180 Ringing"),
        pause(ring_ms),
        send("200 OK", sdp_port=rtp_port, codec=codec, keys=keys),
        recv("ACK"),
        *WAIT_BYE,
    )


def answers_and_ignores_the_bye(rtp_port: int) -> str:
    return scenario(recv("INVITE"), send("200 OK", sdp_port=rtp_port), recv("ACK"), recv("BYE"), pause(60_000))


def answers_and_is_slow_to_end(rtp_port: int, after_ms: int) -> str:
    """The answer to our BYE takes its time."""
    slow = (recv("BYE"), pause(after_ms), send("200 OK"))
    return scenario(recv("INVITE"), send("200 OK", sdp_port=rtp_port), recv("ACK"), *slow)


def answers_and_takes_info(rtp_port: int, status: str) -> str:
    """A key comes by INFO and gets this answer."""
    took = (recv("INFO"), send(status))
    return scenario(recv("INVITE"), send("200 OK", sdp_port=rtp_port), recv("ACK"), *took, *WAIT_BYE)


def beside_options(xml: str, status: str = "200 OK") -> str:
    """The same carrier, which also answers OPTIONS."""
    asked = '<recv request="OPTIONS" crlf="true" optional="true" next="1"/>\n'
    start = xml.index('<recv request="INVITE"')
    branch = f'<nop next="2"/>\n<label id="1"/>\n{send(status)}\n<label id="2"/>\n<nop/>\n</scenario>'
    return xml[:start] + asked + xml[start:].replace("</scenario>", branch)


def answers_and_hangs_up(rtp_port: int, after_ms: int, *, by_proxy: bool = False) -> str:
    """`by_proxy`: a Record-Route came with the INVITE, and the BYE goes that way."""
    note, bye = _NOTE_CONTACT, _BYE
    if by_proxy:
        note = note.replace('crlf="true"', 'crlf="true" rrs="true"')
        bye = bye.replace("Max-Forwards: 70", "[routes]\nMax-Forwards: 70")
    return scenario(
        note,
        send("180 Ringing"),
        send("200 OK", sdp_port=rtp_port),
        _NOTE_PARTIES,
        pause(after_ms),
        bye,
        '<recv response="200"/>',
    )


def refuses(status: str, *headers: str) -> str:
    return scenario(recv("INVITE"), send(status, *headers), recv("ACK"))


def answers_options(status: str) -> str:
    return scenario(recv("OPTIONS"), send(status))


def rings_then_refuses(first: str, status: str, *, sdp_port: int | None = None, after_ms: int = 200) -> str:
    return scenario(recv("INVITE"), send(first, sdp_port=sdp_port), pause(after_ms), send(status), recv("ACK"))


def rings_for_ever() -> str:
    return scenario(
        recv("INVITE"),
        send("180 Ringing"),
        recv("CANCEL"),
        send("200 OK"),
        send("487 Request Terminated", cseq="CSeq: [last_cseq_number] INVITE"),
        recv("ACK"),
    )


def early_media(rtp_port: int, early_ms: int) -> str:
    return scenario(
        recv("INVITE"),
        send("183 Session Progress", sdp_port=rtp_port),
        pause(early_ms),
        send("200 OK", sdp_port=rtp_port),
        recv("ACK"),
        *WAIT_BYE,
    )


_IN_DIALOG = """<send><![CDATA[

{method} [$contact] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From:[$callee]
To:[$caller]
[last_Call-ID:]
CSeq: 2 {method}
Max-Forwards: 70
Contact: <sip:[local_ip]:[local_port]>
{headers}
Content-Length: [len]

{body}
]]></send>"""


def answers_and_asks(rtp_port: int, method: str, headers: str, answer: int, body: str = "") -> str:
    """In the answered call, one request of the callee, which must get this answer."""
    return scenario(
        _NOTE_CONTACT,
        send("200 OK", sdp_port=rtp_port),
        _NOTE_PARTIES,
        pause(200),
        _IN_DIALOG.format(method=method, headers=headers, body=body),
        f'<recv response="{answer}"/>',
        *WAIT_BYE,
    )


def is_silent() -> str:
    return scenario(recv("INVITE"), pause(60_000))


def answers_while_cancelled(rtp_port: int) -> str:
    """The 200 crosses our CANCEL on the wire."""
    return scenario(
        recv("INVITE"),
        send("180 Ringing"),
        recv("CANCEL"),
        send("200 OK", sdp_port=rtp_port, cseq="CSeq: [last_cseq_number] INVITE"),
        send("481 Call Does Not Exist"),
        recv("ACK"),
        *WAIT_BYE,
    )


def asks_for_a_login(times: int, realm: str, *, fresh: bool = False, more: str = "") -> str:
    """`fresh`: with another nonce each time."""
    steps = []
    for n in range(times):
        nonce = f"47364c23432d2e131a5fb210812c{n if fresh else 0}"
        challenge = f'WWW-Authenticate: Digest realm="{realm}", nonce="{nonce}", algorithm=MD5{more}'
        steps += [recv("INVITE"), send("401 Unauthorized", challenge), recv("ACK")]
    return scenario(*steps, pause(60_000))


# -- what crossed the wire


@dataclass(frozen=True, slots=True)
class Message:
    """One SIP message as SIPp saw it; `at`: local time, seconds."""

    at: float
    received: bool
    text: str

    @property
    def first(self) -> str:
        return self.text.splitlines()[0]

    def header(self, name: str) -> str:
        found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*?)\r?$", self.text, re.MULTILINE | re.IGNORECASE)
        return found[1] if found else ""


class Sipp:
    """`async with Sipp(scenario, tmp_path) as carrier:`; listens on `carrier.port`."""

    def __init__(self, xml: str, directory: Path, *options: str, network: str = "udp") -> None:
        """`network`: udp or tcp; SIPp itself is told by `options` (-t t1)."""
        self.port = free_port(socket.SOCK_DGRAM)
        self._network = network
        self._directory, self._xml, self._options = directory, xml, options
        self._log = directory / f"sipp-{self.port}.log"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        if SIPP is None:
            raise RuntimeError("SIPp is not installed: make peers")
        for _ in range(3):  # the free port may have been taken meanwhile
            if await self._listens():
                return self
            self.port = free_port(socket.SOCK_DGRAM)
            self._log = self._directory / f"sipp-{self.port}.log"
        raise RuntimeError("SIPp does not listen")

    async def _listens(self) -> bool:
        file = self._directory / f"sipp-{self.port}.xml"
        file.write_text(self._xml)
        process = self._process = await asyncio.create_subprocess_exec(
            SIPP,
            *("-sf", str(file), "-i", "127.0.0.1", "-p", str(self.port), "-nostdin", "-nd", "-trace_msg"),
            *("-message_file", str(self._log), "-mp", str(free_port(socket.SOCK_DGRAM)), "-timeout", "55"),
            *self._options,
            cwd=self._directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await until(lambda: process.returncode is not None or _port_is_used(self._network, self.port))
        return process.returncode is None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Gone, as a carrier whose machine went off."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def start(self) -> None:
        """Back, on the same port."""
        assert await self._listens()

    def messages(self) -> list[Message]:
        """Everything so far, oldest first."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        parts = _RULER.split(text)[1:]
        found = []
        for day, clock, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            head, _, message = body.strip().partition("\n\n")
            at = datetime.fromisoformat(f"{day}T{clock}").timestamp()  # SIPp writes local time
            found.append(Message(at, "received" in head, message.strip()))
        return found

    def received(self, method: str) -> list[Message]:
        return [m for m in self.messages() if m.received and m.first.startswith(method + " ")]

    def dialogs(self) -> dict[str, set[str]]:
        """Distinct SIP Call-IDs for each X-Call-Id: more than one is a call placed twice."""
        found: dict[str, set[str]] = defaultdict(set)
        for invite in self.received("INVITE"):
            found[invite.header("X-Call-Id")].add(invite.header("Call-ID"))
        return dict(found)


def _port_is_used(network: str, port: int) -> bool:
    wanted = f":{port:04X} "
    return any(wanted in line for line in Path(f"/proc/net/{network}").read_text().splitlines())


# -- RTP


@dataclass(frozen=True, slots=True)
class Packet:
    """An RTP packet; `at`: the loop's clock."""

    at: float
    payload_type: int
    sequence: int
    timestamp: int
    payload: bytes


_SILENCE = b"\xd5" * 160
HEARD_LATELY_S = 1.0  # a call that still sounds


class Ear(asyncio.DatagramProtocol):
    """`async with Ear() as ear:`; name `ear.port` in the SDP."""

    def __init__(self, *, talks: bool = False, says: bytes = _SILENCE) -> None:
        """`says`: what it repeats for ever once it has heard something, A-law, at least a packet of it."""
        self.says = says
        self.packets: list[Packet] = []
        self.port = 0
        self._talks = talks
        self._peer: tuple[str, int] | None = None
        self._heard_at: dict[tuple[str, int], float] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._voice: asyncio.Task[None] | None = None
        self._keys: list[str] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._voice is not None:
            self._voice.cancel()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        kind, sequence, timestamp = struct.unpack("!xBHI", data[:8])
        at = asyncio.get_running_loop().time()
        self.packets.append(Packet(at, kind & 0x7F, sequence, timestamp, data[12:]))
        self._peer, self._heard_at[addr] = addr, at
        if self._talks and self._voice is None:
            self._voice = asyncio.create_task(self._talk(), name="the far end's voice")

    def press(self, keys: str) -> None:
        """RFC 4733, 100 ms a key; needs `talks`."""
        self._keys += keys

    async def _talk(self) -> None:
        sequence = stamp = said = 0
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self._keys:
                digit = "0123456789*#ABCD".index(self._keys.pop(0))
                for n in range(8):
                    end = 0x80 if n >= 5 else 0
                    body = struct.pack("!BBH", digit, end | 10, 160 * (min(n, 5) + 1))
                    self._send(120, sequence, stamp, body, marker=n == 0)
                    sequence += 1
                    await asyncio.sleep(0.02)
                stamp += 160 * 8
                due = loop.time()
            self._send(8, sequence, stamp, self._portion(said))
            sequence, stamp, said = sequence + 1, stamp + 160, said + 160
            # By the clock: a receiver that is fed too slowly fills the gaps with sound of its own.
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _portion(self, at: int) -> bytes:
        begin = at % len(self.says)
        return (self.says[begin:] + self.says)[:160]

    def _send(self, kind: int, sequence: int, stamp: int, payload: bytes, *, marker: bool = False) -> None:
        head = struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), sequence & 0xFFFF, stamp, 0x70C51)
        if self._transport is None or self._peer is None:
            return
        # Several calls share one ear. Talking to the last one heard alone, on a clock, it could miss one for ever.
        now = asyncio.get_running_loop().time()
        up = {peer for peer, at in self._heard_at.items() if now - at < HEARD_LATELY_S}
        for peer in up | {self._peer}:
            self._transport.sendto(head + payload, peer)
