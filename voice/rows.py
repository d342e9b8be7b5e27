"""What the call store's scripts are given and what they answer: values <-> flat rows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from messaging.clock import to_ms
from voice.calls import Call
from voice.codec import from_json, to_json
from voice.messages import Message, Outcome, Recipient, Tally
from voice.store import CallEvent, Delivery, Ended, Intent, Lane, Lease, Successor


def call_args(call: Call, event: CallEvent) -> tuple[str, ...]:
    return call.call_id, to_json(call), event.event_id, to_json(event), call.to_number


def delivery_args(call_id: str, delivery: Delivery) -> tuple[str, ...]:
    return delivery.delivery_id, delivery.event_id, delivery.url, delivery.body, delivery.format, call_id


def successor_args(successor: Successor | None, kept_ms: int) -> tuple[str | int, ...]:
    """`kept_ms`: its life beyond its validity, when it is never finished."""
    if successor is None:
        return ("", "", "", "", 0, 0, 0)
    call = successor.call
    valid_ms = to_ms(call.dial_by or call.created_at)
    life_ms = max(0, valid_ms - to_ms(call.created_at)) + kept_ms
    call_id, body, event_id, event, _ = call_args(call, successor.event)
    return call_id, body, event_id, event, valid_ms, life_ms, len(successor.deliveries)


def first_answer(kept: Sequence[str]) -> tuple[int | None, str | None]:
    return (int(kept[0]), kept[1]) if kept else (None, None)


def lease_of(row: Sequence[Any]) -> Lease:
    body, message, epoch, intent, times = row
    return Lease(from_json(Call, body), from_json(Message, message), int(epoch), Intent(intent), int(times))


def recipient_of(index: int, row: str) -> Recipient:
    number, outcome, call_ids = json.loads(row)
    return Recipient(index, number, Outcome(outcome), tuple(call_ids))


def tally_of(kept: Mapping[str, str]) -> Tally:
    """From the hash of a message."""
    counts = {one: int(kept.get(f"n:{one}", 0)) for one in Outcome}
    return Tally(
        int(kept.get("total", 0)),
        {one: n for one, n in counts.items() if n},
        started="started" in kept,
        warnings=tuple(json.loads(kept.get("warnings", "[]"))),
        cancel_asked=kept.get("intent") == Intent.CANCEL,
    )


def ending_field(ended: Ended) -> str:
    return f"{ended.lane}:{ended.status}:{ended.cause}"


def ended_of(field: str) -> Ended:
    lane, status, cause = field.split(":")
    return Ended(Lane(lane), status, cause)
