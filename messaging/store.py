"""The Valkey/Redis connection, scripts, and "is it as durable as policy says".

The client never repeats a command by itself: one whose answer was lost may have been carried out. Writes are scripts
that are harmless to repeat, and whoever asked repeats them. Every doubt becomes `messaging.errors.Unavailable`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from messaging.connection import bounded
from messaging.errors import Unavailable

POOL_MOST = 64  # connections per process; more callers wait their turn
POOL_WAIT_S = 1.5
BLOCKING_MOST = 4096  # twice what the API accepts at once: the library's own limit of 100 must not be met first
RETRY_AFTER_S = 2

# Error words of a server that is alive and still cannot promise a write (or an honest read).
UNSURE_CODES = frozenset(
    {
        "LOADING",
        "READONLY",
        "OOM",
        "MISCONF",
        "BUSY",
        "UNKILLABLE",
        "MASTERDOWN",
        "NOREPLICAS",
        "CLUSTERDOWN",
        "TRYAGAIN",
    }
)


_COMMON: dict[str, Any] = {
    "decode_responses": True,
    "retry": Retry(NoBackoff(), 0),
}


class Policy(StrEnum):
    """What the server must promise before we are ready."""

    ALWAYS = "always"  # every write is on disk before it is acknowledged
    EVERYSEC = "everysec"  # a crash of the machine may cost a second
    TRUST = "trust"  # a managed server that hides its settings: the operator vouches for it


@dataclass(frozen=True, slots=True)
class Durability:
    """`reasons`: plain sentences, each with what to do; empty when ok. `run_id` changes when the server restarts.

    `version`: with the name, as in "Valkey 9.1.2".
    """

    ok: bool
    reasons: tuple[str, ...]
    run_id: str
    version: str


def connect(url: str) -> Redis:
    """A client for everything that answers at once. Text in, text out. A server that is away costs at most 2 s."""
    pool = BlockingConnectionPool(
        max_connections=POOL_MOST,
        timeout=POOL_WAIT_S,
        **{**bounded(url), **_COMMON},
    )
    return Redis.from_pool(pool)


def connect_blocking(url: str) -> Redis:
    """A client for XREAD BLOCK alone: it waits as long as the command says, on connections of its own.

    The caller bounds each call (`asyncio.timeout`), because a server that hangs would never answer.
    """
    pool = ConnectionPool(max_connections=BLOCKING_MOST, **{**bounded(url, answer_s=None), **_COMMON})
    return Redis.from_pool(pool)


@contextmanager
def unsure() -> Iterator[None]:
    """Around commands: whatever leaves the outcome open, or keeps the server from promising, becomes Unavailable."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError) as error:
        raise Unavailable(retry_after_s=RETRY_AFTER_S) from error
    except ResponseError as error:
        if is_unsure(error):
            raise Unavailable(retry_after_s=RETRY_AFTER_S) from error
        raise


def is_unsure(error: ResponseError) -> bool:
    """redis-py strips the code of the errors that have a class of their own; the others begin with it."""
    words = str(error).split(maxsplit=1)
    named = {"OutOfMemoryError", "ReadOnlyError", "ClusterDownError", "MasterDownError", "TryAgainError"}
    return type(error).__name__ in named or (bool(words) and words[0] in UNSURE_CODES)


def _lua(name: str) -> str:
    return (Path(__file__).parent / "lua" / f"{name}.lua").read_text(encoding="utf-8")


class Script:
    """A Lua script, run by its hash: `await script(redis, keys, args)`. Raises Unavailable when unsure.

    messaging/lua/whole.lua stands in front of each: an argument that is no number is refused before the first write.
    """

    def __init__(self, lua: str) -> None:
        self.lua = _lua("whole") + lua
        self.sha = hashlib.sha1(self.lua.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def named(cls, name: str) -> Self:
        """One of messaging/lua/."""
        return cls(_lua(name))

    async def __call__(self, redis: Redis, keys: Sequence[str], args: Sequence[str | int | float] = ()) -> Any:
        with unsure():
            try:
                return await redis.evalsha(self.sha, len(keys), *keys, *args)
            except NoScriptError:  # a new server: nothing was run, and EVAL teaches it the script
                return await redis.eval(self.lua, len(keys), *keys, *args)


async def durability(redis: Redis, policy: Policy | str) -> Durability:
    """Compare the server with the policy. Raises Unavailable when it does not answer."""
    with unsure():
        server: Mapping[str, Any] = await redis.info()
        reasons = [*_cannot_write(server)]
        if policy != Policy.TRUST:
            try:
                settings = {
                    name: str((await redis.config_get(name)).get(name, ""))
                    for name in ("appendonly", "appendfsync", "maxmemory-policy")
                }
                reasons += weaker(settings, Policy(policy))
            except NoPermissionError:
                reasons.append(HIDDEN)
            except ResponseError as error:
                if is_unsure(error):
                    raise
                reasons.append(HIDDEN)
    valkey = server.get("valkey_version")
    version = f"Valkey {valkey}" if valkey else f"Redis {server.get('redis_version', '')}"
    return Durability(not reasons, tuple(reasons), str(server.get("run_id", "")), version)


HIDDEN = (
    "The server does not show its settings (CONFIG GET). Allow this user CONFIG|GET, or set store.policy to trust when "
    "its operator promises that an acknowledged write survives."
)


def weaker(settings: Mapping[str, str], policy: Policy) -> list[str]:
    """In which respects these settings promise less than the policy asks (pure)."""
    reasons = []
    if settings["appendonly"] != "yes":
        reasons.append(
            "appendonly is off: a crash of the server would lose accepted calls. Run CONFIG SET appendonly yes, and "
            "write it into the server's configuration."
        )
    enough = {Policy.ALWAYS: {"always"}, Policy.EVERYSEC: {"always", "everysec"}}[policy]
    if settings["appendfsync"] not in enough:
        reasons.append(
            f"appendfsync is {settings['appendfsync']}, and store.policy asks for {policy}: writes are acknowledged "
            f"before they are on disk. Run CONFIG SET appendfsync {policy}, or lower store.policy knowingly."
        )
    if settings["maxmemory-policy"] != "noeviction":
        reasons.append(
            f"maxmemory-policy is {settings['maxmemory-policy']}: when memory runs short the server would throw calls "
            "away. Run CONFIG SET maxmemory-policy noeviction."
        )
    return reasons


def _cannot_write(server: Mapping[str, Any]) -> Iterator[str]:
    if server.get("role", "master") != "master":
        yield "The server is a replica and takes no writes. Point store.redis_url at the primary."
    if server.get("aof_last_write_status", "ok") != "ok":
        yield "The server could not write its append-only file. Look at the space on its disk and at its log."
