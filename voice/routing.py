"""Which trunk a call leaves by, and why each other one was passed over. Pure: states in, an ordered list out.

One function serves the dialer and `POST /v1/routes/simulate`, so what is shown is what happens. Order of those that can
carry the call: longest prefix, then the trunk's priority (a lower number first), then the draw by weight, which the
call's own id decides: the same call draws the same trunk in every process and in every simulation. Trunks of weight 0
take no part in the draw: they come after it, the cheapest first.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from sip.causes import Cause
from sip.trunk import CallerIdPolicy, Opening, Trunk
from voice.calls import Call
from voice.messages import Message

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Admin(StrEnum):
    """What the operator wants of a trunk, whatever its state."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DRAINING = "draining"  # calls in progress go on, no new ones


class Skip(StrEnum):
    """Why a trunk does not take a call."""

    NOT_ASKED = "not_asked"  # the request names another one
    OTHER_SIDE = "other_side"  # sandbox and live never meet
    PREFIX = "prefix"
    CALLER_ID = "caller_id"
    TOO_DEAR = "too_dear"
    TRIED = "tried"  # this attempt was there already
    DISABLED = "disabled"
    DRAINING = "draining"
    CLOSED = "closed"  # by its schedule
    DOWN = "down"
    SPENT = "spent"  # its daily amount
    FULL = "full"

    @property
    def passes(self) -> bool:
        """Waiting may help."""
        return self in _PASSING


_PASSING = frozenset({Skip.DISABLED, Skip.DRAINING, Skip.CLOSED, Skip.DOWN, Skip.SPENT, Skip.FULL})

_NEVER: dict[Skip, Cause] = {Skip.CALLER_ID: Cause.CALLER_ID_UNVERIFIED, Skip.TOO_DEAR: Cause.SPEND_CAP}


@dataclass(frozen=True, slots=True)
class TrunkState:
    """A trunk as it stands: what the operator wants of it, whether it answers, what it has free."""

    trunk: Trunk
    admin: Admin = Admin.ENABLED
    why_down: str = ""  # empty: it is up, as far as we know
    free: int = 1  # channels
    campaign_free: int | None = None  # of them, those that a campaign may take; None: all
    spent: str = ""  # why it may cost no more today; one call tries now and then


@dataclass(frozen=True, slots=True)
class Wanted:
    """The call that looks for a way. `draw`: its id, or anything else that is the same in every process."""

    to_number: str
    from_number: str
    sandbox: bool
    draw: str
    trunk_id: str | None = None
    tried: tuple[str, ...] = ()
    max_rate: Decimal | None = None
    campaign: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One trunk's turn. `skip` None: it can carry the call now."""

    trunk_id: str
    prefix: str
    skip: Skip | None = None
    why: str = ""


def wanted_by(call: Call, message: Message) -> Wanted:
    """What this call asks of a trunk."""
    return Wanted(
        call.to_number,
        call.from_number,
        call.sandbox,
        call.call_id,
        message.trunk_id,
        call.tried,
        campaign=message.campaign,
    )


def candidates(states: Iterable[TrunkState], wanted: Wanted, now: datetime) -> tuple[Candidate, ...]:
    """Every trunk: those that can carry the call, best first; then the others, each with its reason. `now`: aware."""
    looked = [(_candidate(state, wanted, now), state.trunk) for state in states]
    able = sorted((row for row in looked if row[0].skip is None), key=lambda row: _order(row[0], row[1], wanted.draw))
    others = sorted((row[0] for row in looked if row[0].skip is not None), key=lambda one: one.trunk_id)
    return (*(row[0] for row in able), *others)


def never(found: Sequence[Candidate]) -> Cause | None:
    """The cause to end the call with when no trunk will ever take it; None while one may.

    A trunk that is down, full, closed or switched off may come back: its calls wait, until they expire.
    """
    if any(one.skip is None or one.skip.passes for one in found):
        return None
    causes = [_NEVER[one.skip] for one in found if one.skip in _NEVER]
    return causes[0] if causes else Cause.GEO_BLOCKED  # no trunk goes there


def now_or_soon(found: Sequence[Candidate]) -> bool:
    """One can carry the call, or could but for its channels and its pace.

    For a call that has little time: a trunk that is down, closed or switched off rarely comes back within seconds.
    """
    return any(one.skip in (None, Skip.FULL) for one in found)


def because(found: Sequence[Candidate], tried: Sequence[str] = ()) -> str:
    """Why the first of them carries the call, in a few words for its record."""
    first, *others = (one for one in found if one.skip is None)
    after = f"after {', '.join(tried)}: " if tried else ""
    if not others:
        return f"{after}the only one that can"
    if len(first.prefix) > max(len(one.prefix) for one in others):
        return f"{after}longest prefix {first.prefix}"
    return f"{after}first of {1 + len(others)} by priority, weight and price"


def _candidate(state: TrunkState, wanted: Wanted, now: datetime) -> Candidate:
    trunk = state.trunk
    prefix = _longest(trunk.prefixes, wanted.to_number)
    skip, why = _objection(state, wanted, now, prefix)
    return Candidate(trunk.id, prefix or "", skip, why)


def _objection(  # a list of rules, in the order in which a person would name them
    state: TrunkState, wanted: Wanted, now: datetime, prefix: str | None
) -> tuple[Skip | None, str]:
    trunk = state.trunk
    rules = (
        (wanted.trunk_id not in (None, trunk.id), Skip.NOT_ASKED, f"the request names {wanted.trunk_id}"),
        (trunk.sandbox is not wanted.sandbox, Skip.OTHER_SIDE, "test calls and live calls never meet"),
        (prefix is None, Skip.PREFIX, f"no prefix of it begins {wanted.to_number[:4]}…"),
        (not _may_show(trunk, wanted.from_number), Skip.CALLER_ID, "the caller id is not one of its numbers"),
        (_too_dear(trunk, wanted), Skip.TOO_DEAR, f"{trunk.price} a minute is above the limit"),
        (trunk.id in wanted.tried, Skip.TRIED, "this attempt was there already"),
        (not trunk.enabled or state.admin is Admin.DISABLED, Skip.DISABLED, "it is switched off"),
        (state.admin is Admin.DRAINING, Skip.DRAINING, "it takes no new calls"),
        (not is_open(trunk.schedule, now), Skip.CLOSED, "its schedule says closed"),
        (bool(state.why_down), Skip.DOWN, state.why_down),
        (bool(state.spent) and _free(state, wanted) < 1, Skip.SPENT, state.spent),
        (_free(state, wanted) < 1, Skip.FULL, "none of its channels and no place in its pace is free"),
    )
    return next(((skip, why) for wrong, skip, why in rules if wrong), (None, ""))


def is_open(schedule: Sequence[Opening], now: datetime) -> bool:
    """True without a schedule. An opening that ends before it starts goes over midnight, and is its first day's."""
    return not schedule or any(_is_open(one, now.astimezone(ZoneInfo(one.timezone))) for one in schedule)


def _is_open(opening: Opening, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    start, end = _minutes(opening.start), _minutes(opening.end)
    today, yesterday = _DAYS[local.weekday()], _DAYS[local.weekday() - 1]
    if start < end:
        return _on(opening, today) and start <= minute < end
    return (_on(opening, today) and minute >= start) or (_on(opening, yesterday) and minute < end)


def _on(opening: Opening, day: str) -> bool:
    return not opening.days or day in opening.days


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _longest(prefixes: Sequence[str], number: str) -> str | None:
    """The longest of them that the number begins with; "" without any; None when none fits."""
    if not prefixes:
        return ""
    return max((one for one in prefixes if number.startswith(one)), key=len, default=None)


def _may_show(trunk: Trunk, from_number: str) -> bool:
    if trunk.caller_id_policy is not CallerIdPolicy.POOL or not trunk.caller_ids:
        return True
    return from_number in trunk.caller_ids


def _free(state: TrunkState, wanted: Wanted) -> int:
    return state.free if state.campaign_free is None or not wanted.campaign else state.campaign_free


def _too_dear(trunk: Trunk, wanted: Wanted) -> bool:
    limits = [Decimal(trunk.max_rate)] if trunk.max_rate else []
    if wanted.max_rate is not None:
        limits.append(wanted.max_rate)
    return any(Decimal(trunk.price) > limit for limit in limits)


def _order(candidate: Candidate, trunk: Trunk, draw: str) -> tuple[int, int, float, Decimal, str]:
    return -len(candidate.prefix), trunk.priority, _drawn(draw, trunk), Decimal(trunk.price), trunk.id


def _drawn(draw: str, trunk: Trunk) -> float:
    """Weighted rendezvous: each trunk is first for its share of the draws, whichever others there are.

    A trunk of weight 0 comes last of its priority; several of them are equal here, and their price decides.
    """
    if trunk.weight <= 0:
        return math.inf
    digest = hashlib.blake2b(f"{draw}\0{trunk.id}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 1) / (2**64 + 1)  # never 0, never 1
    return -math.log(uniform) / trunk.weight
