"""The tocsin command in a process of its own, as a person types it."""

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from tests.service import TEST_KEY, Service


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def started(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voice", *arguments,
        env=inherited | environ, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> Said:
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    assert "Traceback" not in err.decode(), err.decode()
    return Said(process.returncode, out.decode(), err.decode())


async def tocsin(*arguments: str, **environ: str) -> Said:
    return await ended(await started(*arguments, **environ))


async def on_terminal(*arguments: str, **environ: str) -> tuple[Said, str]:
    """With stderr on a terminal; what stood on it comes beside, as it was written."""
    ours, terminal = os.openpty()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voice", *arguments,
        env=inherited | {"TERM": "xterm"} | environ, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    reading = asyncio.create_task(asyncio.to_thread(_read_all, ours), name="read the terminal")
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
        shown = await reading
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), ""), shown


def _read_all(terminal: int) -> str:
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed, which is the end of what a terminal shows
        while more := os.read(terminal, 4096):
            shown += more
    os.close(terminal)
    return shown.decode()


def towards(service: Service, key: str = TEST_KEY) -> dict[str, str]:
    return {"TOCSIN_URL": service.url, "TOCSIN_API_KEY": key}
