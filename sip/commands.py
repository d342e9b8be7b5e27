"""What the parent tells a line process: frozen values that cross the pipe, each with our call_id where a call is meant.

Nothing of pjsua2 appears here, and nothing here is a PJSIP number: `call_id` is an opaque string of the product.
"""

from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Why *we* end a call; travels back in `Ended.why` so that the outcome table can tell our doing from the peer's."""

    PLAYED_OUT = "played_out"  # the script is over
    RING_TIMEOUT = "ring_timeout"
    MAX_DURATION = "max_duration"
    MEDIA_TIMEOUT = "media_timeout"  # the peer sent no RTP and no RTCP for rtp.timeout_s
    API = "api"  # somebody asked for it
    SHUTDOWN = "shutdown"  # the service is going down; also: the pipe closed
    INSECURE = "insecure"  # answered without SRTP, which the trunk has to use
    INCOMPATIBLE = "incompatible"  # answered without media, or with media that was never offered
    TRUNK_SILENT = "trunk_silent"  # not even a 100 Trying: abandoned, and nobody can know whether it rang


class AfterScript(StrEnum):
    """What the line does when the last repeat was played."""

    HANG_UP = "hang_up"
    WAIT = "wait"  # stays up (RTP flows) until HangUp, Play or max_duration: somebody may press a key


@dataclass(frozen=True, slots=True)
class Dial:
    """Place one INVITE. Answered at once by `Dialling` or `NoFreeLine`; before `Dialling` nothing was sent.

    `uri` and `from_uri` are complete SIP URIs made by `sip.uri` (digits only, checked); `headers` likewise.
    `audio` is a mono PCM16 WAV on local disk, played `repeat` times after `pause_ms` of silence, starting only when the
    call is CONFIRMED and media is active. Times in seconds unless the name says ms.
    """

    call_id: str
    uri: str
    from_uri: str
    audio: str
    headers: tuple[tuple[str, str], ...] = ()
    pause_ms: int = 500
    repeat: int = 1
    repeat_gap_ms: int = 700
    then: AfterScript = AfterScript.HANG_UP
    ring_timeout_s: float = 45.0
    max_duration_s: float = 300.0  # from the answer
    rtp_timeout_s: float = 30.0
    record: str | None = None  # WAV of both directions (left: said, right: heard), published on close
    route: str | None = None  # filled in by `Lines`: "address:port" found for a URI whose host is a name


@dataclass(frozen=True, slots=True)
class Play:
    """Play one more file on an answered call; what plays now stops. Ends with another `Played`."""

    call_id: str
    audio: str
    then: AfterScript = AfterScript.HANG_UP


@dataclass(frozen=True, slots=True)
class StopPlaying:
    """Silence, call stays up (a key was pressed: barge-in)."""

    call_id: str


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Press keys on an answered call, the way that the trunk says (`Trunk.dtmf`). Nothing answers it."""

    call_id: str
    digits: str  # 0-9 * # A-D


@dataclass(frozen=True, slots=True)
class Answer:
    """Pick up a call that came in (`Rung`), and say this; the members are those of `Dial`."""

    call_id: str
    audio: str
    pause_ms: int = 500
    repeat: int = 1
    repeat_gap_ms: int = 700
    then: AfterScript = AfterScript.HANG_UP
    max_duration_s: float = 300.0
    rtp_timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not pick up: the final answer that the caller gets. Harmless when the call is gone, or answered."""

    call_id: str
    code: int  # 400 to 699


@dataclass(frozen=True, slots=True)
class HangUp:
    """CANCEL, BYE or give up, whichever the phase needs. Harmless when the call is gone."""

    call_id: str
    why: Why


@dataclass(frozen=True, slots=True)
class Register:
    """Register at the trunk, and keep it so; also after a refused login. Answered by `RegistrationState`, each change.

    `route`: "address:port" found for the registrar's name; None: the process looks it up, which holds up its calls.
    """

    route: str | None = None


@dataclass(frozen=True, slots=True)
class Unregister:
    """Take the registration back, and keep it so."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered by `Pong` from the loop that works."""

    number: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Refuse new dials; calls in progress go on."""


@dataclass(frozen=True, slots=True)
class Stop:
    """BYE to all, at most 2 s, then exit 0."""


Command = (
    Dial | Play | StopPlaying | SendDigits | Answer | Refuse | HangUp | Register | Unregister | Ping | Drain | Stop
)
