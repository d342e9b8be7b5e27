"""A catch-all phone in the test's own event loop, and what it reported."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sip.sandbox.phone import CatchAllPhone, PhoneCall
from sip.sandbox.transactions import Timers
from tests.sip.caller import PATIENCE_S, Caller

# A tenth and less of the real times, so that what takes 32 s on a line is tested in under 2 s.
QUICK = Timers(t1=0.025, t2=0.1, t4=0.2, least_session_s=1)


class RingingPhone:
    """A started phone and the calls that it reported as over."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.ended: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self.directory = directory
        self.phone = CatchAllPhone(directory, on_end=self.ended.put_nowait, **options)  # type: ignore[arg-type]  # as the test says
        self.port = 0

    async def over(self) -> PhoneCall:
        async with asyncio.timeout(PATIENCE_S):
            return await self.ended.get()


@dataclass(frozen=True, slots=True)
class Reached:
    port: int


class Reachable(Protocol):
    @property
    def port(self) -> int: ...


MakePhone = Callable[..., Awaitable[RingingPhone]]
MakeCaller = Callable[..., Awaitable[Caller]]
