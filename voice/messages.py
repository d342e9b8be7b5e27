"""Message (what was asked), Recipient (one number in it), and what the calls add up to. Pure values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from media.prompt import Prompt


class Outcome(StrEnum):
    """What became of a recipient; `pending` until its last call is final."""

    PENDING = "pending"
    DELIVERED = "delivered"  # heard: played to the end, or at least `heard_pct` of it
    UNDELIVERED = "undelivered"
    EXPIRED = "expired"
    CANCELED = "canceled"
    SUPPRESSED = "suppressed"


class MessageStatus(StrEnum):
    ACCEPTED = "accepted"
    PROCESSING = "processing"
    FINISHED = "finished"
    CANCELED = "canceled"


class CallbackFormat(StrEnum):
    STANDARD = "standard"  # {type, timestamp, data}
    NINEBITS = "9bits"  # the flat Call object, its nine fields first


@dataclass(frozen=True, slots=True)
class Callback:
    """Where the story of each call is posted. `events`: types, default only call.ended."""

    url: str
    format: CallbackFormat = CallbackFormat.STANDARD
    events: tuple[str, ...] = ("call.ended",)


@dataclass(frozen=True, slots=True)
class Gather:
    """A key press to wait for after (or during) the message. One simple press for now."""

    digits_max: int = 1
    timeout_ms: int = 5000  # after the last word
    valid: str = "0123456789*#"  # other keys are reported but do not end the call


@dataclass(frozen=True, slots=True)
class SandboxScript:
    """What the catch-all phone shall do on this call, whatever the number says (test keys only)."""

    answer_after: float | None = None
    press: str | None = None  # "1" after the prompt, or "1@3s"
    hangup_after: float | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """How a call is conducted."""

    pause_ms: int = 500
    repeat: int = 1
    ring_timeout_s: int = 45
    max_duration_s: int = 300
    gather: Gather | None = None
    record: bool = False
    sandbox: SandboxScript | None = None


TEST_CALL = "test-call"


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted request. `owner` is whose it is (account and mode), never shown."""

    ref_id: str
    owner: str
    created_at: datetime
    sandbox: bool
    prompt: Prompt
    script: Script
    due_at: datetime  # send_at, or acceptance
    valid_until: datetime
    trunk_id: str | None = None  # asked for; None: the dialer chooses
    callbacks: tuple[Callback, ...] = ()
    client_reference: str | None = None
    callback_data: str | None = None
    source: str = "sendvoice"  # sendvoice | calls | TEST_CALL
    warnings: tuple[str, ...] = ()
    key_id: str = ""  # of the API key that asked; never shown
    campaign: bool = False  # its calls let every alert go first, and never take the channels kept for those


@dataclass(frozen=True, slots=True)
class Recipient:
    index: int
    to_number: str
    outcome: Outcome = Outcome.PENDING
    call_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """Recipients by outcome; the parts always add up to what was accepted. `started`: something was dialled.

    `warnings`: those of the audio, as of the last call that was dialled with some.
    """

    total: int
    by_outcome: dict[Outcome, int] = field(default_factory=dict)
    started: bool = False
    warnings: tuple[str, ...] = ()
    cancel_asked: bool = False  # of the whole message

    @property
    def canceling(self) -> bool:
        """Asked for, and not everybody has an end yet: queued calls wait for the sweep, others for their peer."""
        return self.cancel_asked and self.pending > 0

    @property
    def pending(self) -> int:
        return self.by_outcome.get(Outcome.PENDING, 0)

    @property
    def status(self) -> MessageStatus:
        if self.pending == 0:
            canceled = self.by_outcome.get(Outcome.CANCELED, 0) == self.total > 0
            return MessageStatus.CANCELED if canceled else MessageStatus.FINISHED
        settled = self.pending < self.total
        return MessageStatus.PROCESSING if self.started or settled else MessageStatus.ACCEPTED
