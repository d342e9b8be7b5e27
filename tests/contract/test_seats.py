"""Channels and pace of a trunk: what both stores promise, whoever asks and however often."""

from dataclasses import replace

import pytest

from sip.trunk import Trunk, TrunkUri
from tests.until import time_passes, until
from tests.valkey import TestValkey
from tests.voice_values import an_ending, an_intake, dialed, now, one_lease, step
from voice.calls import NotDialed, Status
from voice.messages import Outcome
from voice.store import CallStore, Lane
from voice.store_memory import MemoryCallStore
from voice.store_valkey import ValkeyCallStore

TRUNK = Trunk("sandbox", "Sandbox", (TrunkUri("127.0.0.1"),), channels=2, cps=1000.0)


@pytest.fixture(params=["memory", "valkey"])
def store(request: pytest.FixtureRequest) -> CallStore:
    if request.param == "memory":
        return MemoryCallStore()
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyCallStore(server.redis, server.blocking, server.prefix)


async def taken(store: CallStore, call_id: str, lease_s: float = 15.0, trunk: Trunk = TRUNK) -> bool:
    return (await store.seats.take(trunk, call_id, lease_s)).taken


async def test_no_more_calls_have_a_seat_than_the_trunk_has_channels(store: CallStore) -> None:
    assert [await taken(store, name) for name in ("a", "b", "c")] == [True, True, False]
    assert (await store.seats.take(TRUNK, "c", 15.0)).used == 2
    assert await taken(store, "c", trunk=replace(TRUNK, id="other"))

    await store.seats.leave(TRUNK.id, "a")
    await store.seats.leave(TRUNK.id, "a")  # a repeat changes nothing
    assert await taken(store, "c")
    assert not await taken(store, "d")


async def test_who_has_a_seat_and_asks_again_keeps_the_one(store: CallStore) -> None:
    assert [await taken(store, "a") for _ in range(3)] == [True] * 3

    assert await taken(store, "b")


async def test_a_seat_that_nobody_renews_lapses(store: CallStore) -> None:
    assert await taken(store, "dead", lease_s=0.1)
    assert await taken(store, "alive")

    assert not await taken(store, "c")
    await until(lambda: taken(store, "c"))


async def test_places_in_the_pace_are_evenly_spaced_whoever_asks(store: CallStore) -> None:
    slow = replace(TRUNK, channels=50, cps=5.0)

    waits = [(await store.seats.take(slow, str(index), 15.0)).wait_s for index in range(6)]

    assert waits == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], abs=0.15)
    assert waits[5] - waits[1] == pytest.approx(0.8, abs=0.15)
    full = await store.seats.take(replace(slow, channels=1), "late", 15.0)
    assert (full.taken, full.wait_s) == (False, 0.0)  # and takes no place from anybody
    assert (await store.seats.take(slow, "next", 15.0)).wait_s < 1.35


async def test_the_end_of_a_call_frees_its_seat_in_the_same_write(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    one = replace(TRUNK, channels=1)
    assert await taken(store, lease.call.call_id, trunk=one)
    _, call = await step(store, lease, lease.call, dialed())
    assert not await taken(store, "b", trunk=one)

    await step(store, lease, call, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)

    assert await taken(store, "b", trunk=one)


async def test_a_call_that_goes_back_to_the_queue_frees_its_seat(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    one = replace(TRUNK, channels=1)
    assert await taken(store, lease.call.call_id, trunk=one)
    _, call = await step(store, lease, lease.call, dialed())

    await step(store, lease, call, NotDialed(now()))
    await store.extend(Lane.SANDBOX, {call.call_id: one.id}, 15.0)  # its holder did not know yet

    assert await taken(store, "b", trunk=one)


async def test_whoever_extends_its_calls_keeps_their_seats(store: CallStore) -> None:
    await store.accept(an_intake(1))
    lease = await one_lease(store)
    one = replace(TRUNK, channels=1)
    assert await taken(store, lease.call.call_id, 0.15, one)
    await store.extend(Lane.SANDBOX, {lease.call.call_id: one.id}, 0.3)
    _, call = await step(store, lease, lease.call, dialed())
    await time_passes(0.2)
    assert not await taken(store, "b", trunk=one)
    await store.extend(Lane.SANDBOX, {call.call_id: one.id}, 15.0)
    await time_passes(0.2)
    assert not await taken(store, "b", trunk=one)

    _, over = await step(store, lease, call, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)
    await store.extend(Lane.SANDBOX, {over.call_id: one.id}, 15.0)  # too late: it has ended

    assert await taken(store, "b", trunk=one)


async def test_a_campaign_leaves_free_what_is_kept_for_alerts(store: CallStore) -> None:
    ten = replace(TRUNK, channels=10, alert_channels=3)

    went = [(await store.seats.take(ten, f"c{n}", 15.0, campaign=True)).taken for n in range(8)]
    alerts = [(await store.seats.take(ten, f"a{n}", 15.0)).taken for n in range(4)]

    assert went == [True] * 7 + [False]
    assert alerts == [True] * 3 + [False]
