"""Self-tests in Valkey: each key has a life, and a dialer that says nothing any more loses its test."""

from datetime import UTC, datetime

from messaging.ids import test_id as new_id
from tests.valkey import TestValkey
from voice.selftest import Stage, TrunkTest, Verdict, as_seen
from voice.selftest_board import LEASE_S, ValkeySelfTests


async def test_every_key_of_a_test_ends_by_itself(valkey: TestValkey) -> None:
    board = ValkeySelfTests(valkey.redis, valkey.blocking, valkey.prefix)
    test = TrunkTest(new_id(), "lagos-1", "main.live", "key_1", False, datetime.now(UTC))
    await board.ask(test)
    await board.tell_keys(test.test_id, "5")
    waiting = [key async for key in valkey.redis.scan_iter(match=f"{valkey.prefix}*")]
    assert {key.removeprefix(valkey.prefix).split(":")[1] for key in waiting} == {
        *(test.test_id, "of", "late", "wanted", "keys")
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
