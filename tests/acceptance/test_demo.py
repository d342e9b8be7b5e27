"""`tocsin demo --once --json` as a stranger would run it: also without a network, with ports taken, and sabotaged."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.until import until
from voice.explain import Exit

pytestmark = [pytest.mark.sip, pytest.mark.timeout(90)]

MEMBERS = {"heard_s", "match", "outcome", "digits", "webhooks_sent", "webhooks_verified", "elapsed_s"}


async def started(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voice", "demo", *arguments,
        env=os.environ | environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def demo(*arguments: str, **environ: str) -> tuple[int, str, str]:
    process = await started(*arguments, **environ)
    out, err = await asyncio.wait_for(process.communicate(), 80)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_demo_prints_one_object_and_everything_was_heard_and_verified() -> None:
    code, out, err = await demo("--once", "--json")

    told: dict[str, Any] = json.loads(out)
    assert code == 0, err
    assert told.keys() == MEMBERS
    assert (told["outcome"], told["digits"]) == ("completed", "1")
    assert told["match"] >= 0.9
    assert told["heard_s"] > 2
    assert told["webhooks_sent"] == told["webhooks_verified"] == 6


async def test_the_demo_runs_with_the_usual_ports_taken(tmp_path: Path) -> None:
    with contextlib.ExitStack() as taken:
        for port, kind in (
            (5060, socket.SOCK_DGRAM),
            (5070, socket.SOCK_DGRAM),
            (6379, socket.SOCK_STREAM),
            (8088, socket.SOCK_STREAM),
        ):
            holder = taken.enter_context(socket.socket(socket.AF_INET, kind))
            with contextlib.suppress(OSError):  # taken already is as good
                holder.bind(("127.0.0.1", port))
                if kind == socket.SOCK_STREAM:
                    holder.listen()
        code, out, err = await demo("--once", "--json", "--data", str(tmp_path))

    assert code == 0, err
    assert json.loads(out)["match"] >= 0.9


async def test_the_demo_leaves_no_process_behind(tmp_path: Path) -> None:
    mark = f"tocsin-left-behind-{os.getpid()}"

    code, out, err = await demo("--data", str(tmp_path), TEST_MARK=mark)  # no terminal: nobody could press Ctrl-C

    assert code == 0, out + err
    assert "✓ The phone heard" in out
    assert _left_behind(mark) == []
    # What it prints is still true when it has ended: no address of a service that is gone, and files that are there.
    assert "curl" not in out
    (recording,) = re.findall(r"Listen: +(.*)", out)
    assert Path(recording).read_bytes().startswith(b"RIFF")
    assert Path(recording).is_relative_to(tmp_path)


async def test_the_time_it_tells_is_one_and_true() -> None:
    """All parts are heard of when the API answers: a time for each would be the API's five times."""
    process = await started("--once")
    assert process.stdout is not None
    began, told = time.monotonic(), []
    while not (told and told[-1].startswith("  Ready in ")):
        told.append((await asyncio.wait_for(process.stdout.readline(), 30)).decode())
    waited_s = time.monotonic() - began
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 30)

    (seconds,) = re.findall(r"Ready in ([0-9.]+) s\.", told[-1])
    assert 0 < float(seconds) <= waited_s
    assert not [line for line in told[:-1] if re.search(r"[0-9] s$", line)]


# -- ended early: whichever way, nothing stays


@pytest.fixture
def place() -> Iterator[Path]:
    """For temporary folders. A short name: pytest's own leave no room for the name of a unix socket."""
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        yield Path(folder)


WAYS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@pytest.mark.parametrize("number", WAYS, ids=lambda number: number.name)
async def test_a_demo_that_is_ended_in_mid_call_says_so_at_once_and_leaves_nothing(
    place: Path, number: signal.Signals
) -> None:
    mark = f"tocsin-ended-{number.name}-{os.getpid()}"
    process = await started("--stay", TMPDIR=str(place), TEST_MARK=mark)
    assert process.stdout is not None
    try:
        while b"POST /v1/calls" not in (line := await asyncio.wait_for(process.stdout.readline(), 30)):
            assert line, "it ended by itself"
        process.send_signal(number)
        said = await asyncio.wait_for(process.stdout.readline(), 2)  # its calls have five seconds to end
        await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()

    assert said.decode() == "  Stopping and cleaning up.\n"
    assert process.returncode == Exit.INTERRUPTED
    assert list(place.iterdir()) == []
    assert _left_behind(mark) == []


@pytest.mark.parametrize("number", WAYS, ids=lambda number: number.name)
async def test_a_demo_that_is_ended_while_it_starts_leaves_nothing(place: Path, number: signal.Signals) -> None:
    mark = f"tocsin-early-{number.name}-{os.getpid()}"
    process = await started("--stay", TMPDIR=str(place), TEST_MARK=mark)
    try:

        async def has_begun() -> bool:
            return any(place.glob("tocsin-demo-*"))  # before that, Python itself tries with a file whether it may write

        await until(has_begun, 30)
        process.send_signal(number)
        await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()

    assert process.returncode == Exit.INTERRUPTED
    assert list(place.iterdir()) == []
    assert _left_behind(mark) == []


async def test_a_demo_whose_terminal_was_closed_cleans_up(place: Path) -> None:
    """Whatever it then prints is an error, which must not keep it from ending in order."""
    mark = f"tocsin-closed-{os.getpid()}"
    ours, terminal = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voice", "demo", "--stay",
        env=os.environ | {"TMPDIR": str(place), "TEST_MARK": mark}, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    try:
        said = b""
        while b"Ctrl-C stops" not in said:
            said += await asyncio.to_thread(os.read, ours, 4096)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        await asyncio.wait_for(process.wait(), 30)
    finally:
        if process.returncode is None:
            process.kill()

    assert list(place.iterdir()) == []
    assert _left_behind(mark) == []


@pytest.mark.parametrize(("to", "word"), [("abc", "digits only"), ("112", "Emergency"), ("", "--to")])
async def test_a_number_that_nobody_can_call_is_refused_before_anything_starts(to: str, word: str) -> None:
    code, out, err = await demo("--once", "--to", to)

    assert (code, out) == (Exit.USAGE, "")
    assert err.startswith("tocsin: --to")
    assert word in err
    assert err.count("\n") == 1


async def test_a_demo_in_which_the_phone_hears_nothing_fails_and_says_so() -> None:
    """The word of the state machine is not enough: a call that was answered in silence must not pass."""
    code, out, _ = await demo("--once", "--to", "12025550109")

    assert code == 1
    assert "heard nothing" in out


def _left_behind(mark: str) -> list[str]:
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark.encode() in _read(path)]


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""
