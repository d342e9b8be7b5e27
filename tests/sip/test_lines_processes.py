"""Line processes live and die: many at once, killed, stuck, idle, orphaned."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sip import lastwords
from sip.commands import AfterScript, Why
from sip.events import Answered, Ended, Phase
from sip.line import Leg
from sip.lines import Lines
from sip.prefork import Prefork
from sip.trunk import Trunk, TrunkUri
from tests import sipp
from tests.sip.bench import Bench
from tests.until import until

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]


@pytest.fixture
async def ear() -> AsyncIterator[sipp.Ear]:
    """Mute: a voice would keep awake what should sleep."""
    async with sipp.Ear() as one:
        yield one


def alive(pid: int) -> bool:
    """Running: neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def exists(pid: int) -> bool:
    """In the process table, be it as a zombie."""
    return Path(f"/proc/{pid}").exists()


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def times_woken(pid: int) -> int:
    """How often one of its threads went on after it had waited: the same on a slow machine and on a fast one."""
    said = [status.read_text() for status in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for text in said)


async def the_end(leg: Leg) -> Ended:
    async with asyncio.timeout(20):
        events = [event async for event in leg.events()]
    assert isinstance(events[-1], Ended)
    return events[-1]


async def answered(leg: Leg) -> None:
    async with asyncio.timeout(10):
        async for event in leg.events():
            if isinstance(event, Answered):
                return


async def test_a_hundred_calls_through_three_processes_none_lost_none_doubled(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), most=12)
    audio = sipp.tone(bench.directory / "short.wav", 300)
    room = asyncio.Semaphore(12)

    async def one(n: int) -> Ended:
        async with room:
            return await the_end(await bench.lines.dial(bench.dial(f"c{n}", audio=audio, pause_ms=20)))

    ends = await asyncio.gather(*(one(n) for n in range(100)))

    assert [(end.code, end.played_ms, end.played_to_end) for end in ends] == [(200, 300, True)] * 100
    dialogs = bench.carrier.dialogs()
    assert set(dialogs) == {f"c{n}" for n in range(100)}
    assert all(len(sip_call_ids) == 1 for sip_call_ids in dialogs.values())
    assert len(bench.carrier.received("BYE")) == 100
    assert 3 <= len(bench.lines.pids()) <= 5
    bases = [status.ready.rtp_base for status in bench.lines.status()]
    assert all(base % 2 == 0 for base in bases)
    assert len({base // 20 for base in bases}) == len(bases)


async def test_a_dead_process_has_a_successor_within_two_seconds(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))
    leg = await bench.lines.dial(bench.dial("victim", then=AfterScript.WAIT))
    await answered(leg)
    (dead,) = bench.lines.pids()

    os.kill(dead, signal.SIGKILL)
    end = await the_end(leg)
    await until(lambda: bool(bench.lines.status()), within_s=2.0)
    _, after = await bench.call(call_id="after")

    assert (end.lost, end.phase, end.sent) == (True, Phase.ANSWERED, True)
    assert after.played_to_end
    assert dead not in bench.lines.pids()
    await until(lambda: not exists(dead), within_s=2.0)  # no zombie


async def test_signals_belong_to_the_parent(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))
    leg = await bench.lines.dial(bench.dial(pause_ms=500))
    await answered(leg)
    for pid in (*bench.lines.pids(), bench.lines.prefork_pid):
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)

    assert (await the_end(leg)).played_to_end


async def test_no_secret_of_the_service_is_in_a_line_process(
    bench: Bench, ear: sipp.Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_KEY_PEPPER", "s3cret")
    await bench.set_up(sipp.answers(ear.port))

    assert b"s3cret" not in environment(bench.lines.pids()[0])


async def test_a_stuck_process_is_ended_and_its_calls_with_it(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), beat_s=0.1)
    leg = await bench.lines.dial(bench.dial("stuck", then=AfterScript.WAIT))
    await answered(leg)
    (stuck,) = bench.lines.pids()

    os.kill(stuck, signal.SIGSTOP)

    assert (await the_end(leg)).lost
    await until(lambda: not exists(stuck))


async def test_calls_survive_the_death_of_the_prepared_process(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), most=8)
    legs = [await bench.lines.dial(bench.dial(f"c{n}", then=AfterScript.WAIT, max_duration_s=1.5)) for n in range(4)]
    for leg in legs:
        await answered(leg)
    prepared = bench.lines.prefork_pid
    assert prepared is not None

    os.kill(prepared, signal.SIGKILL)
    _, fifth = await bench.call(call_id="fifth")

    assert fifth.played_to_end
    assert [(await the_end(leg)).why for leg in legs] == [Why.MAX_DURATION] * 4


async def test_idle_processes_leave_and_one_stays(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), most=8, idle_s=0.2, beat_s=0.1)
    legs = [await bench.lines.dial(bench.dial(f"c{n}")) for n in range(8)]
    many = set(bench.lines.pids())
    for leg in legs:
        await the_end(leg)

    await until(lambda: len(bench.lines.pids()) == 1)

    assert len(many) == 2
    await until(lambda: sum(exists(pid) for pid in many) == 1)


async def test_a_process_that_has_served_its_time_is_replaced_between_calls(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), recycle_after=1, beat_s=0.05)
    (old,) = bench.lines.pids()
    await bench.call(call_id="c1")

    await until(lambda: not exists(old))
    _, end = await bench.call(call_id="c2")

    assert end.played_to_end


async def test_an_idle_process_sleeps(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))
    await bench.call()
    (pid,) = bench.lines.pids()
    await asyncio.sleep(1.5)  # players are put away, the clock is stopped

    before = times_woken(pid)
    await asyncio.sleep(4.0)

    # Twice a second by itself, and for what its parent asks; a clock or a loop that looks is fifty times a second.
    assert times_woken(pid) - before <= 4 * 6


async def test_a_child_holds_nothing_of_its_parent_open(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), most=8)
    legs = [await bench.lines.dial(bench.dial(f"c{n}", then=AfterScript.WAIT)) for n in range(8)]
    for leg in legs:
        await answered(leg)
    pids = bench.lines.pids()

    def sockets(pid: int) -> set[str]:
        found = set()
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # the one that listed them
                found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        return {link for link in found if link.startswith("socket:")}

    ours, first, second = sockets(os.getpid()), sockets(pids[0]), sockets(pids[1])

    assert len(pids) == 2
    assert not ours & first
    assert not first & second
    assert len(os.listdir(f"/proc/{pids[0]}/fd")) < 30
    for leg in legs:
        await leg.hang_up(Why.API)
        await the_end(leg)


async def test_closing_leaves_no_process_behind(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), most=8)
    legs = [await bench.lines.dial(bench.dial(f"c{n}", then=AfterScript.WAIT)) for n in range(5)]
    for leg in legs:
        await answered(leg)
    pids = [*bench.lines.pids(), bench.lines.prefork_pid]

    async with asyncio.timeout(7):
        await bench.lines.aclose()

    assert [(await the_end(leg)).why for leg in legs] == [Why.SHUTDOWN] * 5
    await until(lambda: not any(exists(pid) for pid in pids if pid), within_s=1.0)
    assert len(bench.carrier.received("BYE")) == 5
    assert lastwords.read_journals(bench.directory / "journal") == []


async def test_two_pools_on_one_machine_share_no_port(bench: Bench, ear: sipp.Ear, tmp_path: Path) -> None:
    await bench.set_up(sipp.answers(ear.port), rtp_base=41000)
    other = Lines(Trunk("u", "u", (TrunkUri("127.0.0.1", 9),)), most=4, journal_dir=tmp_path, rtp_base=41000)
    await other.start()
    mine, theirs = (lines.status()[0].ready for lines in (bench.lines, other))
    await other.aclose()

    assert abs(mine.rtp_base - theirs.rtp_base) >= mine.rtp_range + 2
    assert mine.sip_port != theirs.sip_port


async def _parent(port: int, calls: int, directory: Path, loop: str) -> asyncio.subprocess.Process:
    root = Path(__file__).parents[2]
    arguments = ("-m", "tests.sip.lines_parent", str(port), str(calls), str(directory), loop)
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=root, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_when_the_dialer_is_killed_its_lines_say_bye_write_it_down_and_leave(
    tmp_path: Path, ear: sipp.Ear, loop: str
) -> None:
    async with sipp.Sipp(sipp.answers(ear.port), tmp_path) as carrier:
        parent = await _parent(carrier.port, 6, tmp_path, loop)
        assert parent.stdout is not None
        try:
            async with asyncio.timeout(15):
                words = (await parent.stdout.readline()).split()
        finally:
            parent.kill()
            await parent.wait()
        pids = [int(pid) for pid in words[1:]]

        await until(lambda: not any(alive(pid) for pid in pids), within_s=5.0)

        assert len(pids) == 2
        assert len(carrier.received("BYE")) == 6
    ends = lastwords.read_journals(tmp_path / "journal")
    assert sorted(end.call_id for end in ends) == [f"c{n}" for n in range(6)]
    assert {(end.code, end.why, end.phase, end.lost) for end in ends} == {(200, Why.SHUTDOWN, Phase.ANSWERED, False)}
    assert lastwords.read_journals(tmp_path / "journal") == []


async def test_it_works_on_uvloop_beside_threads(tmp_path: Path, ear: sipp.Ear) -> None:
    async with sipp.Sipp(sipp.answers(ear.port), tmp_path) as carrier:
        parent = await _parent(carrier.port, 3, tmp_path, "uvloop-once")
        async with asyncio.timeout(20):
            out, _ = await parent.communicate()

    assert out.decode().splitlines() == ["ended True"] * 3
    assert parent.returncode == 0


async def test_forks_asked_for_at_once_each_get_their_own_answer() -> None:
    prefork = Prefork()
    await prefork.start()
    try:
        async with asyncio.timeout(4):  # less than a fork may take alone
            forks = await asyncio.gather(*(prefork.fork() for _ in range(5)))
        for _, pipe in forks:
            pipe.close()
        pids = [pid for pid, _ in forks]
        assert len(set(pids)) == 5
        await until(lambda: not any(exists(pid) for pid in pids))
    finally:
        await prefork.aclose()


async def test_a_process_that_carried_many_calls_holds_no_more_open_than_after_the_first(
    bench: Bench, ear: sipp.Ear
) -> None:
    await bench.set_up(sipp.answers(ear.port), idle_s=60.0)
    (pid,) = bench.lines.pids()
    open_files = Path(f"/proc/{pid}/fd")
    await bench.call(call_id="first")
    after_one = len(list(open_files.iterdir()))

    for n in range(6):
        await bench.call(call_id=f"c{n}")

    # The library keeps the sockets of the last call or two for a moment.
    assert len(list(open_files.iterdir())) <= after_one + 8
