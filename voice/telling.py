"""What the world is told of a step: the event, and one delivery for each callback that asked for it.

A stored event does not repeat the Call object that its webhooks carry: it keeps the few facts that the call may lose
again, and `retold` lets the call go its way once more. Thousands of calls wait in memory for a month, and what they
looked like half way is asked for seldom.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from messaging import ids
from messaging.clock import rfc3339
from voice.call_object import UTC_ZONE, call_object, ninebits_body
from voice.calls import (
    Call,
    CameIn,
    Dialed,
    Ending,
    Fact,
    IllegalMove,
    KeyPressed,
    NotDialed,
    Rang,
    WasAnswered,
    advance,
)
from voice.messages import Callback, CallbackFormat, Message
from voice.store import CallEvent, Delivery

QUEUED = "call.queued"
ENDED = "call.ended"

EVENT_TYPES: dict[type[Fact], str] = {
    Dialed: "call.dialing",
    NotDialed: QUEUED,
    CameIn: "call.ringing",
    Rang: "call.ringing",
    WasAnswered: "call.answered",
    KeyPressed: "call.dtmf",
    Ending: ENDED,
}


def queued_event(call: Call) -> CallEvent:
    return CallEvent(ids.event_id(), QUEUED, call.created_at, call.sequence)


def event_of(after: Call, fact: Fact) -> CallEvent:
    """The event that tells `fact`, which led to `after`. Its time is the one the call keeps, so events never cross."""
    return CallEvent(ids.event_id(), EVENT_TYPES[type(fact)], _kept_time(after, fact), after.sequence, _facts(fact))


def deliveries(call: Call, message: Message, event: CallEvent, zone: tzinfo = UTC_ZONE) -> tuple[Delivery, ...]:
    return tuple(
        Delivery(
            ids.delivery_id(), event.event_id, callback.url, _body(call, event, callback, zone), callback.format.value
        )
        for callback in message.callbacks
        if event.type in callback.events
    )


@dataclass(frozen=True, slots=True)
class Told:
    """An event and the call as it stood then: what a webhook of this event says."""

    event: CallEvent
    call: Call


def retold(latest: Call, events: Iterable[CallEvent]) -> Iterator[Told]:
    """The whole story of a call again, from its first event on. `latest`: the call no earlier than the last of them."""
    then = as_accepted(latest)
    for event in events:
        then = moved(then, event, latest)
        yield Told(event, then)


def as_accepted(call: Call) -> Call:
    """As it was when nothing had happened to it yet."""
    return Call(
        call_id=call.call_id,
        ref_id=call.ref_id,
        owner=call.owner,
        to_number=call.to_number,
        from_number=call.from_number,
        created_at=call.created_at,
        sandbox=call.sandbox,
        direction=call.direction,
        attempt=call.attempt,
        attempts_max=call.attempts_max,
        recipient=call.recipient,
        client_reference=call.client_reference,
        callback_data=call.callback_data,
        test=call.test,
        hop=call.hop,
        tried=call.tried,
        dial_by=call.dial_by,
        refused=call.refused,
        tariff=call.tariff,
    )


def moved(before: Call, event: CallEvent, latest: Call) -> Call:
    """The call after the event. Raises IllegalMove when the event is not the next one."""
    if event.type == QUEUED and before.sequence == 0:
        return replace(before, sequence=1)
    return advance(before, _fact(event, latest))


def _body(call: Call, event: CallEvent, callback: Callback, zone: tzinfo) -> str:
    if callback.format is CallbackFormat.NINEBITS:
        body = ninebits_body(call, zone=zone)
    else:
        body = {"type": event.type, "timestamp": rfc3339(event.at), "data": call_object(call)}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _kept_time(after: Call, fact: Fact) -> datetime:
    start, ring, answer, end = after.start_at, after.ring_at, after.answer_at, after.end_at
    kept = {Dialed: start, CameIn: start, Rang: ring, WasAnswered: answer, Ending: end}
    return kept.get(type(fact)) or fact.at


def _facts(fact: Fact) -> dict[str, Any]:
    """What cannot be seen from the call at its end, or may be another by then. The end itself stays in the call."""
    match fact:
        case Dialed() | CameIn():
            wire = {"trunk_id": fact.trunk_id, "wire_to": fact.wire_to, "wire_from": fact.wire_from}
            more: dict[str, Any] = {"warnings": list(getattr(fact, "warnings", ())), "why": fact.why}
            return wire | {name: said for name, said in more.items() if said}
        case Rang(early_media=True):
            return {"early_media": True}
        case WasAnswered():
            return {"codec": fact.codec}
        case KeyPressed():
            return {"digit": fact.digit}
    return {}


def _fact(event: CallEvent, latest: Call) -> Fact:
    """An event that an older version stored has fewer facts: then the call is asked."""
    said = event.facts
    match event.type:
        case "call.dialing":
            wire_to, wire_from = latest.wire_to or latest.to_number, latest.wire_from or latest.from_number
            return Dialed(
                event.at,
                said["trunk_id"],
                said.get("wire_to", wire_to),
                said.get("wire_from", wire_from),
                tuple(said.get("warnings", ())),
                said.get("why", ""),
            )
        case "call.ringing" if "trunk_id" in said:
            wire = (said["wire_to"], said["wire_from"])
            return CameIn(event.at, said["trunk_id"], *wire, said.get("why", ""))
        case "call.ringing":
            return Rang(event.at, said.get("early_media", False))
        case "call.answered":
            return WasAnswered(event.at, said.get("codec", latest.codec or ""))
        case "call.dtmf":
            return KeyPressed(event.at, said["digit"])
        case "call.queued":
            return NotDialed(event.at)
    if latest.ending is None:
        raise IllegalMove(f"{event.type} of a call that has not ended")
    return latest.ending
