"""What accept takes of a key's limits: both twins of the store, to the call, however many come at once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from messaging.errors import Unavailable
from sip.trunk import Failover
from tests.until import until
from tests.valkey import TestValkey
from tests.voice_values import OWNER, an_ending, an_intake, dialed, now, one_lease, step
from voice.call_object import UTC_ZONE
from voice.calls import Status, WasAnswered, advance
from voice.caps import Caps, Need, Over, Reservation, Used
from voice.failover import next_hop
from voice.messages import Outcome
from voice.store import Accepted, CallStore, Intake, Lane, Once
from voice.store_memory import MemoryCallStore
from voice.store_valkey import ValkeyCallStore
from voice.tariffs import Tariff
from voice.telling import event_of

KEY, DAY = "key_1", "20261124"
FIVE_MINUTES = Need(300)
TARIFF = Tariff("1202", "0.06", "EUR", 60, 60)


@pytest.fixture(params=["memory", "valkey"])
def store(request: pytest.FixtureRequest) -> CallStore:
    if request.param == "memory":
        return MemoryCallStore()
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyCallStore(server.redis, server.blocking, server.prefix)


def intake(numbers: int = 1, most: Need = FIVE_MINUTES, key_id: str = KEY, day: str = DAY, **caps: Any) -> Intake:
    asked = Reservation(key_id, day, Caps(**caps), (most,) * numbers)
    return replace(an_intake(numbers), reservation=asked)


def to_number(one: Intake, number: str) -> Intake:
    return replace(one, calls=tuple(replace(call, to_number=number) for call in one.calls))


async def stored(store: CallStore, one: Intake) -> Accepted:
    """As a client does it: what the store could not promise is asked again."""
    while True:
        try:
            return await store.accept(one)
        except Unavailable:
            continue


async def test_calls_count_for_good_and_time_and_money_are_held(store: CallStore) -> None:
    assert await store.used(OWNER, KEY, DAY) == Used()

    assert await store.accept(intake(3, Need(300, 50_000))) == Accepted()

    assert await store.used(OWNER, KEY, DAY) == Used(3, 0, 900, 0, 150_000, 3)
    assert await store.used(OWNER, "key_2", DAY) == Used()
    assert await store.used(OWNER, KEY, "20261125") == Used(open_calls=3)


async def test_a_repeat_of_what_was_accepted_takes_nothing_again(store: CallStore) -> None:
    first = replace(intake(2, calls_per_day=2), once=Once("k", "print", 200, "{}"))
    await store.accept(first)
    assert (await store.accept(first)).replayed
    another = intake(1, calls_per_day=2)

    assert (await store.accept(another)).overrun is not None
    assert (await store.used(OWNER, KEY, DAY)).calls == 2


@pytest.mark.parametrize(
    ("caps", "over", "used", "most"),
    [
        ({"calls_per_day": 2}, Over.CALLS, 2, 2),
        ({"minutes_per_day": 10}, Over.MINUTES, 600, 600),
        ({"amount_per_day": "0.1"}, Over.AMOUNT, 100_000, 100_000),
        ({"open_calls": 2}, Over.OPEN, 2, 2),
    ],
)
async def test_what_fits_exactly_is_accepted_and_one_more_is_not(
    store: CallStore, caps: dict[str, Any], over: Over, used: int, most: int
) -> None:
    assert (await store.accept(intake(2, Need(300, 50_000), **caps))).overrun is None
    refused = intake(1, Need(300, 50_000), **caps)

    overrun = (await store.accept(refused)).overrun

    assert overrun is not None
    assert (overrun.over, overrun.used, overrun.most) == (over, used, most)
    assert await store.message(OWNER, refused.message.ref_id) is None
    assert await store.call(OWNER, refused.calls[0].call_id) is None
    assert (await store.used(OWNER, KEY, DAY)).calls == 2
    assert await store.queued(Lane.SANDBOX) == 2


async def test_a_batch_that_does_not_fit_is_refused_whole(store: CallStore) -> None:
    overrun = (await store.accept(intake(5, calls_per_day=4))).overrun

    assert overrun is not None
    assert await store.used(OWNER, KEY, DAY) == Used()
    assert (await store.accept(intake(4, calls_per_day=4))).overrun is None


async def test_a_limit_is_exact_however_many_ask_at_once(store: CallStore) -> None:
    answers = await asyncio.gather(
        *(stored(store, intake(1, Need(60, 10_000), calls_per_day=100, amount_per_day="0.25")) for _ in range(60))
    )

    assert [answer.overrun is None for answer in answers].count(True) == 25
    assert await store.queued(Lane.SANDBOX) == 25


async def test_a_call_that_ended_gives_back_what_it_did_not_use(store: CallStore) -> None:
    asked = intake(1, Need(360, TARIFF.millionths(360)), minutes_per_day=6)
    asked = replace(asked, calls=tuple(replace(call, tariff=TARIFF) for call in asked.calls))
    await store.accept(asked)
    assert (await store.accept(intake(1, Need(60), minutes_per_day=6))).overrun is not None
    lease = await one_lease(store)
    started = dialed()
    _, call = await step(store, lease, lease.call, started)
    _, call = await step(store, lease, call, WasAnswered(started.at))
    _, call = await step(store, lease, call, an_ending(at=started.at + timedelta(seconds=61)))

    assert await store.used(OWNER, KEY, DAY) == Used(1, 120, 0, 120_000, 0, 0)
    assert (await store.accept(intake(1, Need(240), minutes_per_day=6))).overrun is None


async def test_a_call_that_was_not_answered_costs_nothing(store: CallStore) -> None:
    await store.accept(intake(1, Need(360, 70_000)))
    lease = await one_lease(store)
    _, call = await step(store, lease, lease.call, dialed())
    await step(store, lease, call, an_ending(Status.BUSY, "user_busy"))

    assert await store.used(OWNER, KEY, DAY) == Used(calls=1)


async def test_the_next_hop_takes_over_what_was_held(store: CallStore) -> None:
    await store.accept(intake(1, Need(360, 70_000)))
    lease = await one_lease(store)
    _, call = await step(store, lease, lease.call, dialed())
    ending = an_ending(Status.FAILED, "trunk_failure")
    after = advance(call, ending)
    following = next_hop(
        call, an_ending(Status.FAILED, "trunk_failure", again="next_trunk"), lease.message, Failover(), now(), UTC_ZONE
    )
    await store.apply(call, after, lease.epoch, event_of(after, ending), successor=following)

    assert await store.used(OWNER, KEY, DAY) == Used(1, 0, 360, 0, 70_000, 1)
    (again,) = await until(lambda: store.lease(Lane.SANDBOX, "d", 1, 15.0))
    _, call = await step(store, again, again.call, dialed())
    await step(store, again, call, an_ending(Status.BUSY, "user_busy"))
    assert await store.used(OWNER, KEY, DAY) == Used(calls=1)


async def test_the_pace_of_a_key_refuses_what_comes_too_fast(store: CallStore) -> None:
    answers = [await store.accept(intake(1, calls_per_second=2)) for _ in range(3)]
    too_many_at_once = await store.accept(intake(3, key_id="key_2", calls_per_second=2))

    assert [answer.overrun and answer.overrun.over for answer in answers] == [None, None, Over.PACE]
    assert too_many_at_once.overrun is not None
    assert too_many_at_once.overrun.over is Over.PACE

    async def fits() -> bool:
        return (await store.accept(intake(1, calls_per_second=2))).overrun is None

    await until(fits)


async def test_one_number_is_called_so_often_an_hour_by_all_keys_together(store: CallStore) -> None:
    caps = {"calls_per_number_per_hour": 2}
    for key_id in ("key_1", "key_2"):
        assert (await store.accept(to_number(intake(1, key_id=key_id, **caps), "2348020000000"))).overrun is None

    often = to_number(intake(1, key_id="key_3", **caps), "2348020000000")
    overrun = (await store.accept(often)).overrun
    other = await store.accept(to_number(intake(1, key_id="key_3", **caps), "2348030000000"))

    assert overrun is not None
    assert (overrun.over, overrun.most, overrun.indices) == (Over.NUMBER, 2, (0,))
    assert 3500 < overrun.wait_s <= 3600
    assert other.overrun is None
    assert (await store.used(OWNER, "key_3", DAY)).calls == 1


async def test_which_numbers_of_a_batch_were_called_too_often_is_said(store: CallStore) -> None:
    caps = {"calls_per_number_per_hour": 1}
    await store.accept(to_number(intake(1, **caps), "12025550001"))

    overrun = (await store.accept(intake(3, **caps))).overrun  # 1202555 0000, 0001, 0002

    assert overrun is not None
    assert overrun.indices == (1,)


async def test_calls_for_later_count_in_the_hour_in_which_they_are_due(store: CallStore) -> None:
    caps = {"calls_per_number_per_hour": 1}

    def due_in(minutes: float) -> Intake:
        one = to_number(intake(1, **caps), "2348020000000")
        due = now() + timedelta(minutes=minutes)
        return replace(one, message=replace(one.message, due_at=due, valid_until=due + timedelta(hours=1)))

    assert (await store.accept(due_in(0))).overrun is None
    assert (await store.accept(due_in(30))).overrun is not None
    assert (await store.accept(due_in(90))).overrun is None
    assert (await store.accept(due_in(150.1))).overrun is None
    assert (await store.accept(due_in(120))).overrun is not None


async def test_a_limit_of_nothing_lets_nothing_through(store: CallStore) -> None:
    for caps in ({"calls_per_day": 0}, {"open_calls": 0}, {"calls_per_number_per_hour": 0}, {"minutes_per_day": 0}):
        overrun = (await store.accept(intake(1, **caps))).overrun
        assert overrun is not None, caps
    assert await store.queued(Lane.SANDBOX) == 0


@pytest.mark.parametrize("answered", [True, False])
async def test_a_call_without_a_price_ends_like_any_other(store: CallStore, answered: bool) -> None:
    one = intake(1, Need(300, 0))
    await store.accept(one)
    lease = await one_lease(store)
    _, call = await step(store, lease, lease.call, dialed())
    if answered:
        _, call = await step(store, lease, call, WasAnswered(now()))
    ending = an_ending() if answered else an_ending(Status.BUSY, "user_busy")

    await step(store, lease, call, ending, Outcome.DELIVERED if answered else Outcome.UNDELIVERED)

    used = await store.used(OWNER, KEY, DAY)
    assert (used.calls, used.open_calls) == (1, 0)
    assert (await store.tally(one.message.ref_id)).pending == 0
