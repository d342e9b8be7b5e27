"""ValkeyCallStore: calls in Valkey or Redis (7 or later, one server). Every write is one script, harmless to repeat.

`docs/redis.md` lists the keys. An account's keys share the hash tag {owner}; the scripts also touch the queues' common
keys (owners, wake-ups, the outbox), so one primary holds all of them: Redis Cluster is not supported.
"""

import asyncio
import json
from collections.abc import Awaitable, Mapping, Sequence
from importlib.resources import files
from itertools import chain
from typing import Any, cast

from redis.asyncio import Redis

from messaging.clock import to_ms
from messaging.errors import IdempotencyMismatch
from messaging.outbox import OUTBOX_LUA, queue_keys
from messaging.store import Script, unsure
from voice.call_object import spent_by
from voice.calls import Call
from voice.caps import Used
from voice.codec import to_json
from voice.inbox import MISSED_MOST, RING_BACK_S, ValkeyInbox, was_missed
from voice.keys import Keys
from voice.limits import ValkeySeats
from voice.messages import Outcome
from voice.rows import (
    call_args,
    delivery_args,
    ending_field,
    first_answer,
    lease_of,
    overrun_of,
    successor_args,
    toll_arg,
    used_of,
)
from voice.scoreboard import hour_of, marks
from voice.scores import ValkeyScores
from voice.store import (
    ORPHAN_GRACE_S,
    Accepted,
    Applied,
    CallEvent,
    Delivery,
    Ended,
    Heard,
    Intake,
    Intent,
    Lane,
    Lease,
    Successor,
    Verdict,
)
from voice.store_reading import ValkeyCallReading, listed

DAY_S = 86_400
SCORE_DAYS = 8  # of the hourly scores: a week, and today
HEARD_KEPT = 500  # per account, like the recordings of the catch-all phone
OVERTIME_S = 2.0  # a blocking read that is so late has no server any more


def _script(name: str, *before: str) -> Script:
    lua = files("voice") / "lua"
    return Script("\n".join((OUTBOX_LUA, *((lua / f"{one}.lua").read_text() for one in ("common", *before, name)))))


class ValkeyCallStore(ValkeyCallReading):
    """`redis` answers at once; `blocking` is for XREAD BLOCK (messaging.store.connect and connect_blocking)."""

    def __init__(
        self,
        redis: Redis,
        blocking: Redis,
        prefix: str,
        *,
        retention_s: float = 30 * DAY_S,
        once_s: float = DAY_S,
        orphan_grace_s: float = ORPHAN_GRACE_S,
    ) -> None:
        super().__init__(redis, blocking, Keys(prefix))
        self._retention_ms = round(retention_s * 1000)
        self._once_ms = round(once_s * 1000)
        self._grace_ms = round(orphan_grace_s * 1000)
        self._woken = dict.fromkeys(Lane, "0-0")
        self._scripts = {"accept": _script("accept", "caps"), "apply": _script("apply", "caps", "budget")}
        self._scripts |= {name: _script(name) for name in ("lease", "overdue", "extend")}
        self._scripts |= {name: _script(name) for name in ("release", "intend")}
        self.scores = ValkeyScores(redis, self._keys)
        self.inbox = ValkeyInbox(redis, self._keys, _script("receive"), self._retention_ms + DAY_S * 1000)
        self.seats = ValkeySeats(redis, self._keys, _script("seat", "budget"))

    # -- the API writes intent
    async def accept(self, intake: Intake) -> Accepted:
        message, once, keys = intake.message, intake.once, self._keys
        owner, lane = message.owner, Lane.of(message.sandbox)
        hooks = queue_keys(keys.prefix, "hook")
        once_key = keys.once(once.key) if once else ""
        told = [
            (call.call_id, delivery)
            for call, deliveries in zip(intake.calls, intake.deliveries, strict=False)
            for delivery in deliveries
        ]
        # What is never finished lives this long: until its validity is over, and then as long as a finished one.
        life_ms = max(0, to_ms(message.valid_until) - to_ms(message.created_at)) + DAY_S * 1000 + self._retention_ms
        answer = await self._run(
            "accept",
            [
                once_key or keys.message(owner, message.ref_id),
                keys.message(owner, message.ref_id),
                keys.recipients(owner, message.ref_id),
                keys.calls(owner),
                keys.bulk(owner, lane) if message.campaign else keys.due(owner, lane),
                keys.valid(owner, lane),
                keys.owners(lane),
                keys.wake(lane),
                keys.owner(message.ref_id),
                hooks.due,
                hooks.wake,
            ],
            [
                keys.prefix,
                owner,
                message.ref_id,
                to_json(message),
                life_ms,
                to_ms(message.due_at),
                to_ms(message.valid_until),
                lane.value,
                once.fingerprint if once else "",
                once.status if once else 0,
                once.body if once else "",
                once_key,
                self._delivery_s,
                len(intake.calls),
                len(told),
                "1" if message.campaign else "",
                toll_arg(intake.reservation, owner, keys, life_ms),
                *chain.from_iterable(map(call_args, intake.calls, intake.events)),
                *chain.from_iterable(delivery_args(call_id, delivery) for call_id, delivery in told),
            ],
        )
        if answer[0] == "mismatch":
            raise IdempotencyMismatch
        if answer[0] == "replayed":
            return Accepted(True, *first_answer(answer[1:]))
        if answer[0] == "over":
            return Accepted(overrun=overrun_of(answer))
        return Accepted()

    async def replay(self, once_key: str, fingerprint: str) -> Accepted | None:
        with unsure():
            kept = await listed(self._redis.hmget(self._keys.once(once_key), ["fingerprint", "status", "body"]))
        if kept[0] is None:
            return None
        if kept[0] != fingerprint:
            raise IdempotencyMismatch
        return Accepted(True, *first_answer(kept[1:]))

    async def used(self, owner: str, key_id: str, day: str) -> Used:
        with unsure():
            kept = await cast(Awaitable[dict[str, str]], self._redis.hgetall(self._keys.spent(owner, key_id, day)))
            return used_of(kept, await self._redis.zcard(self._keys.open(owner, key_id)))

    async def intend(self, call_id: str, intent: Intent) -> Call | None:
        call = await self.call(None, call_id)
        if call is None:
            return None
        await self._intend(call.owner, Lane.of(call.sandbox), intent, [call_id])
        return await self.call(call.owner, call_id)

    async def intend_all(self, ref_id: str, intent: Intent) -> int:
        message = await self.message(None, ref_id)
        if message is None:
            return 0
        ids = [call_id for one in await self.recipients(ref_id, 0, -1) for call_id in one.call_ids]
        about = [self._keys.message(message.owner, ref_id)]
        return await self._intend(message.owner, Lane.of(message.sandbox), intent, ids, about)

    async def _intend(
        self, owner: str, lane: Lane, intent: Intent, call_ids: Sequence[str], about: Sequence[str] = ()
    ) -> int:
        keys = [self._keys.valid(owner, lane), self._keys.wake(lane), *about]
        return int(await self._run("intend", keys, [self._keys.base(owner), intent.value, *call_ids]))

    # -- the dialer writes facts
    async def lease(
        self, lane: Lane, holder: str, most: int, lease_s: float, campaigns_most: int | None = None
    ) -> Sequence[Lease]:
        bulk = most if campaigns_most is None else campaigns_most
        args = [self._keys.prefix, lane.value, holder, most, round(lease_s * 1000), bulk]
        return [lease_of(row) for row in await self._run("lease", [self._keys.owners(lane)], args)]

    async def overdue(self, lane: Lane, holder: str, most: int, lease_s: float) -> Sequence[Lease]:
        args = [self._keys.prefix, lane.value, holder, most, round(lease_s * 1000), self._grace_ms]
        return [lease_of(row) for row in await self._run("overdue", [self._keys.owners(lane)], args)]

    async def extend(self, lane: Lane, held: Mapping[str, str | None], lease_s: float) -> Sequence[tuple[str, Intent]]:
        pairs = chain.from_iterable((call_id, trunk_id or "") for call_id, trunk_id in held.items())
        flat = await self._run("extend", [], [self._keys.prefix, lane.value, round(lease_s * 1000), *pairs])
        return [(flat[at], Intent(flat[at + 1])) for at in range(0, len(flat), 2)]

    async def release(self, lease: Lease, delay_s: float) -> None:
        call, lane = lease.call, Lane.of(lease.call.sandbox)
        queue = self._keys.bulk if lease.message.campaign else self._keys.due
        keys = [self._keys.call(call.owner, call.call_id), queue(call.owner, lane)]
        await self._run("release", keys, [call.call_id, lease.epoch, round(delay_s * 1000)])

    async def wait(self, lane: Lane, timeout_s: float) -> None:
        for entry_id, _ in await self._block(self._keys.wake(lane), self._woken[lane], timeout_s):
            self._woken[lane] = entry_id

    async def apply(
        self,
        before: Call,
        after: Call,
        epoch: int,
        event: CallEvent,
        deliveries: Sequence[Delivery] = (),
        outcome: Outcome | None = None,
        successor: Successor | None = None,
    ) -> Applied:
        keys, owner, lane = self._keys, before.owner, Lane.of(before.sandbox)
        told = [(before.call_id, delivery) for delivery in deliveries]
        told += [(successor.call.call_id, delivery) for delivery in successor.deliveries] if successor else []
        verdict, intent = await self._run(
            "apply",
            [
                keys.call(owner, before.call_id),
                keys.events(owner, before.call_id),
                keys.message(owner, before.ref_id),
                keys.recipients(owner, before.ref_id),
                keys.due(owner, lane),
                keys.valid(owner, lane),
                keys.owners(lane),
                keys.owner(before.call_id),
                keys.owner(before.ref_id),
                *queue_keys(keys.prefix, "hook"),
                keys.calls(owner),
                keys.wake(lane),
                keys.seats(before.trunk_id or ""),
                keys.score(after.trunk_id or "", hour_of(after.end_at or after.created_at)),
                keys.bulk(owner, lane),
                keys.missed(before.to_number),
                keys.trunk_held(before.trunk_id or ""),
            ],
            [
                before.call_id,
                epoch,
                before.status.value,
                before.sequence,
                after.status.value,
                after.sequence,
                to_json(after),
                event.event_id,
                to_json(event),
                before.recipient,
                outcome.value if outcome else "",
                self._retention_ms,
                self._once_ms,
                keys.prefix,
                owner,
                self._delivery_s,
                keys.endings(),
                "" if after.test else ending_field(Ended.of(after)),
                json.dumps(after.warnings) if after.warnings else "",
                lane.value,
                len(deliveries),
                *successor_args(successor, self._retention_ms + DAY_S * 1000),
                json.dumps(scored) if (scored := marks(after)) else "",
                SCORE_DAYS * DAY_S * 1000,
                round(RING_BACK_S * 1000) if was_missed(after, outcome) else "",
                MISSED_MOST,
                *spent_by(after),
                *chain.from_iterable(delivery_args(call_id, delivery) for call_id, delivery in told),
            ],
        )
        return Applied(Verdict(verdict), Intent(intent))

    async def save_trace(self, call_id: str, trace: str) -> None:
        owner = await self._owner(call_id)
        if owner is not None:
            with unsure():
                await self._redis.set(self._keys.trace(owner, call_id), trace, px=self._retention_ms)

    async def save_heard(self, heard: Heard) -> None:
        owner = await self._owner(heard.call_id)
        if owner is None:
            return
        index = self._keys.heard_index(owner)
        with unsure():
            async with self._redis.pipeline(transaction=True) as writes:
                writes.set(self._keys.heard(owner, heard.call_id), to_json(heard), px=self._retention_ms)
                writes.zadd(index, {heard.call_id: to_ms(heard.at)})
                writes.zremrangebyrank(index, 0, -HEARD_KEPT - 1)
                writes.pexpire(index, self._retention_ms)
                await writes.execute()

    # -- inside
    @property
    def _delivery_s(self) -> int:
        return self._retention_ms // 1000

    async def _run(self, name: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        return await self._scripts[name](self._redis, keys, args)

    async def _block(self, key: str, after: str, timeout_s: float) -> list[tuple[str, dict[str, str]]]:
        """Entries of a stream after `after`; waits for the first. Empty after `timeout_s`."""
        with unsure():
            async with asyncio.timeout(timeout_s + OVERTIME_S):
                streams = await listed(self._blocking.xread({key: after}, block=max(1, round(timeout_s * 1000))))
        return [entry for _, entries in streams or () for entry in entries]
