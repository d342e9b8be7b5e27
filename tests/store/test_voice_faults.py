"""A real server whose answers get lost on the way: every write that is repeated is one write."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from messaging.errors import Unavailable
from messaging.store import connect, connect_blocking
from tests.dialer_bench import SANDBOX, Bench, Spied
from tests.valkey import TestValkey
from tests.voice_values import HOOK, OWNER, an_intake
from voice.store import CallFilter, CallStore, Lane, Once
from voice.store_valkey import ValkeyCallStore

REQUESTS = 60


class DroppingProxy:
    """Between us and the server's socket. When armed it passes the next request on and cuts before the answer."""

    def __init__(self, path: Path, server: str) -> None:
        self.path, self._server = path, server
        self.armed = False
        self.dropped = 0
        self.share = 0.0
        self._chance = random.Random(11)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "DroppingProxy":
        self._listener = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for writer in list(self._writers):
            writer.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        to_reader, server = await asyncio.open_unix_connection(self._server)
        self._writers |= {client, server}
        pumps = {
            asyncio.ensure_future(self._requests(reader, server)),
            asyncio.ensure_future(self._answers(to_reader, client)),
        }
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for writer in (client, server):  # either end ends both
            writer.close()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._writers -= {client, server}
        self._tasks.discard(task)

    async def _requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            server.write(data)
            await server.drain()

    async def _answers(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await server.read(1 << 20):
            if self.armed or self._chance.random() < self.share:
                self.armed = False
                self.dropped += 1
                return
            client.write(data)
            await client.drain()


@contextlib.asynccontextmanager
async def behind_proxy(valkey: TestValkey, directory: Path) -> AsyncIterator[tuple[DroppingProxy, ValkeyCallStore]]:
    server = valkey.url.removeprefix("unix://").split("?")[0]
    async with DroppingProxy(directory / "proxy.sock", server) as proxy:
        url = valkey.url.replace(server, str(proxy.path))
        redis, blocking = connect(url), connect_blocking(url)
        try:
            store = ValkeyCallStore(redis, blocking, valkey.prefix)
            await store.accept(an_intake(1, owner="warm.live", sandbox=False))  # the server knows the script from here
            yield proxy, store
        finally:
            proxy.share = 0.0
            await redis.aclose()
            await blocking.aclose()


@pytest.fixture
async def lossy(valkey: TestValkey, short_dir: Path) -> AsyncIterator[tuple[DroppingProxy, ValkeyCallStore]]:
    async with behind_proxy(valkey, short_dir) as both:
        yield both
    (short_dir / "proxy.sock").unlink(missing_ok=True)


async def insisting(ask: Any) -> Any:
    """What a caller does: the same write again until there is an answer."""
    for _ in range(50):
        try:
            return await ask()
        except Unavailable:
            continue
    raise AssertionError("the store never answered")


async def test_a_request_whose_answer_is_lost_is_accepted_once(
    lossy: tuple[DroppingProxy, ValkeyCallStore], valkey: TestValkey
) -> None:
    proxy, store = lossy
    intake = an_intake(3, once=Once("k", "print", 200, "the answer"), callbacks=(HOOK,))
    proxy.armed = True

    with pytest.raises(Unavailable):
        await store.accept(intake)
    again = await store.accept(an_intake(3, once=intake.once))

    assert proxy.dropped == 1
    assert (again.replayed, again.body) == (True, "the answer")
    assert await store.queued(Lane.SANDBOX) == 3
    assert await valkey.redis.zcard(f"{valkey.prefix}q:hook:due") == 3


async def test_many_requests_over_a_lossy_way_are_accepted_once_each(
    lossy: tuple[DroppingProxy, ValkeyCallStore],
) -> None:
    proxy, store = lossy
    proxy.share = 0.2

    for number in range(REQUESTS):
        once = Once(f"key-{number}", "print", 200, str(number))
        answer = await insisting(lambda once=once: store.accept(an_intake(2, once=once)))
        assert answer.body in (None, once.body)

    proxy.share = 0.0
    assert proxy.dropped > REQUESTS / 20
    assert await store.queued(Lane.SANDBOX) == 2 * REQUESTS
    page = await store.calls(OWNER, CallFilter(), None, 200)
    assert len(page.calls) == 2 * REQUESTS


async def test_calls_over_a_lossy_way_are_dialled_once_and_their_stories_have_no_gap(
    lossy: tuple[DroppingProxy, ValkeyCallStore], valkey: TestValkey, tmp_path: Path
) -> None:
    proxy, store = lossy
    honest: CallStore = ValkeyCallStore(valkey.redis, valkey.blocking, valkey.prefix)
    line = Spied()
    bench = Bench(store, tmp_path, {"sandbox": (SANDBOX, line)})
    watching = Bench(honest, tmp_path / "watch", {})
    async with bench.run(lease_s=1.0):
        intake = await watching.calls(["12025550100", "12025550101"] * 15, callbacks=(HOOK,))
        proxy.share = 0.1
        calls = [await watching.final(intake, index) for index in range(30)]
        proxy.share = 0.0
    await line.aclose()
    watching.journal.close()

    assert proxy.dropped > 5
    dialled = [dial.call_id for dial in line.dials]
    assert len(dialled) == len(set(dialled))
    for call in calls:
        assert call.ending is not None
        events = await honest.events(call.call_id)
        assert [event.sequence for event in events] == list(range(1, call.sequence + 1))
        assert [event.type for event in events].count("call.ended") == 1
    assert await valkey.redis.zcard(f"{valkey.prefix}q:hook:due") == 60
