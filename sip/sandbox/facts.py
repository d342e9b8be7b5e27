"""What is known of one call: its phase, whose doing its end was, what happened when."""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Phase(StrEnum):
    CHALLENGED = "challenged"
    RINGING = "ringing"  # or about to
    ANSWERED = "answered"
    ENDED = "ended"


class EndedBy(StrEnum):
    """Whose doing the end was."""

    CALLER = "caller"  # BYE
    CANCEL = "cancel"  # the caller gave up before the answer
    PHONE = "phone"  # refused, or hung up as the script says
    NO_ACK = "no_ack"  # the 200 was never acknowledged: the phone sent BYE
    SESSION_EXPIRED = "session_expired"  # RFC 4028: no refresh came
    DEAD_LINE = "dead_line"  # the caller sent no sound for DEAD_LINE_S
    TOO_LONG = "too_long"
    SHUTDOWN = "shutdown"  # the phone was closed


@dataclass(slots=True)
class Facts:
    """What happened, in wall-clock seconds."""

    started_at: float = field(default_factory=time.time)
    answered_at: float | None = None
    ended_at: float = 0.0
    ended_by: EndedBy = EndedBy.PHONE
    info_digits: str = ""
    recording: Path | None = None
    invites: int = 1
