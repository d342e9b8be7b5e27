"""docs/redis.md names every key the call store keeps, and each has a life."""

import re
from dataclasses import replace
from pathlib import Path

from messaging.clock import SystemClock
from sip.sandbox.faults import Chaos
from tests.dialer_bench import SANDBOX, Bench, Spied
from tests.valkey import TestValkey
from tests.voice_values import HOOK, a_missed_call, an_intake, now
from voice.alerts import ValkeyOutbox
from voice.caps import Caps, Need, Reservation
from voice.chaos import ValkeyChaos
from voice.presence import Presence
from voice.registration_lease import NOBODY, ValkeyRegistrationLeases
from voice.selftest import TrunkTest
from voice.selftest_board import ValkeySelfTests
from voice.store import Heard, Once
from voice.store_valkey import ValkeyCallStore
from voice.toll_book import SHELF, TollBook
from voice.trunk_news import Told
from voice.trunk_record import FeedEvent, ValkeyTrunkRecord
from voice.trunk_shelf import ValkeyTrunkShelf

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"
FOR_GOOD = {
    "owners:sandbox",
    "endings",
    "starts",
    "trunks",
    "toll",
    "q:hook:due",
    "q:hook:wake",
}  # gone when empty, or a few entries


def documented(section: str) -> dict[str, re.Pattern[str]]:
    """The patterns of the first column of a section's table; {{owner}} is written with its braces."""
    part = PAGE.read_text(encoding="utf-8").split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    names = re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE)
    return {name: re.compile(re.sub(r"\\\{\w+\\\}", "[^:]+", re.escape(name))) for name in names}


async def keys_of_a_working_day(valkey: TestValkey, directory: Path) -> dict[str, int]:
    """Key -> seconds to live, with calls final, in progress and queued."""
    store = ValkeyCallStore(valkey.redis, valkey.blocking, valkey.prefix)
    line = Spied()
    bench = Bench(store, directory, {"sandbox": (replace(SANDBOX, price="1", daily_amount="1000"), line)})
    async with bench.run():
        done = await bench.final(await bench.call(callbacks=(HOOK,), once=Once("k", "p", 200, "b")))
        await store.save_trace(done.call_id, "[]")
        await store.save_heard(Heard(done.call_id, done.to_number, 1.0, None, None, "", None, now()))
        await bench.reaches(await bench.call("12025550102"), "call.ringing")
        await ValkeyOutbox(valkey.redis, valkey.prefix, None).tell("main.live", "01A", "{}", now())
        caps = Caps(calls_per_second=1, calls_per_number_per_hour=5)
        asked = Reservation("key_1", "20261124", caps, (Need(300),))
        await store.accept(replace(an_intake(1, trunk_id="nowhere"), reservation=asked))
        for campaign in (False, True):
            await bench.call(trunk_id="nowhere", campaign=campaign)  # waits
        presence = Presence(valkey.redis, valkey.prefix, SystemClock())
        await presence.started("dialer")
        await presence.announce("dialer", "here:1", {})
        await ValkeyChaos(valkey.redis, valkey.blocking, valkey.prefix).declare(Chaos(busy_pct=1))
        await ValkeyTrunkShelf(valkey.redis, valkey.prefix).write(0, {"lagos-1": "{}"})
        await TollBook(ValkeyTrunkShelf(valkey.redis, valkey.prefix, SHELF)).set_allow("main.live", ("gb",))
        await a_missed_call(store)
        tests = ValkeySelfTests(valkey.redis, valkey.blocking, valkey.prefix)
        await tests.ask(TrunkTest("test_1", "lagos-1", "main.live", "key_1", False, now(), "2348020000000"), asked)
        await tests.tell_keys("test_1", "5")
        record = ValkeyTrunkRecord(valkey.redis, valkey.prefix)
        await record.save_ladder("lagos-1", "[]")
        await ValkeyRegistrationLeases(valkey.redis, valkey.prefix).hold("lagos-1", "token", NOBODY)
        await record.tell(
            "lagos-1", Told(), Told(1, 1), "main.live", FeedEvent("evt_1", "trunk.up", now(), 1, "lagos-1")
        )
        names = [key async for key in valkey.redis.scan_iter(match=f"{valkey.prefix}*", count=1000)]
        found = {key.removeprefix(valkey.prefix): await valkey.redis.ttl(key) for key in names}
    await line.aclose()
    return found


async def test_every_key_is_documented_and_every_documented_key_exists(valkey: TestValkey, tmp_path: Path) -> None:
    stored = await keys_of_a_working_day(valkey, tmp_path)
    ours, others = documented("voice"), documented("messaging")

    known = [*ours.values(), *others.values()]
    assert [key for key in stored if not any(pattern.fullmatch(key) for pattern in known)] == []
    assert [name for name, pattern in ours.items() if not any(map(pattern.fullmatch, stored))] == []


async def test_every_key_has_a_life(valkey: TestValkey, tmp_path: Path) -> None:
    stored = await keys_of_a_working_day(valkey, tmp_path)

    immortal = {key for key, ttl in stored.items() if ttl < 0 and not key.startswith("delivery:")}
    assert immortal <= FOR_GOOD
