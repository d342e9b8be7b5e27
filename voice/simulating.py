"""Which way a call would take: the trunks as all dialers say they are, and the very function that they ask. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from messaging import ids
from sip.trunk import Trunk
from voice.routing import Admin, Candidate, TrunkState, Wanted, candidates

NOBODY = "no dialer has it"


@dataclass(frozen=True, slots=True)
class Way:
    """One trunk's turn. `share`: of the draws, those in which it came first."""

    candidate: Candidate
    share: float


def said(state: TrunkState) -> dict[str, Any]:
    """What a dialer publishes of a trunk, for `merged`."""
    return {"admin": state.admin.value, "why_down": state.why_down, "free": state.free, "spent": state.spent}


def merged(trunks: Iterable[Trunk], dialers: Sequence[Mapping[str, Mapping[str, Any]]]) -> tuple[TrunkState, ...]:
    """The trunks as the service sees them. `dialers`: by trunk id what each of them said.

    One that can carry the call is enough: whoever cannot gives it back.
    """
    return tuple(_merged(trunk, [one[trunk.id] for one in dialers if trunk.id in one]) for trunk in trunks)


def _merged(trunk: Trunk, words: Sequence[Mapping[str, Any]]) -> TrunkState:
    if not words:
        return TrunkState(trunk, why_down=NOBODY, free=0)
    states = [
        TrunkState(trunk, Admin(one["admin"]), one["why_down"], one["free"], spent=one.get("spent", ""))
        for one in words
    ]
    best = min(states, key=lambda one: (one.admin is not Admin.ENABLED, bool(one.why_down), -one.free, not one.spent))
    return replace(best, free=sum(one.free for one in states if not one.why_down and one.admin is Admin.ENABLED))


def simulate(states: Sequence[TrunkState], wanted: Wanted, now: datetime, draws: int) -> tuple[Way, ...]:
    """Every trunk, best first, for `draws` calls. The order of those that can is the one of the first draw."""
    found = candidates(states, wanted, now)
    firsts = Counter(_first(found))
    for _ in range(draws - 1):
        firsts.update(_first(candidates(states, replace(wanted, draw=ids.call_id()), now)))
    return tuple(Way(one, firsts[one.trunk_id] / draws) for one in found)


def _first(found: Sequence[Candidate]) -> list[str]:
    return [one.trunk_id for one in found[:1] if one.skip is None]
