"""Channels and calls a second of a trunk, exact over all dialers: seats and places, taken right before the fence.

A seat is a lease: its holder renews it with those of its calls (`CallStore.extend`), the script that stores the end of
the call frees it, and after a crash it lapses. The pace is even: each call is told how long to wait for its place.
Key after the prefix    what
  seats:{trunk_id}      sorted set: call id -> Unix ms of the server at which its seat lapses
  pace:{trunk_id}       Unix µs of the server: the next INVITE leaves then
"""

from collections.abc import Callable

from redis.asyncio import Redis

from messaging.store import Script, unsure
from sip.trunk import Trunk
from voice.keys import Keys
from voice.seats import Seat


class ValkeySeats:
    def __init__(self, redis: Redis, keys: Keys, script: Script) -> None:
        self._redis, self._keys, self._script = redis, keys, script

    async def take(self, trunk: Trunk, call_id: str, lease_s: float, *, campaign: bool = False) -> Seat:
        keys = [self._keys.seats(trunk.id), self._keys.pace(trunk.id)]
        channels = trunk.channels_for(campaign=campaign)
        args: list[str | int] = [call_id, channels, round(1_000_000 / trunk.cps), round(lease_s * 1000)]
        taken, used, wait_us = await self._script(self._redis, keys, args)
        return Seat(bool(taken), used, wait_us / 1_000_000)

    async def leave(self, trunk_id: str, call_id: str) -> None:
        with unsure():
            await self._redis.zrem(self._keys.seats(trunk_id), call_id)


class MemorySeats:
    """The twin, for one process. `now_s`: Unix seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._until: dict[str, dict[str, float]] = {}
        self._next: dict[str, float] = {}

    async def take(self, trunk: Trunk, call_id: str, lease_s: float, *, campaign: bool = False) -> Seat:
        now = self._now_s()
        seats = {one: until for one, until in self._until.get(trunk.id, {}).items() if until > now}
        self._until[trunk.id] = seats
        if call_id not in seats and len(seats) >= trunk.channels_for(campaign=campaign):
            return Seat(False, len(seats))
        at = max(now, self._next.get(trunk.id, 0.0))
        self._next[trunk.id] = at + 1.0 / trunk.cps
        seats[call_id] = at + lease_s
        return Seat(True, len(seats), at - now)

    async def leave(self, trunk_id: str, call_id: str) -> None:
        self._until.get(trunk_id, {}).pop(call_id, None)

    def renew(self, trunk_id: str, call_id: str, lease_s: float, *, queued: bool) -> None:
        """As extend.lua does: a queued call keeps the seat it has, one in progress has one."""
        seats = self._until.setdefault(trunk_id, {})
        if call_id in seats or not queued:
            seats[call_id] = self._now_s() + lease_s
