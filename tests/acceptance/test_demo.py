"""`tocsin demo --once --json` as a stranger would run it: also without a network, with ports taken, and sabotaged."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.sip, pytest.mark.timeout(90)]

MEMBERS = {"heard_s", "match", "outcome", "digits", "webhooks_sent", "webhooks_verified", "elapsed_s"}


async def demo(*arguments: str, **environ: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voice", "demo", *arguments,
        env=os.environ | environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
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
