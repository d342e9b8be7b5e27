"""OPTIONS against SIPp: what crosses the wire, and a dialer whose trunk goes away and comes back."""

import asyncio
import socket
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from config.children import free_port
from sip.options import ask
from sip.trunk import OptionsPing, Transport, TrunkUri
from tests import sipp
from tests.dialer_bench import SANDBOX, Bench, Spied
from tests.until import until
from voice.calls import Status
from voice.store_memory import MemoryCallStore

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]
NUMBER = "2348020000000"


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "503 Service Unavailable"])
async def test_any_final_answer_is_told_with_its_time(tmp_path: Path, status: str) -> None:
    async with sipp.Sipp(sipp.answers_options(status), tmp_path) as uas:
        answer = await ask(TrunkUri("127.0.0.1", uas.port), "127.0.0.1")
        [request] = await until(lambda: uas.received("OPTIONS"))

    assert str(answer.code) == status[:3]
    assert 0 <= answer.rtt_ms < 2000
    assert request.first == f"OPTIONS sip:127.0.0.1:{uas.port} SIP/2.0"
    assert "rport" in request.header("Via")
    assert (request.header("CSeq"), request.header("Max-Forwards")) == ("1 OPTIONS", "70")


async def test_over_tcp_it_is_the_same(tmp_path: Path) -> None:
    async with sipp.Sipp(sipp.answers_options("200 OK"), tmp_path, "-t", "t1", network="tcp") as uas:
        answer = await ask(TrunkUri("127.0.0.1", uas.port, Transport.TCP), "127.0.0.1")
        [request] = await until(lambda: uas.received("OPTIONS"))

    assert answer.code == 200
    assert request.header("Via").startswith("SIP/2.0/TCP ")


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
async def test_where_nobody_listens_their_machine_says_so(transport: Transport) -> None:
    nowhere = TrunkUri("127.0.0.1", free_port(socket.SOCK_DGRAM), transport)

    with pytest.raises(ConnectionRefusedError):
        await ask(nowhere, "127.0.0.1", within_s=0.7)


async def test_an_answer_to_somebody_else_is_not_ours_and_a_lost_request_is_repeated() -> None:
    class Odd(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.heard: list[bytes] = []

        def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.heard.append(data)
            self.transport.sendto(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKelse\r\n\r\n", addr)
            self.transport.sendto(b"SIP/2.0 " + b"\xff" * 9000, addr)
            if len(self.heard) == 2:
                via = data.split(b"\r\n")[1]
                self.transport.sendto(b"SIP/2.0 100 Trying\r\n" + via + b"\r\n\r\n", addr)
                self.transport.sendto(b"SIP/2.0 405 No\r\n" + via + b"\r\n\r\n", addr)

    odd = Odd()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: odd, ("127.0.0.1", 0))
    answer = await ask(TrunkUri("127.0.0.1", transport.get_extra_info("sockname")[1]), "127.0.0.1")
    transport.close()

    assert answer.code == 405
    assert len(odd.heard) == 2
    assert odd.heard[0] == odd.heard[1]


async def test_a_trunk_that_goes_away_keeps_its_calls_waiting_and_they_leave_when_it_is_back(tmp_path: Path) -> None:
    line = Spied()
    async with AsyncExitStack() as stack:
        uas = await stack.enter_async_context(sipp.Sipp(sipp.answers_options("200 OK"), tmp_path))
        rules = OptionsPing(interval_s=0.1, fail_after=2, recover_after=2)
        trunk = replace(SANDBOX, id="t", sandbox=False, uris=(TrunkUri("127.0.0.1", uas.port),), options_ping=rules)
        bench = Bench(MemoryCallStore(), tmp_path / "dialer", {"t": (trunk, line)})
        async with bench.run() as dialer:
            await bench.final(await bench.call(NUMBER, sandbox=False, owner="main.live"))
            await uas.stop()
            [problem] = await until(dialer.problems)
            waiting = await bench.call(NUMBER, sandbox=False, owner="main.live")
            await uas.start()
            call = await bench.final(waiting)
            await until(lambda: dialer.problems() == ())
    await line.aclose()

    assert "trunk t is down: OPTIONS unanswered" in problem
    assert call.status is Status.COMPLETED
