"""The courier over real Valkey and real HTTP: everything accepted arrives or becomes a dead letter, and is signed."""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from dataclasses import replace

import pytest

from messaging.accounts import Mode
from messaging.clock import SystemClock
from messaging.courier import Courier
from messaging.deliveries import TRIES_KEPT, Deliveries, Move, State, Try
from messaging.embedded import EmbeddedValkey
from messaging.errors import Unavailable
from messaging.events import envelope
from messaging.guard import AddressPolicy, guarded_client
from messaging.ids import call_id, delivery_id, event_id
from messaging.outbox import HOOK_QUEUE, OUTBOX_LUA, call_deliveries_key, dead_key, delivery_key, queue_keys
from messaging.queue_valkey import ValkeyQueue
from messaging.store import Script, connect, connect_blocking
from messaging.webhooks import NINEBITS, STANDARD, Schedule, Verdict, new_secret
from tests.receiver import Reply, receiver
from tests.until import until

SECRET = new_secret()
FAST = Schedule("fast", (0.0, 0.0, 0.0))  # a second apart
FAST_TRIES = 4
KEEP_S = 3600
TELL = Script(
    OUTBOX_LUA
    + """
put_delivery(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9],
             KEYS[4])
"""
)


class Office:
    """What a test needs: put deliveries into the outbox, run couriers, look at the result."""

    def __init__(self, redis, blocking, prefix):
        self.redis, self.blocking, self.prefix = redis, blocking, prefix
        self.keys = queue_keys(prefix, HOOK_QUEUE)
        self.queue = ValkeyQueue(redis, blocking, self.keys)
        self.deliveries = Deliveries(redis, prefix)
        self.clock = SystemClock()

    async def tell(self, url, *, owner="main.test", call=None, body=None, event=None):
        one, event, call = delivery_id(), event or event_id(), call or call_id()
        body = body or envelope("call.ended", self.clock.now(), {"call_id": call, "text": "née ☎"})
        await TELL(
            self.redis,
            [delivery_key(self.prefix, one), *self.keys, call_deliveries_key(self.prefix, call)],
            [one, event, url, body, "standard", round(time.time() * 1000), KEEP_S, owner, call],
        )
        return one

    def courier(self, **options):
        policy = AddressPolicy()
        clients = {
            Mode.TEST: guarded_client(policy.with_loopback(), connect_s=2, total_s=10),
            Mode.LIVE: guarded_client(policy, connect_s=2, total_s=10),
        }
        courier = Courier(
            self.queue, self.redis, self.prefix, clients, lambda owner: (SECRET,), self.clock,
            **{"schedule": FAST, "total_s": 5.0, **options},
        )  # fmt: skip
        return courier, clients

    @contextlib.asynccontextmanager
    async def open(self, **options):
        """A courier at work."""
        courier, clients = self.courier(**options)
        running = asyncio.create_task(courier.run())
        try:
            yield courier
        finally:
            courier.stop()
            async with asyncio.timeout(20):
                await running
            for client in clients.values():
                await client.aclose()

    async def ends(self, one, within_s=20.0):
        """The delivery, when it is no longer pending."""

        async def ended():
            [delivery] = await self.deliveries.read([one])
            assert delivery is not None
            return None if delivery.state is State.PENDING else delivery

        return await until(ended, within_s)


@pytest.fixture
def office(valkey):
    return Office(valkey.redis, valkey.blocking, valkey.prefix)


async def test_a_webhook_arrives_signed_and_exactly_as_stored(office):
    async with receiver(SECRET) as shop, office.open():
        body = '{"odd":  "spacing", "é": "\\u00e9"}'
        one = await office.tell(f"{shop.url}/hook?a=1", event="evt_1", body=body)

        [received] = await shop.arrives()
        delivery = await office.ends(one)

    assert received.verified
    assert received.body == body.encode()
    assert received.path == "/hook?a=1"
    assert received.webhook_id == "evt_1"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == "Tocsin"
    assert delivery.state is State.DONE
    [attempt] = await office.deliveries.attempts(one)
    assert (attempt.number, attempt.status, attempt.verdict) == (1, 204, Verdict.DELIVERED)
    assert await office.queue.size() == 0
    assert 0 < await office.redis.ttl(delivery_key(office.prefix, one)) <= KEEP_S


async def test_a_failure_is_tried_again_under_the_same_id(office):
    async with receiver(SECRET) as shop, office.open():
        shop.statuses = [500, 302]
        one = await office.tell(shop.url)

        received = await shop.arrives(3)
        delivery = await office.ends(one)

    assert {request.webhook_id for request in received} == {delivery.event_id}
    assert all(request.verified for request in received)
    assert [attempt.status for attempt in await office.deliveries.attempts(one)] == [500, 302, 204]
    assert delivery.state is State.DONE
    assert len(received) == 3  # the redirect was not followed


async def test_after_the_last_try_it_is_a_dead_letter_that_can_be_sent_again(office):
    async with receiver(SECRET) as shop:
        shop.statuses = [500] * FAST_TRIES
        async with office.open():
            one = await office.tell(shop.url)
            await shop.arrives(FAST_TRIES)
            dead = await office.ends(one)
            [listed] = await office.deliveries.dead("main.test", limit=10)

            assert not await office.deliveries.replay("other.test", one)
            assert await office.deliveries.replay("main.test", one)
            again = await office.ends(one)

    assert dead.state is State.DEAD
    assert listed.delivery_id == one
    assert again.state is State.DONE
    assert {request.webhook_id for request in shop.received} == {dead.event_id}
    assert await office.deliveries.dead("main.test", limit=10) == []
    assert [attempt.number for attempt in await office.deliveries.attempts(one)] == [1, 2, 3, 4, 5]


async def test_a_dead_letter_is_kept_thirty_days(office):
    async with receiver(SECRET) as shop, office.open():
        shop.statuses = [410]
        one = await office.tell(shop.url)
        delivery = await office.ends(one)

    assert delivery.state is State.DEAD
    month = 30 * 86400
    assert month - 60 < await office.redis.ttl(delivery_key(office.prefix, one)) <= month
    assert month - 60 < await office.redis.ttl(dead_key(office.prefix, "main.test")) <= month


async def test_retry_after_is_obeyed(office):
    async def busy(received):
        return Reply(503, {"Retry-After": "3600"})

    async with receiver(SECRET, busy) as shop, office.open():
        await office.tell(shop.url)
        await shop.arrives()

        async def due_in_s() -> float:
            [(_, due_ms)] = await office.redis.zrange(office.keys.due, 0, -1, withscores=True)
            return due_ms / 1000 - time.time()

        async def put_off() -> float:
            wait_s = await due_in_s()
            return wait_s if wait_s > 60 else 0

        assert 3500 < await until(put_off) <= 3601


async def test_the_9bits_schedule_never_retries_a_refusal(office):
    async with receiver(SECRET) as shop, office.open(schedule=NINEBITS):
        shop.statuses = [404]
        one = await office.tell(shop.url)

        delivery = await office.ends(one)

    assert (delivery.state, delivery.tries) == (State.DEAD, 1)


async def test_live_deliveries_never_reach_this_machine_and_test_ones_may(office):
    async with receiver(SECRET) as shop, office.open(schedule=Schedule("once", ())):
        refused = await office.ends(await office.tell(shop.url, owner="main.live"))
        unknown = await office.ends(await office.tell(shop.url, owner=""))
        taken = await office.ends(await office.tell(shop.url, owner="main.test"))

    assert [refused.state, unknown.state, taken.state] == [State.DEAD, State.DEAD, State.DONE]
    assert len(shop.received) == 1
    [attempt] = await office.deliveries.attempts(refused.delivery_id)
    assert (attempt.error or "").startswith("address_refused")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "https://[", "ftp://x", ""])
async def test_an_endpoint_that_cannot_be_reached_ends_as_a_dead_letter(office, url):
    async with office.open(schedule=Schedule("once", ())):
        delivery = await office.ends(await office.tell(url))

    assert delivery.state is State.DEAD


async def test_an_answer_that_never_ends_or_is_huge_still_counts(office):
    async def flood(received):
        return Reply(200, {"Content-Length": str(10**9)}, b"x" * 10**6)

    async with receiver(SECRET, flood) as shop, office.open():
        delivery = await office.ends(await office.tell(shop.url), within_s=10)

    assert delivery.state is State.DONE
    assert delivery.tries == 1


async def test_an_endpoint_that_never_answers_is_given_up_in_time(office):
    async def silent(received):
        await asyncio.Event().wait()

    async with receiver(SECRET, silent) as shop, office.open(total_s=0.3, schedule=Schedule("once", ())):
        began = time.monotonic()
        delivery = await office.ends(await office.tell(shop.url))

    [attempt] = await office.deliveries.attempts(delivery.delivery_id)
    assert attempt.error == "timeout"
    assert time.monotonic() - began < 5


async def test_one_slow_endpoint_does_not_delay_the_others(office):
    """300 deliveries to a black hole, queued first; then 100 to ten healthy receivers."""

    async def black_hole(received):
        await asyncio.Event().wait()

    async with contextlib.AsyncExitStack() as stack:
        hole = await stack.enter_async_context(receiver(SECRET, black_hole))
        shops = [await stack.enter_async_context(receiver(SECRET)) for _ in range(10)]
        for _ in range(300):
            await office.tell(hole.url)
        told = {}
        async with office.open(total_s=1.0, schedule=STANDARD, drain_s=0.1):
            await hole.arrives(4)
            took = []
            for _ in range(10):
                began = time.monotonic()
                for shop in shops:
                    told[await office.tell(shop.url)] = shop
                for shop in shops:
                    await shop.arrives(1 + len(took) // 10)
                took += [time.monotonic() - began] * 10

    assert max(took) < 2.0
    assert hole.most_at_once <= 8
    assert all(request.verified for shop in shops for request in shop.received)


async def test_a_delivery_that_outlasts_its_lease_is_not_sent_twice(office):
    async def slow(received):
        await asyncio.sleep(1.5)
        return Reply()

    async with receiver(SECRET, slow) as shop, office.open(lease_s=0.5), office.open(lease_s=0.5):
        delivery = await office.ends(await office.tell(shop.url))

    assert len(shop.received) == 1
    assert delivery.tries == 1


async def test_no_endpoint_gets_more_than_eight_at_once(office):
    async def slow(received):
        await asyncio.sleep(0.05)
        return Reply()

    async with receiver(SECRET, slow) as shop:
        for _ in range(60):
            await office.tell(shop.url)
        async with office.open():
            await shop.arrives(60, within_s=30)

    assert 4 <= shop.most_at_once <= 8
    assert len({request.webhook_id for request in shop.received}) == 60


async def test_the_events_of_one_call_arrive_in_order(office):
    async def uneven(received):
        await asyncio.sleep(0.03 if received.webhook_id.endswith("0") else 0.0)
        return Reply()

    call = call_id()
    events = [f"evt_{number:03}" for number in range(20)]
    async with receiver(SECRET, uneven) as shop:
        for event in events:
            await office.tell(shop.url, call=call, event=event)
            await asyncio.sleep(0.002)  # a millisecond of its own, as events of a call have
        async with office.open():
            await shop.arrives(len(events), within_s=20)

    assert [request.webhook_id for request in shop.received] == events
    assert [one.event_id for one in await office.deliveries.for_call(call)] == events


async def test_stopping_gives_back_what_is_not_being_sent(office):
    release = asyncio.Event()

    async def slow(received):
        await release.wait()
        return Reply()

    async with receiver(SECRET, slow) as shop:
        for _ in range(30):
            await office.tell(shop.url)
        async with office.open(total_s=10) as courier:
            await shop.arrives(4)
            courier.stop()
            release.set()
        sent = len(shop.received)

        async with office.open():
            await shop.arrives(30, within_s=10)

    assert sent < 30
    assert len({request.webhook_id for request in shop.received}) == len(shop.received) == 30


async def test_a_store_that_goes_away_is_waited_for(short_dir):
    async with EmbeddedValkey(short_dir / "away") as server, receiver(SECRET) as shop:
        redis, blocking = connect(server.url), connect_blocking(server.url)
        office = Office(redis, blocking, "x:")
        async with office.open():
            await office.tell(shop.url, event="evt_before")
            await shop.arrives(1)
            before = server.pid
            os.kill(before, signal.SIGKILL)
            await until(lambda: server.pid not in (0, before))

            async def told() -> bool:
                with contextlib.suppress(Unavailable):
                    await office.tell(shop.url, event="evt_after")
                    return True
                return False

            await until(told)
            await until(lambda: "evt_after" in {request.webhook_id for request in shop.received}, within_s=30)
        await redis.aclose()
        await blocking.aclose()


COURIER = """
import asyncio, sys
from messaging.accounts import Mode
from messaging.clock import SystemClock
from messaging.courier import Courier
from messaging.guard import AddressPolicy, guarded_client
from messaging.outbox import queue_keys
from messaging.queue_valkey import ValkeyQueue
from messaging.store import connect, connect_blocking

async def main():
    url, prefix, secret = sys.argv[1:]
    redis = connect(url)
    queue = ValkeyQueue(redis, connect_blocking(url), queue_keys(prefix, "hook"))
    client = guarded_client(AddressPolicy().with_loopback(), connect_s=2, total_s=5)
    clients = {Mode.TEST: client, Mode.LIVE: client}
    await Courier(queue, redis, prefix, clients, lambda owner: (secret,), SystemClock(), lease_s=1.0).run()

asyncio.run(main())
"""


async def test_a_courier_killed_while_sending_delivers_again_under_the_same_id(office, valkey):
    """The receiver itself kills the sender: after the request, before the answer."""
    victims: list[asyncio.subprocess.Process] = []

    async def murderous(received):
        if victims:
            victims.pop().kill()
            return None
        return Reply()

    async with receiver(SECRET, murderous) as shop:
        one = await office.tell(shop.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", COURIER, valkey.url, valkey.prefix, SECRET, stdout=asyncio.subprocess.DEVNULL
        )
        victims.append(process)
        try:
            await shop.arrives(1, within_s=20)
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

        async with office.open():
            delivery = await office.ends(one)

    assert [request.webhook_id for request in shop.received] == [delivery.event_id] * 2
    assert delivery.state is State.DONE


async def test_nothing_is_lost_when_couriers_are_killed_again_and_again(office, valkey):
    """N = 6 kills at random moments over 200 deliveries; each arrives at least once, verified."""
    rng = random.Random()
    events = {event_id() for _ in range(200)}
    async with receiver(SECRET) as shop:
        for event in events:
            await office.tell(shop.url, event=event)
        for _ in range(6):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", COURIER, valkey.url, valkey.prefix, SECRET, stdout=asyncio.subprocess.DEVNULL
            )
            before = len(shop.received)
            with contextlib.suppress(TimeoutError):  # all delivered already: then it is killed while idle
                await shop.arrives(before + rng.randrange(1, 20), within_s=5)
            process.kill()
            await process.wait()
        async with office.open():
            await until(lambda: {request.webhook_id for request in shop.received} == events, within_s=30)
            await until(lambda: empty(office), within_s=30)

    assert all(request.verified for request in shop.received)
    assert len(shop.received) < 2 * len(events)


async def empty(office) -> bool:
    return await office.queue.size() == 0


async def test_the_first_webhook_is_there_within_two_seconds(office):
    async with receiver(SECRET) as shop, office.open():
        took = []
        for number in range(100):
            began = time.monotonic()
            await office.tell(shop.url)
            await shop.arrives(number + 1)
            took.append(time.monotonic() - began)

    assert sorted(took)[98] < 2.0


async def test_a_burst_to_one_endpoint_goes_out_at_once(office):
    async with receiver(SECRET) as shop:
        for _ in range(400):
            await office.tell(shop.url)
        began = time.monotonic()
        async with office.open():
            await shop.arrives(400, within_s=30)

    assert time.monotonic() - began < 15


async def test_recording_a_try_twice_changes_nothing(office):
    one = await office.tell("http://127.0.0.1/")
    [delivery] = await office.deliveries.read([one])
    assert delivery is not None
    failed = Try(number=1, at=office.clock.now(), took_ms=5, verdict=Verdict.RETRY, status=500)

    for _ in range(2):
        await office.deliveries.record(delivery, failed, Move.RETRY, 60)
    score = await office.redis.zscore(office.keys.due, one)
    await office.deliveries.record(delivery, failed, Move.RETRY, 600)
    [after] = await office.deliveries.read([one])

    assert await office.redis.zscore(office.keys.due, one) == score
    assert after is not None
    assert after.tries == 1

    taken = replace(failed, verdict=Verdict.DELIVERED, status=200)
    for _ in range(2):
        await office.deliveries.record(delivery, taken, Move.DONE)
    [done] = await office.deliveries.read([one])

    assert done is not None
    assert (done.state, done.tries) == (State.DONE, 2)  # a success counts although another had number 1
    assert await office.queue.size() == 0


async def test_the_log_of_tries_is_bounded(office):
    one = await office.tell("http://127.0.0.1/")
    [delivery] = await office.deliveries.read([one])
    assert delivery is not None
    for number in range(1, TRIES_KEPT + 6):
        failed = Try(number=number, at=office.clock.now(), took_ms=5, verdict=Verdict.RETRY, status=500)
        await office.deliveries.record(delivery, failed, Move.RETRY, 60)

    numbers = [attempt.number for attempt in await office.deliveries.attempts(one)]
    assert numbers == list(range(6, TRIES_KEPT + 6))


async def test_putting_the_same_delivery_twice_is_putting_it_once(office):
    one = delivery_id()
    keys = [delivery_key(office.prefix, one), *office.keys, call_deliveries_key(office.prefix, "call_1")]
    args = [one, "evt_1", "http://127.0.0.1/", "{}", "9bits", 1000, KEEP_S, "main.test", "call_1"]

    for _ in range(3):
        await TELL(office.redis, keys, args)

    assert await office.queue.size() == 1
    assert len(await office.deliveries.for_call("call_1")) == 1
    assert await office.redis.ttl(delivery_key(office.prefix, one)) == -1  # pending: it may not vanish
