"""The verbs: what the API, the CLI and later campaigns can ask for. FastAPI, Redis and SIP do not appear here."""

from dataclasses import dataclass, field
from datetime import datetime

from messaging.errors import FieldError
from voice.messages import Callback, Script


@dataclass(frozen=True, slots=True)
class Sender:
    """Who asks, as far as sending needs to know: made from the API key."""

    owner: str  # account and mode, e.g. "main.test"
    sandbox: bool
    caller_ids: tuple[str, ...]
    region: str | None  # for bare national numbers; None: international only
    callback: Callback | None = None  # the account's own (9bits: Settings -> Webhook)


@dataclass(frozen=True, slots=True)
class Request:
    """A send request, read and typed but not yet judged. Exactly one of text and media_url."""

    to: tuple[str, ...]
    text: str | None = None
    media_url: str | None = None
    language: str = "en-gb"
    voice: str | None = None
    speed: float = 1.0
    ssml: bool = False
    from_number: str | None = None
    script: Script = Script()
    send_at: datetime | None = None
    valid_until: datetime | None = None
    client_reference: str | None = None
    callback: Callback | None = None
    callback_data: str | None = None
    trunk_id: str | None = None
    source: str = "sendvoice"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A number we will not call, and why: the code is of the class of number."""

    to: str
    index: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was accepted. `calls` holds ids in the order of the accepted numbers; empty on a dry run."""

    ref_id: str
    accepted_at: datetime
    accepted: tuple[str, ...]  # numbers, international digits
    refused: tuple[Refusal, ...]
    call_ids: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    dry_run: bool = False
    audio_ms: int | None = None  # dry run: length of the rendered audio
    errors: tuple[FieldError, ...] = field(default_factory=tuple)
