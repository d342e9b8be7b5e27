"""One line that says what is under way and for how long, gone when it is over: on a terminal, and nowhere else."""

import asyncio
import os
import sys
import time
from typing import Self

TICK_S = 0.5  # seconds are shown whole; twice as often, none is seen to be left out
_WIPE = "\r\x1b[K"


class Progress:
    """Async context manager. `word` may change while it runs. Talk goes to stderr, so data can still be piped."""

    def __init__(self, word: str, *, wanted: bool = True) -> None:
        self.word = word
        self._shown = wanted and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._began = time.monotonic()
        self._ticking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._shown:
            self._show()  # now: what comes may keep the loop busy, loading
            self._ticking = asyncio.create_task(self._tick(), name="progress")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
            self._wipe()

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._shown:
            self._wipe()
        print(text, file=sys.stderr, flush=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._show()

    def _show(self) -> None:
        line = f"{_WIPE}  {self.word}  {time.monotonic() - self._began:.0f} s"
        print(line, end="", file=sys.stderr, flush=True)

    def _wipe(self) -> None:
        print(_WIPE, end="", file=sys.stderr, flush=True)
