"""No script writes half of what it is for: an argument that is no number is refused before the first write.

Every verb that is a script is called as the service calls it. In front of the script under test each call is tried
first with one argument spoiled at a time: where the server raises, nothing may have changed.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from messaging.accounts import Accounts, Mode
from messaging.clock import SystemClock
from messaging.deliveries import Deliveries, Move, Try
from messaging.outbox import queue_keys
from messaging.queue_valkey import ValkeyQueue
from messaging.webhooks import Verdict
from sip.trunk import Failover
from tests.contract.test_caps import intake as with_caps
from tests.contract.test_inbox import arrival
from tests.contract.test_seats import TRUNK
from tests.contract.test_selftest_board import a_test
from tests.contract.test_trunk_record import event, told
from tests.valkey import TestValkey
from tests.voice_values import HOOK, LIVE, OWNER, an_ending, an_intake, dialed, now, one_lease, step
from voice.alerts import ValkeyOutbox
from voice.call_object import UTC_ZONE
from voice.calls import NotDialed, Status, advance
from voice.caps import Caps, Need, Reservation
from voice.failover import next_hop
from voice.messages import Outcome
from voice.registration_lease import NOBODY, ValkeyRegistrationLeases
from voice.selftest_board import ValkeySelfTests
from voice.store import Delivery, Intent, Lane, Once
from voice.store_valkey import ValkeyCallStore
from voice.telling import event_of
from voice.trunk_budget import Budget
from voice.trunk_news import Told
from voice.trunk_record import ValkeyTrunkRecord
from voice.trunk_shelf import ValkeyTrunkShelf

ROOT = Path(__file__).parents[2]
IN_FRONT = {"whole", "common", "caps", "budget"}  # of other scripts
FILES = {
    path.stem: path.read_text(encoding="utf-8")
    for folder in ("messaging", "voice")
    for path in sorted((ROOT / folder / "lua").glob("*.lua"))
    if path.stem not in IN_FRONT
}
ALERT = "alert"  # stands in voice/alerts.py
TAKE_NO_NUMBERS = {"intend", "queue_look", "registration_over"}
SPOILED = ("x", "", "-0", "1.5", "1e3", "0x10", " 7", "nan", "9" * 20)

READS: dict[bytes, Callable[[Any, bytes], Any]] = {
    b"string": lambda reads, key: reads.get(key),
    b"hash": lambda reads, key: reads.hgetall(key),
    b"list": lambda reads, key: reads.lrange(key, 0, -1),
    b"zset": lambda reads, key: reads.zrange(key, 0, -1, withscores=True),
    b"stream": lambda reads, key: reads.xrange(key),
    b"none": lambda reads, key: reads.get(key),  # it lapsed meanwhile
}
Kept = Mapping[bytes, tuple[Any, int]]


class Spoiling:
    """A client in front of the client, for one script."""

    def __init__(self, valkey: TestValkey, script: str) -> None:
        self._redis, self._prefix, self._script = valkey.redis, valkey.prefix, script
        self._raw = Redis.from_url(valkey.url)
        self._aside = f"{valkey.prefix}aside:".encode()
        self.refused = 0
        self.half_way: list[tuple[int, Any, str]] = []  # argument, what stood there, what the server said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)

    async def evalsha(self, *_: Any) -> None:
        """So that every script comes here with its text."""
        raise NoScriptError

    async def eval(self, lua: str, count: int, *rest: Any) -> Any:
        if self._script == next((name for name, text in FILES.items() if lua.endswith(text)), ALERT):
            await self._spoil(lua, rest[:count], rest[count:])
        return await cast(Awaitable[Any], self._redis.eval(lua, count, *rest))

    async def aclose(self) -> None:
        await self._raw.aclose()

    async def _spoil(self, lua: str, keys: tuple[Any, ...], args: tuple[Any, ...]) -> None:
        before = await self._kept()
        await self._put_aside(before)
        for at, given in enumerate(args):
            for wrong in spoiled(given):
                try:
                    await cast(
                        Awaitable[Any],
                        self._redis.eval(lua, len(keys), *keys, *args[:at], wrong, *args[at + 1 :]),
                    )
                except ResponseError as error:
                    self.refused += 1
                    if not _changed(before, await self._kept()):
                        continue
                    self.half_way.append((at + 1, wrong, str(error)[:80]))
                await self._put_back(before)

    async def _names(self) -> list[bytes]:
        names = [key async for key in self._raw.scan_iter(match=f"{self._prefix}*", count=1000)]
        return sorted(name for name in names if not name.startswith(self._aside))

    async def _kept(self) -> Kept:
        """Everything that is stored, and how long it lives."""
        names = await self._names()
        async with self._raw.pipeline(transaction=True) as reads:
            for name in names:
                reads.type(name).pexpiretime(name)
            found = await reads.execute()
            for name, kind in zip(names, found[::2], strict=True):
                READS[kind](reads, name)
            values = await reads.execute()
        return dict(zip(names, zip(values, found[1::2], strict=True), strict=True))

    async def _put_aside(self, names: Iterable[bytes]) -> None:
        async with self._raw.pipeline(transaction=True) as writes:
            for name in names:
                writes.copy(name, self._aside + name, replace=True)
            await writes.execute()

    async def _put_back(self, names: Iterable[bytes]) -> None:
        async with self._raw.pipeline(transaction=True) as writes:
            for name in await self._names():
                writes.delete(name)
            for name in names:
                writes.copy(self._aside + name, name)
            await writes.execute()


def _changed(before: Kept, after: Kept) -> list[bytes]:
    """What has lapsed by itself meanwhile is no change."""
    at_ms = time.time() * 1000
    lapsed = {name for name, (_, until_ms) in before.items() if 0 < until_ms <= at_ms}
    return [name for name in (before.keys() | after.keys()) - lapsed if before.get(name) != after.get(name)]


def spoiled(given: Any) -> Iterator[Any]:
    """What may stand there instead: of a number anything that is none, of JSON the same for each number in it."""
    if isinstance(given, int):
        yield from SPOILED
    elif isinstance(given, str) and given.startswith("{"):
        yield given[:-1]
        facts = json.loads(given)
        for name in [name for name, fact in facts.items() if isinstance(fact, int)]:
            for wrong in ("x", 1.5, -0.0, None):
                yield json.dumps(facts | {name: wrong})
        for name in [name for name, fact in facts.items() if isinstance(fact, dict)]:
            for inner in facts[name]:
                yield json.dumps(facts | {name: facts[name] | {inner: "x"}})
        for name in [name for name, fact in facts.items() if fact and isinstance(fact, list)]:
            yield json.dumps(facts | {name: [[1, "x"]] * len(facts[name])})


@pytest.mark.parametrize("script", [*FILES, ALERT])
async def test_an_argument_that_is_no_number_is_refused_before_anything_is_written(
    valkey: TestValkey, script: str
) -> None:
    redis = Spoiling(valkey, script)
    try:
        await _every_verb(cast(Redis, redis), valkey)
    finally:
        await redis.aclose()

    assert redis.half_way == []
    assert (redis.refused > 0) is (script not in TAKE_NO_NUMBERS)


async def _every_verb(redis: Redis, valkey: TestValkey) -> None:
    store = ValkeyCallStore(redis, valkey.blocking, valkey.prefix)
    await _accepted_and_given_back(store)
    await _refused_then_missed(store)
    await _overdue_and_received(store)
    await _told(redis, valkey)
    await _delivered(redis, valkey)


async def _accepted_and_given_back(store: ValkeyCallStore) -> None:
    once = Once("main.test:POST:/v1/sendvoice:k1", "print", 200, "{}")
    limits = {"calls_per_day": 9, "calls_per_second": 9, "calls_per_number_per_hour": 9, "amount_per_day": "9"}
    asked = replace(with_caps(2, Need(300, 50_000), **limits), once=once)
    await store.accept(replace(asked, deliveries=an_intake(2, callbacks=(HOOK,)).deliveries))
    lease = await one_lease(store)
    budget = Budget("20261124", 3600.0, 9_000_000, 1_000, 60_000, 60.0)
    assert (await store.seats.take(TRUNK, lease.call.call_id, 15.0, budget=budget)).taken
    await store.extend(Lane.SANDBOX, {lease.call.call_id: TRUNK.id}, 15.0)
    _, call = await step(store, lease, lease.call, dialed())
    _, call = await step(store, lease, call, NotDialed(now()))
    await store.release(replace(lease, call=call), 0.0)
    await store.intend(call.call_id, Intent.CANCEL)


async def _refused_then_missed(store: ValkeyCallStore) -> None:
    """A live call over two hops."""
    await store.accept(an_intake(sandbox=False, owner=LIVE, callbacks=(HOOK,)))
    lease = await one_lease(store, Lane.LIVE)
    _, call = await step(store, lease, lease.call, dialed())
    ending = an_ending(Status.FAILED, "trunk_failure", again="next_trunk")
    following = next_hop(call, ending, lease.message, Failover(), now(), UTC_ZONE)
    after = advance(call, ending)
    await store.apply(call, after, lease.epoch, event_of(after, ending), (), Outcome.UNDELIVERED, following)
    lease = await one_lease(store, Lane.LIVE)
    _, call = await step(store, lease, lease.call, dialed())
    await step(store, lease, call, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)


async def _overdue_and_received(store: ValkeyCallStore) -> None:
    late = an_intake(due_at=now() - timedelta(seconds=2), valid_until=now() - timedelta(seconds=1))
    await store.accept(late)
    assert await store.overdue(Lane.SANDBOX, "d", 9, 15.0)
    message = an_intake(sandbox=False, owner=LIVE, callbacks=(HOOK,)).message
    assert await store.inbox.receive(arrival(message, is_new=True), "d", 15.0)
    assert await store.inbox.receive(arrival(message), "d", 15.0)


async def _told(redis: Redis, valkey: TestValkey) -> None:
    """What is said of trunks, of their tests and of an account."""
    shelf = ValkeyTrunkShelf(redis, valkey.prefix)
    assert await shelf.write(0, {"lagos-1": "{}", "lagos-2": "{}"})
    assert await shelf.write(1, {"lagos-1": "[]"}, ["lagos-2"])
    hook = Delivery("dlv_1", "evt_1", "https://hooks.example", "{}", "standard")
    assert await ValkeyTrunkRecord(redis, valkey.prefix).tell("lagos-1", Told(), told(1), OWNER, event(), (hook,))
    board, test = ValkeySelfTests(redis, valkey.blocking, valkey.prefix), a_test()
    await board.ask(test, Reservation(test.key_id, "20261124", Caps(calls_per_day=9), (Need(12, 50_000),)))
    assert await board.tell(test)
    assert await board.tell(test, over=True)
    leases = ValkeyRegistrationLeases(redis, valkey.prefix)
    assert await leases.hold("lagos-1", "token", NOBODY) is None
    await leases.give_up("lagos-1", "token")
    await ValkeyOutbox(redis, valkey.prefix, "https://hooks.example").tell(OWNER, "1", "{}", now())


async def _delivered(redis: Redis, valkey: TestValkey) -> None:
    """Webhooks, their queue, and keys."""
    queue = ValkeyQueue(redis, valkey.blocking, queue_keys(valkey.prefix, "hook"))
    await queue.put("entry", 0.0)
    assert await queue.lease(9, 15.0)
    await queue.extend(["entry"], 15.0)
    await queue.retry("entry", 0.0)
    await queue.wait(0.01)
    deliveries = Deliveries(redis, valkey.prefix)
    [one] = [found for found in await deliveries.read(["dlv_1"]) if found]
    await deliveries.record(one, Try(1, now(), 5, Verdict.RETRY), Move.RETRY, 1.0)
    await deliveries.record(one, Try(2, now(), 5, Verdict.RETRY), Move.DEAD)
    assert await deliveries.replay(one.owner, "dlv_1")
    [one] = [found for found in await deliveries.read(["dlv_1"]) if found]
    await deliveries.record(one, Try(3, now(), 5, Verdict.DELIVERED), Move.DONE)
    accounts = Accounts(redis, valkey.prefix, b"x" * 32, SystemClock())
    secret, key = await accounts.create("main", Mode.TEST, "till")
    assert await accounts.who(secret)
    await accounts.revoke("main", key.key_id)
