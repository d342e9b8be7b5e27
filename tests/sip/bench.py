"""A test bench: SIPp as the carrier, and line processes that call it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from sip.commands import Dial
from sip.events import Ended, LineEvent
from sip.lines import Lines
from sip.trunk import Trunk, TrunkUri
from tests import sipp


class Bench:
    """A carrier, and lines to it."""

    def __init__(self, stack: AsyncExitStack, directory: Path) -> None:
        self._stack, self.directory = stack, directory
        self.carrier: sipp.Sipp
        self.lines: Lines
        self.audio = sipp.tone(directory / "tone.wav", 600)

    async def set_up(self, scenario: str, *, host: str = "127.0.0.1", **options: Any) -> None:
        self.carrier = await self._stack.enter_async_context(sipp.Sipp(scenario, self.directory))
        facts = {"cps": 20.0} | options.pop("trunk", {})
        trunk = Trunk("t", "t", (TrunkUri(host, self.carrier.port),), **facts)
        self.lines = Lines(trunk, **{"most": 4, "journal_dir": self.directory / "journal"} | options)
        self._stack.push_async_callback(self.lines.aclose)
        await self.lines.start()

    def dial(self, call_id: str = "c1", *, host: str = "127.0.0.1", **changes: Any) -> Dial:
        facts = {
            "call_id": call_id,
            "uri": f"sip:2348020000000@{host}:{self.carrier.port}",
            "from_uri": "sip:12025550199@127.0.0.1",
            "audio": self.audio,
            "headers": (("X-Call-Id", call_id),),
            "pause_ms": 100,
        }
        return Dial(**facts | changes)

    async def call(self, **changes: Any) -> tuple[list[LineEvent], Ended]:
        async with asyncio.timeout(20):
            leg = await self.lines.dial(self.dial(**changes))
            events = [event async for event in leg.events()]
        assert [type(event) for event in events].count(Ended) == 1
        assert isinstance(events[-1], Ended)
        return events, events[-1]
