"""One call, from its lease to its end: speech first, then the point of no return, then what the line tells."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

import structlog

from media.speech import SpeechError
from messaging.errors import Unavailable
from sip import ladder
from sip.causes import Cause
from sip.commands import Why
from sip.events import Answered, Digit, Ended, LineEvent, Origin, Phase, Ringing, Trace
from sip.line import Leg, LineError, LinesDown, NoFreeLine
from voice.calls import Call, Dialed, Ending, KeyPressed, NotDialed, Rang, Status, WasAnswered
from voice.desk import Audio, Desk
from voice.destinations import cause_of
from voice.endings import in_public, lost, moment, not_taken, of_leg, outcome_of, without_audio, without_leg
from voice.failover import may_go_on, next_hop
from voice.flows import begin, step
from voice.health import reachable
from voice.invite import CannotDial, Invite, invite_for, with_sip_call_id
from voice.messages import Message, Outcome
from voice.routing import Candidate, Wanted, now_or_soon, wanted_by
from voice.store import Intent, Lease, Successor
from voice.trunk_budget import budget_for
from voice.trunks import TrunkDoor, may_carry
from voice.writing import CallWriter, Stale

log = structlog.get_logger(__name__)

INVITE_WITHIN_S = 2.0  # from asking the store to the dial command; later we cannot say that nobody decided otherwise
TIMES_LEASED_MOST = 2  # a queued call that was lost twice with its dialer is not tried a third time
SUSPENDED_S = 10.0  # before a call of a suspended key is looked at again
NO_LINE_S = 0.5  # before a call for which no line was free may be leased again
DOWN_S = 5.0  # the same, when no line process can start, or the journal's disk is full
DIAL_S = 10.0  # a line that does not say by then whether it dials may have dialled
LINE_GRACE_S = 30.0  # after the longest possible call: then the line has lost it, whatever it says
TRACES_MOST = 400


class Went(StrEnum):
    """What became of a dispatch."""

    ENDED = "ended"  # final, and the store knows
    RELEASED = "released"  # queued again: nothing was sent
    STALE = "stale"  # somebody else holds it now


Ways = Callable[[Wanted], Sequence[Candidate]]


class Dispatch:
    """Owned by one task of the dialer. `wish`, `shut_down` and `adopt` may be called at any moment."""

    def __init__(self, desk: Desk, lease: Lease, door: TrunkDoor, why: str, ways: Ways, lease_s: float) -> None:
        """`why` this trunk; `ways`: the others, when it turns out that it does not take the call.

        `lease_s`: so long a seat on the trunk is ours before somebody has to extend it.
        """
        self._desk = desk
        self._lease = lease
        self._door = door
        self._why = why
        self._ways = ways
        self._lease_s = lease_s
        self.seat: str | None = None  # the trunk on which we hold one
        self._canceled = lease.intent is Intent.CANCEL
        self._stopping = False
        self._committed = False
        self._rendering: asyncio.Task[Audio] | None = None
        self._asked: asyncio.Queue[Why] = asyncio.Queue()
        self._flow = begin(lease.message.script)
        self._timer: asyncio.TimerHandle | None = None
        self._traces: list[Trace] = []
        self._preparing = True
        door.prepares(1, campaign=lease.message.campaign)
        self.writer = CallWriter(
            desk.store,
            lease.call,
            lease.message,
            lease.epoch,
            zone=desk.zone,
            wished=self.wish,
            taken_away=lambda: self._asked.put_nowait(Why.SHUTDOWN),
        )

    @property
    def call(self) -> Call:
        return self.writer.call

    @property
    def message(self) -> Message:
        return self._lease.message

    def wish(self, intent: Intent) -> None:
        if intent is Intent.CANCEL and not self._canceled:
            self._canceled = True
            self._asked.put_nowait(Why.API)

    def shut_down(self, hang_up: bool) -> None:
        """Before the point of no return: give the call back. After it: only when told to `hang_up`."""
        self._stopping = True
        if self._rendering is not None:
            self._rendering.cancel()
        if hang_up:
            self._asked.put_nowait(Why.SHUTDOWN)

    def adopt(self, lease: Lease) -> None:
        """Our own sweep found it without a holder after an outage: it is ours again, under a new epoch."""
        self.writer.epoch = lease.epoch
        self.wish(lease.intent)

    async def leave(self) -> None:
        """The process leaves: what the store does not have stays in the journal."""
        await self.writer.aclose()

    async def run(self) -> Went:
        try:
            return await self._run()
        except Stale:
            return Went.STALE
        finally:
            self._prepared()
            if self.seat is not None:
                self._door.freed()
            if self._timer:
                self._timer.cancel()

    async def give_up(self) -> None:
        """After a fault of ours. Not committed: the lease lapses, and that is counted."""
        if self._committed and not self.call.status.is_final:
            await self._end(lost(self._desk.clock.now()))

    # -- up to the point of no return

    async def _run(self) -> Went:
        if objection := await self._objection():
            return await self._end(objection)
        if self._is_suspended():
            return await self._give_back(SUSPENDED_S)
        try:
            audio = await self._audio()
        except SpeechError as error:
            log.warning("no audio", call_id=self.call.call_id, why=str(error))
            return await self._end(without_audio(self.message.prompt, error, self._desk.clock.now()))
        if audio is None:
            return await self._give_back(0.0)
        try:
            invite = invite_for(self.call, self.message, reachable(self._door.trunk, self._door.targets))
        except CannotDial as no:
            return await self._end(self._never(no.cause))
        if not await self._wait_for_a_seat():
            return await self._give_back(NO_LINE_S)
        if objection := await self._objection():
            await self._leave_seat()
            return await self._end(objection)
        if self._stopping or self._is_suspended():
            await self._leave_seat()
            return await self._give_back(0.0 if self._stopping else SUSPENDED_S)
        return await self._dial(audio, invite)

    async def _wait_for_a_seat(self) -> bool:
        """A channel and our turn, counted over all dialers; False when there is none, or nobody can say."""
        door, seats, clock = self._door, self._desk.store.seats, self._desk.clock
        try:
            campaign, script = self.message.campaign, self.message.script
            budget = budget_for(door.trunk, self.call, script, clock.now(), self._desk.zone)
            seat = await seats.take(door.trunk, self.call.call_id, self._lease_s, campaign=campaign, budget=budget)
        except Unavailable:
            return False
        door.seated(seat, clock.monotonic())
        if seat.taken:
            self.seat = door.trunk.id
            await asyncio.sleep(seat.wait_s)
        return seat.taken

    async def _leave_seat(self) -> None:
        with contextlib.suppress(Unavailable):  # then it lapses
            await self._desk.store.seats.leave(self._door.trunk.id, self.call.call_id)

    async def _objection(self) -> Ending | None:
        """Why this call ends here and now, without a dial."""
        call = self.call
        refusal = await self._desk.refusal(call.owner, call.to_number)  # first: what follows holds while nobody waits
        now = self._desk.clock.now()
        if self._desk.journal.knows(call.call_id):
            log.error("the store offers a call that was dialled here", call_id=call.call_id)
            return lost(now)
        if self._canceled:
            return self._never(Cause.CANCELED_BY_API)
        if now >= min(self.message.valid_until, call.dial_by or self.message.valid_until):
            return not_taken(call, Cause.VALIDITY_EXPIRED, now)
        if self._lease.times_leased > TIMES_LEASED_MOST:
            log.error("call parked", call_id=call.call_id, times_leased=self._lease.times_leased)
            return self._never(Cause.POISON)
        if not may_carry(self._door.trunk, call):
            log.error("call and trunk do not match", call_id=call.call_id, trunk_id=self._door.trunk.id)
            return self._never(Cause.INVALID_NUMBER)
        if refusal is not None:  # the rules have changed since it was accepted
            return replace(self._never(cause_of(refusal)), detail=refusal.detail)
        return None

    def _is_suspended(self) -> bool:
        """The key that asked for it; what it was accepted for stays, and waits until somebody resumes the key."""
        return self._desk.is_suspended(self.call.owner, self.message.key_id)

    async def _audio(self) -> Audio | None:
        """None: we were told to stop meanwhile. Raises SpeechError."""
        self._rendering = asyncio.ensure_future(self._desk.prompts.audio(self.message.prompt))
        try:
            return await self._rendering
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return None
        finally:
            self._rendering.cancel()
            self._rendering = None

    async def _dial(self, audio: Audio, invite: Invite) -> Went:
        desk, trunk = self._desk, self._door.trunk
        warnings = tuple(in_public(self.message.prompt, words) for words in audio.warnings)
        fact = Dialed(desk.clock.now(), trunk.id, invite.wire_to, invite.wire_from, warnings, self._why)
        try:
            await desk.journal.dialed(self.call, self.writer.epoch, fact)
        except OSError:
            log.exception("journal not written: nothing is dialled")
            await self._leave_seat()
            return await self._give_back(DOWN_S)
        self._committed = True
        script = self.message.script
        record = str(desk.recordings / f"{self.call.call_id}.wav") if script.record else None
        command = invite.dial(script, trunk, os.fspath(audio.path), self._flow.then, record)
        started = desk.clock.monotonic()
        self.writer.take(fact)
        stored = await self.writer.flush(INVITE_WITHIN_S)
        if not stored or desk.clock.monotonic() - started > INVITE_WITHIN_S:
            return await self._unsent(self._never(Cause.DISPATCH_TIMEOUT))
        if self._canceled:
            return await self._unsent(self._never(Cause.CANCELED_BY_API))
        try:
            async with asyncio.timeout(DIAL_S):
                leg = await self._door.line.dial(command)
        except (NoFreeLine, LinesDown) as error:
            return await self._not_dialed(error)
        except (LineError, TimeoutError):
            log.exception("line failed", call_id=self.call.call_id)
            return await self._end(lost(desk.clock.now()))
        self._prepared()
        return await self._finish(await self._follow(leg))

    async def _unsent(self, ending: Ending) -> Went:
        """Stored as dialing, and then not dialled after all."""
        self._note(lambda: self._desk.journal.not_sent(self.call.call_id))
        return await self._end(ending)

    async def _not_dialed(self, error: LineError) -> Went:
        """Nothing was sent, and we hold the lease: the one way back to the queue."""
        delay_s = NO_LINE_S
        if isinstance(error, LinesDown):
            delay_s = DOWN_S
            self._door.close(str(error), self._desk.clock.monotonic())
            log.error("trunk has no line", trunk_id=self._door.trunk.id, why=str(error))
        self._note(lambda: self._desk.journal.not_sent(self.call.call_id))
        self._committed = False
        self.writer.take(NotDialed(self._desk.clock.now()))
        await self.writer.flush()
        self._note(lambda: self._desk.journal.done(self.call.call_id))
        return await self._give_back(delay_s)

    async def _give_back(self, delay_s: float) -> Went:
        self._prepared()
        lease = replace(self._lease, call=self.call, epoch=self.writer.epoch)
        with contextlib.suppress(Unavailable):  # then the lease lapses, a little later
            await self._desk.store.release(lease, delay_s)
        return Went.RELEASED

    def _prepared(self) -> None:
        if self._preparing:
            self._preparing = False
            self._door.prepares(-1, campaign=self.message.campaign)

    # -- on the line

    async def _follow(self, leg: Leg) -> Ended:
        """We listen while the facts go to the store: one that is away does not keep us from hanging up."""
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(self._hang_up_when_asked(leg), name=f"asking {leg.call_id}")
            try:
                return await self._listen(leg)
            finally:
                asking.cancel()

    async def _hang_up_when_asked(self, leg: Leg) -> None:
        while True:
            await leg.hang_up(await self._asked.get())

    async def _listen(self, leg: Leg) -> Ended:
        script = self.message.script
        try:
            async with asyncio.timeout(script.ring_timeout_s + script.max_duration_s + LINE_GRACE_S):
                async for event in leg.events():
                    if isinstance(event, Ended):
                        return event
                    await self._hear(event, leg)
        except TimeoutError:
            await leg.hang_up(Why.MAX_DURATION)
        log.error("the line lost the call", call_id=leg.call_id)
        answered = self.call.answer_at is not None
        phase = Phase.ANSWERED if answered else Phase.RINGING if self.call.ring_at else Phase.SILENT
        now = self._desk.clock.now().timestamp()
        return Ended(leg.call_id, now, 200 if answered else 0, "", Origin.LOCAL, phase, lost=True)

    async def _hear(self, event: LineEvent, leg: Leg) -> None:
        match event:
            case Trace() if len(self._traces) < TRACES_MOST:
                self._traces.append(event)
            case Ringing() if self.call.status is Status.DIALING:
                self._take(Rang(moment(event.at), event.early_media))
            case Answered() if self.call.answer_at is None:
                self._take(WasAnswered(moment(event.at), event.codec))
            case Digit() if self.call.status is Status.ANSWERED:
                self.writer.take(KeyPressed(moment(event.at), event.digit))
        self._flow, decision = step(self._flow, event)
        if decision.stop_playing:
            await leg.stop_playing()
        if decision.hang_up_in_s is not None:
            self._hang_up_in(decision.hang_up_in_s)

    def _take(self, fact: Rang | WasAnswered) -> None:
        if self.writer.take(fact):
            self._note(lambda: self._desk.journal.fact(self.call.call_id, fact))

    def _hang_up_in(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._asked.put_nowait, Why.PLAYED_OUT)

    # -- the end

    async def _finish(self, ended: Ended) -> Went:
        self._note(lambda: self._desk.journal.ended(ended))
        door, heard_pct = self._door, self._desk.heard_pct
        ending = of_leg(self.call, self.message, ended, door.trunk, heard_pct, barred=door.barred)
        if ending.status is Status.COMPLETED and self.call.answer_at is None:
            self._take(WasAnswered(moment(ended.at)))  # the line said so in its last words only
        code = ended.code if ended.origin is Origin.REMOTE else 0
        door.went(ending.cause, self._desk.clock.monotonic(), code=code, retry_after_s=ended.retry_after_s)
        return await self._end(with_sip_call_id(ending, self._traces), self._next_hop(ended, ending))

    def _next_hop(self, ended: Ended, ending: Ending) -> Successor | None:
        """Over another trunk, when the policy allows it and one takes the call now, or would if it had a channel."""
        now, policy = self._desk.clock.now(), self._door.trunk.failover
        if self._canceled or not may_go_on(self.call, ended, ending, policy, now):
            return None
        following = next_hop(self.call, ending, self.message, policy, now, self._desk.zone)
        if not now_or_soon(self._ways(wanted_by(following.call, self.message))):
            return None
        log.info("next hop", call_id=self.call.call_id, next_call_id=following.call.call_id, cause=ending.cause)
        return following

    async def _end(self, ending: Ending, successor: Successor | None = None) -> Went:
        """Written until the store has it, however long that takes; the journal remembers it if we die before."""
        self._prepared()
        self.writer.take(ending, self._outcome, successor)
        saved = await self._save_trace()
        await self.writer.flush()
        if not saved:
            await self._save_trace()
        if self._desk.journal.has(self.call.call_id):
            self._note(lambda: self._desk.journal.done(self.call.call_id))
        log.info(
            "call ended",
            call_id=self.call.call_id,
            status=ending.status.value,
            cause=ending.cause,
            trunk=self.call.trunk_id,
            sip=ending.sip.code if ending.sip else None,
            heard_ms=ending.heard_ms,
            source=ending.source,
        )
        return Went.ENDED

    def _outcome(self, call: Call) -> Outcome | None:
        gather = self.message.script.gather
        return outcome_of(call, self._desk.heard_pct, gather.valid if gather else None)

    async def _save_trace(self) -> bool:
        if not self._traces:
            return True
        try:
            await self._desk.store.save_trace(self.call.call_id, ladder.as_json(ladder.ladder(self._traces)))
        except Unavailable:
            return False
        return True

    def _never(self, cause: Cause) -> Ending:
        return without_leg(cause, self._desk.clock.now())

    @staticmethod
    def _note(write: Callable[[], None]) -> None:
        """A line of the journal that only helps after a crash: a full disk must not end a call."""
        try:
            write()
        except OSError:
            log.exception("journal not written")
