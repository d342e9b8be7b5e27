"""Call -> the JSON Call object of the API and of callbacks, and the flat body of a 9bits callback. Pure.

The nine members that 9bits documents come first, with its names, order and types; ours follow and never rename them.
"""

from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from messaging.clock import rfc3339
from voice.calls import Call, Ending

NINEBITS_TIME = "%Y-%m-%d %H:%M:%S"
UTC_ZONE: tzinfo = ZoneInfo("UTC")


def call_object(call: Call, *, increment_s: int = 1) -> dict[str, Any]:
    """All members in their order; times RFC 3339 UTC with milliseconds; unknown is null. `increment_s`: of billing."""
    ending = call.ending
    return {
        "start_at": _time(call.start_at),
        "answer_at": _time(call.answer_at),
        "end_at": _time(call.end_at),
        "total_duration": call.total_duration,
        "call_duration": call.call_duration(increment_s),
        "call_direction": call.direction.value,
        "from_number": call.from_number,
        "to_number": call.to_number,
        "total_amount": "0",
        "call_id": call.call_id,
        "ref_id": call.ref_id,
        "client_reference": call.client_reference,
        "attempt": call.attempt,
        "attempts_max": call.attempts_max,
        "status": call.status.value,
        "answered_by": call.answered_by,
        "amd_reason": None,
        "hangup_cause": ending.cause if ending else None,
        "hangup_cause_code": ending.cause_code if ending else None,
        "hangup_source": ending.source if ending else None,
        "permanent": ending.permanent if ending else False,
        "may_have_rung": ending.may_have_rung if ending else False,
        "fault": ending.fault if ending else None,
        "sip": _sip(ending),
        "ring_at": _time(call.ring_at),
        "pdd_ms": call.pdd_ms,
        "early_media": call.early_media,
        "digits": call.digits,
        "result": None,
        "heard_ms": ending.heard_ms if ending else 0,
        "heard_pct": heard_pct(ending),
        "played_to_end": ending.played_to_end if ending else False,
        "bill_duration": _answered_s(call),
        "total_rate": "0",
        "currency": None,
        "trunk_id": call.trunk_id,
        "route": {"trunk": call.trunk_id, "hop": call.hop, "why": call.why_trunk or None} if call.trunk_id else None,
        "wire_to": call.wire_to,
        "wire_from": call.wire_from,
        "codec": call.codec,
        "srtp": False,
        "quality": _quality(ending),
        "recording_url": f"/v1/calls/{call.call_id}/recordings" if ending and ending.recorded else None,
        "callback_data": call.callback_data,
        "sandbox": call.sandbox,
        "sequence": call.sequence,
        "next_attempt_at": None,
        "created_at": rfc3339(call.created_at),
        "test": call.test,
        "warnings": list(call.warnings),
        "detail": (ending.detail or None) if ending else None,
    }


def ninebits_body(call: Call, *, zone: tzinfo = UTC_ZONE, increment_s: int = 1) -> dict[str, Any]:
    """The same object as a 9bits callback carries it: its three times in the account's zone, without naming it."""
    times = {"start_at": call.start_at, "answer_at": call.answer_at, "end_at": call.end_at}
    flat = {name: at.astimezone(zone).strftime(NINEBITS_TIME) if at else None for name, at in times.items()}
    return {**call_object(call, increment_s=increment_s), **flat}


def heard_pct(ending: Ending | None) -> int | None:
    """Of what was to be played, how much left for a phone that was off the hook; None when nothing was to be played."""
    if ending is None or ending.audio_ms <= 0:
        return None
    return 100 if ending.played_to_end else min(100, ending.heard_ms * 100 // ending.audio_ms)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _answered_s(call: Call) -> int:
    if call.answer_at is None or call.end_at is None:
        return 0
    return int((call.end_at - call.answer_at).total_seconds())


def _sip(ending: Ending | None) -> dict[str, Any] | None:
    if ending is None or ending.sip is None:
        return None
    said = ending.sip
    return {
        "code": said.code,
        "reason": said.reason,
        "origin": said.origin,
        "q850": said.q850,
        "reason_header": said.reason_header,
        "call_id": said.call_id,
    }


def _quality(ending: Ending | None) -> dict[str, float | None] | None:
    if ending is None or ending.quality is None:
        return None
    line = ending.quality
    return {"mos": line.mos, "jitter_ms": line.jitter_ms, "loss_pct": line.loss_pct, "rtt_ms": line.rtt_ms}
