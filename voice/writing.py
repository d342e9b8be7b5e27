"""The facts of one call, written in order, each until the store has it: a lost answer costs a repetition, no fact."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

import structlog

from messaging.errors import Unavailable
from voice.call_object import UTC_ZONE
from voice.calls import Call, Ending, Fact, IllegalMove, advance
from voice.messages import Message, Outcome
from voice.store import CallEvent, CallStore, Delivery, Intent, Successor, Verdict
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
    successor: Successor | None


class Stale(Exception):
    """Somebody else moved the call: we no longer hold it."""


class CallWriter:
    """Holds the call as it stands and the epoch it is written under; a task of its own writes what was taken.

    A write in flight is never canceled: a canceled one may be carried out or not, and a client that loses the race
    between its answer and the cancellation swallows the latter. Who cannot wait stops waiting instead.
    `wished` is told of every wish that comes back, `taken_away` when the call belongs to somebody else.
    """

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
        self._waiting: deque[Write] = deque()
        self._writing: asyncio.Task[None] | None = None

    def take(
        self,
        fact: Fact,
        outcome_of: Callable[[Call], Outcome | None] | None = None,
        successor: Successor | None = None,
    ) -> bool:
        """The call moves now; the write follows. False when the fact does not fit the state.

        `outcome_of`, `successor`: with an ending only.
        """
        try:
            after = advance(self.call, fact)
        except IllegalMove as no:
            log.warning("fact ignored", call_id=self.call.call_id, fact=type(fact).__name__, why=str(no))
            return False
        event = event_of(after, fact)
        told = deliveries(after, self.message, event, self._zone)
        outcome = outcome_of(after) if outcome_of and isinstance(fact, Ending) else None
        self._waiting.append(Write(self.call, after, event, told, outcome, successor))
        self.call = after
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name=f"writing {self.call.call_id}")
        return True

    async def flush(self, within_s: float | None = None) -> bool:
        """True when the store has everything that was taken. False after `within_s`: the writing goes on.

        Raises Stale when the call belongs to somebody else.
        """
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=within_s)
            if not self._writing.done():
                return False
            self._writing.result()
        if self.stale:
            raise Stale(self.call.call_id)
        return True

    async def aclose(self) -> None:
        """Give up what is not written: for a process that leaves."""
        while self._writing is not None and not self._writing.done():
            self._writing.cancel()
            await asyncio.wait({self._writing}, timeout=AGAIN_MOST_S)

    async def _write(self) -> None:
        while self._waiting and not self.stale:
            await self._store_it(self._waiting[0])
            self._waiting.popleft()

    async def _store_it(self, write: Write) -> None:
        pause_s = AGAIN_FIRST_S
        while True:
            try:
                applied = await self._store.apply(
                    write.before, write.after, self.epoch, write.event, write.told, write.outcome, write.successor
                )
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
