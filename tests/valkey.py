"""A real Valkey for tests: one server per session, a prefix per test, and a complaint about keys outside it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from messaging.embedded import EmbeddedValkey
from messaging.ids import ulid
from messaging.store import connect, connect_blocking


@dataclass(frozen=True, slots=True)
class TestValkey:
    """`redis` answers at once, `blocking` is for XREAD BLOCK; `prefix` is this test's alone."""

    __test__ = False

    url: str
    prefix: str
    redis: Redis
    blocking: Redis


@pytest.fixture(scope="session")
def short_dir() -> Iterator[Path]:
    """A directory with a short name: pytest's own are near the length a unix socket may have."""
    with TemporaryDirectory(prefix="tocsin-") as path:
        yield Path(path)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey_server(short_dir: Path) -> AsyncIterator[EmbeddedValkey]:
    """The session's server. Tests that stop or kill a server start their own."""
    async with EmbeddedValkey(short_dir / "valkey") as server:
        yield server


@pytest_asyncio.fixture
async def valkey(valkey_server: EmbeddedValkey) -> AsyncIterator[TestValkey]:
    redis, blocking = connect(valkey_server.url), connect_blocking(valkey_server.url)
    prefix = f"t{ulid()}:"
    try:
        yield TestValkey(valkey_server.url, prefix, redis, blocking)
        keys = [key async for key in redis.scan_iter(count=1000)]
        for start in range(0, len(keys), 500):
            await redis.unlink(*keys[start : start + 500])
        strangers = [key for key in keys if not key.startswith(prefix)]
        assert not strangers, f"keys outside the prefix {prefix}: {strangers}"
    finally:
        await redis.aclose()
        await blocking.aclose()
