"""The daily amount of a trunk: what both stores promise, whoever asks for a seat and however often."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sip.trunk import Trunk, TrunkUri
from tests.until import time_passes
from tests.valkey import TestValkey
from tests.voice_values import an_ending, an_intake, dialed, now, one_lease, step
from voice.calls import NotDialed, Status, WasAnswered
from voice.messages import Outcome, Script
from voice.seats import Seat
from voice.store import CallStore, Lease
from voice.store_memory import MemoryCallStore
from voice.store_valkey import ValkeyCallStore
from voice.tariffs import Tariff
from voice.trunk_budget import Budget, budget_for

# Sixty seconds at most cost 1.00; ten calls in flight are the whole day.
TRUNK = Trunk("sandbox", "Sandbox", (TrunkUri("127.0.0.1"),), channels=100, cps=1000.0, price="1", daily_amount="10")
BUDGET = Budget("20261124", 3600.0, most=10_000_000, need=1_000_000, price=1_000_000, hold_s=60.0)
NEXT_DAY = replace(BUDGET, day="20261125")


@pytest.fixture(params=["memory", "valkey"])
def store(request: pytest.FixtureRequest) -> CallStore:
    if request.param == "memory":
        return MemoryCallStore()
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyCallStore(server.redis, server.blocking, server.prefix)


async def take(store: CallStore, call_id: str, budget: Budget | None = BUDGET, lease_s: float = 15.0) -> Seat:
    return await store.seats.take(TRUNK, call_id, lease_s, budget=budget)


async def a_call(store: CallStore, budget: Budget = BUDGET) -> Lease:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    assert (await take(store, lease.call.call_id, budget)).taken
    return lease


async def fits(store: CallStore, budget: Budget = BUDGET) -> int:
    """How many calls more the day takes. They leave again."""
    names = [f"more{n}" for n in range(12)]
    count = sum([(await take(store, name, budget)).taken for name in names])
    for name in names:
        await store.seats.leave(TRUNK.id, name)
    return count


async def test_calls_in_flight_never_hold_more_than_the_day_however_many_ask_at_once(store: CallStore) -> None:
    names = [f"c{n}" for n in range(40)]
    seats = await asyncio.gather(*(take(store, name) for name in names))
    seated = [name for name, seat in zip(names, seats, strict=True) if seat.taken]

    assert len(seated) == 10
    assert {(seat.taken, seat.spent_s) for seat in seats} == {(True, 0.0), (False, 3600.0)}
    assert (await take(store, seated[0])).taken  # who has a seat and asks again holds no more
    assert not (await take(store, "late")).taken
    assert (await take(store, "tomorrow", NEXT_DAY)).taken
    assert (await take(store, "free", None)).taken


async def test_the_end_of_a_call_replaces_what_it_held_by_what_it_cost(store: CallStore) -> None:
    lease = await a_call(store)
    _, call = await step(store, lease, lease.call, dialed())
    _, call = await step(store, lease, call, WasAnswered(now()))
    assert await fits(store) == 9

    late = an_ending(Status.COMPLETED, at=now() + timedelta(seconds=150))
    await step(store, lease, call, late, Outcome.DELIVERED)

    assert await fits(store) == 7  # two and a half minutes, and some milliseconds
    assert await fits(store, NEXT_DAY) == 10


async def test_a_call_that_nobody_answered_gives_back_what_it_held(store: CallStore) -> None:
    lease = await a_call(store)
    _, call = await step(store, lease, lease.call, dialed())
    await step(store, lease, call, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)

    assert await fits(store) == 10


async def test_a_call_that_goes_back_to_the_queue_holds_nothing(store: CallStore) -> None:
    lease = await a_call(store)
    _, call = await step(store, lease, lease.call, dialed())
    await step(store, lease, call, NotDialed(now()))

    assert await fits(store) == 10


async def test_a_call_without_a_price_of_its_trunk_costs_what_it_was_accepted_for(store: CallStore) -> None:
    budget = replace(BUDGET, price=0)
    intake = an_intake(1)
    dear = Tariff("1", "4", "EUR", 60, 60)
    await store.accept(replace(intake, calls=(replace(intake.calls[0], tariff=dear),)))
    lease = await one_lease(store)
    assert (await take(store, lease.call.call_id, budget)).taken
    _, call = await step(store, lease, lease.call, dialed())
    _, call = await step(store, lease, call, WasAnswered(now()))
    await step(store, lease, call, an_ending(Status.COMPLETED), Outcome.DELIVERED)

    assert await fits(store, budget) == 6


async def test_after_a_crash_a_hold_is_counted_until_its_call_must_have_ended(store: CallStore) -> None:
    short = replace(BUDGET, hold_s=0.6)
    assert (await take(store, "dead", short, lease_s=0.05)).taken
    await time_passes(0.1)
    assert await fits(store) == 9
    await time_passes(0.6)

    assert await fits(store) == 10


def test_the_most_that_a_call_may_cost_is_by_the_trunks_price_or_else_by_its_own() -> None:
    call, script = an_intake(1).calls[0], Script(ring_timeout_s=30, max_duration_s=58)
    at = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)
    lagos = ZoneInfo("Africa/Lagos")  # an hour ahead

    found = budget_for(TRUNK, call, script, at, lagos)
    by_tariff = budget_for(
        replace(TRUNK, price="0"), replace(call, tariff=Tariff("1", "0.3", "EUR", 60, 60)), script, at, UTC
    )

    assert found == Budget("20261124", 1800.0, 10_000_000, 1_000_000, 1_000_000, 148.0)
    assert by_tariff is not None
    assert (by_tariff.need, by_tariff.price, by_tariff.day_left_s) == (300_000, 0, 5400.0)
    assert budget_for(replace(TRUNK, daily_amount=""), call, script, at, UTC) is None
    late = budget_for(TRUNK, call, script, at + timedelta(hours=1), lagos)
    assert late is not None
    assert late.day == "20261125"
