"""The whole service as a user starts it: `tocsin serve` in a process of its own, on free ports, in its own folder."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

from config.settings import load
from messaging.accounts import Mode
from messaging.embedded import embedded_url
from tests.until import until
from voice.compose import open_accounts
from voice.serve import VALKEY

TEST_KEY = "tk_test_acceptance"
LIVE_KEY = "tk_live_acceptance0123456789abcd"
READY_S = 20.0


class Service:
    def __init__(self, process: asyncio.subprocess.Process, url: str, data: Path) -> None:
        self.process, self.url, self.data = process, url, data
        self.log: list[str] = []

    def client(self, key: str = TEST_KEY) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=70.0, trust_env=False
        )

    async def call(self, key: str = TEST_KEY, wait_s: int = 60, **body: Any) -> dict[str, Any]:
        """POST /v1/calls and wait for the outcome."""
        async with self.client(key) as http:
            response = await http.post("/v1/calls", json=body, headers={"Prefer": f"wait={wait_s}"})
            assert response.status_code in (200, 202), response.text
            found: dict[str, Any] = response.json()
            return found

    async def live_keys(self, count: int) -> list[tuple[str, str]]:
        """Secrets and ids. As `tocsin keys create` makes them, without two seconds of a core for each."""
        settings = load({}, overrides={"data_dir": str(self.data)})
        async with open_accounts(settings, embedded_url(self.data / VALKEY)) as accounts:
            made = [await accounts.create(settings.account.id, Mode.LIVE, "") for _ in range(count)]
        return [(secret, key.key_id) for secret, key in made]

    def children(self) -> dict[str, int]:
        """Pids of the roles, by name, as the system knows them."""
        return {
            name.removeprefix("tocsin-"): pid
            for pid in descendants(self.process.pid)
            if (name := process_name(pid)).startswith("tocsin-")
        }

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 30)


@contextlib.asynccontextmanager
async def running(data: Path, *, ready_s: float = READY_S, **environ: str) -> AsyncIterator[Service]:
    """Started, ready, and gone afterwards."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voice",
        "serve",
        "--port",
        "0",
        "--data",
        str(data),
        env=inherited
        | {
            "TOCSIN_API_KEYS": f"{TEST_KEY},{LIVE_KEY}",
            "TOCSIN_SPEECH__ENGINES": "flite,espeak-ng",
            "TOCSIN_WEBHOOKS__GUARD": "false",
            "TOCSIN_WEBHOOKS__PLAIN_HTTP": "true",
        }
        | environ,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    lines: list[str] = []
    reading: asyncio.Task[None] | None = None
    service = Service(process, "", data)
    service.log = lines
    try:
        service.url = await asyncio.wait_for(_url(process.stderr, lines), ready_s)
        reading = asyncio.create_task(_drain(process.stderr, lines), name="read the service's log")
        await _until_ready(service, ready_s)
        yield service
    finally:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            await service.stop()
        if process.returncode is None:
            process.kill()
            await process.wait()
        if reading is not None:
            await reading


async def _url(stderr: asyncio.StreamReader, lines: list[str]) -> str:
    while line := (await stderr.readline()).decode():
        lines.append(line)
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if event.get("event") == "serving":
                return str(event["url"])
    raise AssertionError("the service ended before it served:\n" + "".join(lines))


async def _drain(stderr: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stderr.readline():
        lines.append(line.decode())


async def _until_ready(service: Service, within_s: float) -> None:
    async with service.client() as http:

        async def is_ready() -> bool:
            assert service.process.returncode is None, "the service ended:\n" + "".join(service.log)
            with contextlib.suppress(httpx2.HTTPError):
                return (await http.get("/readyz")).status_code == 200
            return False

        await until(is_ready, within_s)


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, from /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    pending = [pid]
    while pending:
        mine = children.get(pending.pop(), [])
        found += mine
        pending += mine
    return found


def process_name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
