"""Channels and calls a second of a trunk, exact over all dialers: seats and places, taken right before the fence.

A seat is a lease: its holder renews it with those of its calls (`CallStore.extend`), the script that stores the end of
the call frees it, and after a crash it lapses. The pace is even: each call is told how long to wait for its place.
With the seat a call holds what it may cost of the trunk's daily amount; its end replaces that by what it did cost.
Key after the prefix            what
  seats:{trunk_id}              sorted set: call id -> Unix ms of the server at which its seat lapses
  pace:{trunk_id}               Unix µs of the server: the next INVITE leaves then
  trunk_held:{trunk_id}         hash: call id -> what it holds of the daily amount
  trunk_spent:{trunk_id}:{day}  millionths: what the ended calls of that day did cost
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from messaging.store import Script, unsure
from sip.trunk import Trunk
from voice.call_object import spent_by
from voice.calls import Call
from voice.keys import Keys
from voice.seats import Seat
from voice.trunk_budget import Budget, cost


class ValkeySeats:
    def __init__(self, redis: Redis, keys: Keys, script: Script) -> None:
        self._redis, self._keys, self._script = redis, keys, script

    async def take(
        self, trunk: Trunk, call_id: str, lease_s: float, *, campaign: bool = False, budget: Budget | None = None
    ) -> Seat:
        day = budget.day if budget else ""
        keys = [
            self._keys.seats(trunk.id),
            self._keys.pace(trunk.id),
            self._keys.trunk_spent(trunk.id, day),
            self._keys.trunk_held(trunk.id),
        ]
        channels = trunk.channels_for(campaign=campaign)
        args: list[str | int] = [call_id, channels, round(1_000_000 / trunk.cps), round(lease_s * 1000)]
        args += [budget.most, budget.need, budget.price, round(budget.hold_s * 1000)] if budget else [""] * 4
        taken, used, wait_us, spent = await self._script(self._redis, keys, args)
        return Seat(bool(taken), used, wait_us / 1_000_000, budget.day_left_s if budget and spent else 0.0)

    async def leave(self, trunk_id: str, call_id: str) -> None:
        with unsure():
            async with self._redis.pipeline(transaction=True) as writes:
                writes.zrem(self._keys.seats(trunk_id), call_id)
                writes.hdel(self._keys.trunk_held(trunk_id), call_id)
                await writes.execute()


@dataclass(frozen=True, slots=True)
class _Hold:
    budget: Budget
    until_s: float


class MemorySeats:
    """The twin, for one process. `now_s`: Unix seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._until: dict[str, dict[str, float]] = {}
        self._next: dict[str, float] = {}
        self._held: defaultdict[str, dict[str, _Hold]] = defaultdict(dict)
        self._spent: defaultdict[tuple[str, str], int] = defaultdict(int)  # by trunk and day

    async def take(
        self, trunk: Trunk, call_id: str, lease_s: float, *, campaign: bool = False, budget: Budget | None = None
    ) -> Seat:
        now = self._now_s()
        seats = {one: until for one, until in self._until.get(trunk.id, {}).items() if until > now}
        self._until[trunk.id] = seats
        if call_id not in seats and len(seats) >= trunk.channels_for(campaign=campaign):
            return Seat(False, len(seats))
        if budget and self._is_spent(trunk.id, call_id, budget, now):
            return Seat(False, len(seats), spent_s=budget.day_left_s)
        at = max(now, self._next.get(trunk.id, 0.0))
        self._next[trunk.id] = at + 1.0 / trunk.cps
        seats[call_id] = at + lease_s
        if budget:
            self._held[trunk.id][call_id] = _Hold(budget, at + budget.hold_s)
        return Seat(True, len(seats), at - now)

    def _is_spent(self, trunk_id: str, call_id: str, budget: Budget, now: float) -> bool:
        seats, held = self._until[trunk_id], self._held[trunk_id]
        for gone in [one for one, hold in held.items() if hold.until_s < now and one not in seats]:
            del held[gone]
        day = [hold.budget for one, hold in held.items() if one != call_id and hold.budget.day == budget.day]
        return self._spent[trunk_id, budget.day] + sum(one.need for one in day) + budget.need > budget.most

    async def leave(self, trunk_id: str, call_id: str) -> None:
        self._until.get(trunk_id, {}).pop(call_id, None)
        self._held[trunk_id].pop(call_id, None)

    def settle(self, trunk_id: str, call: Call) -> None:
        """It has ended: what it cost in place of what it might have cost."""
        hold = self._held[trunk_id].pop(call.call_id, None)
        if hold is not None:
            seconds, millionths = spent_by(call)
            price = hold.budget.price
            self._spent[trunk_id, hold.budget.day] += cost(price, seconds) if price else millionths

    def renew(self, trunk_id: str, call_id: str, lease_s: float, *, queued: bool) -> None:
        """As extend.lua does: a queued call keeps the seat it has, one in progress has one."""
        seats = self._until.setdefault(trunk_id, {})
        if call_id in seats or not queued:
            seats[call_id] = self._now_s() + lease_s
