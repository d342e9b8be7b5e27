"""The connection: bounded, cancellable, never sure without a reason, and honest about durability."""

import asyncio
import contextlib
import functools
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from messaging.connection import ANSWER_S, CONNECT_S, RunningFor
from messaging.embedded import EmbeddedValkey, server_program, socket_path
from messaging.errors import Unavailable
from messaging.outbox import queue_keys
from messaging.queue_valkey import ValkeyQueue
from messaging.store import HIDDEN, Policy, Script, connect, connect_blocking, durability, unsure, weaker
from tests.until import until
from tests.valkey import TestValkey

FOLLOWERS = 300


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@asynccontextmanager
async def plain_server(folder: Path, *options: str) -> AsyncIterator[str]:
    """A server with the settings of its makers, as somebody else would run it: its URL."""
    path = made(folder) / "s.sock"
    process = await asyncio.create_subprocess_exec(
        str(server_program()), "--port", "0", "--unixsocket", str(path), "--dir", str(folder), *options,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(functools.partial(listens, path))
        yield f"unix://{path}"
    finally:
        process.terminate()
        await process.wait()


def stand_still(seconds: float) -> None:
    """As on a host that gives this process no time."""
    time.sleep(seconds)  # noqa: TID251


async def listens(path: Path) -> bool:
    """The socket's name is there a moment before anybody listens behind it."""
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    return True


class Proxy:
    """TCP in front of the server's socket; may lose what the server says, as a network does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lose_replies = False
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(str(self._path))

        async def commands() -> None:
            while data := await reader.read(65536):
                server_writer.write(data)
                await server_writer.drain()

        async def replies() -> None:
            while data := await server_reader.read(65536):
                if self.lose_replies:
                    return
                writer.write(data)
                await writer.drain()

        tasks = [asyncio.create_task(commands()), asyncio.create_task(replies())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in (writer, server_writer):
            end.close()


@asynccontextmanager
async def proxy(path: Path) -> AsyncIterator[Proxy]:
    one = Proxy(path)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield one
    server.close()


@asynccontextmanager
async def client(url: str):
    redis = connect(url)
    yield redis
    await redis.aclose()


GET = Script("return redis.call('GET', KEYS[1])")
COUNT = Script("return redis.call('INCR', KEYS[1])")


async def test_a_cancelled_command_always_stops(valkey):
    """redis-py alone loses about one cancellation in forty on Python 3.11."""
    rng = random.Random(11)
    went_on = cancelled = 0
    for _ in range(1500):
        task = asyncio.create_task(valkey.redis.set(f"{valkey.prefix}k", "1"))
        for _ in range(rng.randrange(0, 30)):
            await asyncio.sleep(0)
        if task.done():
            continue
        task.cancel()
        cancelled += 1
        with contextlib.suppress(asyncio.CancelledError):
            await task
            went_on += 1

    assert cancelled > 500
    assert went_on == 0


async def test_a_server_that_is_not_there_is_known_at_once(short_dir):
    async with client(f"unix://{short_dir}/nobody.sock") as redis:
        began = time.monotonic()
        with pytest.raises(Unavailable) as unavailable:
            await GET(redis, ["k"])

    assert time.monotonic() - began < 0.5
    assert unavailable.value.retry_after_s == 2
    assert unavailable.value.status == 503


async def test_a_server_that_is_silent_is_known_within_two_seconds(short_dir):
    async with EmbeddedValkey(short_dir / "stopped") as server, client(server.url) as redis:
        await redis.ping()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            for command in (  # on an open connection, then on a new one, then more than fits into the socket
                lambda: GET(redis, ["k"]),
                lambda: GET(redis, ["k"]),
                lambda: COUNT(redis, ["k"], ["x" * 5_000_000]),
            ):
                began = time.monotonic()
                with pytest.raises(Unavailable):
                    await command()
                assert time.monotonic() - began < 2.0
        finally:
            os.kill(server.pid, signal.SIGCONT)

        async def answers() -> bool:
            with contextlib.suppress(Unavailable), unsure():
                return bool(await redis.ping())
            return False

        assert await until(answers)  # the same client goes on


async def test_an_answer_that_came_while_this_process_stood_still_is_read(valkey):
    await valkey.redis.set(f"{valkey.prefix}k", "here")
    asking = asyncio.create_task(GET(valkey.redis, [f"{valkey.prefix}k"]))
    await asyncio.sleep(0)

    for _ in range(3):
        stand_still(2 * ANSWER_S)
        await asyncio.sleep(0)

    assert await asking == "here"


async def test_a_connection_made_while_this_process_stood_still_is_used(valkey):
    async with client(valkey.url) as redis:
        asking = [asyncio.create_task(COUNT(redis, [f"{valkey.prefix}k"])) for _ in range(50)]
        for _ in range(8):
            await asyncio.sleep(0)
            stand_still(CONNECT_S)

        assert sorted(await asyncio.gather(*asking)) == list(range(1, 51))


async def test_only_so_much_standing_still_is_forgiven():
    async def starve() -> None:
        async with RunningFor(0.1):
            while True:
                stand_still(0.03)
                await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        await starve()


async def test_a_write_whose_answer_was_lost_can_be_repeated(valkey, valkey_server):
    keys = queue_keys(valkey.prefix, "lost")
    async with proxy(socket_path(valkey_server.data_dir)) as network, client(network.url) as redis:
        queue = ValkeyQueue(redis, valkey.blocking, keys)
        await queue.put("first")
        network.lose_replies = True
        with pytest.raises(Unavailable):
            await queue.put("call_1")
        assert await valkey.redis.zcard(keys.due) == 2  # it was carried out, and we could not know

        network.lose_replies = False
        await queue.put("call_1")

        assert await queue.size() == 2
        assert await valkey.redis.xlen(keys.wake) == 2


async def test_nothing_is_sent_twice_by_the_client_itself(valkey, valkey_server):
    key = f"{valkey.prefix}n"
    async with proxy(socket_path(valkey_server.data_dir)) as network, client(network.url) as redis:
        assert await COUNT(redis, [key]) == 1
        network.lose_replies = True
        with pytest.raises(Unavailable):
            await COUNT(redis, [key])

    assert await valkey.redis.get(key) == "2"


async def test_a_server_that_has_never_seen_the_script_runs_it(valkey):
    fresh = Script(f"return {{'{valkey.prefix}', ARGV[1]}}")

    assert await fresh(valkey.redis, [], ["a"]) == [valkey.prefix, "a"]
    assert await fresh(valkey.redis, [], ["b"]) == [valkey.prefix, "b"]


async def test_a_server_without_memory_refuses_and_keeps_what_it_has(short_dir):
    async with EmbeddedValkey(short_dir / "full", maxmemory_bytes=4_000_000) as server, client(server.url) as redis:
        keep = Script("redis.call('SET', KEYS[1], ARGV[1])")

        async def fill() -> None:
            for number in range(200):
                await keep(redis, [f"k{number}"], ["x" * 100_000])

        with pytest.raises(Unavailable):
            await fill()

        assert await redis.strlen("k0") == 100_000


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        BusyLoadingError("loading"),
        ReadOnlyError("You can't write against a read only replica."),
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ClusterDownError("down"),
        ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
        ResponseError("MISCONF"),
        ResponseError("BUSY Valkey is busy running a script."),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
    ],
)
def test_doubt_becomes_unavailable(error):
    with pytest.raises(Unavailable), unsure():
        raise error


@pytest.mark.parametrize("error", [ResponseError("WRONGTYPE Operation"), NoPermissionError("no"), ValueError("ours")])
def test_what_is_our_own_mistake_stays_what_it_is(error):
    with pytest.raises(type(error)), unsure():
        raise error


async def test_a_blocking_read_waits_longer_than_any_answer_may_take(valkey):
    began = time.monotonic()

    assert not await valkey.blocking.xread({f"{valkey.prefix}none": "0-0"}, block=1600)

    assert 1.5 < time.monotonic() - began < 5


GOOD = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@pytest.mark.parametrize(
    ("change", "policy", "said"),
    [
        ({}, Policy.ALWAYS, []),
        ({"appendfsync": "everysec"}, Policy.EVERYSEC, []),
        ({}, Policy.EVERYSEC, []),
        ({"appendfsync": "everysec"}, Policy.ALWAYS, ["appendfsync is everysec"]),
        ({"appendfsync": "no"}, Policy.EVERYSEC, ["appendfsync is no"]),
        ({"appendonly": "no"}, Policy.ALWAYS, ["appendonly is off"]),
        ({"maxmemory-policy": "allkeys-lru"}, Policy.ALWAYS, ["maxmemory-policy is allkeys-lru"]),
        (
            {"appendonly": "no", "appendfsync": "no", "maxmemory-policy": "volatile-ttl"},
            Policy.ALWAYS,
            ["appendonly", "appendfsync", "maxmemory-policy"],
        ),
    ],
)
def test_each_setting_that_is_too_weak_is_named(change, policy, said):
    reasons = weaker({**GOOD, **change}, policy)

    assert len(reasons) == len(said)
    assert all(words in reason for words, reason in zip(said, reasons, strict=True))
    assert all("CONFIG SET" in reason for reason in reasons)


async def test_a_server_as_it_comes_is_not_durable_and_says_so(short_dir):
    async with plain_server(short_dir / "plain") as url, client(url) as redis:
        found = await durability(redis, "always")
        trusted = await durability(redis, "trust")

    assert not found.ok
    assert [reason.split()[0] for reason in found.reasons] == ["appendonly", "appendfsync"]
    assert trusted.ok
    assert trusted.run_id == found.run_id != ""
    assert trusted.version


async def test_a_server_that_hides_its_settings_needs_an_operator_who_vouches(short_dir):
    hidden = ["default", "on", "nopass", "~*", "&*", "+@all", "-config"]
    async with plain_server(short_dir / "hidden", "--user", *hidden) as url, client(url) as redis:
        found = await durability(redis, Policy.ALWAYS)
        trusted = await durability(redis, Policy.TRUST)

    assert found.reasons == (HIDDEN,)
    assert trusted.ok


async def test_a_replica_is_no_place_to_write(short_dir):
    options = ("--appendonly", "yes", "--appendfsync", "always", "--replicaof", "127.0.0.1", "1")
    async with plain_server(short_dir / "replica", *options) as url, client(url) as redis:
        found = await durability(redis, Policy.ALWAYS)
        with pytest.raises(Unavailable):
            await Script("redis.call('SET', KEYS[1], '1')")(redis, ["k"])

    assert found.reasons == ("The server is a replica and takes no writes. Point store.redis_url at the primary.",)


async def test_the_question_of_durability_fails_fast_without_a_server(short_dir):
    async with client(f"unix://{short_dir}/nobody.sock") as redis:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await durability(redis, Policy.ALWAYS)

    assert time.monotonic() - began < 1


async def test_a_blocking_client_says_when_the_server_is_gone(short_dir):
    async with EmbeddedValkey(short_dir / "gone") as server, client(server.url) as redis:
        blocking = connect_blocking(server.url)
        queue = ValkeyQueue(redis, blocking, queue_keys("x:", "gone"))
        waiting = asyncio.create_task(queue.wait(30))
        await until(lambda: redis.info("clients"))
        await until(lambda: blocked(redis))

        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            async with asyncio.timeout(5):
                await waiting
        await blocking.aclose()


async def blocked(redis) -> bool:
    return bool((await redis.info("clients"))["blocked_clients"])


async def test_hundreds_may_follow_a_call_at_once(valkey: TestValkey) -> None:
    followers = [valkey.blocking.pubsub() for _ in range(FOLLOWERS)]
    try:
        for follower in followers:
            await follower.subscribe(f"{valkey.prefix}events")
    finally:
        for follower in followers:
            await follower.aclose()  # type: ignore[no-untyped-call]  # redis-py does not say what it returns
