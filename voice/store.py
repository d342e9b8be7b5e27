"""The CallStore port. `ValkeyCallStore` (store_valkey.py) and `MemoryCallStore` (store_memory.py) are its twins.

Both pass tests/contract/test_call_store.py: accept twice with one key = one message; an illegal or stale write is
refused; state, event and deliveries go in together or not at all; repeating any write changes nothing.

Every write is one script keyed by ids that the caller made, so a write whose answer was lost is simply sent again.
The client library never retries by itself. An unreachable or unsure server raises `messaging.errors.Unavailable`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from voice.calls import Call
from voice.messages import Message, Outcome, Recipient, Tally
from voice.scoreboard import Scores
from voice.seats import Seats

# A call past the point of no return whose lease ran out is first left to its own host, which may be back with a journal
# that knows the true result. With a lease of 15 s that keeps "final within 60 s".
ORPHAN_GRACE_S = 30.0


class Lane(StrEnum):
    """Calls that compete for the same lines wait in the same queue."""

    LIVE = "live"
    SANDBOX = "sandbox"

    @classmethod
    def of(cls, sandbox: bool) -> "Lane":
        return cls.SANDBOX if sandbox else cls.LIVE


class Intent(StrEnum):
    """What the API asks of a call that a dialer holds; the dialer obeys at its next step."""

    NONE = ""
    CANCEL = "cancel"  # before the answer: CANCEL; after: BYE


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened to a call: `type` is call.queued, call.dialing, … call.ended."""

    event_id: str
    type: str
    at: datetime
    sequence: int
    facts: dict[str, Any] = field(
        default_factory=dict
    )  # small: what voice/telling.py needs to tell the call's way again


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook to send: written in the same script as the event it tells (outbox)."""

    delivery_id: str
    event_id: str
    url: str
    body: str  # the exact bytes to sign and post, JSON
    format: str = "standard"


@dataclass(frozen=True, slots=True)
class Arrival:
    """`call` as it rings, held by `holder` under epoch 1. `message`: its own; None: `call.ref_id` is there already."""

    call: Call
    event: CallEvent
    message: Message | None = None
    deliveries: tuple[Delivery, ...] = ()


class Inbox(Protocol):
    async def receive(self, arrival: Arrival, holder: str, lease_s: float) -> bool:
        """False: its message is gone. Harmless when repeated. Raises Unavailable."""
        ...

    async def missed(self, number: str) -> Sequence[str]:
        """Call ids, the newest first. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Once:
    """An idempotency record: `key` is scoped already (owner, method, path, key), `fingerprint` is of the body."""

    key: str
    fingerprint: str
    status: int
    body: str  # the answer, to be replayed word for word


@dataclass(frozen=True, slots=True)
class Intake:
    """Everything one accepted request brings. One call per recipient, same order, `sequence` 1 (call.queued)."""

    message: Message
    calls: tuple[Call, ...]
    events: tuple[CallEvent, ...]  # one call.queued per call
    deliveries: tuple[tuple[Delivery, ...], ...] = ()  # per call; empty when nobody subscribed to call.queued
    once: Once | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """`replayed`: the request was accepted before; `status` and `body` are the first answer."""

    replayed: bool = False
    status: int | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one call. `epoch` fences: a write with an older epoch changes nothing."""

    call: Call
    message: Message
    epoch: int
    intent: Intent = Intent.NONE
    times_leased: int = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """A way to end, for counting: few enough of them to be labels of a metric."""

    lane: Lane
    status: str
    cause: str

    @classmethod
    def of(cls, call: Call) -> "Ended":
        return cls(Lane.of(call.sandbox), call.status.value, call.ending.cause if call.ending else "")


@dataclass(frozen=True, slots=True)
class Successor:
    """The next hop of a call that ends: a queued call of the same recipient, and what is told of it.

    It is stored in the script that stores the end, so there are both or none. When somebody canceled the call
    meanwhile, there is no next hop.
    """

    call: Call
    event: CallEvent
    deliveries: tuple[Delivery, ...] = ()


class Verdict(StrEnum):
    DONE = "done"
    ALREADY = "already"  # this very write was stored before (its answer was lost): as good as done
    STALE = "stale"  # somebody else moved the call: stop working on it


@dataclass(frozen=True, slots=True)
class Applied:
    verdict: Verdict
    intent: Intent = Intent.NONE


@dataclass(frozen=True, slots=True)
class Heard:
    """What the catch-all phone heard of a call (sandbox only)."""

    call_id: str
    to: str
    heard_s: float
    match: float | None  # -1..1, None when there is nothing to compare with
    level_dbfs: float | None
    digits: str
    recording: str | None  # path on the host of the phone
    at: datetime


@dataclass(frozen=True, slots=True)
class CallFilter:
    status: str | None = None
    hangup_cause: str | None = None
    answered_by: str | None = None
    to_number: str | None = None
    from_number: str | None = None
    ref_id: str | None = None
    client_reference: str | None = None
    trunk_id: str | None = None
    start_gte: datetime | None = None  # a call that was never dialled has no start and is not found by it
    start_lt: datetime | None = None
    created_gte: datetime | None = None
    created_lt: datetime | None = None


def matches(call: Call, which: CallFilter) -> bool:
    """One meaning of a filter for both stores."""
    cause = call.ending.cause if call.ending else None
    wanted = (
        (which.status, call.status),
        (which.hangup_cause, cause),
        (which.answered_by, call.answered_by),
        (which.to_number, call.to_number),
        (which.from_number, call.from_number),
        (which.ref_id, call.ref_id),
        (which.client_reference, call.client_reference),
        (which.trunk_id, call.trunk_id),
    )
    return (
        all(asked is None or asked == has for asked, has in wanted)
        and _within(call.start_at, which.start_gte, which.start_lt)
        and _within(call.created_at, which.created_gte, which.created_lt)
    )


def _within(moment: datetime | None, first: datetime | None, end: datetime | None) -> bool:
    if moment is None:
        return first is None and end is None
    return (first is None or moment >= first) and (end is None or moment < end)


@dataclass(frozen=True, slots=True)
class CallPage:
    calls: tuple[Call, ...]
    cursor: str | None  # call_id to continue before, or None at the end


class CallStore(Protocol):
    @property
    def seats(self) -> Seats: ...

    @property
    def inbox(self) -> Inbox: ...

    @property
    def scores(self) -> Scores: ...

    # -- the API writes intent
    async def accept(self, intake: Intake) -> Accepted:
        """All or nothing, in one script. Raises IdempotencyMismatch when the key was used with another body."""
        ...

    async def replay(self, once_key: str, fingerprint: str) -> Accepted | None:
        """The first answer to this key, before anything is validated twice; None when the key is new."""
        ...

    async def intend(self, call_id: str, intent: Intent) -> Call | None:
        """Leave a wish for whoever holds the call, and wake them. Harmless on a final call. The call as it stands."""
        ...

    async def intend_all(self, ref_id: str, intent: Intent) -> int:
        """`intend` for every call of the message that is not final; how many those were."""
        ...

    # -- the dialer writes facts
    async def lease(
        self, lane: Lane, holder: str, most: int, lease_s: float, campaigns_most: int | None = None
    ) -> Sequence[Lease]:
        """Due queued calls, alerts before campaigns, oldest first, the owners in turn; each gets epoch + 1. At most
        `campaigns_most` (None: all) of them from campaigns. Only queued ones, so a line is needed for each; what must
        be ended without a line comes by `overdue`."""
        ...

    async def extend(self, lane: Lane, held: Mapping[str, str | None], lease_s: float) -> Sequence[tuple[str, Intent]]:
        """Keep holding; answers with the wishes left for them. `held`: call id -> the trunk on which it has a seat."""
        ...

    async def release(self, lease: Lease, delay_s: float) -> None:
        """Give a queued call back, due again after `delay_s`."""
        ...

    async def wait(self, lane: Lane, timeout_s: float) -> None:
        """Return when a call may have become due or a wish was left, or after `timeout_s`."""
        ...

    async def apply(
        self,
        before: Call,
        after: Call,
        epoch: int,
        event: CallEvent,
        deliveries: Sequence[Delivery] = (),
        outcome: Outcome | None = None,
        successor: Successor | None = None,
    ) -> Applied:
        """Compare (status, sequence, epoch) with `before`; then `after`, the event, its deliveries, the recipient's
        outcome (given with a final state) and the message's tally in one script. Final: leaves the queue.
        With a `successor` the recipient stays pending, and it is queued at once."""
        ...

    async def overdue(self, lane: Lane, holder: str, most: int, lease_s: float) -> Sequence[Lease]:
        """Calls to be ended without a dial, leased to the caller, who writes the end: queued ones that nobody holds,
        past `valid_until` (expired) or with Intent.CANCEL (canceled); and calls beyond `queued` whose holder has
        not extended for ORPHAN_GRACE_S (worker_lost)."""
        ...

    async def save_trace(self, call_id: str, trace: str) -> None:
        """The SIP ladder (JSON), replaced as a whole."""
        ...

    async def save_heard(self, heard: Heard) -> None: ...

    # -- reading
    async def call(self, owner: str | None, call_id: str) -> Call | None:
        """None also when it belongs to somebody else. owner None: any (processes of ours)."""
        ...

    async def message(self, owner: str | None, ref_id: str) -> Message | None: ...

    async def tally(self, ref_id: str) -> Tally: ...

    async def recipients(self, ref_id: str, offset: int, limit: int) -> Sequence[Recipient]: ...

    async def calls(self, owner: str, which: CallFilter, before: str | None, limit: int) -> CallPage:
        """Newest first (call_id descending); `before` is the cursor of the last page."""
        ...

    async def events(self, call_id: str) -> Sequence[CallEvent]: ...

    def follow(self, call_id: str, after_sequence: int) -> AsyncIterator[CallEvent]:
        """Events as they happen, without a gap, ending after call.ended."""
        ...

    async def trace(self, call_id: str) -> str | None: ...

    async def heard(self, owner: str, to: str | None, call_id: str | None = None) -> Heard | None:
        """The latest; None when nothing was heard yet."""
        ...

    async def queued(self, lane: Lane) -> int: ...

    async def endings(self) -> Mapping["Ended", int]:
        """How many calls ended in which way, since this store was made; an operator's test calls left out."""
        ...
