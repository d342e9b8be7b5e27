"""The twins of the Inbox port: calls that come in, and whom they may be about.

`missed`: the calls to a number that did not reach anybody, for whoever rings back. The script that stores the end of
such a call writes them down, and they are forgotten a day later.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, cast

from redis.asyncio import Redis

from messaging.outbox import queue_keys
from messaging.store import Script, unsure
from voice.calls import Call, Direction
from voice.codec import to_json
from voice.keys import Keys
from voice.messages import Outcome
from voice.rows import delivery_args
from voice.store import Arrival, Lane

RING_BACK_S = 86_400.0  # who rings back later than this does not mean that call
MISSED_MOST = 20  # of one number


def was_missed(call: Call, outcome: Outcome | None) -> bool:
    """Is this final call one that its recipient may ring back about?"""
    dialled = call.status.is_final and call.start_at is not None and call.trunk_id is not None
    ours = call.direction is Direction.OUTBOUND and not (call.test or call.sandbox)
    return dialled and ours and outcome is not Outcome.DELIVERED


class ValkeyInbox:
    def __init__(self, redis: Redis, keys: Keys, script: Script, life_ms: int) -> None:
        self._redis, self._keys, self._script, self._life_ms = redis, keys, script, life_ms

    async def receive(self, arrival: Arrival, holder: str, lease_s: float) -> bool:
        call, keys, owner = arrival.call, self._keys, arrival.call.owner
        lane = Lane.of(call.sandbox)
        answer = await self._script(
            self._redis,
            [
                keys.message(owner, call.ref_id),
                keys.recipients(owner, call.ref_id),
                keys.calls(owner),
                keys.valid(owner, lane),
                keys.owners(lane),
                keys.owner(call.ref_id),
                *queue_keys(keys.prefix, "hook"),
            ],
            [
                *(keys.prefix, owner, call.ref_id, to_json(arrival.message) if arrival.message else "", self._life_ms),
                *(lane.value, holder, round(lease_s * 1000), call.call_id, to_json(call)),
                *(arrival.event.event_id, to_json(arrival.event), call.from_number, call.recipient, call.status.value),
                *(self._life_ms // 1000, len(arrival.deliveries)),
                *chain.from_iterable(delivery_args(call.call_id, delivery) for delivery in arrival.deliveries),
            ],
        )
        return bool(answer == "done")

    async def missed(self, number: str) -> Sequence[str]:
        with unsure():
            found = await cast("Any", self._redis.zrange(self._keys.missed(number), 0, -1, desc=True))
        return cast("list[str]", found)


class MemoryInbox:
    """The twin. `calls`: every call there is; `take_in` puts one among them, and says whether its message is there."""

    def __init__(
        self,
        calls: Callable[[], Mapping[str, Call]],
        outcome: Callable[[Call], Outcome],
        take_in: Callable[[Arrival, str, float], bool],
        now_s: Callable[[], float],
    ) -> None:
        self._calls, self._outcome, self._take_in, self._now_s = calls, outcome, take_in, now_s

    async def receive(self, arrival: Arrival, holder: str, lease_s: float) -> bool:
        return arrival.call.call_id in self._calls() or self._take_in(arrival, holder, lease_s)

    async def missed(self, number: str) -> Sequence[str]:
        since = self._now_s() - RING_BACK_S
        found = [
            call
            for call in self._calls().values()
            if call.to_number == number and was_missed(call, None) and call.end_at and call.end_at.timestamp() > since
        ]
        found = [call for call in found if self._outcome(call) is not Outcome.DELIVERED]
        found.sort(key=lambda call: (call.end_at, call.call_id), reverse=True)
        return [call.call_id for call in found[:MISSED_MOST]]
