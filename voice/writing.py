"""The facts of one call, written in order, each until the store has it: a lost answer costs a repetition, no fact."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

import structlog

from messaging.errors import Unavailable
from voice.call_object import UTC_ZONE
from voice.calls import Call, Ending, Fact, IllegalMove, advance
from voice.messages import Message, Outcome
from voice.store import Applied, CallEvent, CallStore, Delivery, Intent, Verdict
from voice.telling import deliveries, event_of

log = structlog.get_logger(__name__)

AGAIN_FIRST_S, AGAIN_MOST_S = 0.05, 1.0  # between two tries of the same write


@dataclass(frozen=True, slots=True)
class Write:
    """One step, made once and repeated word for word."""

    before: Call
    after: Call
    event: CallEvent
    told: tuple[Delivery, ...]
    outcome: Outcome | None


class Stale(Exception):
    """Somebody else moved the call: we no longer hold it."""


class CallWriter:
    """Holds the call as it stands and the epoch it is written under. `wished` is told of every wish that comes back."""

    def __init__(
        self,
        store: CallStore,
        call: Call,
        message: Message,
        epoch: int,
        *,
        zone: tzinfo = UTC_ZONE,
        wished: Callable[[Intent], None] = lambda _: None,
        taken_away: Callable[[], None] = lambda: None,
    ) -> None:
        self.call = call
        self.message = message
        self.epoch = epoch
        self.stale = False
        self._store = store
        self._zone = zone
        self._wished = wished
        self._taken_away = taken_away
        self._waiting: asyncio.Queue[Write] = asyncio.Queue()

    def take(self, fact: Fact, outcome_of: Callable[[Call], Outcome] | None = None) -> bool:
        """The call moves now; the write follows in `run` or `flush`. False when the fact does not fit the state."""
        try:
            after = advance(self.call, fact)
        except IllegalMove as no:
            log.warning("fact ignored", call_id=self.call.call_id, fact=type(fact).__name__, why=str(no))
            return False
        event = event_of(after, fact)
        told = deliveries(after, self.message, event, self._zone)
        outcome = outcome_of(after) if outcome_of and isinstance(fact, Ending) else None
        self._waiting.put_nowait(Write(self.call, after, event, told, outcome))
        self.call = after
        return True

    async def run(self) -> None:
        """Write whatever is taken, for ever; ends by being canceled. Nothing is lost then: `flush` writes the rest."""
        while True:
            write = await self._waiting.get()
            try:
                await self._store_it(write)
            except asyncio.CancelledError:
                self._put_back(write)
                raise

    async def flush(self) -> None:
        """Returns when the store has everything that was taken. Raises Stale when it belongs to somebody else."""
        while not self._waiting.empty():
            write = self._waiting.get_nowait()
            try:
                await self._store_it(write)
            except asyncio.CancelledError:
                self._put_back(write)
                raise
        if self.stale:
            raise Stale(self.call.call_id)

    async def flush_within(self, seconds: float) -> bool:
        """True when the store has everything within the time; else what is left stays to be flushed."""
        try:
            async with asyncio.timeout(seconds):
                await self.flush()
        except TimeoutError:
            return False
        return True

    async def _store_it(self, write: Write) -> None:
        if self.stale:
            return
        pause_s = AGAIN_FIRST_S
        while True:
            try:
                applied = await self._apply(write)
            except Unavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(AGAIN_MOST_S, pause_s * 2)
                continue
            if applied.intent is not Intent.NONE:
                self._wished(applied.intent)
            if applied.verdict is Verdict.STALE:
                self.stale = True
                self._taken_away()
                log.error("call taken by another dialer", call_id=self.call.call_id, event_type=write.event.type)
            return

    async def _apply(self, write: Write) -> Applied:
        return await self._store.apply(write.before, write.after, self.epoch, write.event, write.told, write.outcome)

    def _put_back(self, write: Write) -> None:
        rest = [write]
        while not self._waiting.empty():
            rest.append(self._waiting.get_nowait())
        for one in rest:
            self._waiting.put_nowait(one)
