"""The trunks as they are now, for those parts of a process that only look."""

import asyncio

import structlog

from config.settings import Settings, SettingsError
from messaging.errors import Unavailable
from sip.trunk import Trunk
from voice import compose
from voice.trunk_book import TrunkBook

log = structlog.get_logger(__name__)

AGAIN_S = 1.0  # until the store answers


class TrunksNow:
    """`now`: those that take calls. `known`: all, whether they are switched off or not.

    While the store has not answered yet: those of the file.
    """

    def __init__(self, settings: Settings, book: TrunkBook) -> None:
        self._settings, self._book = settings, book
        self.now: tuple[Trunk, ...] = tuple(said.trunk for said in compose.trunk_file(settings) or ())
        self.known = self.now

    async def read(self) -> None:
        """Raises Unavailable."""
        entries = compose.with_phone(self._settings, await self._book.all())
        self.now = tuple(entry.trunk for entry in entries if entry.takes_calls)
        self.known = tuple(entry.trunk for entry in entries)

    async def keep_reading(self, *, apply_file: bool) -> None:
        """Never ends by itself. `apply_file`: first make the book say what the file says."""
        to_apply = apply_file
        while True:
            try:
                if to_apply:
                    await compose.apply_trunk_file(self._settings, self._book)
                    to_apply = False
                async for _ in self._book.watch():
                    await self.read()
            except Unavailable:
                await asyncio.sleep(AGAIN_S)
            except SettingsError as error:  # somebody changed the file since we started
                log.error("trunk file is not applied", why=str(error))  # noqa: TRY400 - it says all there is
                to_apply = False
