"""The status of a trunk as `GET /v1/trunks/{id}/status` shows it: what the dialers say of it, and its score. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sip.trunk import Trunk, TrunkUri
from voice.health import Target
from voice.routing import Admin
from voice.scoreboard import EVERYWHERE, Score, board
from voice.simulating import merged

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
        }
        for uri, one in targets.items()
    ]


def trunk_status(trunk: Trunk, dialers: Sequence[Mapping[str, Any]], added: Mapping[str, int]) -> dict[str, Any]:
    """`dialers`: what each of them says of itself (presence). `added`: the trunk's marks (scoreboard.Scores)."""
    [state] = merged([trunk], [one.get("routes", {}) for one in dialers])
    pinged = [row for one in dialers for row in one.get("targets", {}).get(trunk.id, ())]
    scores = board(added)
    score = asdict(scores.get(EVERYWHERE, _NOTHING))
    rtts = [row["rtt_ms"] for row in pinged if row["rtt_ms"] is not None]
    some_down = any(not row["up"] for row in pinged)
    some_down |= any(one["routes"][trunk.id]["why_down"] != "" for one in dialers if trunk.id in one.get("routes", {}))
    used = sum(one.get("busy_lines", {}).get(trunk.id, 0) for one in dialers)
    return {
        "state": _state(trunk, state.admin, bool(state.why_down), some_down),
        "why": state.why_down or None,
        "options": {
            "up": any(row["up"] for row in pinged) if pinged else None,
            "rtt_ms": min(rtts, default=None),
            "per_target": pinged,
        },
        "channels": {"used": used, "limit": trunk.channels},
        "cps": {"limit": trunk.cps},
        **score,
        "prefixes": {prefix: asdict(one) for prefix, one in scores.items() if prefix != EVERYWHERE},
    }


def _state(trunk: Trunk, admin: Admin, down: bool, some_down: bool) -> str:
    if not trunk.enabled or admin is Admin.DISABLED:
        return "disabled"
    if admin is Admin.DRAINING:
        return "draining"
    return "down" if down else "degraded" if some_down else "up"
