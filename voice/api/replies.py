"""What answers look like, for the OpenAPI description. The answers themselves are made where the facts are."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal[
    "queued", "dialing", "ringing", "answered",
    "completed", "busy", "no_answer", "rejected", "failed", "canceled", "blocked", "expired",
]  # fmt: skip
Fault = Literal["person", "request", "account", "trunk", "network", "us"]


EVENTS: dict[str, str] = {
    "call.queued": "Stored; also when a dialer put it back undialled.",
    "call.dialing": "Just before the INVITE is sent.",
    "call.ringing": "180 or 183 arrived; may be skipped.",
    "call.answered": "200 OK arrived.",
    "call.dtmf": "A key was pressed.",
    "call.ended": "Final; exactly one per call.",
}

TRUNK_EVENTS: dict[str, str] = {
    "trunk.up": "It takes calls again.",
    "trunk.degraded": "One of its targets, or one of the dialers, cannot use it.",
    "trunk.down": "No call leaves by it; they wait.",
    "trunk.registered": "Its registrar granted the registration.",
    "trunk.unregistered": "The registration was taken back, or the registrar does not answer.",
    "trunk.auth_rejected": "The registrar refused the login.",
    "trunk.channels_full": "Every channel is in use.",
    "trunk.tested": "Somebody tested it, step by step.",
}
TrunkEventType = Literal[
    "trunk.up", "trunk.degraded", "trunk.down",
    "trunk.registered", "trunk.unregistered", "trunk.auth_rejected", "trunk.channels_full", "trunk.tested",
]  # fmt: skip


class FieldProblem(BaseModel):
    pointer: str = Field(description="JSON pointer fragment.", examples=["#/to/3"])
    code: str = Field(examples=["too_short"])
    detail: str


class Problem(BaseModel):
    """Every error, whatever its status: RFC 9457 and the 9bits error in one."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/errors/INVALID_NUMBER"])
    title: str
    status: int
    detail: str
    instance: str
    status_code: int = Field(description="The same as `status` (9bits).")
    message: str = Field(description="The same as `detail` (9bits).")
    code: str = Field(description="Stable, upper snake case.", examples=["INVALID_NUMBER"])
    retryable: bool
    fault: Fault
    hint: str
    errors: list[FieldProblem]
    request_id: str
    ref_id: str | None


class Rejected(BaseModel):
    to: str
    code: str = Field(examples=["INVALID_NUMBER"])
    detail: str


class SendVoiceOut(BaseModel):
    """The three 9bits members first."""

    status_code: Literal[200]
    message: str
    ref_id: str | None = Field(description="25 characters 0-9a-z; null on a dry run.")
    accepted_at: str
    recipients_accepted: int
    recipients_rejected: list[Rejected]
    call_ids: list[str]
    status_url: str | None
    warnings: list[str]
    dry_run: bool
    audio_ms: int | None = Field(description="Dry run: length of the rendered audio.")


class Recipients(BaseModel):
    """Recipients by outcome: the parts always add up to `total`."""

    total: int
    pending: int
    delivered: int
    undelivered: int
    expired: int
    canceled: int
    suppressed: int


class MessageOut(BaseModel):
    status_code: Literal[200]
    message: str
    ref_id: str
    status: Literal["accepted", "processing", "finished", "canceled"]
    canceling: bool = Field(description="Cancel was asked for, and some recipients have no outcome yet.")
    accepted_at: str
    send_at: str
    valid_until: str
    recipients: Recipients
    recipients_url: str
    client_reference: str | None
    callback_data: str | None
    sandbox: bool
    warnings: list[str]


class PageOut(BaseModel):
    count: int = Field(description="Entries on this page.")
    size: int = Field(description="The limit that was applied.")


class NumberedPageOut(PageOut):
    number: int | None = Field(description="Null behind a cursor, which does not count.")


class RecipientOut(BaseModel):
    index: int
    to_number: str
    outcome: Literal["pending", "delivered", "undelivered", "expired", "canceled", "suppressed"]
    call_ids: list[str]


class RecipientPage(BaseModel):
    data: list[RecipientOut]
    page: PageOut
    next_cursor: str | None


class SipOut(BaseModel):
    code: int
    reason: str
    origin: Literal["remote", "local"]
    q850: int | None
    reason_header: str | None
    call_id: str | None


class CallOut(BaseModel):
    """The Call object: the nine 9bits members first. Times are RFC 3339 UTC with milliseconds."""

    model_config = ConfigDict(extra="allow")

    start_at: str | None = Field(description="INVITE sent; null if never dialled.")
    answer_at: str | None = Field(description="Our receipt of 200 OK; never 180 or 183.")
    end_at: str | None
    total_duration: int = Field(description="Seconds, start to end, rounded half up.")
    call_duration: int = Field(description="Billed seconds, answer to end, rounded up.")
    call_direction: Literal["outbound", "inbound"]
    from_number: str
    to_number: str
    total_amount: str
    call_id: str | None = Field(description="Null on a dry run: there is nothing to look up.")
    ref_id: str | None
    client_reference: str | None
    attempt: int
    attempts_max: int
    status: Status
    answered_by: str | None
    hangup_cause: str | None
    hangup_cause_code: int | None
    hangup_source: Literal["callee", "caller", "trunk", "platform", "api"] | None
    permanent: bool
    may_have_rung: bool
    fault: Fault | None
    sip: SipOut | None
    digits: str
    heard_ms: int
    heard_pct: int | None
    played_to_end: bool
    trunk_id: str | None
    recording_url: str | None
    callback_data: str | None
    sandbox: bool
    sequence: int


class CallPageOut(BaseModel):
    data: list[CallOut]
    page: NumberedPageOut
    next_cursor: str | None


class EventOut(BaseModel):
    id: str = Field(examples=["evt_01K…"])
    type: str = Field(examples=["call.ended"])
    timestamp: str
    sequence: int = Field(description="1, 2, 3 … per call, without gaps.")
    call_id: str
    data: dict[str, Any]


class EventsOut(BaseModel):
    data: list[EventOut]


class LadderOut(BaseModel):
    """SIP messages as they crossed the wire, credentials masked."""

    call_id: str
    messages: list[dict[str, Any]]


class RegistrationLadderOut(BaseModel):
    """The SIP messages of a trunk's registration, credentials masked."""

    trunk_id: str
    messages: list[dict[str, Any]]


class TrunkEventOut(BaseModel):
    id: str = Field(description="The `webhook-id` of the webhook that tells it.", examples=["evt_01K0…"])
    type: TrunkEventType
    timestamp: str = Field(description="Since when it is so.")
    sequence: int = Field(description="Of this trunk.")
    trunk_id: str
    data: dict[str, Any] = Field(description="The status of the trunk as it stood then; of `trunk.tested`, the test.")


class FeedOut(BaseModel):
    """Events about no call."""

    data: list[TrunkEventOut]
    cursor: str


class EvidenceOut(BaseModel):
    what: str = Field(examples=["sip_answer"])
    value: str | int | float | bool = Field(description="Word for word where a peer said it.", examples=["486 Busy"])
    ladder_row: int | None = Field(description="Which row of the ladder says so, counted from 1.")


class ExplainOut(BaseModel):
    """Why a call ended as it did, and what proves it."""

    call_id: str
    status: Status
    code: str = Field(description="The hangup_cause; before the end, the status.", examples=["user_busy"])
    title: str
    sentence: str
    side: Fault | None = Field(description="Whose side failed; null: nobody's.")
    retryable: bool
    next_step: str
    evidence: list[EvidenceOut]


class HeardOut(BaseModel):
    """What the catch-all phone heard, flat for assertions."""

    to: str
    said: str | None = Field(description="The text that was to be spoken; null for audio by address.")
    heard_s: float
    match: float | None = Field(description="-1 to 1; 1 is the very sound that was sent.")
    level_dbfs: float | None
    digits: str
    status: Status
    call_id: str
    recording_url: str | None


class MagicOut(BaseModel):
    data: list[dict[str, Any]]


class ChaosOut(BaseModel):
    """What trouble the catch-all phone makes, in per cent of calls."""

    on: bool
    busy_pct: int
    trunk_503_pct: int
    no_bye_pct: int
    wrong_codec_pct: int
    loss_pct: int
    delay_ms: int
    seed: int | None


class RouteOut(BaseModel):
    """One trunk's turn."""

    trunk_id: str
    position: int | None = Field(description="1 is the one that is taken; null: it cannot carry this call now.")
    share: float = Field(description="Of `n` calls, the share that would leave by it.")
    prefix: str = Field(description="The longest of its prefixes that the number begins with; empty: it has none.")
    skipped: str | None = Field(examples=["down"])
    why: str | None = Field(examples=["its schedule says closed"])


class RoutesOut(BaseModel):
    to_number: str
    from_number: str | None
    trunk_id: str | None = Field(description="The trunk that a call would leave by now; null: it would wait, or end.")
    n: int
    data: list[RouteOut]


class CheckOut(BaseModel):
    ok: bool
    detail: str = Field(description="Empty without a key that may read.")
    required: bool


class ReadyOut(BaseModel):
    ready: bool
    checks: dict[str, CheckOut] = Field(description="By name: api, store, speech, lines, phone, …")


class VersionOut(BaseModel):
    name: Literal["tocsin"]
    version: str


class ErrorEntry(BaseModel):
    """One entry of the error dictionary."""

    code: str
    status: int
    title: str
    meaning: str
    retryable: bool
    fault: Fault
    hint: str


class ErrorsOut(BaseModel):
    data: list[ErrorEntry]
