"""The dialer: leases calls while a line is free, keeps what it holds, ends what nobody holds, and drains."""

import asyncio
import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from messaging.errors import Unavailable
from sip.causes import Cause
from sip.line import TrunkLine
from sip.trunk import Trunk, TrunkUri
from voice.calls import Ending, Status
from voice.desk import Desk
from voice.dispatch import Dispatch, Went
from voice.endings import lost, not_taken, outcome_of, without_leg
from voice.health import Target, watch
from voice.routing import Admin, Candidate, TrunkState, Wanted, because, candidates, never, wanted_by
from voice.store import Intent, Lane, Lease
from voice.trunks import TrunkDoor
from voice.writing import CallWriter, Stale

log = structlog.get_logger(__name__)

SWEEP_S = 1.0  # expired and canceled calls end so soon
LOOK_S = 0.2  # while lines are taken or the pace is spent: how often we look whether that is over
OUTAGE_PAUSE_S = 0.5  # between tries while the store is away
SWEEP_MOST = 50
END_WITHIN_S = 10.0  # a sweep that cannot write an end leaves it to the next one
NO_TRUNK_S = 1.0  # before a call whose trunk is full or down may be leased again
LAST_WORDS_S = 10.0  # after the drain time: for the ends of the calls we hung up


@dataclass(slots=True)
class LaneState:
    """What this dialer holds in one lane."""

    lane: Lane
    doors: tuple[TrunkDoor, ...] = ()
    idle: tuple[TrunkState, ...] = ()  # trunks that have no line here: their calls wait
    holding: dict[str, Dispatch] = field(default_factory=dict)
    nudged: asyncio.Event = field(default_factory=asyncio.Event)

    def room(self, now: float, *, campaign: bool = False) -> int:
        return sum(door.room(now, campaign=campaign) for door in self.doors)

    def states(self, now: float) -> tuple[TrunkState, ...]:
        return (*(door.state(now) for door in self.doors), *self.idle)


class Dialer:
    """`run` returns after `stop` and the drain. Lines are opened and closed by whoever made them.

    `lines`, `idle`: as for `reload`. `lease_s`: a call is ours for so long without a sign of life from this event loop.
    `drain_s`: calls in progress may go on for so long after `stop`; then they are hung up. `holder`: who we are.
    """

    def __init__(
        self,
        desk: Desk,
        lines: Mapping[str, tuple[Trunk, TrunkLine]],
        *,
        holder: str,
        idle: Iterable[TrunkState] = (),
        lease_s: float = 15.0,
        drain_s: float = 60.0,
    ) -> None:
        self._desk = desk
        self._holder = holder
        self._lease_s = lease_s
        self._drain_s = drain_s
        self._lanes = {lane: LaneState(lane) for lane in Lane}
        self._running = False
        self._watching: dict[int, asyncio.Task[None]] = {}  # by the identity of the door
        self.reload(lines, idle)
        # The duties look at these, too: a client that swallows a cancellation must not keep the process.
        self._stopping = asyncio.Event()
        self._drained = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._outage_at: float | None = None

    def reload(
        self,
        lines: Mapping[str, tuple[Trunk, TrunkLine]],
        idle: Iterable[TrunkState] = (),
        admins: Mapping[str, Admin] | None = None,
    ) -> None:
        """The trunks as they are from now on. Calls in progress stay on the line they have; whoever made it closes it.

        `lines`: by trunk id. `idle`: known trunks without a line here, with nothing free: calls for them wait and are
        not ended. `admins`: what the operator wants of a trunk, by its id; enabled unless said otherwise.
        """
        says = admins or {}
        before = {door.trunk.id: door for state in self._lanes.values() for door in state.doors}
        doors = [_door(trunk, line, says, before.get(trunk.id)) for trunk, line in lines.values()]
        resting = tuple(idle)
        for lane, state in self._lanes.items():
            state.doors = tuple(door for door in doors if Lane.of(door.trunk.sandbox) is lane)
            state.idle = tuple(one for one in resting if Lane.of(one.trunk.sandbox) is lane)
            state.nudged.set()
        self._watch()

    def _watch(self) -> None:
        """Ping the trunks that want it. A door that stays keeps its watch, and what it found."""
        pinged = {
            id(door): door
            for state in self._lanes.values()
            for door in state.doors
            if door.trunk.options_ping and door.trunk.enabled
        }
        for gone in self._watching.keys() - (pinged.keys() if self._running else ()):
            self._watching.pop(gone).cancel()
        for one, door in pinged.items():
            if self._running and one not in self._watching and door.trunk.options_ping:
                watching = watch(door.trunk, door.trunk.options_ping, door.pinged)
                self._watching[one] = asyncio.create_task(watching, name=f"pinging {door.trunk.id}")

    def forgive(self, trunk_id: str) -> None:
        """The operator says that the trunk is mended: it takes calls again at once, whatever it answered before."""
        for state in self._lanes.values():
            for door in state.doors:
                if door.trunk.id == trunk_id:
                    door.forgive()
            state.nudged.set()

    def door(self, trunk_id: str) -> TrunkDoor | None:
        """Of a trunk that takes calls now."""
        doors = (door for state in self._lanes.values() for door in state.doors)
        return next((one for one in doors if one.trunk.id == trunk_id and one.admin is Admin.ENABLED), None)

    def keep(self, call: Dispatch) -> bool:
        """A call that came in is ours like one that we leased. False: no call is taken any more."""
        if self._stopping.is_set():
            return False
        state = self._lanes[Lane.of(call.call.sandbox)]
        state.holding[call.call.call_id] = call
        self._own(self._carry(state, call), f"call {call.call.call_id}")
        return True

    @property
    def busy(self) -> int:
        """Calls held now."""
        return sum(len(state.holding) for state in self._lanes.values())

    def states(self) -> tuple[TrunkState, ...]:
        """Every trunk as routing sees it now."""
        now = self._desk.clock.monotonic()
        return tuple(one for state in self._lanes.values() for one in state.states(now))

    def dialled_lately(self) -> dict[str, int]:
        """INVITEs of ours in the last second, by trunk."""
        now = self._desk.clock.monotonic()
        return {door.trunk.id: door.dialled_lately(now) for state in self._lanes.values() for door in state.doors}

    def targets(self) -> dict[str, Mapping[TrunkUri, Target]]:
        """What the pings found, by trunk."""
        return {door.trunk.id: door.targets for state in self._lanes.values() for door in state.doors}

    def problems(self) -> tuple[str, ...]:
        """Why calls of a lane wait, in words for the readiness page; empty when nothing is wrong."""
        now = self._desk.clock.monotonic()
        found = [
            f"trunk {one.trunk.id} is down: {one.why_down}"
            for state in self._lanes.values()
            for one in state.states(now)
            if one.why_down
        ]
        if not any(one.trunk.enabled for one in self._lanes[Lane.LIVE].states(now)):
            found.append("no live trunk: calls of live keys wait until they expire")
        if self._outage_at is not None:
            found.append("the store does not answer: no calls are taken")
        return tuple(found)

    def stop(self) -> None:
        """Take no more calls; give back what was not dialled yet; let the others finish. Harmless when repeated."""
        self._stopping.set()

    async def run(self) -> None:
        self._running = True
        self._watch()
        try:
            await self._work()
        finally:
            self._running = False
            self._watch()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            duties = [tasks.create_task(self._heartbeat(), name="heartbeat")]
            for state in self._lanes.values():
                duties.append(tasks.create_task(self._listen(state), name=f"listening {state.lane}"))
            leasing = [
                tasks.create_task(self._lease_for_ever(state), name=f"leasing {state.lane}")
                for state in self._lanes.values()
            ]
            await self._stopping.wait()
            for state in self._lanes.values():
                state.nudged.set()
            await asyncio.gather(*leasing)  # not canceled: a lease on its way to us would be nobody's for its time
            await self._drain()
            self._drained.set()
            for task in duties:
                task.cancel()

    # -- taking calls

    async def _lease_for_ever(self, state: LaneState) -> None:
        while not self._stopping.is_set():
            state.nudged.clear()
            now = self._desk.clock.monotonic()
            room, for_campaigns = state.room(now), state.room(now, campaign=True)
            if room == 0:
                await (asyncio.sleep(LOOK_S) if state.doors else _wait(state.nudged, SWEEP_S))
                continue
            try:
                leases = await self._desk.store.lease(state.lane, self._holder, room, self._lease_s, for_campaigns)
            except Unavailable:
                await self._outage()
                continue
            await self._start(state, leases)
            if not leases and not self._stopping.is_set():
                # Campaigns that wait for a channel or a place are not woken by anybody.
                await _wait(state.nudged, SWEEP_S if for_campaigns else LOOK_S)

    async def _start(self, state: LaneState, leases: Sequence[Lease]) -> None:
        for lease in leases:
            found = self._ways(state, wanted_by(lease.call, lease.message))
            door = next((one for one in state.doors if found and one.trunk.id == found[0].trunk_id), None)
            if door is None or found[0].skip is not None:
                await self._turn_away(state, lease, found)
                continue
            why = because(found, lease.call.tried)
            dispatch = Dispatch(self._desk, lease, door, why, functools.partial(self._ways, state), self._lease_s)
            state.holding[lease.call.call_id] = dispatch
            self._own(self._carry(state, dispatch), f"call {lease.call.call_id}")

    def _ways(self, state: LaneState, wanted: Wanted) -> tuple[Candidate, ...]:
        clock = self._desk.clock
        return candidates(state.states(clock.monotonic()), wanted, clock.now())

    async def _turn_away(self, state: LaneState, lease: Lease, found: Sequence[Candidate]) -> None:
        """No trunk takes it: for now, or for good. A trunk asked for that we do not know may be news to us only."""
        asked = lease.message.trunk_id
        known = asked is None or any(one.trunk_id == asked for one in found)
        if known and found and (cause := never(found)):
            self._own(self._end(lease, cause), f"no trunk for {lease.call.call_id}")
            return
        try:
            await self._desk.store.release(lease, NO_TRUNK_S)
        except Unavailable:
            await self._outage()  # the lease lapses

    def _own(self, work: "asyncio._CoroutineLike[None]", name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _carry(self, state: LaneState, dispatch: Dispatch) -> None:
        call_id = dispatch.call.call_id
        try:
            went = await dispatch.run()
            if went is Went.STALE:
                log.error("call lost to another dialer", call_id=call_id)
        except Exception:
            log.exception("dispatch failed", call_id=call_id)
            with contextlib.suppress(Stale):
                await dispatch.give_up()
        finally:
            if state.holding.get(call_id) is dispatch:
                del state.holding[call_id]
            state.nudged.set()

    # -- keeping calls

    async def _listen(self, state: LaneState) -> None:
        """New calls and wishes wake us, and we look for both; for what nobody holds at least each SWEEP_S."""
        while not self._drained.is_set():
            try:
                await self._desk.store.wait(state.lane, SWEEP_S)
                state.nudged.set()
                await self._extend(state)
                if self._outage_at is None:
                    await self._sweep(state)
            except Unavailable:
                await self._outage()

    async def _heartbeat(self) -> None:
        """From this very loop: one that is stuck must lose its leases."""
        while not self._drained.is_set():
            for state in self._lanes.values():
                try:
                    await self._extend(state)
                    self._steady()
                except Unavailable:
                    await self._outage()
            await asyncio.sleep(self._lease_s / 3)

    async def _extend(self, state: LaneState) -> None:
        held = {call_id: dispatch.seat for call_id, dispatch in state.holding.items()}
        if not held:
            return
        for call_id, intent in await self._desk.store.extend(state.lane, held, self._lease_s):
            if intent is not Intent.NONE and (dispatch := state.holding.get(call_id)):
                dispatch.wish(intent)

    async def _outage(self) -> None:
        if self._outage_at is None:
            log.error("store unavailable")
        self._outage_at = self._desk.clock.monotonic()
        await asyncio.sleep(OUTAGE_PAUSE_S)

    def _steady(self) -> None:
        """After an outage every holder gets the time of one lease to say that it lives, before anybody sweeps."""
        if self._outage_at is not None and self._desk.clock.monotonic() - self._outage_at >= self._lease_s:
            log.info("store steady again")
            self._outage_at = None

    # -- ending what nobody holds

    async def _sweep(self, state: LaneState) -> None:
        for lease in await self._desk.store.overdue(state.lane, self._holder, SWEEP_MOST, self._lease_s):
            held = state.holding.get(lease.call.call_id)
            if held is not None:
                held.adopt(lease)
            else:
                self._own(self._end(lease, Cause.VALIDITY_EXPIRED), f"overdue {lease.call.call_id}")

    async def _end(self, lease: Lease, cause: Cause) -> None:
        """`cause`: of a queued call that nobody canceled."""
        writer = CallWriter(self._desk.store, lease.call, lease.message, lease.epoch, zone=self._desk.zone)
        ending = self._ending(lease, cause)
        writer.take(ending, lambda call: outcome_of(call, self._desk.heard_pct))
        try:
            stored = await writer.flush(END_WITHIN_S)
        except Stale:
            return
        finally:
            await writer.aclose()
        if stored:
            log.info(
                "call ended without a line", call_id=lease.call.call_id, status=ending.status.value, cause=ending.cause
            )

    def _ending(self, lease: Lease, cause: Cause) -> Ending:
        now = self._desk.clock.now()
        if lease.call.status is not Status.QUEUED or self._desk.journal.knows(lease.call.call_id):
            return lost(now)
        if lease.intent is Intent.CANCEL:
            return without_leg(Cause.CANCELED_BY_API, now)
        return not_taken(lease.call, cause, now)

    # -- leaving

    async def _drain(self) -> None:
        log.info("draining", calls=self.busy)
        self._tell_all(hang_up=False)
        if await self._all_gone(self._drain_s):
            return
        self._tell_all(hang_up=True)
        if await self._all_gone(LAST_WORDS_S):
            return
        log.error("calls left to the journal", calls=self.busy)
        for state in self._lanes.values():
            for dispatch in list(state.holding.values()):
                await dispatch.leave()
        for task in list(self._calls):
            task.cancel()
        await asyncio.wait(self._calls, timeout=LAST_WORDS_S)

    def _tell_all(self, *, hang_up: bool) -> None:
        for state in self._lanes.values():
            for dispatch in state.holding.values():
                dispatch.shut_down(hang_up)

    async def _all_gone(self, within_s: float) -> bool:
        if not self._calls:
            return True
        _, pending = await asyncio.wait(self._calls, timeout=within_s)
        return not pending


def _door(trunk: Trunk, line: TrunkLine, admins: Mapping[str, Admin], before: TrunkDoor | None) -> TrunkDoor:
    """A new door, because calls on their way hold the old one; what we know of the trunk's health and pace goes over.

    An operator who changes a trunk or enables it again has mended it: then it starts without a past.
    """
    admin = admins.get(trunk.id, Admin.ENABLED)
    if before is None:
        return TrunkDoor(trunk, line, admin)
    if before.trunk != trunk or (admin is Admin.ENABLED and before.admin is not Admin.ENABLED):
        return TrunkDoor(trunk, line, admin, next_at=before.next_at)
    if (before.trunk, before.line, before.admin) == (trunk, line, admin):
        return before
    return replace(before, trunk=trunk, line=line, admin=admin, preparing=0, preparing_campaigns=0)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
