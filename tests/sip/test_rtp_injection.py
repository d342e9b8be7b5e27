"""RTP Bleed: our audio goes to the peer of the call, whoever else sends packets to our ports."""

import asyncio
import re
import socket
import struct

import pytest

from config.children import free_port
from sip.commands import AfterScript, Why
from sip.events import Answered, Ended
from sip.trunk import Inbound, Rtp
from tests import sipp
from tests.sip.bench import Bench
from tests.until import time_passes, until

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]
ATTACKER = "127.0.0.66"
PACKETS = 150  # three seconds of sound; ten are enough where nothing is done against it


class Attacker:
    """Somebody with another address, who knows our ports: they are few."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ATTACKER, 0))
        self._socket.setblocking(False)
        self._sent = 0

    async def send(self, port: int, packets: int) -> None:
        for _ in range(packets):
            self._sent += 1
            head = struct.pack("!BBHII", 0x80, 8, self._sent & 0xFFFF, 160 * self._sent, 0xBAD)
            self._socket.sendto(head + b"\xd5" * 160, ("127.0.0.1", port))
            report = struct.pack("!BBHIIIIIII", 0x81, 201, 7, 0xBAD, 0xBAD, 0, 0, 0, 0, 0)
            self._socket.sendto(report, ("127.0.0.1", port + 1))
            await asyncio.sleep(0.01)

    def got(self) -> int:
        """Packets that came back."""
        count = 0
        while True:
            try:
                self._socket.recv(65536)
            except BlockingIOError:
                return count
            count += 1

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("talks", [False, True])
async def test_a_strangers_packets_never_turn_our_audio_to_them(bench: Bench, talks: bool) -> None:
    """Before the peer's first packet, meanwhile, and when it has fallen silent; `talks`: does it ever speak?"""
    attacker = Attacker()
    async with sipp.Ear(talks=talks) as ear:
        await bench.set_up(sipp.answers(ear.port))
        leg = await bench.lines.dial(bench.dial(then=AfterScript.WAIT, max_duration_s=60.0, rtp_timeout_s=60.0))
        heard: list[object] = []
        following = asyncio.create_task(_follow(leg.events(), heard))
        await until(lambda: any(isinstance(event, Answered) for event in heard))
        offer = re.search(r"^m=audio (\d+)", bench.carrier.received("INVITE")[0].text, re.MULTILINE)
        assert offer is not None

        await attacker.send(int(offer[1]), PACKETS)
        before = len(ear.packets)
        await until(lambda: len(ear.packets) > before + 25)
        await leg.hang_up(Why.API)
        async with asyncio.timeout(10):
            await following
        await attacker.send(int(offer[1]), 20)
        await time_passes(0.2)

    end = heard[-1]
    stolen = attacker.got()
    attacker.close()
    assert stolen == 0
    assert isinstance(end, Ended)
    assert (end.rtp.received_packets > 0) is talks  # the attacker's are not even counted
    # The sound clock may send one more between the last reading of its counters and the end of the stream.
    assert len(ear.packets) - end.rtp.sent_packets in (0, 1)


async def _follow(events: object, into: list[object]) -> None:
    async for event in events:  # type: ignore[attr-defined]
        into.append(event)


async def test_a_peer_whose_port_differs_from_its_answer_is_heard(bench: Bench) -> None:
    """Behind NAT: the address holds, the port does not."""
    async with sipp.Ear() as ear:
        await bench.set_up(sipp.answers(ear.port))
        leg = await bench.lines.dial(bench.dial(then=AfterScript.WAIT, max_duration_s=60.0))
        heard: list[object] = []
        following = asyncio.create_task(_follow(leg.events(), heard))
        await until(lambda: any(isinstance(event, Answered) for event in heard))
        port = int(re.search(r"^m=audio (\d+)", bench.carrier.received("INVITE")[0].text, re.MULTILINE)[1])  # type: ignore[index]
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind(("127.0.0.1", 0))
        for n in range(30):
            other.sendto(struct.pack("!BBHII", 0x80, 8, n, 160 * n, 7) + b"\xd5" * 160, ("127.0.0.1", port))
            await asyncio.sleep(0.01)
        await leg.hang_up(Why.API)
        async with asyncio.timeout(10):
            await following
        other.close()

    end = heard[-1]
    assert isinstance(end, Ended)
    assert end.rtp.received_packets > 0


@pytest.mark.parametrize(
    ("media", "callers", "is_heard"),
    [
        (("127.0.0.66/32",), (), True),
        (("127.0.0.64/26",), (), True),
        (("127.0.0.2/32",), (), False),
        ((), ("127.0.0.66/32",), False),  # who may ring may not speak in every call
    ],
)
async def test_sound_of_a_machine_that_nothing_else_names_is_heard_when_the_trunk_names_its_network(
    bench: Bench, media: tuple[str, ...], callers: tuple[str, ...], is_heard: bool
) -> None:
    facts = {"rtp": Rtp(sources=media), "inbound": Inbound(callers, free_port(socket.SOCK_DGRAM))}
    machine = Attacker()
    async with sipp.Ear(talks=False) as ear:
        await bench.set_up(sipp.answers(ear.port), trunk=facts)
        leg = await bench.lines.dial(bench.dial(then=AfterScript.WAIT, max_duration_s=60.0, rtp_timeout_s=60.0))
        heard: list[object] = []
        following = asyncio.create_task(_follow(leg.events(), heard))
        await until(lambda: any(isinstance(event, Answered) for event in heard))
        offer = re.search(r"^m=audio (\d+)", bench.carrier.received("INVITE")[0].text, re.MULTILINE)
        assert offer is not None
        await machine.send(int(offer[1]), 50)
        await leg.hang_up(Why.API)
        async with asyncio.timeout(10):
            await following
    machine.close()

    end = heard[-1]
    assert isinstance(end, Ended)
    assert (end.rtp.received_packets > 0) is is_heard
