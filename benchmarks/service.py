"""The service under measurement: `tocsin serve` on a free port, its data in a folder that goes away."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from config.children import free_port

KEY = "tk_live_benchmark"
READY_S = 30.0
STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    pid: int
    url: str

    def client(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)


@contextlib.asynccontextmanager
async def started(folder: Path, trunks: Path, lines: int) -> AsyncIterator[Service]:
    """Ready to call over `trunks`, durable as always; ended with the block, by force if it must be."""
    port = free_port(socket.SOCK_STREAM)
    told = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")} | {
        "TOCSIN_API_KEYS": KEY,
        "TOCSIN_TRUNKS": str(trunks),
        "TOCSIN_LINES__MOST": str(lines),
        "TOCSIN_SANDBOX__ENABLED": "false",  # every line process is the carrier's
        "TOCSIN_SPEECH__ENGINES": "flite,espeak-ng",  # nothing leaves this machine
        "TOCSIN_WEBHOOKS__GUARD": "false",
        "TOCSIN_WEBHOOKS__PLAIN_HTTP": "true",
        "TOCSIN_DIALER__DRAIN_S": "5",
    }
    command = [sys.executable, "-m", "voice", "serve", "--port", str(port), "--data", str(folder / "data")]
    log = folder / "service.log"
    with log.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(
            *command, env=told, stdin=asyncio.subprocess.DEVNULL, stdout=complaints, stderr=complaints
        )
    service = Service(process.pid, f"http://127.0.0.1:{port}")
    try:
        try:
            await _ready(service, process)
        except (TimeoutError, RuntimeError) as error:
            raise RuntimeError(f"the service is not ready:\n{log.read_text()[-4000:]}") from error
        yield service
    finally:
        await _stop(process)


async def _ready(service: Service, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(READY_S), service.client() as http:
        while True:
            if process.returncode is not None:
                raise RuntimeError("it has ended")
            with contextlib.suppress(httpx2.HTTPError):
                if (await http.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Twice asked nicely: the second time means now."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.returncode is None:
            process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_S / 3)
