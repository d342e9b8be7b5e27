"""The status of a trunk as `GET /v1/trunks/{id}/status` shows it: what the dialers say of it, and its score. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from messaging.clock import rfc3339
from sip.events import Registered, RegistrationState
from sip.registrar import WORST_FIRST
from sip.trunk import Registration, Trunk, TrunkUri
from voice.health import Target
from voice.routing import Admin
from voice.scoreboard import EVERYWHERE, Score, board
from voice.simulating import merged
from voice.trunk_news import STATE, Told

_NOTHING = Score(0, None, None, None, None, None)


def said_of_targets(targets: Mapping[TrunkUri, Target]) -> list[dict[str, Any]]:
    """What a dialer publishes of the addresses that it pings."""
    return [
        {
            "target": f"{uri.host}:{uri.port};{uri.transport.value}",
            "up": one.up,
            "code": one.code,
            "rtt_ms": one.rtt_ms,
            "misses": one.misses,
            "why": one.why or None,
        }
        for uri, one in targets.items()
    ]


def said_of_registration(state: RegistrationState, holder: str = "", *, is_here: bool = True) -> dict[str, Any]:
    """What a dialer publishes of a trunk's registration. `holder`: the dialer that has it for all; `is_here`: do we?"""
    return {
        "held_by": holder or None,
        "is_here": is_here,
        "state": state.state.value,
        "last_code": state.last_code or None,
        "last_reason": state.last_reason or None,
        "expires_at": _moment(state.expires_at),
        "failures": state.failures,
        "next_action_at": _moment(state.next_action_at),
    }


SCORED_OVER = timedelta(days=1)
_NO_REGISTRATION = {
    "state": "n/a",
    **dict.fromkeys(("held_by", "last_code", "last_reason", "expires_at")),
    "failures": 0,
    "next_action_at": None,
}


def trunk_status(
    trunk: Trunk,
    dialers: Sequence[Mapping[str, Any]],
    added: Mapping[str, int],
    told: Told | None = None,
    admin: Admin | None = None,
) -> dict[str, Any]:
    """`dialers`: what each of them says of itself (presence). `added`: the trunk's marks (scoreboard.Scores).

    `told`: what the service told of it, which knows since when it stands so. `admin`: what the operator wants now; the
    dialers may not have heard of it yet.
    """
    [state] = merged([trunk], [one.get("routes", {}) for one in dialers])
    pinged = [row for one in dialers for row in one.get("targets", {}).get(trunk.id, ())]
    scores = board(added)
    score = asdict(scores.get(EVERYWHERE, _NOTHING))
    rtts = [row["rtt_ms"] for row in pinged if row["rtt_ms"] is not None]
    some_down = any(not row["up"] for row in pinged)
    some_down |= _why_degraded(trunk, dialers) != ""
    word = _state(trunk, state.admin if admin is None else admin, bool(state.why_down), some_down)
    since = told.since(STATE, word) if told is not None else None
    return {
        "state": word,
        "since": rfc3339(since) if since else None,
        "why": state.why_down or _why_degraded(trunk, dialers) or None,
        "registration": _registration(trunk, dialers),
        "options": {
            "up": any(row["up"] for row in pinged) if pinged else None,
            "rtt_ms": min(rtts, default=None),
            "per_target": pinged,
        },
        "channels": {"used": _added(dialers, "busy_lines", trunk), "limit": trunk.channels},
        "cps": {"used": _added(dialers, "dialled_lately", trunk), "limit": trunk.cps},
        **score,
        "prefixes": {prefix: asdict(one) for prefix, one in scores.items() if prefix != EVERYWHERE},
    }


def _added(dialers: Sequence[Mapping[str, Any]], what: str, trunk: Trunk) -> int:
    return sum(one.get(what, {}).get(trunk.id, 0) for one in dialers)


def _why_degraded(trunk: Trunk, dialers: Sequence[Mapping[str, Any]]) -> str:
    """What the first dialer says that cannot use it. One that may cost no more today is not down: nothing is broken."""
    said = [one["routes"][trunk.id] for one in dialers if trunk.id in one.get("routes", {})]
    return next((why for one in said if (why := one["why_down"] or one.get("spent", ""))), "")


def _registration(trunk: Trunk, dialers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One dialer's, or that of every line: then the worst of them is how the trunk stands.

    Who has it is asked first: the others repeat what he said a moment ago.
    """
    if trunk.registration is Registration.NONE:
        return dict(_NO_REGISTRATION)
    said = [one["registrations"][trunk.id] for one in dialers if trunk.id in one.get("registrations", {})]
    asked = [one for one in said if one["is_here"]] or said
    worst = min(asked, key=lambda one: WORST_FIRST.index(Registered(one["state"])), default=None)
    if worst is None:
        return {**_NO_REGISTRATION, "state": Registered.STOPPED.value}
    return {name: value for name, value in worst.items() if name != "is_here"}


def _moment(unix_s: float | None) -> str | None:
    return None if unix_s is None else rfc3339(datetime.fromtimestamp(unix_s, UTC))


def _state(trunk: Trunk, admin: Admin, down: bool, some_down: bool) -> str:
    if not trunk.enabled or admin is Admin.DISABLED:
        return "disabled"
    if admin is Admin.DRAINING:
        return "draining"
    return "down" if down else "degraded" if some_down else "up"
