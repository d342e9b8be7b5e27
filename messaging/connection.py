"""Connections to the store whose waits are bounded and can be cancelled.

redis-py bounds its writes with `asyncio.wait_for`, which on Python 3.11 loses a cancellation that comes while the write
ends (python/cpython#86296): measured, 1 in 40 cancelled commands went on as if nothing had been said, and a task that
then waits for a wake-up is not stopped at all. Here `asyncio.timeout` bounds both directions, and nothing is lost.

Only time in which this process ran counts. One that stood still (a busy host, a paused container) finds its timers due
before it has read the answer that lies in its socket, and would call a healthy server away.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Self

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

CONNECT_S = 0.8  # with the greeting
ANSWER_S = 1.2  # an fsync takes milliseconds; with the connect, failure is known within 2 s
CLOSE_S = 5.0  # the library's own bound for a connection's begin and end; ours ends the begin before it
_SLICES = 10  # a bound is counted in so many parts
_LATE = 0.5  # a part that ended later than this share of itself was not lived through
_STANDSTILLS = 20  # so many such parts are forgiven, then a starved process gives up, too


class RunningFor:
    """`async with RunningFor(seconds)`: `asyncio.timeout` without the time in which this process stood still.

    None waits for ever. Raises TimeoutError.
    """

    __slots__ = ("_forgiven", "_left", "_limit", "_loop", "_part", "_timer")

    def __init__(self, seconds: float | None) -> None:
        self._part = None if seconds is None else seconds / _SLICES
        self._left, self._forgiven = _SLICES, _STANDSTILLS
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._limit.__aenter__()
        self._timer = None if self._part is None else self._loop.call_later(self._part, self._tick, self._part)
        return self

    async def __aexit__(self, *error: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(*error)

    def _tick(self, part: float) -> None:
        assert self._timer is not None
        stood_still = self._loop.time() - self._timer.when() > part * _LATE
        if stood_still and self._forgiven:
            self._forgiven -= 1
        else:
            self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(part, self._tick, part)
        else:
            self._limit.reschedule(self._loop.time())


class _Bounded(AbstractConnection):
    """Give it `socket_timeout=None`: then the library starts no timer of its own.

    `answer_s`: how long one command may take to be sent, and one answer to come. None: as long as the caller waits.
    """

    def __init__(self, *, answer_s: float | None = ANSWER_S, **options: Any) -> None:
        self._answer_s = answer_s
        super().__init__(**options)

    async def connect(self) -> None:
        if self.is_connected:  # a pool asks before each command
            return
        try:
            async with RunningFor(CONNECT_S):
                await super().connect()  # type: ignore[no-untyped-call]
        except TimeoutError as error:
            await self.disconnect(nowait=True)  # half a greeting may have been read
            raise RedisTimeoutError("the server takes no connection") from error

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            async with RunningFor(self._answer_s):
                await super().send_packed_command(command, check_health)
        except TimeoutError as error:
            raise RedisTimeoutError("the server takes no command") from error

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            async with RunningFor(self._answer_s):
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


def bounded(url: str, answer_s: float | None = ANSWER_S) -> dict[str, Any]:
    """What a connection pool needs for this URL. Raises ValueError for a URL that is none."""
    options = dict(parse_url(url))
    return {
        **options,
        "connection_class": _BOUNDED[options.get("connection_class")],
        "answer_s": answer_s,
        "socket_timeout": None,
        "socket_connect_timeout": CLOSE_S,
    }
