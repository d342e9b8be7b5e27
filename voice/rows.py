"""What the call store's scripts are given and what they answer: values <-> flat rows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from messaging.clock import to_ms
from voice.calls import Call
from voice.caps import NUMBER_WINDOW_S, Over, Overrun, Reservation, Used
from voice.codec import from_json, to_json
from voice.keys import Keys
from voice.messages import Message, Outcome, Recipient, Tally
from voice.store import CallEvent, Delivery, Ended, Intent, Lane, Lease, Successor

OPEN_MARGIN_MS = 3 * 3600 * 1000  # beyond its validity: the longest a call may ring and talk, and to spare


def call_args(call: Call, event: CallEvent) -> tuple[str, ...]:
    return call.call_id, to_json(call), event.event_id, to_json(event), call.to_number


def delivery_args(call_id: str, delivery: Delivery) -> tuple[str, ...]:
    return delivery.delivery_id, delivery.event_id, delivery.url, delivery.body, delivery.format, call_id


def toll_arg(asked: Reservation | None, owner: str, keys: Keys, life_ms: int, margin_ms: int = OPEN_MARGIN_MS) -> str:
    """What a script reserves; caps.lua knows the members."""
    if asked is None:
        return ""
    most = {over.value: most for over in Over if (most := asked.caps.most(over)) is not None}
    return json.dumps(
        {
            "spent": keys.spent(owner, asked.key_id, asked.day),
            "open": keys.open(owner, asked.key_id),
            "pace": keys.key_pace(owner, asked.key_id),
            "rang": keys.rang(owner, ""),
            "most": most,
            "seconds": sum(one.seconds for one in asked.each),
            "amount": sum(one.millionths for one in asked.each),
            "each": [(one.seconds, one.millionths) for one in asked.each],
            "window_ms": NUMBER_WINDOW_S * 1000,
            "margin_ms": margin_ms,
            "life_ms": life_ms,
        }
    )


def overrun_of(answer: Sequence[Any]) -> Overrun:
    _, over, used, most, wait_s, *indices = answer
    return Overrun(Over(over), int(used), int(most), int(wait_s), tuple(map(int, indices)))


def used_of(kept: Mapping[str, str], open_calls: int) -> Used:
    """From the hash of a key's day."""
    names = ("calls", "s", "held_s", "amount", "held_amount")
    calls, seconds, held_s, millionths, held = (int(kept.get(name, 0)) for name in names)
    return Used(calls, seconds, held_s, millionths, held, open_calls)


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
