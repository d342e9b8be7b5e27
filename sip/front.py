"""The process of a trunk to which others come: it holds the registration, and takes the calls that the trunk brings.

It dials nothing, so neither a hostile registrar nor a flood of calls can cost one of ours. When it dies, its successor
comes later each time: what ended it must not do so ten times a second.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from sip.line import LineError, LinesDown
from sip.lineprocess import LineProcess
from sip.ports import NoFreePorts

log = structlog.get_logger(__name__)

BACKOFF_FIRST_S = 0.1
BACKOFF_MOST_S = 30.0
HEALTHY_S = 60.0  # a process that has lived so long did not die of how it began


class Front:
    """`make`: a new process. `gone` is told of each that has ended."""

    def __init__(
        self, trunk_id: str, make: Callable[[], Awaitable[LineProcess]], gone: Callable[[LineProcess], None]
    ) -> None:
        self._trunk_id, self._make, self._gone = trunk_id, make, gone
        self._leaving = asyncio.Event()
        self.process: LineProcess | None = None

    async def live(self) -> None:
        """As one task, until `leave`."""
        loop, deaths = asyncio.get_running_loop(), 0
        while not self._leaving.is_set():
            began = loop.time()
            try:
                process = await self._make()
                self.process = process
                if self._leaving.is_set():
                    with contextlib.suppress(LinesDown):
                        await process.started()
                    process.stop()
                await process.closed()
                self._gone(process)
                if process.refused is not None:
                    log.error("nobody listens for the trunk", trunk_id=self._trunk_id, why=process.refused)
            except (LineError, NoFreePorts) as error:
                log.warning("nobody listens for the trunk", trunk_id=self._trunk_id, why=str(error))
            deaths = 0 if loop.time() - began > HEALTHY_S else deaths + 1
            if not self._leaving.is_set():
                await asyncio.sleep(min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** min(deaths, 20)))

    def leave(self) -> None:
        """No successor any more."""
        self._leaving.set()
