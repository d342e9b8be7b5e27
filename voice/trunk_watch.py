"""A dialer watches the trunks of the whole service: what changed is told once, whichever dialer is the first to say it.

Each dialer sees the same, because each reads what all of them say of themselves; which of them writes an event is
decided by the record's compare-and-set. What the registrar of a trunk said is kept here too, for its ladder.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog

from messaging import ids
from messaging.accounts import Mode
from messaging.clock import Clock
from messaging.errors import Unavailable
from messaging.events import envelope
from sip.events import Trace
from sip.ladder import as_json, ladder
from sip.line import TrunkLine
from sip.trunk import Trunk
from voice.scoreboard import Scores
from voice.store import Delivery
from voice.trunk_news import Standing, Told, is_news, standing, tell, words_of
from voice.trunk_record import FeedEvent, TrunkRecord
from voice.trunk_status import SCORED_OVER, trunk_status

log = structlog.get_logger(__name__)

LOOK_S = 1.0


class TrunkWatch:
    """`dialers`: what all of them say of themselves. `account`, `url`: whose events these are, and who is posted to."""

    def __init__(
        self,
        record: TrunkRecord,
        scores: Scores,
        dialers: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]],
        clock: Clock,
        *,
        account: str,
        url: str | None = None,
    ) -> None:
        self._record, self._scores, self._dialers, self._clock = record, scores, dialers, clock
        self._account, self._url = account, url
        self._seen: dict[str, dict[str, Standing]] = {}
        self._told: dict[str, Told] = {}
        self._ladders: dict[str, tuple[Trace, ...]] = {}

    async def keep_looking(
        self, trunks: Callable[[], Iterable[Trunk]], lines: Callable[[], Mapping[str, tuple[Trunk, TrunkLine]]]
    ) -> None:
        """Until canceled. A store that is away is told what it missed when it is back, if it still holds."""
        while True:
            try:
                await self.look(tuple(trunks()))
                await self.keep_ladders(lines())
            except Unavailable:
                pass
            except Exception:
                log.exception("trunks not watched")
            await asyncio.sleep(LOOK_S)

    async def look(self, trunks: Sequence[Trunk]) -> None:
        """Once. Raises Unavailable."""
        dialers = await self._dialers()
        now = self._clock.now()
        self._seen = {
            trunk.id: standing(self._seen.get(trunk.id, {}), words_of(trunk_status(trunk, dialers, {})), now)
            for trunk in trunks
        }
        for trunk in trunks:
            if is_news(self._told.get(trunk.id, Told()), self._seen[trunk.id], now):
                await self._tell(trunk, dialers)

    async def _tell(self, trunk: Trunk, dialers: Sequence[Mapping[str, Any]]) -> None:
        """What we know may be old news: the record is asked first, and is right."""
        now, owner = self._clock.now(), f"{self._account}.{Mode.TEST if trunk.sandbox else Mode.LIVE}"
        while True:
            before = self._told[trunk.id] = await self._record.told(trunk.id)
            after, type = tell(before, self._seen[trunk.id], now)
            if after is before:
                return
            event = await self._event(trunk, dialers, after, type) if type else None
            hooks = self._deliveries(event) if event else ()
            if await self._record.tell(trunk.id, before, after, owner, event, hooks) and event:
                log.warning("trunk event", type=event.type, trunk_id=trunk.id, why=event.data["why"])

    async def _event(self, trunk: Trunk, dialers: Sequence[Mapping[str, Any]], after: Told, type: str) -> FeedEvent:
        now = self._clock.now()
        marks = await self._scores.marks(trunk.id, now - SCORED_OVER, now)
        data = {"trunk_id": trunk.id, "sequence": after.sequence, **trunk_status(trunk, dialers, marks, after)}
        return FeedEvent(ids.event_id(), type, after.aspects[-1].since, after.sequence, trunk.id, data)

    def _deliveries(self, event: FeedEvent) -> tuple[Delivery, ...]:
        if self._url is None:
            return ()
        body = envelope(event.type, event.at, event.data)
        return (Delivery(ids.delivery_id(), event.event_id, self._url, body),)

    # -- registrations

    async def keep_ladders(self, lines: Mapping[str, tuple[Trunk, TrunkLine]]) -> None:
        """Store what the registrars said since the last time. Raises Unavailable."""
        for trunk_id, (_, line) in lines.items():
            rows = line.registrar.ladder() if line.registrar is not None else ()
            if rows and rows != self._ladders.get(trunk_id):
                await self._record.save_ladder(trunk_id, as_json(ladder(rows)))
                self._ladders[trunk_id] = rows
