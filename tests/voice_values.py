"""Messages, calls and intakes as the API would make them, for every test that needs a store with something in it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from media.prompt import Prompt
from messaging import ids
from voice.calls import Call, Dialed, Ending, Fact, Status, WasAnswered, advance
from voice.messages import Callback, Message, Outcome, Script
from voice.store import Applied, CallStore, Intake, Lane, Lease, Once
from voice.telling import deliveries, event_of, queued_event

V = TypeVar("V")

OWNER = "main.test"
LIVE = "main.live"
HOOK = Callback("https://hooks.example/voice", events=("call.queued", "call.ended"))


def now() -> datetime:
    return datetime.now(UTC)


def a_message(**changes: Any) -> Message:
    moment = now()
    fresh = Message(
        ref_id=ids.ref_id(),
        owner=OWNER,
        created_at=moment,
        sandbox=True,
        prompt=Prompt(text="Disk full on db-1"),
        script=Script(),
        due_at=moment - timedelta(milliseconds=5),
        valid_until=moment + timedelta(hours=1),
    )
    return replace(fresh, **changes)


def an_intake(numbers: int = 1, once: Once | None = None, **changes: Any) -> Intake:
    message = a_message(**changes)
    calls = tuple(
        Call(
            call_id=call_id,
            ref_id=message.ref_id,
            owner=message.owner,
            to_number=f"1202555{index:04d}",
            from_number="12025550199",
            created_at=message.created_at,
            sandbox=message.sandbox,
            sequence=1,
            recipient=index,
            client_reference=message.client_reference,
        )
        for index, call_id in enumerate(sorted(ids.call_id() for _ in range(numbers)))
    )
    events = tuple(queued_event(call) for call in calls)
    told = tuple(deliveries(call, message, event) for call, event in zip(calls, events, strict=True))
    return Intake(message, calls, events, told, once)


def dialed() -> Dialed:
    return Dialed(now(), trunk_id="sandbox", wire_to="12025550100", wire_from="12025550199")


def an_ending(status: Status = Status.COMPLETED, cause: str = "normal_clearing", **changes: Any) -> Ending:
    plain = Ending(now(), status, cause, 4000, "callee", None, "ok")
    return replace(plain, **changes)


async def step(
    store: CallStore, lease: Lease, call: Call, fact: Fact, outcome: Outcome | None = None
) -> tuple[Applied, Call]:
    """One fact written as the dialer writes it."""
    after = advance(call, fact)
    event = event_of(after, fact)
    told = deliveries(after, lease.message, event)
    return await store.apply(call, after, lease.epoch, event, told, outcome), after


async def one_lease(store: CallStore, lane: Lane = Lane.SANDBOX, lease_s: float = 15.0) -> Lease:
    (lease,) = await store.lease(lane, "dialer-1", 1, lease_s)
    return lease


async def a_missed_call(store: CallStore, status: Status = Status.BUSY, **changes: Any) -> tuple[Intake, Call]:
    """A live call that was dialled, and how it ended."""
    intake = an_intake(sandbox=False, owner=LIVE, **changes)
    await store.accept(intake)
    lease = await one_lease(store, Lane.LIVE)
    _, call = await step(store, lease, lease.call, dialed())
    outcome = Outcome.DELIVERED if status is Status.COMPLETED else Outcome.UNDELIVERED
    if status is Status.COMPLETED:
        _, call = await step(store, lease, call, WasAnswered(now()))
    _, call = await step(store, lease, call, an_ending(status, "user_busy"), outcome)
    return intake, call
