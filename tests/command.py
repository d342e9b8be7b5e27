"""The tocsin command in a process of its own, as a person types it."""

import asyncio
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


def towards(service: Service, key: str = TEST_KEY) -> dict[str, str]:
    return {"TOCSIN_URL": service.url, "TOCSIN_API_KEY": key}
