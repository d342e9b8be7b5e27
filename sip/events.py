"""What a line process tells its parent: frozen values, each about one call by our call_id.

Order for one dial: `Dialling`, then any of `Ringing`, `Answered`, `Speaking`, `Digit`, `Played`, and exactly one
`Ended`, after which nothing follows for that call. `Trace` rows (SIP messages seen) come at any time before `Ended`.
`NoFreeLine` instead of `Dialling` means that nothing was sent.

All `at` values are Unix seconds (float, wall clock of the line process): one host, one clock.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from sip.causes import Sit
from sip.commands import Why


class Origin(StrEnum):
    """Who produced the final answer. 408, 502 and 503 mean one thing from the peer and another from our own stack."""

    REMOTE = "remote"
    LOCAL = "local"


class Phase(StrEnum):
    """How far the INVITE had come when the leg ended."""

    SILENT = "silent"  # nothing at all came back
    TRYING = "trying"  # 100
    RINGING = "ringing"  # 180-183
    ANSWERED = "answered"  # 200


@dataclass(frozen=True, slots=True)
class Ready:
    """First frame of a healthy line process."""

    pid: int
    version: str
    capacity: int
    sip_address: str
    sip_port: int
    rtp_base: int
    rtp_range: int
    checks: tuple[str, ...] = ()  # warnings of the start-up self-check, in words


@dataclass(frozen=True, slots=True)
class Refused:
    """First frame of a line process that must not dial, and why."""

    reason: str


class Registered(StrEnum):
    """How a registration stands."""

    YES = "registered"
    TRYING = "registering"
    AUTH_REJECTED = "auth_rejected"  # the login was refused: by the password, the user, or a realm that is not ours
    UNREACHABLE = "unreachable"  # no answer, or one that is no verdict on the login
    STOPPED = "stopped"  # taken back, or not begun


@dataclass(frozen=True, slots=True)
class RegistrationState:
    """A change of it. `last_code` 0: nothing was ever answered. Times are Unix seconds."""

    state: Registered
    at: float
    last_code: int = 0
    last_reason: str = ""
    expires_at: float | None = None  # while registered
    failures: int = 0  # in a row
    next_action_at: float | None = None  # the next REGISTER; None: not by itself


@dataclass(frozen=True, slots=True)
class Pong:
    number: int


@dataclass(frozen=True, slots=True)
class Dialling:
    call_id: str
    at: float
    sip_call_id: str


@dataclass(frozen=True, slots=True)
class NoFreeLine:
    """Every slot is taken (or still waits for an answered BYE). Nothing was sent."""

    call_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rung:
    """A call came in from a network that may bring some, and hears that it rings: `Answer` or `Refuse` it.

    The line process chose the `call_id`. Then the events of any call follow, to its `Ended`, whoever ends it.
    `caller`, `called`: the user parts as they stood on the wire, empty when there was none; nobody has checked them.
    """

    call_id: str
    at: float
    sip_call_id: str
    source: str  # "host:port"
    caller: str
    called: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Calls came in and were refused before they rang, since this was last said: at most once a second."""

    at: float
    count: int
    code: int  # the last one's answer
    source: str  # and where it came from
    why: str


@dataclass(frozen=True, slots=True)
class Ringing:
    """18x received. May repeat; the first counts."""

    call_id: str
    at: float
    code: int
    early_media: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """Our receipt of 200 OK; never 180 or 183."""

    call_id: str
    at: float
    codec: str = ""


@dataclass(frozen=True, slots=True)
class Speaking:
    """The first word leaves."""

    call_id: str
    at: float
    repeat: int = 1  # which repetition begins, from 1


@dataclass(frozen=True, slots=True)
class Played:
    """A script came to its end (or was stopped). `to_end`: every repetition was played out."""

    call_id: str
    at: float
    played_ms: int
    to_end: bool


@dataclass(frozen=True, slots=True)
class Digit:
    """A key press."""

    call_id: str
    at: float
    digit: str
    method: str = "rfc4733"


@dataclass(frozen=True, slots=True)
class RtpStats:
    """What RTP and RTCP counted. Loss and RTT are what the peer's receiver reports said; None: it never reported."""

    sent_packets: int = 0
    received_packets: int = 0
    sent_loss_pct: float | None = None
    received_loss_pct: float | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    mos: float | None = None  # estimate by the E-model (ITU-T G.107) from loss, jitter and RTT


@dataclass(frozen=True, slots=True)
class Trace:
    """One SIP message as it crossed the wire; credentials already masked. Of a registration: the trunk's id."""

    call_id: str
    at: float
    sent: bool
    peer: str  # "host:port"
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How the leg ended: facts only. `sip.outcomes` judges.

    `code`/`reason`: the final status line word for word, 200 after an answer, 0 when there was none.
    `by_us`: we sent the BYE or CANCEL, for `why`. `lost`: the line process died under the call.
    `sent`: an INVITE left, or may have left, this machine.
    """

    call_id: str
    at: float
    code: int
    reason: str
    origin: Origin
    phase: Phase
    by_us: bool = False
    why: Why | None = None
    sent: bool = True
    lost: bool = False
    reason_header: str | None = None  # RFC 3326, word for word
    q850: int | None = None
    retry_after_s: int | None = None
    played_ms: int = 0  # audio that left after the answer, by packets
    audio_ms: int = 0  # what was to be played, all repetitions
    played_to_end: bool = False
    repeats: int = 0
    digits: str = ""
    rtp: RtpStats = field(default_factory=RtpStats)
    recording: str | None = None
    error: str | None = None  # our own stack's words, when it failed
    sit: Sit | None = None  # the network's announcement tone before an answer, the one heard most
    invited_at: float | None = None  # our first INVITE on the wire; None: nobody saw one


LineEvent = Dialling | Ringing | Answered | Speaking | Played | Digit | Trace | Ended
Event = Ready | Refused | Pong | NoFreeLine | RegistrationState | Rung | TurnedAway | LineEvent
