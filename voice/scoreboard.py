"""How good a trunk is, in the words of the trade: ASR, NER, PDD, ACD and MOS, per trunk and per prefix. Pure.

A final call adds its marks in the script that stores its end, so each counts once. ASR and NER as in ITU-T E.425: of
the calls that left, those that were answered; and those that reached somebody, who answered, was busy, let it ring or
declined: what a person does is not the network's fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from voice.calls import Call, Direction, Status

PREFIX_DIGITS = 3
EVERYWHERE = "*"
_REACHED = frozenset({Status.COMPLETED, Status.BUSY, Status.NO_ANSWER, Status.REJECTED})


@dataclass(frozen=True, slots=True)
class Score:
    """Shares from 0 to 1. None: no call to tell it by."""

    calls: int
    asr: float | None
    ner: float | None
    pdd_ms: int | None
    acd_s: float | None
    mos: float | None


class Scores(Protocol):
    async def marks(self, trunk_id: str, since: datetime, until: datetime) -> Mapping[str, int]:
        """The marks of every hour that the time touches, added up: `prefix:name` -> sum. Raises Unavailable."""
        ...


def marks(call: Call) -> dict[str, int]:
    """What a final call adds to its trunk's score. Empty: it never left, or it was an operator's test, or came in."""
    left = call.trunk_id is not None and call.start_at is not None and call.direction is Direction.OUTBOUND
    if call.ending is None or call.test or not left:
        return {}
    answered = call.answer_at is not None
    found = {"calls": 1, "answered": int(answered), "reached": int(answered or call.status in _REACHED)}
    if call.pdd_ms is not None:
        found |= {"pdd": 1, "pdd_ms": call.pdd_ms}
    if call.answer_at and call.end_at:
        found["talk_ms"] = round((call.end_at - call.answer_at).total_seconds() * 1000)
    if call.ending.quality and call.ending.quality.mos is not None:
        found |= {"mos": 1, "mos_100": round(call.ending.quality.mos * 100)}
    return {
        f"{where}:{name}": count
        for where in (EVERYWHERE, call.to_number[:PREFIX_DIGITS])
        for name, count in found.items()
        if count
    }


def board(added: Mapping[str, int]) -> dict[str, Score]:
    """Marks added up -> scores by prefix; `*` is every number."""
    by_prefix: dict[str, dict[str, int]] = {}
    for mark, count in added.items():
        prefix, _, name = mark.partition(":")
        by_prefix.setdefault(prefix, {})[name] = count
    return {prefix: _score(found) for prefix, found in sorted(by_prefix.items())}


def _score(found: Mapping[str, int]) -> Score:
    calls, answered = found.get("calls", 0), found.get("answered", 0)
    pdd_ms = _mean(found, "pdd_ms", found.get("pdd", 0))
    talk_ms, mos_100 = _mean(found, "talk_ms", answered), _mean(found, "mos_100", found.get("mos", 0))
    return Score(
        calls,
        _mean(found, "answered", calls),
        _mean(found, "reached", calls),
        None if pdd_ms is None else round(pdd_ms),
        None if talk_ms is None else talk_ms / 1000,
        None if mos_100 is None else mos_100 / 100,
    )


def _mean(found: Mapping[str, int], name: str, of: int) -> float | None:
    return found.get(name, 0) / of if of else None


def hour_of(moment: datetime) -> str:
    """As in 2026-10-24T22, UTC."""
    return moment.isoformat()[:13]


def hours(since: datetime, until: datetime) -> list[str]:
    first = since.replace(minute=0, second=0, microsecond=0)
    count = int((until - first) / timedelta(hours=1)) + 1
    return [hour_of(first + timedelta(hours=n)) for n in range(max(0, count))]
