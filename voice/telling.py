"""What the world is told of a step: the event, and one delivery for each callback that asked for it."""

import json
from datetime import datetime, tzinfo
from typing import Any

from messaging import ids
from messaging.clock import rfc3339
from voice.call_object import UTC_ZONE, call_object, ninebits_body
from voice.calls import Call, Dialed, Ending, Fact, KeyPressed, NotDialed, Rang, WasAnswered
from voice.messages import Callback, CallbackFormat, Message
from voice.store import CallEvent, Delivery

QUEUED = "call.queued"
ENDED = "call.ended"

EVENT_TYPES: dict[type[Fact], str] = {
    Dialed: "call.dialing",
    NotDialed: QUEUED,
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


def _body(call: Call, event: CallEvent, callback: Callback, zone: tzinfo) -> str:
    if callback.format is CallbackFormat.NINEBITS:
        body = ninebits_body(call, zone=zone)
    else:
        body = {"type": event.type, "timestamp": rfc3339(event.at), "data": call_object(call)}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _kept_time(after: Call, fact: Fact) -> datetime:
    kept = {Dialed: after.start_at, Rang: after.ring_at, WasAnswered: after.answer_at, Ending: after.end_at}
    return kept.get(type(fact)) or fact.at


def _facts(fact: Fact) -> dict[str, Any]:
    match fact:
        case Dialed():
            return {"trunk_id": fact.trunk_id}
        case KeyPressed():
            return {"digit": fact.digit}
        case Ending():
            return {"status": fact.status.value, "cause": fact.cause}
    return {}
