"""What every Inbox promises: calls that come in, and whom they may be about."""

from dataclasses import replace

import pytest

from messaging import ids
from tests.until import until
from tests.valkey import TestValkey
from tests.voice_values import (
    HOOK,
    LIVE,
    OWNER,
    a_message,
    a_missed_call,
    an_ending,
    an_intake,
    dialed,
    now,
    one_lease,
    step,
)
from voice.calls import Call, CameIn, Direction, Status, WasAnswered, advance
from voice.inbox import MISSED_MOST
from voice.messages import Message, Outcome
from voice.store import Arrival, CallStore, Lane, Lease, Verdict
from voice.store_memory import MemoryCallStore
from voice.store_valkey import ValkeyCallStore
from voice.telling import deliveries, event_of, retold

GRACE_S = 0.2
LEASE_S = 15.0


@pytest.fixture(params=["memory", "valkey"])
def store(request: pytest.FixtureRequest) -> CallStore:
    if request.param == "memory":
        return MemoryCallStore(orphan_grace_s=GRACE_S)
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyCallStore(server.redis, server.blocking, server.prefix, orphan_grace_s=GRACE_S)


def arrival(message: Message, *, recipient: int = 0, is_new: bool = False) -> Arrival:
    moment = now()
    fact = CameIn(moment, "sandbox", "2347080670000", "12025550000", "rings back")
    call = Call(
        call_id=ids.call_id(),
        ref_id=message.ref_id,
        owner=message.owner,
        to_number="2347080670000",
        from_number="12025550000",
        created_at=moment,
        sandbox=False,
        direction=Direction.INBOUND,
        recipient=recipient,
    )
    call = advance(call, fact)
    event = event_of(call, fact)
    return Arrival(call, event, message if is_new else None, deliveries(call, message, event))


async def test_a_call_that_did_not_reach_anybody_is_found_by_its_number(store: CallStore) -> None:
    _, call = await a_missed_call(store)

    assert list(await store.inbox.missed(call.to_number)) == [call.call_id]
    assert list(await store.inbox.missed("12025550001")) == []


async def test_one_that_was_heard_is_not(store: CallStore) -> None:
    _, call = await a_missed_call(store, Status.COMPLETED)

    assert list(await store.inbox.missed(call.to_number)) == []


async def test_the_newest_stand_first_and_not_too_many_are_kept(store: CallStore) -> None:
    calls = [(await a_missed_call(store))[1].call_id for _ in range(MISSED_MOST + 2)]

    assert sorted(await store.inbox.missed("12025550000")) == sorted(calls[2:])


async def test_a_sandbox_call_is_never_rung_back_about(store: CallStore) -> None:
    intake = an_intake()
    await store.accept(intake)
    lease = await one_lease(store)
    _, call = await step(store, lease, lease.call, dialed())
    await step(store, lease, call, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)

    assert list(await store.inbox.missed(call.to_number)) == []


async def test_a_call_that_came_in_joins_its_message_and_may_deliver_it(store: CallStore) -> None:
    intake, _ = await a_missed_call(store)
    came = arrival(intake.message)

    assert await store.inbox.receive(came, "us", LEASE_S)
    assert await store.inbox.receive(came, "us", LEASE_S)  # its answer was lost

    assert await store.call(LIVE, came.call.call_id) == came.call
    (recipient,) = await store.recipients(intake.message.ref_id, 0, 10)
    assert recipient.call_ids == (intake.calls[0].call_id, came.call.call_id)
    assert await store.queued(Lane.LIVE) == 0
    assert await store.lease(Lane.LIVE, "another", 5, LEASE_S) == []
    lease = Lease(came.call, intake.message, 1)
    _, call = await step(store, lease, came.call, WasAnswered(now()))
    applied, call = await step(store, lease, call, an_ending(), Outcome.DELIVERED)
    assert applied.verdict is Verdict.DONE
    tally = await store.tally(intake.message.ref_id)
    assert tally.by_outcome == {Outcome.DELIVERED: 1}
    assert [told.call.status for told in retold(call, await store.events(call.call_id))] == [
        Status.RINGING,
        Status.ANSWERED,
        Status.COMPLETED,
    ]


async def test_who_did_not_hear_it_this_time_is_no_worse_off(store: CallStore) -> None:
    intake, _ = await a_missed_call(store)
    came = arrival(intake.message)
    await store.inbox.receive(came, "us", LEASE_S)

    await step(store, Lease(came.call, intake.message, 1), came.call, an_ending(Status.CANCELED, "remote_cancel"))

    assert (await store.tally(intake.message.ref_id)).by_outcome == {Outcome.UNDELIVERED: 1}


async def test_what_was_heard_stays_heard(store: CallStore) -> None:
    intake, _ = await a_missed_call(store)
    first, second = arrival(intake.message), arrival(intake.message)
    for came in (first, second):
        await store.inbox.receive(came, "us", LEASE_S)

    for came, outcome in ((first, Outcome.DELIVERED), (second, Outcome.UNDELIVERED)):
        lease = Lease(came.call, intake.message, 1)
        _, call = await step(store, lease, came.call, WasAnswered(now()))
        await step(store, lease, call, an_ending(), outcome)

    assert (await store.tally(intake.message.ref_id)).by_outcome == {Outcome.DELIVERED: 1}


async def test_a_caller_may_bring_a_message_of_his_own(store: CallStore) -> None:
    message = replace(a_message(sandbox=False), owner=LIVE, callbacks=(HOOK,))
    came = arrival(message, is_new=True)

    assert await store.inbox.receive(came, "us", LEASE_S)

    assert await store.message(LIVE, message.ref_id) == message
    (recipient,) = await store.recipients(message.ref_id, 0, 10)
    assert (recipient.to_number, recipient.outcome) == ("12025550000", Outcome.PENDING)
    assert await store.call(OWNER, came.call.call_id) is None


async def test_a_message_that_is_gone_cannot_be_joined(store: CallStore) -> None:
    assert not await store.inbox.receive(arrival(a_message(sandbox=False)), "us", LEASE_S)


async def test_when_its_holder_dies_somebody_ends_the_call(store: CallStore) -> None:
    intake, _ = await a_missed_call(store)
    came = arrival(intake.message)
    await store.inbox.receive(came, "us", 0.05)

    (lease,) = await until(lambda: store.overdue(Lane.LIVE, "another", 5, LEASE_S))

    assert (lease.call, lease.epoch) == (came.call, 2)


async def test_its_holder_keeps_it_by_saying_so(store: CallStore) -> None:
    intake, _ = await a_missed_call(store)
    came = arrival(intake.message)
    await store.inbox.receive(came, "us", 0.05)

    held = await store.extend(Lane.LIVE, {came.call.call_id: "sandbox"}, LEASE_S)

    assert [call_id for call_id, _ in held] == [came.call.call_id]
    assert await store.overdue(Lane.LIVE, "another", 5, LEASE_S) == []
