"""What the call store's scripts are given and what they answer: values <-> flat rows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from voice.calls import Call
from voice.codec import from_json, to_json
from voice.messages import Message, Outcome, Recipient, Tally
from voice.store import CallEvent, Delivery, Intent, Lease


def call_args(call: Call, event: CallEvent) -> tuple[str, ...]:
    return call.call_id, to_json(call), event.event_id, to_json(event), call.to_number


def delivery_args(call_id: str, delivery: Delivery) -> tuple[str, ...]:
    return delivery.delivery_id, delivery.event_id, delivery.url, delivery.body, delivery.format, call_id


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
