"""Somebody rings us: who missed a message hears it; everybody else hears the trunk's own words, or is refused.

The call joins the message that it is about: it stands among the recipient's calls, its events go where those of the
others went, and the recipient who heard it is delivered after all.
"""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

import structlog

from media.prompt import Prompt
from media.speech import SpeechError
from messaging import ids
from messaging.errors import Unavailable
from messaging.numbers import NumberError, normalise, region_of
from sip.causes import Cause, Source
from sip.commands import Answer
from sip.events import Ended
from sip.processleg import RungLeg
from sip.trunk import Trunk
from voice.calls import Call, CameIn, Direction, Ending, Rang, Status, WasAnswered, advance
from voice.desk import Audio, Desk
from voice.dispatch import Dispatch, Went
from voice.endings import of_leg
from voice.invite import with_sip_call_id
from voice.messages import Message, Outcome, Script
from voice.store import Arrival, Lease
from voice.telling import deliveries, event_of
from voice.trunks import TrunkDoor

log = structlog.get_logger(__name__)

SPEAK_WITHIN_S = 8.0  # to have the words ready: the line rings for ten
NOTHING_FOR_YOU, BUSY, NOT_NOW = 404, 486, 480
INBOUND = "inbound"  # `Message.source` of what only ever was a caller
_MISSED = frozenset({Outcome.UNDELIVERED, Outcome.EXPIRED})


class Keeper(Protocol):
    """The dialer, as far as its callers need it."""

    def door(self, trunk_id: str) -> TrunkDoor | None: ...

    def keep(self, call: Dispatch) -> bool: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What a caller is to hear. `recipient`: which one of the message he is; `is_new`: nobody has stored it yet."""

    message: Message
    recipient: int
    caller: str
    called: str
    why: str
    is_new: bool = False


class RingingBack:
    """`owner`: whose those callers are for whom no message waits. Made in a running event loop."""

    def __init__(self, desk: Desk, keeper: Keeper, *, owner: str, holder: str, lease_s: float) -> None:
        self._desk, self._keeper = desk, keeper
        self._owner, self._holder, self._lease_s = owner, holder, lease_s
        self._tasks: set[asyncio.Task[None]] = set()

    def rung(self, trunk: Trunk, leg: RungLeg) -> None:
        """Told by the lines of `trunk`; returns at once."""
        self._own(self._receive(trunk, leg), f"caller {leg.call_id}")

    async def aclose(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _receive(self, trunk: Trunk, leg: RungLeg) -> None:
        try:
            code = await self._take(trunk, leg)
        except Unavailable:
            code = NOT_NOW
        except Exception:
            log.exception("caller not served", trunk_id=trunk.id)
            code = NOT_NOW
        if code:
            await leg.refuse(code)
            log.info("caller refused", trunk_id=trunk.id, sip=code)

    async def _take(self, trunk: Trunk, leg: RungLeg) -> int:
        """0: the call is somebody's now. Else how to refuse it."""
        door = self._keeper.door(trunk.id)
        if door is None:
            return NOT_NOW
        found = await self._look_up(trunk, leg)
        if found is None:
            return NOTHING_FOR_YOU
        try:
            async with asyncio.timeout(SPEAK_WITHIN_S):
                audio = await self._desk.prompts.audio(found.message.prompt)
        except (SpeechError, TimeoutError) as error:
            log.warning("no audio for a caller", trunk_id=trunk.id, why=str(error) or "not in time")
            return NOT_NOW
        call = self._call(trunk, leg, found)
        seat = await self._desk.store.seats.take(trunk, call.call_id, self._lease_s)
        if not seat.taken:
            return BUSY
        arrival = self._arrival(call, found)
        if await self._desk.store.inbox.receive(arrival, self._holder, self._lease_s):
            answering = Answering(self._desk, arrival.call, found.message, door, self._lease_s, leg, audio)
            if self._keeper.keep(answering):
                return 0
        await self._desk.store.seats.leave(trunk.id, call.call_id)
        return NOT_NOW

    # -- what it is about

    async def _look_up(self, trunk: Trunk, leg: RungLeg) -> Found | None:
        rung = leg.rung
        home = next((region for number in trunk.caller_ids if (region := region_of(number))), None)
        caller, called = as_digits(rung.caller, home), as_digits(rung.called, home)
        found = await self._missed(trunk, caller, called) if caller else None
        if found is not None or not trunk.inbound.say:
            return found
        return self._for_everybody(trunk, caller or rung.caller or "anonymous", called or rung.called)

    async def _missed(self, trunk: Trunk, caller: str, called: str) -> Found | None:
        """The latest that did not reach him. Of several, one from the number that he rings now."""
        found: list[tuple[bool, Found]] = []
        for call_id in await self._desk.store.inbox.missed(caller):
            call = await self._desk.store.call(None, call_id)
            if call is None or call.trunk_id != trunk.id:
                continue
            message = await self._desk.store.message(call.owner, call.ref_id)
            (recipient, *_) = await self._desk.store.recipients(call.ref_id, call.recipient, 1) or (None,)
            if message is not None and recipient is not None and recipient.outcome in _MISSED:
                why = f"rings back about {call_id}"
                found.append((call.from_number == called, Found(message, call.recipient, caller, called, why)))
        return next((one for same, one in found if same), found[0][1] if found else None)

    def _for_everybody(self, trunk: Trunk, caller: str, called: str) -> Found:
        now = self._desk.clock.now()
        message = Message(
            ref_id=ids.ref_id(),
            owner=self._owner,
            created_at=now,
            sandbox=False,
            prompt=Prompt(text=trunk.inbound.say),
            script=Script(),
            due_at=now,
            valid_until=now + timedelta(hours=1),
            trunk_id=trunk.id,
            source=INBOUND,
        )
        return Found(message, 0, caller, called, "no message waits: the trunk's own words", is_new=True)

    def _call(self, trunk: Trunk, leg: RungLeg, found: Found) -> Call:
        now, message = self._desk.clock.now(), found.message
        call = Call(
            call_id=ids.call_id(),
            ref_id=message.ref_id,
            owner=message.owner,
            to_number=found.called,
            from_number=found.caller,
            created_at=now,
            sandbox=False,
            direction=Direction.INBOUND,
            recipient=found.recipient,
            client_reference=message.client_reference,
            callback_data=message.callback_data,
        )
        return advance(call, CameIn(now, trunk.id, leg.rung.called, leg.rung.caller, found.why))

    def _arrival(self, call: Call, found: Found) -> Arrival:
        fact = CameIn(call.created_at, call.trunk_id or "", call.wire_to or "", call.wire_from or "", call.why_trunk)
        event = event_of(call, fact)
        told = deliveries(call, found.message, event, self._desk.zone)
        return Arrival(call, event, found.message if found.is_new else None, told)


def as_digits(number: str, region: str | None) -> str:
    """International digits of what stood on the wire; empty when it is no number."""
    try:
        return normalise(number, region)
    except NumberError:
        return ""


class Answering(Dispatch):
    """One call that came in, stored and ringing: picked up, followed and ended like those that went out."""

    def __init__(
        self, desk: Desk, call: Call, message: Message, door: TrunkDoor, lease_s: float, leg: RungLeg, audio: Audio
    ) -> None:
        super().__init__(desk, Lease(call, message, 1), door, call.why_trunk, lambda _: (), lease_s)
        self._leg, self._words = leg, audio
        self.seat = door.trunk.id
        self._committed = True

    async def _run(self) -> Went:
        self._prepared()
        script = self.message.script
        command = Answer(
            self._leg.call_id,
            os.fspath(self._words.path),
            pause_ms=script.pause_ms,
            repeat=script.repeat,
            then=self._flow.then,
            max_duration_s=script.max_duration_s,
            rtp_timeout_s=self._door.trunk.rtp.timeout_s,
        )
        await self._leg.pick_up(command)
        return await self._finish(await self._follow(self._leg))

    def _take(self, fact: Rang | WasAnswered) -> None:
        self.writer.take(fact)  # nothing to recover: a call that came in is not dialled twice

    async def _finish(self, ended: Ended) -> Went:
        desk = self._desk
        ending = by_the_caller(of_leg(self.call, self.message, ended, self._door.trunk, desk.heard_pct))
        return await self._end(with_sip_call_id(ending, self._traces))

    def _outcome(self, call: Call) -> Outcome | None:
        """Who did not hear it this time either is no worse off than before."""
        outcome = super()._outcome(call)
        return outcome if self.message.source == INBOUND or outcome is Outcome.DELIVERED else None


def by_the_caller(ending: Ending) -> Ending:
    """The person is at the other end of an inbound call than the outcome table thinks."""
    if ending.status is not Status.COMPLETED and ending.cause == Cause.REMOTE_CANCEL:
        return replace(ending, status=Status.CANCELED, source=Source.CALLER.value, fault=None)
    return replace(ending, source=Source.CALLER.value) if ending.source == Source.CALLEE else ending
