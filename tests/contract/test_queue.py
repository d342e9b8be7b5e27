"""The Queue port: both twins, and both real servers, keep the same promises."""

import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import pytest_asyncio

from messaging.clock import SystemClock
from messaging.embedded import EmbeddedValkey
from messaging.ids import ulid
from messaging.outbox import queue_keys
from messaging.queue import Queue
from messaging.queue_memory import MemoryQueue
from messaging.queue_valkey import ValkeyQueue
from messaging.store import connect, connect_blocking

LEASE_S = 30.0
SHORT_S = 0.15


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def debian_server(short_dir):
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    async with EmbeddedValkey(short_dir / "debian-queue", program=Path(program)) as server:
        yield server


@pytest.fixture(params=["memory", "valkey", pytest.param("debian", marks=pytest.mark.peer)])
def server(request):
    """None for the twin. Not async: another fixture's server can only be asked for outside the loop."""
    name = {"memory": None, "valkey": "valkey_server", "debian": "debian_server"}[request.param]
    return name and request.getfixturevalue(name)


@pytest.fixture
async def queue(server):
    if server is None:
        yield MemoryQueue(SystemClock())
        return
    redis, blocking = connect(server.url), connect_blocking(server.url)
    keys = queue_keys(f"t{ulid()}:", "contract")
    yield ValkeyQueue(redis, blocking, keys)
    await redis.unlink(*keys)
    await redis.aclose()
    await blocking.aclose()


async def comes(queue: Queue, within_s: float = 5.0) -> list[str]:
    """What the queue hands out next, waiting for it."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if entries := await queue.lease(10, LEASE_S):
            return list(entries)
        await queue.wait(deadline - time.monotonic())
    return []


async def test_an_entry_is_handed_out_once(queue):
    await queue.put("a")

    assert list(await queue.lease(10, LEASE_S)) == ["a"]
    assert list(await queue.lease(10, LEASE_S)) == []


async def test_putting_twice_is_putting_once(queue):
    await queue.put("a")
    await queue.put("a")

    assert await queue.size() == 1


async def test_putting_a_leased_entry_again_does_not_hand_it_out_twice(queue):
    await queue.put("a")
    await queue.lease(1, LEASE_S)

    await queue.put("a")

    assert list(await queue.lease(10, LEASE_S)) == []
    assert await queue.size() == 1


async def test_the_earlier_due_time_stays(queue):
    await queue.put("sooner", delay_s=60)
    await queue.put("sooner", delay_s=0)
    await queue.put("later", delay_s=0)
    await queue.put("later", delay_s=60)

    assert sorted(await queue.lease(10, LEASE_S)) == ["later", "sooner"]


async def test_an_entry_is_not_due_before_its_time(queue):
    await queue.put("a", delay_s=SHORT_S)
    began = time.monotonic()
    assert list(await queue.lease(10, LEASE_S)) == []

    assert await comes(queue) == ["a"]

    assert time.monotonic() - began >= SHORT_S - 0.01


async def test_the_oldest_come_first_and_no_more_than_asked(queue):
    for entry in ("c", "b", "a"):
        await queue.put(entry)
        await queue.wait(0.005)
        await asyncio.sleep(0.003)  # the server's clock counts milliseconds

    assert list(await queue.lease(2, LEASE_S)) == ["c", "b"]
    assert list(await queue.lease(2, LEASE_S)) == ["a"]


async def test_an_entry_whose_holder_is_silent_comes_back(queue):
    await queue.put("a")
    await queue.lease(1, SHORT_S)
    began = time.monotonic()

    assert await comes(queue) == ["a"]

    assert time.monotonic() - began >= SHORT_S - 0.02


async def test_extending_keeps_an_entry_away(queue):
    await queue.put("a")
    await queue.put("b", delay_s=2 * SHORT_S)
    await queue.lease(1, SHORT_S)

    await queue.extend(["a"], LEASE_S)

    assert await comes(queue) == ["b"]


async def test_what_is_done_is_gone(queue):
    await queue.put("a")
    await queue.lease(1, SHORT_S)

    await queue.done("a")
    await queue.done("a")
    await queue.extend(["a"], 0)
    await queue.retry("a", 0)

    assert await queue.size() == 0
    assert list(await queue.lease(10, LEASE_S)) == []


async def test_what_is_given_back_is_due_after_its_delay(queue):
    await queue.put("a")
    await queue.put("b")
    await queue.lease(2, LEASE_S)

    await queue.retry("a", 0)
    await queue.retry("b", SHORT_S)

    assert await comes(queue) == ["a"]
    assert await comes(queue) == ["b"]


async def test_waiting_ends_when_something_is_put(queue):
    waiting = asyncio.create_task(queue.wait(20))
    while not waiting.done():  # however early or late the wait has begun
        await asyncio.sleep(0)
        await queue.put("a")

    async with asyncio.timeout(5):
        await waiting


async def test_waiting_ends_when_a_retry_brings_an_earlier_time(queue):
    await queue.put("a")
    await queue.lease(1, LEASE_S)
    waiting = asyncio.create_task(queue.wait(20))
    while not waiting.done():
        await asyncio.sleep(0.01)
        await queue.retry("a", 0)

    async with asyncio.timeout(5):
        await waiting


async def test_waiting_ends_at_its_timeout(queue):
    began = time.monotonic()

    await queue.wait(SHORT_S)

    assert SHORT_S - 0.02 <= time.monotonic() - began < 3


async def test_waiting_ends_when_a_future_entry_becomes_due(queue):
    await queue.put("a", delay_s=SHORT_S)
    began = time.monotonic()

    await queue.wait(20)

    assert time.monotonic() - began < 3
    assert await comes(queue, 1) == ["a"]


async def test_no_put_is_ever_missed_between_leasing_and_waiting(queue):
    """Consumers that lease and then wait, without any pause between, against a producer with random pauses."""
    entries = {f"e{number}" for number in range(300)}
    seen: list[str] = []

    async def consume() -> None:
        while len(seen) < len(entries):
            if got := await queue.lease(3, LEASE_S):
                seen.extend(got)
            else:
                await queue.wait(0.5 if len(seen) == len(entries) else 10)

    async def produce() -> None:
        for number, entry in enumerate(entries):
            await queue.put(entry)
            if number % 7 == 0:
                await asyncio.sleep(0.002)

    began = time.monotonic()
    consumers = [asyncio.create_task(consume()) for _ in range(3)]
    await produce()
    async with asyncio.timeout(9):  # a missed put would cost a wait of 10 s
        await asyncio.wait(consumers, return_when=asyncio.FIRST_COMPLETED)
    for consumer in consumers:
        consumer.cancel()
    await asyncio.gather(*consumers, return_exceptions=True)

    assert sorted(seen) == sorted(entries)
    assert time.monotonic() - began < 9


HOLDER = """
import asyncio, sys
from messaging.outbox import queue_keys
from messaging.queue_valkey import ValkeyQueue
from messaging.store import connect, connect_blocking

async def main():
    url, prefix = sys.argv[1:]
    queue = ValkeyQueue(connect(url), connect_blocking(url), queue_keys(prefix, "held"))
    print(*await queue.lease(5, 1.0), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_entries_of_a_holder_that_is_killed_come_back(valkey):
    queue = ValkeyQueue(valkey.redis, valkey.blocking, queue_keys(valkey.prefix, "held"))
    for entry in ("a", "b"):
        await queue.put(entry)
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, valkey.url, valkey.prefix, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    async with asyncio.timeout(20):
        held = (await holder.stdout.readline()).decode().split()

    os.kill(holder.pid, signal.SIGKILL)
    await holder.wait()

    assert sorted(held) == ["a", "b"]
    assert sorted(await comes(queue)) == ["a", "b"]


class PutsFirst:
    """The blocking client, with a put just before it begins to wait: the worst moment there is."""

    def __init__(self, blocking, put) -> None:
        self._blocking, self._put = blocking, put

    async def xread(self, *args, **options):
        await self._put()
        return await self._blocking.xread(*args, **options)


async def test_a_put_between_looking_and_waiting_wakes(valkey):
    keys = queue_keys(valkey.prefix, "between")
    other = ValkeyQueue(valkey.redis, valkey.blocking, keys)
    queue = ValkeyQueue(valkey.redis, PutsFirst(valkey.blocking, lambda: other.put("a")), keys)

    async with asyncio.timeout(5):
        await queue.wait(20)

    assert list(await queue.lease(1, LEASE_S)) == ["a"]
