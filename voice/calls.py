"""Call: one attempt, one SIP leg, one Call object; and the only way it changes: advance(call, fact). Pure.

The Call does not grow (design rule 9): nothing about audio, HTTP, Redis or SIP messages enters this file.
States (`voice-api` section 5):

    queued -> dialing -> ringing -> answered -> completed
    ends: busy, no_answer, rejected, failed, canceled, blocked, expired
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from voice.tariffs import Tariff


class Status(StrEnum):
    QUEUED = "queued"
    DIALING = "dialing"
    RINGING = "ringing"
    ANSWERED = "answered"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"
    BLOCKED = "blocked"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        return self not in _LIVE


class Direction(StrEnum):
    OUTBOUND = "outbound"
    INBOUND = "inbound"


FREE = Tariff("", "0", "")  # of a call for which no price is known: whole seconds


_LIVE = frozenset({Status.QUEUED, Status.DIALING, Status.RINGING, Status.ANSWERED})

_MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset(
        {Status.DIALING, Status.CANCELED, Status.BLOCKED, Status.EXPIRED, Status.FAILED},
    ),
    Status.DIALING: frozenset(
        # back to queued: no line was free, nothing was sent
        {
            Status.QUEUED,
            Status.RINGING,
            Status.ANSWERED,
            Status.BUSY,
            Status.NO_ANSWER,
            Status.REJECTED,
            Status.FAILED,
            Status.CANCELED,
        },
    ),
    Status.RINGING: frozenset(
        {Status.ANSWERED, Status.BUSY, Status.NO_ANSWER, Status.REJECTED, Status.FAILED, Status.CANCELED},
    ),
    # failed after the answer: only worker_lost
    Status.ANSWERED: frozenset({Status.COMPLETED, Status.FAILED}),
}


class IllegalMove(Exception):
    """A fact that does not fit the state: counted and logged by the caller, never stored."""


@dataclass(frozen=True, slots=True)
class Dialed:
    """The point of no return: stored before the INVITE leaves."""

    at: datetime
    trunk_id: str
    wire_to: str
    wire_from: str
    warnings: tuple[str, ...] = ()  # what was asked of the voice and is not in the audio
    why: str = ""  # this trunk, in words


@dataclass(frozen=True, slots=True)
class CameIn:
    """Somebody rings us, and it rings. The first fact of an inbound call."""

    at: datetime
    trunk_id: str
    wire_to: str
    wire_from: str
    why: str = ""  # what it hears, in words


@dataclass(frozen=True, slots=True)
class NotDialed:
    """No line was free after all: nothing was sent, back to the queue."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Rang:
    at: datetime
    early_media: bool = False


@dataclass(frozen=True, slots=True)
class WasAnswered:
    at: datetime
    codec: str = ""


@dataclass(frozen=True, slots=True)
class KeyPressed:
    at: datetime
    digit: str


@dataclass(frozen=True, slots=True)
class SipAnswer:
    """The final answer as it stood on the wire."""

    code: int
    reason: str
    origin: str  # remote | local
    q850: int | None = None
    reason_header: str | None = None
    call_id: str | None = None  # the SIP Call-ID, for the trunk's records


@dataclass(frozen=True, slots=True)
class Quality:
    mos: float | None = None
    jitter_ms: float | None = None
    loss_pct: float | None = None
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a call became final. Made from the outcome table, or by ourselves when nothing was dialled."""

    at: datetime
    status: Status
    cause: str
    cause_code: int
    source: str  # callee | caller | trunk | platform | api
    fault: str | None
    again: str  # the retry class of `voice-api` section 6
    permanent: bool = False
    may_have_rung: bool = False
    sip: SipAnswer | None = None
    heard_ms: int = 0
    audio_ms: int = 0
    played_to_end: bool = False
    quality: Quality | None = None
    recorded: bool = False
    detail: str = ""  # why, in words, where the cause alone does not say it
    sent: bool = True  # False: certainly nothing left this machine, so the call was never dialled


@dataclass(frozen=True, slots=True)
class Refusal:
    """How the first hop of an attempt ended: the attempt's own end, when no other trunk takes it in time."""

    cause: str
    again: str


Fact = Dialed | CameIn | NotDialed | Rang | WasAnswered | KeyPressed | Ending


@dataclass(frozen=True, slots=True)
class Call:
    """Facts about one attempt. Numbers are international digits without a plus; times aware UTC."""

    call_id: str
    ref_id: str
    owner: str  # whose it is: account and mode
    to_number: str
    from_number: str
    created_at: datetime
    sandbox: bool
    direction: Direction = Direction.OUTBOUND
    status: Status = Status.QUEUED
    sequence: int = 0  # of the last event, 1..n without gaps
    attempt: int = 1
    attempts_max: int = 1
    recipient: int = 0  # index in the message
    client_reference: str | None = None
    callback_data: str | None = None
    test: bool = False  # an operator's test call, which no figure counts
    hop: int = 1  # of this attempt: the leg on the next trunk is a call of its own
    tried: tuple[str, ...] = ()  # trunks of the hops before
    dial_by: datetime | None = None  # a later hop that has not left by then does not leave any more
    refused: Refusal | None = None  # of a later hop: what its first one ended with
    start_at: datetime | None = None
    ring_at: datetime | None = None
    answer_at: datetime | None = None
    end_at: datetime | None = None
    trunk_id: str | None = None
    why_trunk: str = ""
    wire_to: str | None = None
    wire_from: str | None = None
    codec: str | None = None
    early_media: bool = False
    digits: str = ""
    warnings: tuple[str, ...] = ()
    ending: Ending | None = None
    tariff: Tariff | None = None  # the price it was accepted under

    @property
    def answered_by(self) -> str | None:
        """None when nobody answered; nobody listens yet for who it was."""
        return "unknown" if self.answer_at else None

    @property
    def total_duration(self) -> int:
        """Whole seconds start to end, rounded half up; 0 when never dialled."""
        if self.start_at is None or self.end_at is None:
            return 0
        return int((self.end_at - self.start_at).total_seconds() + 0.5)

    def call_duration(self) -> int:
        """Billed seconds: answer to end rounded up to the tariff's increment, at least its first once answered."""
        if self.answer_at is None or self.end_at is None:
            return 0
        return (self.tariff or FREE).billed_s((self.end_at - self.answer_at).total_seconds())

    @property
    def pdd_ms(self) -> int | None:
        """Post-dial delay: INVITE to the first 18x, or to the answer when there was none."""
        first = self.ring_at or self.answer_at
        if self.start_at is None or first is None:
            return None
        return round((first - self.start_at).total_seconds() * 1000)


def advance(call: Call, fact: Fact) -> Call:
    """The call after the fact, with `sequence` + 1. Raises IllegalMove when the fact does not fit the state.

    Times never run backwards (start <= ring <= answer <= end), whatever the clocks did.
    """
    after = replace(_advanced(call, fact), sequence=call.sequence + 1)
    came_in = isinstance(fact, CameIn)
    if not came_in and after.status is not call.status and after.status not in _MOVES.get(call.status, frozenset()):
        raise IllegalMove(f"{call.status} cannot become {after.status}")
    return after


def _advanced(call: Call, fact: Fact) -> Call:  # one arm per fact; a table of functions would say less
    if call.status.is_final:
        raise IllegalMove(f"{call.status} is final")
    match fact:
        case Dialed():
            return replace(
                call,
                status=Status.DIALING,
                start_at=fact.at,
                trunk_id=fact.trunk_id,
                why_trunk=fact.why,
                wire_to=fact.wire_to,
                wire_from=fact.wire_from,
                warnings=fact.warnings,
            )
        case CameIn():
            return _came_in(call, fact)
        case NotDialed():
            if call.status is not Status.DIALING:
                raise IllegalMove("only a dialing call can go back to the queue")
            gone = replace(call, start_at=None, trunk_id=None, why_trunk="", wire_to=None, wire_from=None)
            return replace(gone, status=Status.QUEUED)
        case Rang():
            if call.ring_at is not None:
                raise IllegalMove("it rings already")
            return replace(
                call, status=Status.RINGING, ring_at=_not_before(fact.at, call.start_at), early_media=fact.early_media
            )
        case WasAnswered():
            return replace(
                call,
                status=Status.ANSWERED,
                answer_at=_not_before(fact.at, call.ring_at or call.start_at),
                codec=fact.codec or None,
            )
        case KeyPressed():
            if call.status is not Status.ANSWERED:
                raise IllegalMove("nobody is on the line")
            return replace(call, digits=call.digits + fact.digit)
        case Ending():
            return _ended(call, fact)


def _ended(call: Call, fact: Ending) -> Call:
    if call.status is Status.ANSWERED and fact.status is Status.FAILED and fact.cause != "worker_lost":
        raise IllegalMove("an answered call is completed, unless its line process was lost")
    end_at = _not_before(fact.at, call.answer_at or call.ring_at or call.start_at or call.created_at)
    dialled = fact.sent or call.ring_at is not None or call.answer_at is not None
    start_at = call.start_at if dialled else None
    return replace(call, status=fact.status, start_at=start_at, end_at=end_at, ending=fact)


def _came_in(call: Call, fact: CameIn) -> Call:
    if call.direction is not Direction.INBOUND or call.status is not Status.QUEUED:
        raise IllegalMove("nobody rang us for this call")
    return replace(
        call,
        status=Status.RINGING,
        start_at=fact.at,
        ring_at=fact.at,
        trunk_id=fact.trunk_id,
        why_trunk=fact.why,
        wire_to=fact.wire_to,
        wire_from=fact.wire_from,
    )


def _not_before(moment: datetime, earliest: datetime | None) -> datetime:
    return moment if earliest is None else max(moment, earliest)
