"""What the record of trunks promises, in memory and in Valkey."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from messaging.deliveries import Deliveries
from tests.valkey import TestValkey
from voice.store import Delivery
from voice.trunk_news import Aspect, Told
from voice.trunk_record import FeedEvent, MemoryTrunkRecord, TrunkRecord, ValkeyTrunkRecord

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OWNER = "main.live"


@pytest.fixture(params=["memory", "valkey"])
def record(request: pytest.FixtureRequest) -> TrunkRecord:
    if request.param == "memory":
        return MemoryTrunkRecord()
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyTrunkRecord(server.redis, server.prefix)


def told(version: int, word: str = "down") -> Told:
    return Told(version, version, (Aspect("state", word, NOON, NOON, 1),))


def event(number: int = 1) -> FeedEvent:
    return FeedEvent(f"evt_{number}", "trunk.down", NOON, number, "lagos-1", {"why": "OPTIONS unanswered"})


async def types(record: TrunkRecord, owner: str = OWNER) -> list[str]:
    return [one["id"] for one in (await record.feed(owner, "0-0", 100)).events]


async def test_nothing_was_told_of_a_trunk_that_is_new(record: TrunkRecord) -> None:
    assert await record.told("lagos-1") == Told()
    assert (await record.feed(OWNER, "0-0", 10)).events == ()
    assert await record.ladder("lagos-1") is None


async def test_the_first_to_tell_wins_and_the_second_tells_nothing(record: TrunkRecord) -> None:
    first = await record.tell("lagos-1", Told(), told(1), OWNER, event(1))
    second = await record.tell("lagos-1", Told(), told(1, "up"), OWNER, event(2))

    assert (first, second) == (True, False)
    assert await record.told("lagos-1") == told(1)
    assert await types(record) == ["evt_1"]


async def test_a_repeat_is_true_and_changes_nothing(record: TrunkRecord) -> None:
    for _ in range(3):
        assert await record.tell("lagos-1", Told(), told(1), OWNER, event(1))

    assert await types(record) == ["evt_1"]


async def test_what_is_kept_in_silence_is_no_event(record: TrunkRecord) -> None:
    assert await record.tell("lagos-1", Told(), replace(told(1), sequence=0), OWNER)

    assert (await record.told("lagos-1")).version == 1
    assert await types(record) == []


async def test_the_feed_goes_on_where_the_cursor_says_and_each_account_has_its_own(record: TrunkRecord) -> None:
    for number in range(1, 6):
        before = await record.told("lagos-1")
        assert await record.tell("lagos-1", before, told(number), OWNER, event(number))
    first = await record.feed(OWNER, "0-0", 2)
    rest = await record.feed(OWNER, first.cursor, 10)
    none = await record.feed(OWNER, rest.cursor, 10)

    assert [one["id"] for one in first.events + rest.events] == [f"evt_{n}" for n in range(1, 6)]
    assert (none.events, none.cursor) == ((), rest.cursor)
    assert first.events[0] == event(1).as_object()
    assert await types(record, "main.test") == []


async def test_the_ladder_is_the_last_one(record: TrunkRecord) -> None:
    await record.save_ladder("lagos-1", "[1]")
    await record.save_ladder("lagos-1", "[2]")

    assert await record.ladder("lagos-1") == "[2]"


async def test_a_webhook_is_due_with_its_event_and_everything_has_a_life(valkey: TestValkey) -> None:
    record = ValkeyTrunkRecord(valkey.redis, valkey.prefix)
    hook = Delivery("dlv_1", "evt_1", "https://ops.example/hook", '{"type":"trunk.down"}')
    for _ in range(2):
        await record.tell("lagos-1", Told(), told(1), OWNER, event(1), (hook,))
    await record.save_ladder("lagos-1", "[]")

    due = await valkey.redis.zrange(f"{valkey.prefix}q:hook:due", 0, -1)
    [kept] = await Deliveries(valkey.redis, valkey.prefix).read(["dlv_1"])
    assert due == ["dlv_1"]
    assert kept is not None
    assert (kept.owner, kept.url, kept.body, kept.format) == (OWNER, hook.url, hook.body, "standard")
    for key in ("told:lagos-1", "ladder:lagos-1", "{main.live}:feed"):
        assert await valkey.redis.ttl(valkey.prefix + key) > 0
