"""Calls that come in over a connection, TCP and TLS: one that the carrier opens, or the one on which we registered."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from config.children import free_port
from sip.commands import Answer
from sip.lines import Lines
from sip.processleg import RungLeg
from sip.trunk import Credentials, Inbound, Registration, Tls, Transport, Trunk, TrunkType, TrunkUri
from tests import sipp
from tests.authority import authority, issue
from tests.kamailio import KAMAILIO, Kamailio
from tests.sip.caller import PCMA_SILENCE, Caller, Rtp, connected, udp
from tests.sip.test_lines_inbound import hang_up_when_asked, life
from tests.until import until

pytestmark = pytest.mark.sip


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as one:
        yield one


async def listening(
    stack: AsyncExitStack, directory: Path, over: Transport, tls: Tls
) -> tuple[int, "asyncio.Queue[RungLeg]"]:
    port, rung = free_port(socket.SOCK_STREAM), asyncio.Queue[RungLeg]()
    trunk = Trunk("t", "t", (TrunkUri("127.0.0.1", 9, over),), tls=tls, inbound=Inbound(("127.0.0.1/32",), port))
    lines = Lines(trunk, most=4, journal_dir=directory / "journal", answer=rung.put_nowait)
    stack.push_async_callback(lines.aclose)
    await lines.start()
    front = lines._front
    assert front is not None
    await until(lambda: front.process is not None and front.process.ready is not None)
    return port, rung


@pytest.mark.parametrize("over", [Transport.TCP, Transport.TLS])
async def test_a_caller_over_a_connection_hears_what_he_was_answered_with(
    stack: AsyncExitStack, tmp_path: Path, over: Transport
) -> None:
    issuer = authority(tmp_path)
    ours = issue(tmp_path, issuer, "localhost")
    tls = Tls(ca=str(issuer.certificate), client_cert=str(ours.both))
    port, rung = await listening(stack, tmp_path, over, tls)
    secure = ssl.create_default_context(cafile=issuer.certificate) if over is Transport.TLS else None
    wire, ours_port = await connected(port, secure)
    rtp, rtcp = await udp(), await udp()
    for one in (wire, rtp[0], rtcp[0]):
        stack.callback(one.close)
    caller = Caller(port, wire, wire, ours_port, Rtp(*rtp, *rtcp), "12025550199", call_id="call-1", over=over.value)

    caller.invite()
    async with asyncio.timeout(10):
        leg = await rung.get()
    await leg.pick_up(Answer("", audio=sipp.tone(tmp_path / "tone.wav", 600), pause_ms=100))
    ok = await caller.until(200)
    caller.ack(ok)
    for _ in range(5):
        caller.rtp.send(int(re.findall(r"m=audio (\d+)", ok.body)[0]), PCMA_SILENCE)
    await hang_up_when_asked(caller)
    _, end = await life(leg)

    loud = [packet for _, packet in caller.rtp.packets() if packet[1] & 0x7F == 8 and len(set(packet[12:])) > 20]
    assert (leg.rung.called, end.played_to_end, end.by_us) == ("12025550199", True, True)
    assert 29 <= len(loud) <= 31  # 600 ms of tone


@pytest.mark.peer
@pytest.mark.skipif(KAMAILIO is None, reason="Kamailio is missing: make peers")
@pytest.mark.parametrize(
    ("over", "kind", "answer"),
    [
        (Transport.TLS, Registration.ONE, 404),
        (Transport.TCP, Registration.ONE, 404),
        (Transport.UDP, Registration.EVERY_LINE, 500),
    ],
)
async def test_a_call_to_where_we_registered_rings_when_one_process_registers_for_all(
    stack: AsyncExitStack, tmp_path: Path, over: Transport, kind: Registration, answer: int
) -> None:
    issuer = authority(tmp_path)
    rings_us = 'lookup("location"); record_route(); t_relay(); exit;'
    door = await stack.enter_async_context(
        Kamailio(
            tmp_path,
            on_register='save("location");',
            on_invite=rings_us,
            certificate=issue(tmp_path, issuer, "localhost"),
        )
    )
    uri = TrunkUri("localhost", {Transport.UDP: door.udp, Transport.TCP: door.tcp, Transport.TLS: door.tls}[over], over)
    port, rung = free_port(socket.SOCK_STREAM), asyncio.Queue[RungLeg]()
    trunk = Trunk(
        *("t", "t", (uri,), TrunkType.REGISTER, kind),
        auth=Credentials("lagos-1", "trunk.example", "open sesame"),
        tls=Tls(ca=str(issuer.certificate)),
        inbound=Inbound(("127.0.0.1/32",), port),
    )
    lines = Lines(trunk, most=4, journal_dir=tmp_path / "journal", answer=rung.put_nowait)
    stack.push_async_callback(lines.aclose)
    await lines.start()
    registrar = lines.registrar
    assert registrar is not None
    lines.register()
    await until(lambda: not registrar.why_not(), 15)
    sip, rtp, rtcp = await udp(), await udp(), await udp()
    for one in (sip, rtp, rtcp):
        stack.callback(one[0].close)
    caller = Caller(door.udp, *sip, rtp=Rtp(*rtp, *rtcp), number="lagos-1", call_id="call-1")

    caller.invite()
    if kind is Registration.ONE:
        async with asyncio.timeout(10):
            leg = await rung.get()
        await leg.refuse(answer)
    heard = await caller.next()
    while heard.code < 200:
        heard = await caller.next()

    assert (heard.code, rung.empty()) == (answer, True)
