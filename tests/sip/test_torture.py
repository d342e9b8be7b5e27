"""Bad SIP and bad RTP against line processes with calls up: from a stranger nothing happens, from the trunk little.

`FUZZ` says how many datagrams of each kind: 10000 is the whole of it, and the default a twentieth.
"""

import asyncio
import audioop
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from media.heard import compare
from media.speech import Sound
from sip.commands import AfterScript, Why
from sip.events import Answered, Ended, LineEvent
from sip.line import Leg, LineError
from sip.lines import Lines
from sip.trunk import Credentials, Registration, Trunk, TrunkType, TrunkUri
from tests import sipp
from tests.sip.bench import Bench
from tests.sip.hostile_trunk import HostileTrunk
from tests.sip.mutation import Mutator, rtp_seeds, torture
from tests.sip.sounds import sound, warble
from tests.until import until

MANY = int(os.environ.get("FUZZ", "500"))
pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.timeout(120 + MANY // 20),
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]
BATCH = 25  # datagrams, then a question that has to be answered: nothing is lost in a full buffer
SEED = 4475
AT_ONCE = 3  # calls to the hostile trunk
BACK_WITHIN_S = 2.0


@dataclass(slots=True)
class Talk:
    """A call that stays up, and what its far end hears."""

    bench: Bench
    leg: Leg
    ear: sipp.Ear
    following: asyncio.Task[list[LineEvent]]

    @property
    def sip_port(self) -> int:
        return self.bench.lines.status()[0].ready.sip_port

    async def hears(self, folder: Path) -> float:
        """Something new is said: how much of it is heard."""
        wav = warble(folder / "after.wav", 2.0, 500.0)
        before = len(self.ear.packets)
        await self.leg.play(wav, AfterScript.WAIT)
        await until(lambda: len(self.ear.packets) > before + 130, 10)
        heard = b"".join(audioop.alaw2lin(p.payload, 2) for p in self.ear.packets[before:] if len(p.payload) == 160)
        samples = np.frombuffer(heard, dtype=np.int16).astype(np.float32) / 32768
        return compare(sound(wav), Sound(samples, 8000)).match or 0.0

    async def over(self) -> Ended:
        await self.leg.hang_up(Why.API)
        async with asyncio.timeout(10):
            end = (await self.following)[-1]
        assert isinstance(end, Ended)
        return end


@asynccontextmanager
async def talking(folder: Path) -> AsyncIterator[Talk]:
    """On a trunk, and on line processes, of its own."""
    folder.mkdir()
    async with AsyncExitStack() as stack:
        ear = await stack.enter_async_context(sipp.Ear(talks=True))
        bench = Bench(stack, folder)
        await bench.set_up(sipp.answers(ear.port), most=8)
        answered = asyncio.Event()
        leg = await bench.lines.dial(bench.dial(then=AfterScript.WAIT, max_duration_s=3600.0, rtp_timeout_s=3600.0))
        following = asyncio.create_task(_follow(leg, answered))
        async with asyncio.timeout(20):
            await answered.wait()
        yield Talk(bench, leg, ear, following)
        following.cancel()


async def _follow(leg: Leg, answered: asyncio.Event) -> list[LineEvent]:
    events = []
    async for event in leg.events():
        events.append(event)
        if isinstance(event, Answered):
            answered.set()
    return events


class Stranger:
    """A socket somewhere else on the network."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._asked = 0

    def close(self) -> None:
        self._socket.close()

    def send(self, datagram: bytes, port: int) -> None:
        self._socket.sendto(datagram, ("127.0.0.1", port))

    async def is_answered(self, port: int) -> bool:
        """Everything before has been read by then."""
        self._asked += 1
        mine, mark = self._socket.getsockname()[1], f"asked-{self._asked}"
        self.send(
            f"OPTIONS sip:x@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{mine};branch=z9hG4bK{mark}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:s@127.0.0.1>;tag={mark}\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: {mark}\r\n"
            f"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode(),
            port,
        )
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(10):
                while mark.encode() not in await loop.sock_recv(self._socket, 65536):
                    pass
        except TimeoutError:
            return False
        return True


async def pelt(stranger: Stranger, port: int, datagrams: Iterable[bytes], at: Callable[[], int] | None = None) -> int:
    """How many were sent. `at`: another port than the one that answers for the process."""
    sent = 0
    for datagram in datagrams:
        stranger.send(datagram, at() if at else port)
        sent += 1
        if sent % BATCH == 0:
            assert await stranger.is_answered(port), f"no life after {sent} datagrams"
    assert await stranger.is_answered(port)
    return sent


async def test_a_stranger_ends_no_process_and_no_call(tmp_path: Path) -> None:
    mutator, seeds = Mutator(SEED), list(torture().values())
    stranger = Stranger()
    async with talking(tmp_path / "aimed-at") as talk, talking(tmp_path / "other") as other:
        pids = talk.bench.lines.pids(), other.bench.lines.pids()
        port = talk.sip_port
        sent = await pelt(stranger, port, seeds)
        sent += await pelt(stranger, port, (mutator.sip(mutator.random.choice(seeds)) for _ in range(MANY)))
        ready = talk.bench.lines.status()[0].ready
        ports = range(ready.rtp_base, ready.rtp_base + ready.rtp_range + 2)
        sounds = (mutator.rtp(mutator.random.choice(rtp_seeds())) for _ in range(MANY))
        sent += await pelt(stranger, port, sounds, at=lambda: mutator.random.choice(ports))
        stranger.close()

        assert sent == len(seeds) + 2 * MANY
        assert (talk.bench.lines.pids(), other.bench.lines.pids()) == pids
        assert await talk.hears(tmp_path) > 0.9
        assert await other.hears(tmp_path) > 0.9
        assert [(await one.over()).why for one in (talk, other)] == [Why.API, Why.API]
        # Nobody out there made us dial.
        assert [len(one.bench.carrier.dialogs()) for one in (talk, other)] == [1, 1]
    print(f"stranger: {sent} datagrams, 0 exits")


async def test_a_hostile_trunk_ends_its_own_processes_at_most(tmp_path: Path) -> None:
    mutator = Mutator(SEED + 1)
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(talking(tmp_path / "other"))
        pids = other.bench.lines.pids()
        hostile = await stack.enter_async_context(HostileTrunk(mutator))
        trunk = Trunk("hostile", "hostile", (TrunkUri("127.0.0.1", hostile.port),), cps=20.0)
        lines = Lines(trunk, most=4, journal_dir=tmp_path / "journal")
        stack.push_async_callback(lines.aclose)
        await lines.start()
        back = Births(lines)
        stack.callback(back.stop)

        calls = 0
        while hostile.sent_sip < MANY or hostile.sent_rtp < MANY:
            calls += AT_ONCE
            await asyncio.gather(*(_called(other, lines, hostile.port, f"h{calls - n}") for n in range(AT_ONCE)))

        assert other.bench.lines.pids() == pids
        assert await other.hears(tmp_path) > 0.9
        assert (await other.over()).why is Why.API
    print(f"hostile trunk: {hostile.sent_sip} SIP, {hostile.sent_rtp} RTP, {calls} calls, back after {back.took_s}")
    assert all(took_s <= BACK_WITHIN_S for took_s in back.took_s)


async def _called(talk: Talk, lines: Lines, port: int, call_id: str) -> None:
    """One call to the hostile trunk, whatever comes of it; but something does."""
    changes = {"uri": f"sip:2348020000000@127.0.0.1:{port}", "max_duration_s": 1.0, "then": AfterScript.WAIT}
    async with asyncio.timeout(60):
        try:
            leg = await lines.dial(talk.bench.dial(call_id, ring_timeout_s=1.5, **changes))
        except LineError:
            await asyncio.sleep(0.05)  # no line: its process has just died, or is still with an unanswered BYE
            return
        events = [event async for event in leg.events()]
    assert [type(event) for event in events].count(Ended) == 1


class Births:
    """Watches a pool: how long it was without a process whenever one died."""

    def __init__(self, lines: Lines) -> None:
        self.took_s: list[float] = []
        self._lines = lines
        self._task = asyncio.create_task(self._watch(), name="births")

    def stop(self) -> None:
        self._task.cancel()

    async def _watch(self) -> None:
        known, died_at = set(self._lines.pids()), 0.0
        while True:
            await asyncio.sleep(0.01)
            now = {status.ready.pid for status in self._lines.status()}
            if not now and not died_at:
                died_at = time.monotonic()
            if now - known and died_at:
                self.took_s.append(round(time.monotonic() - died_at, 2))
                died_at = 0.0
            known |= now


@pytest.mark.parametrize("routes", [16, 64])
async def test_a_registrar_that_ends_the_process_that_registers_ends_no_other(tmp_path: Path, routes: int) -> None:
    """CVE-2026-57161: sixteen Service-Route headers in the 200 to a REGISTER write beyond the library's stack."""
    more = [f"Service-Route: <sip:192.0.2.{n};lr>" for n in range(routes)]
    contact = "Contact: <sip:us@127.0.0.1>;expires=300"
    answer = sipp.scenario(sipp.recv("REGISTER"), sipp.send("200 OK", contact, *more))
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(talking(tmp_path / "other"))
        pids = other.bench.lines.pids()
        registrar = await stack.enter_async_context(sipp.Sipp(answer, tmp_path))
        trunk = Trunk(
            "hostile",
            "hostile",
            (TrunkUri("127.0.0.1", registrar.port),),
            type=TrunkType.REGISTER,
            registration=Registration.ONE,
            auth=Credentials("us", "carrier", "secret"),
        )
        lines = Lines(trunk, most=4, journal_dir=tmp_path / "journal")
        stack.push_async_callback(lines.aclose)
        await lines.start()
        placing = lines.pids()

        await until(lambda: len(registrar.received("REGISTER")) >= 2, 15)  # it died, and its successor tries again

        assert lines.pids() == placing
        assert other.bench.lines.pids() == pids
        assert await other.hears(tmp_path) > 0.9
        assert (await other.over()).why is Why.API
