"""What every CallStore promises: the twin in memory and the one in Valkey pass the same sentences."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from messaging.errors import IdempotencyMismatch
from sip.trunk import Failover
from tests.until import time_passes, until
from tests.valkey import TestValkey
from tests.voice_values import HOOK, OWNER, an_ending, an_intake, dialed, now, one_lease, step
from voice.call_object import UTC_ZONE
from voice.calls import Call, Ending, KeyPressed, NotDialed, Rang, Status, WasAnswered, advance
from voice.failover import next_hop
from voice.messages import MessageStatus, Outcome
from voice.store import Accepted, CallFilter, CallStore, Ended, Heard, Intent, Lane, Lease, Once, Successor, Verdict
from voice.store_memory import MemoryCallStore
from voice.store_valkey import ValkeyCallStore
from voice.telling import deliveries, event_of, retold

GRACE_S = 0.2
ONCE = Once("main.test:POST:/v1/sendvoice:k1", "print-of-the-body", 200, '{"ref_id":"first"}')


@pytest.fixture(params=["memory", "valkey"])
def store(request: pytest.FixtureRequest) -> CallStore:
    if request.param == "memory":
        return MemoryCallStore(orphan_grace_s=GRACE_S)
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyCallStore(server.redis, server.blocking, server.prefix, orphan_grace_s=GRACE_S)


# -- accept


async def test_what_was_accepted_can_be_read_back(store: CallStore) -> None:
    intake = an_intake(3, callbacks=(HOOK,), client_reference="order-7")

    assert await store.accept(intake) == Accepted()

    assert await store.message(OWNER, intake.message.ref_id) == intake.message
    assert [await store.call(OWNER, call.call_id) for call in intake.calls] == list(intake.calls)
    assert await store.events(intake.calls[0].call_id) == (intake.events[0],)
    recipients = await store.recipients(intake.message.ref_id, 0, 10)
    assert [(one.index, one.to_number, one.call_ids) for one in recipients] == [
        (call.recipient, call.to_number, (call.call_id,)) for call in intake.calls
    ]
    tally = await store.tally(intake.message.ref_id)
    assert (tally.total, tally.pending, tally.status) == (3, 3, MessageStatus.ACCEPTED)
    assert await store.queued(Lane.SANDBOX) == 3
    assert await store.queued(Lane.LIVE) == 0


async def test_the_same_intake_twice_is_one_message(store: CallStore) -> None:
    intake = an_intake(2, once=ONCE)

    await store.accept(intake)
    again = await store.accept(intake)

    assert again == Accepted(replayed=True, status=200, body=ONCE.body)
    assert await store.queued(Lane.SANDBOX) == 2
    assert len(await store.events(intake.calls[0].call_id)) == 1


async def test_an_intake_without_a_key_repeated_after_a_lost_reply_is_one_message(store: CallStore) -> None:
    intake = an_intake(2)

    await store.accept(intake)
    await store.accept(intake)

    assert await store.queued(Lane.SANDBOX) == 2
    assert len(await store.recipients(intake.message.ref_id, 0, 10)) == 2


async def test_one_key_brings_one_message_however_many_come_at_once(store: CallStore) -> None:
    answers = await asyncio.gather(*(store.accept(an_intake(1, once=ONCE)) for _ in range(50)))

    assert [answer.replayed for answer in answers].count(False) == 1
    assert {answer.body for answer in answers if answer.replayed} == {ONCE.body}
    assert await store.queued(Lane.SANDBOX) == 1


async def test_a_used_key_with_another_body_is_refused_and_stores_nothing(store: CallStore) -> None:
    await store.accept(an_intake(1, once=ONCE))

    with pytest.raises(IdempotencyMismatch):
        await store.accept(an_intake(1, once=replace(ONCE, fingerprint="another")))
    with pytest.raises(IdempotencyMismatch):
        await store.replay(ONCE.key, "another")

    assert await store.queued(Lane.SANDBOX) == 1


async def test_a_key_is_replayed_word_for_word_and_a_new_key_is_not(store: CallStore) -> None:
    await store.accept(an_intake(1, once=ONCE))

    assert await store.replay(ONCE.key, ONCE.fingerprint) == Accepted(True, 200, ONCE.body)
    assert await store.replay("another", ONCE.fingerprint) is None


# -- whose is it


async def test_nobody_reads_what_belongs_to_somebody_else(store: CallStore) -> None:
    intake = an_intake(1)
    await store.accept(intake)
    call_id, ref_id = intake.calls[0].call_id, intake.message.ref_id

    assert await store.call("other.test", call_id) is None
    assert await store.message("other.test", ref_id) is None
    assert (await store.calls("other.test", CallFilter(), None, 10)).calls == ()
    assert await store.call(None, call_id) == intake.calls[0]
    assert await store.message(None, ref_id) == intake.message


async def test_a_message_remembers_that_all_of_it_is_to_be_canceled(store: CallStore) -> None:
    intake = an_intake(2)
    await store.accept(intake)
    ref_id = intake.message.ref_id

    await store.intend(intake.calls[0].call_id, Intent.CANCEL)
    one = await store.tally(ref_id)
    await store.intend_all(ref_id, Intent.CANCEL)
    all_of_it = await store.tally(ref_id)
    await store.intend_all(ref_id, Intent.NONE)
    taken_back = await store.tally(ref_id)

    assert (one.canceling, all_of_it.canceling, taken_back.canceling) == (False, True, False)
    assert all_of_it.status is MessageStatus.ACCEPTED


# -- lease


async def test_a_lease_is_held_by_one_and_fenced_by_its_epoch(store: CallStore) -> None:
    await store.accept(an_intake(1))

    lease = await one_lease(store)

    assert (lease.epoch, lease.times_leased, lease.intent) == (1, 1, Intent.NONE)
    assert await store.lease(Lane.SANDBOX, "dialer-2", 5, 15.0) == []


async def test_a_lapsed_lease_is_taken_again_with_the_next_epoch(store: CallStore) -> None:
    await store.accept(an_intake(1))
    first = await one_lease(store, lease_s=0.02)

    (second,) = await until(lambda: store.lease(Lane.SANDBOX, "dialer-2", 1, 15.0))

    assert (second.epoch, second.times_leased) == (2, 2)
    applied, _ = await step(store, first, first.call, dialed())
    assert applied.verdict is Verdict.STALE


async def test_an_extended_lease_does_not_lapse(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store, lease_s=0.05)

    wishes = await store.extend(Lane.SANDBOX, dict.fromkeys([lease.call.call_id, "call_" + "0" * 26]), 15.0)
    await time_passes(0.1)

    assert list(wishes) == [(lease.call.call_id, Intent.NONE)]
    assert await store.lease(Lane.SANDBOX, "dialer-2", 1, 15.0) == []


async def test_a_released_call_comes_back_after_its_delay_and_was_not_to_blame(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)

    await store.release(lease, 0.05)
    await store.release(lease, 0.05)  # a repeat changes nothing
    at_once = await store.lease(Lane.SANDBOX, "dialer-1", 1, 15.0)
    (again,) = await until(lambda: store.lease(Lane.SANDBOX, "dialer-1", 1, 15.0))

    assert at_once == []
    assert (again.epoch, again.times_leased) == (2, 1)


async def test_calls_of_a_message_are_taken_in_the_order_of_their_recipients(store: CallStore) -> None:
    intake = an_intake(20)
    await store.accept(intake)

    taken = [*await store.lease(Lane.SANDBOX, "d", 12, 15.0), *await store.lease(Lane.SANDBOX, "d", 12, 15.0)]

    assert [lease.call.recipient for lease in taken] == list(range(20))
    assert all(lease.message == intake.message for lease in taken)


async def test_a_small_owner_does_not_wait_behind_a_large_one(store: CallStore) -> None:
    await store.accept(an_intake(50, owner="large.test"))
    await store.accept(an_intake(2, owner="small.test"))

    owners = [lease.call.owner for lease in await store.lease(Lane.SANDBOX, "d", 3, 15.0)]
    owners += [lease.call.owner for lease in await store.lease(Lane.SANDBOX, "d", 1, 15.0)]

    assert sorted(owners) == ["large.test", "large.test", "small.test", "small.test"]


async def test_a_call_for_later_is_not_due_now(store: CallStore) -> None:
    await store.accept(an_intake(1, due_at=now() + timedelta(milliseconds=120)))

    at_once = await store.lease(Lane.SANDBOX, "d", 1, 15.0)
    later = await until(lambda: store.lease(Lane.SANDBOX, "d", 1, 15.0))

    assert (len(at_once), len(later)) == (0, 1)


async def test_lanes_do_not_mix(store: CallStore) -> None:
    await store.accept(an_intake(1, sandbox=False, owner="main.live"))

    assert await store.lease(Lane.SANDBOX, "d", 5, 15.0) == []
    assert len(await store.lease(Lane.LIVE, "d", 5, 15.0)) == 1


async def test_waiting_ends_when_a_call_is_accepted_and_misses_none(store: CallStore) -> None:
    await store.wait(Lane.SANDBOX, 0.01)
    waiting = asyncio.create_task(store.wait(Lane.SANDBOX, 10.0))
    await asyncio.sleep(0)

    await store.accept(an_intake(1))
    await asyncio.wait_for(waiting, 2.0)
    await store.accept(an_intake(1))

    await asyncio.wait_for(store.wait(Lane.SANDBOX, 10.0), 2.0)


# -- apply


async def test_a_fact_brings_state_event_and_deliveries_together(store: CallStore) -> None:
    intake = an_intake(1, callbacks=(HOOK,))
    await store.accept(intake)
    lease = await one_lease(store)
    call = lease.call
    seen = [call]

    for fact in (dialed(), Rang(now()), WasAnswered(now(), "PCMA"), KeyPressed(now(), "1")):
        applied, call = await step(store, lease, call, fact)
        seen.append(call)
        assert applied.verdict is Verdict.DONE
    applied, call = await step(store, lease, call, an_ending(), Outcome.DELIVERED)
    seen.append(call)

    assert applied.verdict is Verdict.DONE
    assert await store.call(OWNER, call.call_id) == call
    events = await store.events(call.call_id)
    assert [event.type for event in events] == [
        "call.queued",
        "call.dialing",
        "call.ringing",
        "call.answered",
        "call.dtmf",
        "call.ended",
    ]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]
    assert events[4].facts == {"digit": "1"}
    assert [one.call for one in retold(call, events)] == seen


async def test_the_same_write_twice_is_already_done(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    fact = dialed()
    after = advance(lease.call, fact)
    event = event_of(after, fact)

    first = await store.apply(lease.call, after, lease.epoch, event)
    second = await store.apply(lease.call, after, lease.epoch, event)

    assert (first.verdict, second.verdict) == (Verdict.DONE, Verdict.ALREADY)
    assert len(await store.events(after.call_id)) == 2


async def test_a_write_from_an_older_state_changes_nothing(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    _, dialing = await step(store, lease, lease.call, dialed())

    applied, _ = await step(store, lease, lease.call, an_ending(Status.CANCELED, "canceled_by_api"))

    assert applied.verdict is Verdict.STALE
    assert await store.call(None, dialing.call_id) == dialing


async def test_a_final_state_never_changes(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    _, dialing = await step(store, lease, lease.call, dialed())
    _, busy = await step(store, lease, dialing, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)

    late = an_ending(Status.NO_ANSWER, "ring_timeout")
    applied, _ = await step(store, lease, dialing, late, Outcome.UNDELIVERED)

    assert applied.verdict is Verdict.STALE
    assert await store.call(None, busy.call_id) == busy
    assert await store.queued(Lane.SANDBOX) == 0
    assert (await store.tally(busy.ref_id)).by_outcome == {Outcome.UNDELIVERED: 1}


async def test_a_call_no_line_was_free_for_is_queued_again(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    _, dialing = await step(store, lease, lease.call, dialed())

    _, queued = await step(store, lease, dialing, NotDialed(now()))
    await store.release(replace(lease, call=queued), 0.0)
    (again,) = await store.lease(Lane.SANDBOX, "dialer-2", 1, 15.0)

    assert again.call == queued
    assert (again.call.status, again.call.sequence, again.epoch) == (Status.QUEUED, 3, 2)


async def test_outcomes_add_up_to_what_was_accepted(store: CallStore) -> None:
    intake = an_intake(3)
    await store.accept(intake)
    leases = await store.lease(Lane.SANDBOX, "d", 3, 15.0)
    ref_id = intake.message.ref_id

    _, dialing = await step(store, leases[0], leases[0].call, dialed())
    processing = await store.tally(ref_id)
    await step(store, leases[0], dialing, an_ending(Status.NO_ANSWER, "ring_timeout"), Outcome.UNDELIVERED)
    for lease in leases[1:]:
        await step(store, lease, lease.call, an_ending(Status.CANCELED, "canceled_by_api"), Outcome.CANCELED)
    finished = await store.tally(ref_id)

    assert processing.status is MessageStatus.PROCESSING
    assert finished.by_outcome == {Outcome.UNDELIVERED: 1, Outcome.CANCELED: 2}
    assert (finished.total, finished.pending, finished.status) == (3, 0, MessageStatus.FINISHED)
    outcomes = [one.outcome for one in await store.recipients(ref_id, 0, 10)]
    assert outcomes == [Outcome.UNDELIVERED, Outcome.CANCELED, Outcome.CANCELED]
    assert [one.index for one in await store.recipients(ref_id, 1, 1)] == [1]


# -- the next hop


async def _dialing(store: CallStore) -> tuple[Lease, Call]:
    await store.accept(an_intake(2, callbacks=(HOOK,)))
    lease = await one_lease(store)
    _, call = await step(store, lease, lease.call, dialed())
    return lease, call


async def _end(
    store: CallStore, lease: Lease, call: Call, ending: Ending, following: Successor, times: int = 1
) -> list[Verdict]:
    after = advance(call, ending)
    event = event_of(after, ending)
    told = deliveries(after, lease.message, event)
    return [
        (await store.apply(call, after, lease.epoch, event, told, Outcome.UNDELIVERED, following)).verdict
        for _ in range(times)
    ]


async def test_a_next_hop_is_stored_with_the_end_and_the_recipient_waits_for_it(store: CallStore) -> None:
    lease, call = await _dialing(store)
    following = next_hop(
        call, an_ending(Status.FAILED, "trunk_failure", again="next_trunk"), lease.message, Failover(), now(), UTC_ZONE
    )

    verdicts = await _end(store, lease, call, an_ending(Status.FAILED, "trunk_failure"), following, times=2)

    assert verdicts == [Verdict.DONE, Verdict.ALREADY]
    assert await store.call(OWNER, following.call.call_id) == following.call
    assert [event.type for event in await store.events(following.call.call_id)] == ["call.queued"]
    first, other = await store.recipients(call.ref_id, 0, 10)
    assert (first.outcome, first.call_ids) == (Outcome.PENDING, (call.call_id, following.call.call_id))
    assert (other.outcome, len(other.call_ids)) == (Outcome.PENDING, 1)
    assert (await store.tally(call.ref_id)).by_outcome == {Outcome.PENDING: 2}
    assert following.call.call_id in {one.call_id for one in (await store.calls(OWNER, CallFilter(), None, 9)).calls}
    leases = {one.call.call_id: one for one in await store.lease(Lane.SANDBOX, "d", 9, 15.0)}
    assert len(leases) == 2
    next_lease = leases[following.call.call_id]
    assert (next_lease.epoch, next_lease.message) == (1, lease.message)

    _, second = await step(store, next_lease, following.call, dialed())
    await step(store, next_lease, second, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)
    assert (await store.tally(call.ref_id)).by_outcome == {Outcome.PENDING: 1, Outcome.UNDELIVERED: 1}


async def test_a_stale_end_brings_no_next_hop(store: CallStore) -> None:
    lease, call = await _dialing(store)
    following = next_hop(
        call, an_ending(Status.FAILED, "trunk_failure", again="next_trunk"), lease.message, Failover(), now(), UTC_ZONE
    )

    verdicts = await _end(store, replace(lease, epoch=9), call, an_ending(Status.FAILED, "trunk_failure"), following)

    assert verdicts == [Verdict.STALE]
    assert await store.call(OWNER, following.call.call_id) is None
    assert (await store.recipients(call.ref_id, 0, 1))[0].call_ids == (call.call_id,)


async def test_a_call_canceled_meanwhile_has_no_next_hop(store: CallStore) -> None:
    lease, call = await _dialing(store)
    following = next_hop(
        call, an_ending(Status.FAILED, "trunk_failure", again="next_trunk"), lease.message, Failover(), now(), UTC_ZONE
    )
    await store.intend(call.call_id, Intent.CANCEL)

    await _end(store, lease, call, an_ending(Status.FAILED, "trunk_failure"), following)

    assert await store.call(OWNER, following.call.call_id) is None
    assert (await store.tally(call.ref_id)).by_outcome == {Outcome.PENDING: 1, Outcome.UNDELIVERED: 1}


async def test_a_next_hop_that_found_no_trunk_in_its_time_is_overdue(store: CallStore) -> None:
    lease, call = await _dialing(store)
    soon = Failover(total_budget_ms=150)
    following = next_hop(
        call, an_ending(Status.FAILED, "trunk_failure", again="next_trunk"), lease.message, soon, now(), UTC_ZONE
    )
    await _end(store, lease, call, an_ending(Status.FAILED, "trunk_failure"), following)

    (late,) = await until(lambda: store.overdue(Lane.SANDBOX, "d", 5, 15.0))

    assert late.call == following.call


async def test_canceling_the_message_reaches_the_next_hop(store: CallStore) -> None:
    lease, call = await _dialing(store)
    following = next_hop(
        call, an_ending(Status.FAILED, "trunk_failure", again="next_trunk"), lease.message, Failover(), now(), UTC_ZONE
    )
    await _end(store, lease, call, an_ending(Status.FAILED, "trunk_failure"), following)

    assert await store.intend_all(call.ref_id, Intent.CANCEL) == 2
    overdue = [one.call.call_id for one in await store.overdue(Lane.SANDBOX, "d", 5, 15.0)]
    assert following.call.call_id in overdue


async def test_each_end_is_counted_once_by_lane_status_and_cause(store: CallStore) -> None:
    await store.accept(an_intake(3))
    leases = await store.lease(Lane.SANDBOX, "d", 3, 15.0)
    busy = an_ending(Status.BUSY, "user_busy")
    for lease in leases[:2]:
        _, dialing = await step(store, lease, lease.call, dialed())
        after = advance(dialing, busy)
        for _ in range(2):  # the answer to the first was lost
            await store.apply(dialing, after, lease.epoch, event_of(after, busy), (), Outcome.UNDELIVERED)
    await step(store, leases[2], leases[2].call, an_ending(Status.CANCELED, "canceled_by_api"), Outcome.CANCELED)

    assert await store.endings() == {
        Ended(Lane.SANDBOX, "busy", "user_busy"): 2,
        Ended(Lane.SANDBOX, "canceled", "canceled_by_api"): 1,
    }


async def test_the_end_of_a_test_call_is_not_counted(store: CallStore) -> None:
    intake = an_intake(1)
    await store.accept(replace(intake, calls=(replace(intake.calls[0], test=True),)))
    lease = await one_lease(store)
    _, call = await step(store, lease, lease.call, an_ending(Status.CANCELED, "canceled_by_api"), Outcome.CANCELED)

    assert call.test
    assert await store.endings() == {}
    assert (await store.tally(call.ref_id)).by_outcome == {Outcome.CANCELED: 1}


async def test_a_message_whose_calls_were_all_canceled_is_canceled(store: CallStore) -> None:
    intake = an_intake(2)
    await store.accept(intake)

    assert await store.intend_all(intake.message.ref_id, Intent.CANCEL) == 2
    for lease in await store.overdue(Lane.SANDBOX, "d", 10, 15.0):
        await step(store, lease, lease.call, an_ending(Status.CANCELED, "canceled_by_api"), Outcome.CANCELED)

    assert (await store.tally(intake.message.ref_id)).status is MessageStatus.CANCELED
    assert await store.intend_all(intake.message.ref_id, Intent.CANCEL) == 0


# -- wishes, and calls to be ended without a dial


async def test_a_wish_reaches_whoever_holds_the_call_by_each_way(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    call_id = lease.call.call_id

    left = await store.intend(call_id, Intent.CANCEL)

    assert left == lease.call
    assert list(await store.extend(Lane.SANDBOX, {call_id: None}, 15.0)) == [(call_id, Intent.CANCEL)]
    applied, _ = await step(store, lease, lease.call, dialed())
    assert (applied.verdict, applied.intent) == (Verdict.DONE, Intent.CANCEL)


async def test_a_wish_wakes_the_dialer(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    await store.wait(Lane.SANDBOX, 0.01)
    waiting = asyncio.create_task(store.wait(Lane.SANDBOX, 10.0))

    await store.intend(lease.call.call_id, Intent.CANCEL)

    await asyncio.wait_for(waiting, 2.0)


async def test_a_wish_for_a_final_call_or_an_unknown_one_is_harmless(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    _, final = await step(store, lease, lease.call, an_ending(Status.CANCELED, "x"), Outcome.CANCELED)

    assert await store.intend(final.call_id, Intent.CANCEL) == final
    assert await store.intend("call_" + "0" * 26, Intent.CANCEL) is None
    assert await store.call(None, final.call_id) == final


async def test_a_canceled_queued_call_is_overdue_at_once_even_when_meant_for_next_week(store: CallStore) -> None:
    week = now() + timedelta(days=7)
    intake = an_intake(1, due_at=week, valid_until=week + timedelta(hours=1))
    await store.accept(intake)
    assert await store.overdue(Lane.SANDBOX, "d", 10, 15.0) == []

    await store.intend(intake.calls[0].call_id, Intent.CANCEL)
    (lease,) = await store.overdue(Lane.SANDBOX, "d", 10, 15.0)

    assert (lease.intent, lease.epoch, lease.call.status) == (Intent.CANCEL, 1, Status.QUEUED)
    assert await store.overdue(Lane.SANDBOX, "d", 10, 15.0) == []


async def test_a_wish_that_is_taken_back_leaves_the_call_queued(store: CallStore) -> None:
    intake = an_intake(1)
    await store.accept(intake)

    await store.intend(intake.calls[0].call_id, Intent.CANCEL)
    await store.intend(intake.calls[0].call_id, Intent.NONE)

    assert await store.overdue(Lane.SANDBOX, "d", 10, 15.0) == []
    assert (await one_lease(store)).intent is Intent.NONE


async def test_a_queued_call_past_its_validity_is_overdue(store: CallStore) -> None:
    await store.accept(an_intake(1, valid_until=now() - timedelta(seconds=1)))

    (lease,) = await store.overdue(Lane.SANDBOX, "d", 10, 15.0)
    applied, _ = await step(store, lease, lease.call, an_ending(Status.EXPIRED, "validity_expired"), Outcome.EXPIRED)

    assert applied.verdict is Verdict.DONE
    assert await store.queued(Lane.SANDBOX) == 0


async def test_a_held_call_is_left_to_its_holder_when_its_validity_passes(store: CallStore) -> None:
    await store.accept(an_intake(1, valid_until=now() - timedelta(seconds=1)))
    await one_lease(store)

    assert await store.overdue(Lane.SANDBOX, "dialer-2", 10, 15.0) == []


async def test_a_dialled_call_without_a_holder_is_overdue_and_never_leased(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store, lease_s=0.05)
    _, dialing = await step(store, lease, lease.call, dialed())

    (orphan,) = await until(lambda: store.overdue(Lane.SANDBOX, "dialer-2", 10, 15.0))

    assert (orphan.call, orphan.epoch) == (dialing, 2)
    assert await store.lease(Lane.SANDBOX, "dialer-2", 10, 15.0) == []
    assert await store.overdue(Lane.SANDBOX, "dialer-3", 10, 15.0) == []


async def test_a_dialled_call_that_is_extended_is_nobody_elses(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store, lease_s=0.05)
    await step(store, lease, lease.call, dialed())

    await store.extend(Lane.SANDBOX, {lease.call.call_id: None}, 15.0)
    await time_passes(0.35)

    assert await store.overdue(Lane.SANDBOX, "dialer-2", 10, 15.0) == []


# -- reading


async def test_pages_are_newest_first_and_complete(store: CallStore) -> None:
    made = [an_intake(3) for _ in range(4)]
    for intake in made:
        await store.accept(intake)
    expected = sorted((call.call_id for intake in made for call in intake.calls), reverse=True)

    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = await store.calls(OWNER, CallFilter(), cursor, 5)
        seen += [call.call_id for call in page.calls]
        cursor = page.cursor

    assert seen == expected
    assert cursor is None


async def test_a_filter_finds_the_rare_one_among_many(store: CallStore) -> None:
    many, rare = an_intake(60), an_intake(2, client_reference="rare")
    await store.accept(rare)
    await store.accept(many)
    wanted = rare.calls[0]

    by_reference = await store.calls(OWNER, CallFilter(client_reference="rare"), None, 25)
    by_message = await store.calls(OWNER, CallFilter(ref_id=wanted.ref_id, to_number=wanted.to_number), None, 1)
    none = await store.calls(OWNER, CallFilter(status="busy"), None, 25)

    assert {call.call_id for call in by_reference.calls} == {call.call_id for call in rare.calls}
    assert by_message.calls == (wanted,)
    assert (none.calls, none.cursor) == ((), None)


async def test_calls_are_found_by_their_start_and_by_who_answered(store: CallStore) -> None:
    await store.accept(an_intake(3))
    lease = await one_lease(store)
    fact = dialed()
    _, dialing = await step(store, lease, lease.call, fact)
    _, answered = await step(store, lease, dialing, WasAnswered(fact.at))
    later = fact.at + timedelta(seconds=1)

    async def found(**which: Any) -> list[str]:
        return [call.call_id for call in (await store.calls(OWNER, CallFilter(**which), None, 25)).calls]

    for which in ({"answered_by": "unknown"}, {"start_gte": fact.at}, {"start_lt": later}):
        assert await found(**which) == [answered.call_id]
    for which in ({"answered_by": "machine"}, {"start_gte": later}, {"start_lt": fact.at}):
        assert await found(**which) == []


async def test_following_a_call_misses_no_event_and_ends_with_it(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    _, dialing = await step(store, lease, lease.call, dialed())
    seen: list[str] = []

    async def follow() -> None:
        async for event in store.follow(lease.call.call_id, 1):
            seen.append(event.type)

    following = asyncio.create_task(follow())
    _, ringing = await step(store, lease, dialing, Rang(now()))
    await step(store, lease, ringing, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)
    await asyncio.wait_for(following, 5.0)

    assert seen == ["call.dialing", "call.ringing", "call.ended"]
    assert [event.type async for event in store.follow(lease.call.call_id, 4)] == []
    assert [event async for event in store.follow("call_" + "0" * 26, 0)] == []


async def test_the_ladder_is_kept_as_a_whole(store: CallStore) -> None:
    intake = an_intake(1)
    await store.accept(intake)
    call_id = intake.calls[0].call_id

    assert await store.trace(call_id) is None
    await store.save_trace(call_id, '["INVITE"]')
    await store.save_trace(call_id, '["INVITE","200"]')

    assert await store.trace(call_id) == '["INVITE","200"]'


async def test_the_latest_thing_heard_is_found_by_owner_number_and_call(store: CallStore) -> None:
    intake = an_intake(2)
    await store.accept(intake)
    first, second = (
        Heard(call.call_id, call.to_number, 3.5, 0.97, -20.0, "1", "/recordings/a.wav", now()) for call in intake.calls
    )
    assert await store.heard(OWNER, None) is None

    await store.save_heard(first)
    await store.save_heard(second)

    assert await store.heard(OWNER, None) == second
    assert await store.heard(OWNER, first.to) == first
    assert await store.heard(OWNER, None, first.call_id) == first
    assert await store.heard("other.test", None) is None
    assert await store.heard(OWNER, "12025559999") is None


# -- alerts before campaigns


async def test_an_alert_is_taken_before_a_campaign_that_was_there_first(store: CallStore) -> None:
    await store.accept(an_intake(30, campaign=True))
    await store.accept(an_intake(2, owner="other.test"))

    taken = await store.lease(Lane.SANDBOX, "d", 5, 15.0)

    assert [lease.call.owner for lease in taken] == ["other.test"] * 2 + ["main.test"] * 3
    assert [lease.message.campaign for lease in taken] == [False, False, True, True, True]


async def test_only_so_many_campaign_calls_are_taken_as_may_be(store: CallStore) -> None:
    await store.accept(an_intake(5, campaign=True))
    await store.accept(an_intake(1))

    first = await store.lease(Lane.SANDBOX, "d", 4, 15.0, 1)
    none = await store.lease(Lane.SANDBOX, "d", 4, 15.0, 0)

    assert [lease.message.campaign for lease in first] == [False, True]
    assert none == []
    assert await store.queued(Lane.SANDBOX) == 6


async def test_a_campaign_call_keeps_its_queue_through_lease_release_and_fence(store: CallStore) -> None:
    await store.accept(an_intake(1, campaign=True))
    lease = await one_lease(store, lease_s=0.02)
    (lapsed,) = await until(lambda: store.lease(Lane.SANDBOX, "d", 1, 0.05))
    await store.extend(Lane.SANDBOX, {lease.call.call_id: None}, 15.0)
    await time_passes(0.1)
    assert await store.lease(Lane.SANDBOX, "d", 1, 15.0) == []  # still held
    await store.release(lapsed, 0.0)
    (again,) = await store.lease(Lane.SANDBOX, "d", 1, 15.0)
    _, dialing = await step(store, again, again.call, dialed())
    assert await store.queued(Lane.SANDBOX) == 0
    _, queued = await step(store, again, dialing, NotDialed(now()))
    await store.release(replace(again, call=queued), 0.0)
    await store.accept(an_intake(1))

    both = await store.lease(Lane.SANDBOX, "d", 2, 15.0)

    assert [one.message.campaign for one in both] == [False, True]
    assert both[1].call.call_id == lease.call.call_id


async def test_the_next_hop_of_a_campaign_call_lets_alerts_go_first(store: CallStore) -> None:
    await store.accept(an_intake(1, campaign=True))
    lease = await one_lease(store)
    _, call = await step(store, lease, lease.call, dialed())
    following = next_hop(
        call, an_ending(Status.FAILED, "trunk_failure", again="next_trunk"), lease.message, Failover(), now(), UTC_ZONE
    )
    await _end(store, lease, call, an_ending(Status.FAILED, "trunk_failure"), following)
    await store.accept(an_intake(1))

    taken = await store.lease(Lane.SANDBOX, "d", 2, 15.0)

    assert [one.message.campaign for one in taken] == [False, True]


async def test_a_campaign_call_past_its_validity_is_overdue(store: CallStore) -> None:
    await store.accept(an_intake(1, campaign=True, valid_until=now() - timedelta(seconds=1)))

    (found,) = await store.overdue(Lane.SANDBOX, "d", 10, 15.0)

    assert found.message.campaign
