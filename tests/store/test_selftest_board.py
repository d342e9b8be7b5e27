"""Self-tests in Valkey: each key has a life, and a dialer that says nothing any more loses its test."""

from dataclasses import replace
from datetime import UTC, datetime

from messaging.ids import test_id as new_id
from tests.valkey import TestValkey
from voice.caps import Caps, Over, Used
from voice.selftest import Stage, TrunkTest, Verdict, as_seen
from voice.selftest_board import LEASE_S, OPEN_S, ValkeySelfTests
from voice.selftest_toll import most, reservation
from voice.store_valkey import ValkeyCallStore

CAPS = Caps(calls_per_second=100, open_calls=1, calls_per_number_per_hour=5)


def a_test() -> TrunkTest:
    return TrunkTest(new_id(), "lagos-1", "main.live", "key_1", False, datetime.now(UTC), "2348020000000")


async def test_every_key_of_a_test_ends_by_itself(valkey: TestValkey) -> None:
    board = ValkeySelfTests(valkey.redis, valkey.blocking, valkey.prefix)
    test = a_test()
    await board.ask(test, reservation(test, CAPS, "UTC"))
    await board.tell_keys(test.test_id, "5")
    waiting = [key async for key in valkey.redis.scan_iter(match=f"{valkey.prefix}*")]
    assert {key.removeprefix(valkey.prefix).split(":")[1] for key in waiting} == {
        *(test.test_id, "of", "late", "wanted", "keys", "toll"),
        *("spent", "open", "pace", "rang"),
    }
    assert all([await valkey.redis.ttl(key) > 0 for key in waiting])

    await board.take(0.3)

    lease_ms = await valkey.redis.pttl(f"{valkey.prefix}selftest:of:lagos-1")
    assert 0 < lease_ms <= LEASE_S * 1000


async def test_a_test_whose_dialer_is_silent_reads_as_lost(valkey: TestValkey) -> None:
    board = ValkeySelfTests(valkey.redis, valkey.blocking, valkey.prefix)
    test = TrunkTest(new_id(), "lagos-1", "main.live", "key_1", False, datetime.now(UTC), stage=Stage.RUNNING)
    await board.ask(test)
    await board.take(0.3)
    await valkey.redis.delete(f"{valkey.prefix}selftest:of:lagos-1")  # as time does

    found = await board.read(test.test_id)

    assert found is not None
    seen = as_seen(found[0], held=found[1], now=datetime.now(UTC))
    assert (seen.verdict, seen.summary) == (Verdict.FAILED, "The dialer that ran it is gone, try again.")
    assert not await board.tell(test.finished(test.asked_at), over=True)


async def test_a_test_whose_end_nobody_tells_counts_at_its_most_and_is_open_no_longer(valkey: TestValkey) -> None:
    board = ValkeySelfTests(valkey.redis, valkey.blocking, valkey.prefix)
    store = ValkeyCallStore(valkey.redis, valkey.blocking, valkey.prefix)
    lost = a_test()
    day = f"{lost.asked_at:%Y%m%d}"
    await board.ask(lost, reservation(lost, CAPS, "UTC"))
    await board.take(0.3)
    opened = f"{valkey.prefix}{{main.live}}:open:key_1"
    until_s = float(await valkey.redis.zscore(opened, lost.test_id) or 0) / 1000
    await valkey.redis.delete(f"{valkey.prefix}selftest:of:lagos-1")  # as time does
    early, next_one = replace(lost, test_id=new_id()), replace(lost, test_id=new_id())
    full = await board.ask(early, reservation(early, CAPS, "UTC"))
    await valkey.redis.zadd(opened, {lost.test_id: 1})  # as time does

    assert 0 < until_s - datetime.now(UTC).timestamp() <= OPEN_S
    assert full is not None
    assert full.over is Over.OPEN
    assert await board.ask(next_one, reservation(next_one, CAPS, "UTC")) is None
    assert not await board.tell(lost.finished(lost.asked_at), over=True)
    held = 2 * most(lost).seconds
    assert await store.used("main.live", "key_1", day) == Used(calls=2, held_s=held, open_calls=1)
