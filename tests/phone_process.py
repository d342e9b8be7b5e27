"""A catch-all phone in a process of its own, for tests whose own process is busy with PJSIP or is measured apart.

Parent: `async with phone_process(directory) as phone: ... phone.port; await phone.ended()`.
Child: `python -m tests.phone_process DIRECTORY`: one JSON line with the port, then one for each call that ended, and
after its input closes one with the CPU seconds it used.
"""

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sip.sandbox.phone import CatchAllPhone, PhoneCall

ROOT = Path(__file__).resolve().parent.parent
# How long a test waits for a line of the child: longer than any call in it.
PATIENCE_S = 40.0


class PhoneProcess:
    """The parent's view of the child."""

    def __init__(self, process: asyncio.subprocess.Process, complaints: Path) -> None:
        self._process = process
        self._complaints = complaints
        self.port = 0
        self.cpu_s = 0.0

    def cpu_now(self) -> float:
        """CPU seconds the child has used so far (Linux)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        if not line:
            raise AssertionError("the phone's process has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    async def opened(self) -> None:
        self.port = int((await self._line())["port"])

    async def ended(self) -> PhoneCall:
        """The next call that is over."""
        return _as_call(await self._line())

    async def close(self) -> list[PhoneCall]:
        """End the child in good order; the calls nobody asked for. Fails when the child logged a warning or worse."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        calls = []
        while True:
            found = await self._line()
            if "cpu_s" in found:
                self.cpu_s = float(found["cpu_s"])
                break
            calls.append(found)
        async with asyncio.timeout(PATIENCE_S):
            await self._process.wait()
        complaints = self._complaints.read_text()
        assert complaints == "", complaints
        return [_as_call(call) for call in calls]


def _as_call(found: dict[str, Any]) -> PhoneCall:
    return PhoneCall(**{**found, "recording": Path(found["recording"]) if found["recording"] else None})


@contextlib.asynccontextmanager
async def phone_process(directory: Path) -> AsyncIterator[PhoneProcess]:
    complaints = directory.with_name(f"{directory.name}.stderr")
    with complaints.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.phone_process", str(directory)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    phone = PhoneProcess(process, complaints)
    try:
        await phone.opened()
        yield phone
    finally:
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                async with asyncio.timeout(10):
                    await process.communicate()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _serve(directory: Path) -> None:
    def tell(found: dict[str, Any]) -> None:
        print(json.dumps(found, default=str), flush=True)

    phone = CatchAllPhone(directory, on_end=lambda call: tell(dataclasses.asdict(call)))
    tell({"port": await phone.start()})
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 100) else gone.set())
    await gone.wait()
    loop.remove_reader(sys.stdin.fileno())
    await phone.aclose()
    used = os.times()
    tell({"cpu_s": used.user + used.system})


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
