"""MemoryCallStore: the twin of ValkeyCallStore, for tests without a server; one process, nothing survives it.

Every write happens between two awaits, so it is as atomic here as a script is there.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from messaging.clock import Clock, SystemClock
from messaging.errors import IdempotencyMismatch
from voice.call_object import spent_by
from voice.calls import Call, Status
from voice.caps import Used
from voice.caps_memory import MemoryCaps
from voice.inbox import MemoryInbox
from voice.limits import MemorySeats
from voice.messages import Message, Outcome, Recipient, Tally
from voice.scores import MemoryScores
from voice.store import (
    ORPHAN_GRACE_S,
    Accepted,
    Applied,
    Arrival,
    CallEvent,
    CallFilter,
    CallPage,
    Delivery,
    Ended,
    Heard,
    Intake,
    Intent,
    Lane,
    Lease,
    Once,
    Successor,
    Verdict,
    matches,
)


@dataclass(slots=True)
class _Held:
    """One call with everything that is not the call's own business."""

    call: Call
    lane: Lane
    due_s: float  # queued: may be taken from then on; a lease is a later moment
    end_s: float  # somebody must end it then: queued: validity, or 0 when canceled; else the end of the lease
    epoch: int = 0
    times_leased: int = 0
    holder: str = ""
    intent: Intent = Intent.NONE
    events: list[CallEvent] = field(default_factory=list)
    trace: str | None = None


class MemoryCallStore:
    def __init__(self, clock: Clock | None = None, orphan_grace_s: float = ORPHAN_GRACE_S) -> None:
        self._clock = clock or SystemClock()
        self._orphan_grace_s = orphan_grace_s
        self._calls: dict[str, _Held] = {}
        self._messages: dict[str, Message] = {}
        self._recipients: dict[str, list[Recipient]] = {}
        self._started: set[str] = set()
        self._warnings: dict[str, tuple[str, ...]] = {}  # of the audio, by message
        self._intents: dict[str, Intent] = {}  # of a whole message
        self._once: dict[str, Once] = {}
        self._heard: dict[str, Heard] = {}
        self._endings: Counter[Ended] = Counter()
        self._served: dict[str, float] = {}  # owner -> when it last got a lease: the least recent goes first
        self._turn = 0
        self._changed = asyncio.Condition()
        self._wishes = dict.fromkeys(Lane, 0)  # counts what `wait` waits for
        self._seen = dict.fromkeys(Lane, 0)
        self.scores = MemoryScores()
        self.seats = MemorySeats(self._now_s)
        self.inbox = MemoryInbox(
            lambda: {call_id: held.call for call_id, held in self._calls.items()},
            lambda call: self._recipients[call.ref_id][call.recipient].outcome,
            self._take_in,
            self._now_s,
        )
        self.caps = MemoryCaps(self._now_s)
        self.outbox: dict[str, Delivery] = {}  # what the courier would send, by delivery_id

    # -- the API writes intent
    async def accept(self, intake: Intake) -> Accepted:
        message, once = intake.message, intake.once
        if once and (first := await self.replay(once.key, once.fingerprint)):
            return first
        if message.ref_id in self._messages:
            return Accepted(replayed=True)
        if intake.reservation is not None:
            rings = [(call.call_id, call.to_number) for call in intake.calls]
            overrun = self.caps.take(message.owner, message.due_at.timestamp(), rings, intake.reservation)
            if overrun is not None:
                return Accepted(overrun=overrun)
        if once:
            self._once[once.key] = once
        self._messages[message.ref_id] = message
        self._recipients[message.ref_id] = [
            Recipient(call.recipient, call.to_number, call_ids=(call.call_id,)) for call in intake.calls
        ]
        lane = Lane.of(message.sandbox)
        for call, event in zip(intake.calls, intake.events, strict=True):
            due, end = message.due_at.timestamp(), message.valid_until.timestamp()
            self._calls[call.call_id] = _Held(call, lane, due, end, events=[event])
        for deliveries in intake.deliveries:
            self._post(deliveries)
        await self._wake(lane)
        return Accepted()

    async def replay(self, once_key: str, fingerprint: str) -> Accepted | None:
        once = self._once.get(once_key)
        if once is None:
            return None
        if once.fingerprint != fingerprint:
            raise IdempotencyMismatch
        return Accepted(replayed=True, status=once.status, body=once.body)

    async def used(self, owner: str, key_id: str, day: str) -> Used:
        return self.caps.used(owner, key_id, day)

    async def intend(self, call_id: str, intent: Intent) -> Call | None:
        held = self._calls.get(call_id)
        if held is None:
            return None
        if not held.call.status.is_final:
            held.intent = intent
            if held.call.status is Status.QUEUED:
                held.end_s = self._queued_end_s(held)
            await self._wake(held.lane)
        return held.call

    async def intend_all(self, ref_id: str, intent: Intent) -> int:
        live = [
            call_id
            for recipient in self._recipients.get(ref_id, [])
            for call_id in recipient.call_ids
            if not self._calls[call_id].call.status.is_final
        ]
        for call_id in live:
            await self.intend(call_id, intent)
        if live:
            self._intents[ref_id] = intent
        return len(live)

    # -- the dialer writes facts
    async def lease(
        self, lane: Lane, holder: str, most: int, lease_s: float, campaigns_most: int | None = None
    ) -> Sequence[Lease]:
        bulk = most if campaigns_most is None else campaigns_most
        alerts = self._in_turns(lane, holder, most, lease_s, campaign=False)
        return [*alerts, *self._in_turns(lane, holder, min(most - len(alerts), bulk), lease_s, campaign=True)]

    def _in_turns(self, lane: Lane, holder: str, most: int, lease_s: float, *, campaign: bool) -> list[Lease]:
        now = self._now_s()
        queues: dict[str, list[_Held]] = {}
        for held in sorted(self._calls.values(), key=lambda one: (one.due_s, one.call.call_id)):
            due = held.lane is lane and held.call.status is Status.QUEUED and held.due_s <= now
            if due and self._messages[held.call.ref_id].campaign is campaign:
                queues.setdefault(held.call.owner, []).append(held)
        taken: list[Lease] = []
        while queues and len(taken) < most:
            owner = min(queues, key=lambda one: (self._served.get(one, -inf), one))
            self._turn += 1
            self._served[owner] = self._turn
            taken.append(self._take(queues[owner].pop(0), holder, lease_s))
            if not queues[owner]:
                del queues[owner]
        return taken

    async def extend(self, lane: Lane, held: Mapping[str, str | None], lease_s: float) -> Sequence[tuple[str, Intent]]:
        until = self._now_s() + lease_s
        wishes: list[tuple[str, Intent]] = []
        for call_id, trunk_id in held.items():
            one = self._calls.get(call_id)
            if one is None or one.call.status.is_final:
                continue
            queued = one.call.status is Status.QUEUED
            if queued:
                one.due_s = until
            else:
                one.end_s = until
            if trunk_id is not None:
                self.seats.renew(trunk_id, call_id, lease_s, queued=queued)
            wishes.append((call_id, one.intent))
        return wishes

    async def release(self, lease: Lease, delay_s: float) -> None:
        held = self._calls[lease.call.call_id]
        if held.epoch != lease.epoch or not held.holder or held.call.status is not Status.QUEUED:
            return
        held.due_s = self._now_s() + delay_s
        held.holder = ""
        held.times_leased -= 1

    async def wait(self, lane: Lane, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._wishes[lane] != self._seen[lane])
        except TimeoutError:
            pass
        self._seen[lane] = self._wishes[lane]

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
        held = self._calls.get(before.call_id)
        if held is None or held.epoch != epoch:
            return Applied(Verdict.STALE, held.intent if held else Intent.NONE)
        if held.events[-1].event_id == event.event_id:
            return Applied(Verdict.ALREADY, held.intent)
        if (held.call.status, held.call.sequence) != (before.status, before.sequence):
            return Applied(Verdict.STALE, held.intent)
        held.call = after
        held.events.append(event)
        self._post(deliveries)
        self._requeue(held, before.status, after.status)
        if before.trunk_id and (after.status.is_final or after.status is Status.QUEUED):
            if after.status.is_final:
                self.seats.settle(before.trunk_id, after)
            await self.seats.leave(before.trunk_id, after.call_id)
        if after.status is Status.DIALING and after.warnings:
            self._warnings[after.ref_id] = after.warnings
        if after.status.is_final:
            self.scores.add(after)
        if after.status.is_final and not after.test:
            self._endings[Ended.of(after)] += 1
        if after.status.is_final and (successor is None or held.intent is Intent.CANCEL):
            self.caps.settle(after.call_id, *spent_by(after))
        if successor is not None and held.intent is not Intent.CANCEL:
            self.caps.move(after.call_id, successor.call.call_id)
            await self._succeed(held, successor)
        elif outcome is not None:
            self._settle(after, outcome)
        async with self._changed:
            self._changed.notify_all()
        return Applied(Verdict.DONE, held.intent)

    async def overdue(self, lane: Lane, holder: str, most: int, lease_s: float) -> Sequence[Lease]:
        now = self._now_s()
        ripe = [
            held
            for held in sorted(self._calls.values(), key=lambda one: one.end_s)
            if held.lane is lane and not held.call.status.is_final and self._must_end(held, now)
        ]
        return [self._take(held, holder, lease_s) for held in ripe[:most]]

    async def save_trace(self, call_id: str, trace: str) -> None:
        if call_id in self._calls:
            self._calls[call_id].trace = trace

    async def save_heard(self, heard: Heard) -> None:
        self._heard[heard.call_id] = heard

    # -- reading
    async def call(self, owner: str | None, call_id: str) -> Call | None:
        held = self._calls.get(call_id)
        return held.call if held and owner in (None, held.call.owner) else None

    async def message(self, owner: str | None, ref_id: str) -> Message | None:
        message = self._messages.get(ref_id)
        return message if message and owner in (None, message.owner) else None

    async def tally(self, ref_id: str) -> Tally:
        recipients = self._recipients.get(ref_id, [])
        counts: dict[Outcome, int] = {}
        for recipient in recipients:
            counts[recipient.outcome] = counts.get(recipient.outcome, 0) + 1
        cancel_asked = self._intents.get(ref_id) is Intent.CANCEL
        return Tally(
            len(recipients),
            counts,
            started=ref_id in self._started,
            warnings=self._warnings.get(ref_id, ()),
            cancel_asked=cancel_asked,
        )

    async def recipients(self, ref_id: str, offset: int, limit: int) -> Sequence[Recipient]:
        return tuple(self._recipients.get(ref_id, [])[offset : offset + limit])

    async def calls(self, owner: str, which: CallFilter, before: str | None, limit: int) -> CallPage:
        found = [
            held.call
            for call_id, held in sorted(self._calls.items(), reverse=True)
            if held.call.owner == owner and (before is None or call_id < before) and matches(held.call, which)
        ]
        page = tuple(found[:limit])
        return CallPage(page, page[-1].call_id if len(found) > limit else None)

    async def events(self, call_id: str) -> Sequence[CallEvent]:
        held = self._calls.get(call_id)
        return tuple(held.events) if held else ()

    async def follow(self, call_id: str, after_sequence: int) -> AsyncIterator[CallEvent]:
        seen = after_sequence
        while True:
            for event in await self.events(call_id):
                if event.sequence > seen:
                    seen = event.sequence
                    yield event
            held = self._calls.get(call_id)
            if held is None or (held.call.status.is_final and held.call.sequence <= seen):
                return
            async with self._changed:
                while held.call.sequence <= seen:
                    await self._changed.wait()

    async def trace(self, call_id: str) -> str | None:
        held = self._calls.get(call_id)
        return held.trace if held else None

    async def heard(self, owner: str, to: str | None, call_id: str | None = None) -> Heard | None:
        mine = [
            heard
            for heard in self._heard.values()
            if (held := self._calls.get(heard.call_id))
            and held.call.owner == owner
            and to in (None, heard.to)
            and call_id in (None, heard.call_id)
        ]
        return max(mine, key=lambda heard: heard.at, default=None)

    async def endings(self) -> Mapping[Ended, int]:
        return dict(self._endings)

    async def queued(self, lane: Lane) -> int:
        return sum(held.lane is lane and held.call.status is Status.QUEUED for held in self._calls.values())

    # -- inside
    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    def _take(self, held: _Held, holder: str, lease_s: float) -> Lease:
        held.epoch += 1
        held.times_leased += 1
        held.holder = holder
        until = self._now_s() + lease_s
        if held.call.status is Status.QUEUED:
            held.due_s = until
        else:
            held.end_s = until
        return Lease(held.call, self._messages[held.call.ref_id], held.epoch, held.intent, held.times_leased)

    def _must_end(self, held: _Held, now: float) -> bool:
        if held.call.status is Status.QUEUED:
            return held.end_s <= now and (not held.holder or held.due_s <= now)
        return held.end_s + self._orphan_grace_s <= now

    def _requeue(self, held: _Held, before: Status, after: Status) -> None:
        message = self._messages[held.call.ref_id]
        if before is Status.QUEUED and after is Status.DIALING:
            held.end_s = held.due_s
            self._started.add(message.ref_id)
        elif after is Status.QUEUED:
            held.due_s = held.end_s
            held.end_s = self._queued_end_s(held)

    def _queued_end_s(self, held: _Held) -> float:
        if held.intent is Intent.CANCEL:
            return 0.0
        valid_until = self._messages[held.call.ref_id].valid_until
        return min(valid_until, held.call.dial_by or valid_until).timestamp()

    async def _succeed(self, ended: _Held, successor: Successor) -> None:
        call = successor.call
        held = _Held(call, ended.lane, self._now_s(), 0.0, events=[successor.event])
        held.end_s = self._queued_end_s(held)
        self._calls[call.call_id] = held
        recipients = self._recipients[call.ref_id]
        before = recipients[call.recipient]
        recipients[call.recipient] = replace(before, call_ids=(*before.call_ids, call.call_id))
        self._post(successor.deliveries)
        await self._wake(ended.lane)

    def _take_in(self, arrival: Arrival, holder: str, lease_s: float) -> bool:
        call, message = arrival.call, arrival.message
        if message is not None:
            self._messages[message.ref_id] = message
            self._recipients[message.ref_id] = [Recipient(call.recipient, call.from_number, call_ids=(call.call_id,))]
            self._started.add(message.ref_id)
        elif call.ref_id not in self._messages:
            return False
        else:
            recipients = self._recipients[call.ref_id]
            before = recipients[call.recipient]
            recipients[call.recipient] = replace(before, call_ids=(*before.call_ids, call.call_id))
        end_s = self._now_s() + lease_s
        held = _Held(call, Lane.of(call.sandbox), 0.0, end_s, epoch=1, times_leased=1, holder=holder)
        held.events.append(arrival.event)
        self._calls[call.call_id] = held
        self._post(arrival.deliveries)
        return True

    def _settle(self, call: Call, outcome: Outcome) -> None:
        recipients = self._recipients[call.ref_id]
        if recipients[call.recipient].outcome is Outcome.DELIVERED:
            return  # what was heard stays heard
        recipients[call.recipient] = replace(recipients[call.recipient], outcome=outcome)

    def _post(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self.outbox.setdefault(delivery.delivery_id, delivery)

    async def _wake(self, lane: Lane) -> None:
        self._wishes[lane] += 1
        async with self._changed:
            self._changed.notify_all()
