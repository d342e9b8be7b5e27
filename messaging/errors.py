"""Errors that carry their verdict: code, HTTP status, may it be retried, whose fault, what to do.

One class per fact. The docstring is the public sentence and the default `detail`; `hint` is the next step. API, CLI and
docs read the same classes (`catalogue()`), so a code without a cause and a fix cannot exist: a test walks them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar


class Fault(StrEnum):
    PERSON = "person"
    REQUEST = "request"
    ACCOUNT = "account"
    TRUNK = "trunk"
    NETWORK = "network"
    US = "us"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong member. `pointer` is a JSON pointer fragment: `#/to/3`."""

    pointer: str
    code: str
    detail: str


class ServiceError(Exception):
    """Something went wrong on our side."""

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = True
    fault: ClassVar[Fault] = Fault.US
    hint: ClassVar[str] = "Try again; if it stays, send us the request_id."

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after_s: int | None = None,
        hint: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.errors = errors
        self.retry_after_s = retry_after_s
        self.said_hint = hint or type(self).hint
        self.extra = extra or {}
        super().__init__(self.detail)


class BadRequest(ServiceError):
    """The request could not be read."""

    code, status, title, retryable, fault = "BAD_REQUEST", 400, "Bad request", False, Fault.REQUEST
    hint = "Check the request against /docs."


class InvalidJson(BadRequest):
    """The body is not valid JSON."""

    code, title = "INVALID_JSON", "Invalid JSON"
    hint = "Send one JSON object in UTF-8 with Content-Type: application/json."


class TwoLengths(BadRequest):
    """The request gives its length twice: by Content-Length and by Transfer-Encoding."""

    code, title = "TWO_LENGTHS", "Two lengths"
    hint = "Send one of the two; a proxy that sends both is out of order."


class Unauthorized(ServiceError):
    """Authentication failed: no valid API key."""

    code, status, title, retryable, fault = "UNAUTHORIZED", 401, "Authentication failed", False, Fault.ACCOUNT
    hint = "Send Authorization: Bearer tk_test_… or tk_live_…; make a key with: tocsin keys create."


class Forbidden(ServiceError):
    """This key may not do that."""

    code, status, title, retryable, fault = "FORBIDDEN", 403, "Not allowed", False, Fault.ACCOUNT
    hint = "Use a key with the scope that is named in the detail."


class NotFound(ServiceError):
    """There is no such thing, or it belongs to somebody else."""

    code, status, title, retryable, fault = "NOT_FOUND", 404, "Not found", False, Fault.REQUEST
    hint = "Check the id; test keys see only sandbox calls, live keys only live ones."


class MethodNotAllowed(ServiceError):
    """This address does not take that method."""

    code, status, title, retryable, fault = "METHOD_NOT_ALLOWED", 405, "Method not allowed", False, Fault.REQUEST
    hint = "The Allow header and /docs say which methods work."


class NotAcceptable(ServiceError):
    """None of the types you accept can be produced here."""

    code, status, title, retryable, fault = "NOT_ACCEPTABLE", 406, "Not acceptable", False, Fault.REQUEST
    hint = "Send Accept: application/json."


class RequestTimeout(ServiceError):
    """The request did not arrive in time."""

    code, status, title, retryable, fault = "REQUEST_TIMEOUT", 408, "Request timeout", True, Fault.NETWORK
    hint = "Send the whole request within 30 seconds."


class Conflict(ServiceError):
    """That is not possible in the present state."""

    code, status, title, retryable, fault = "CONFLICT", 409, "Conflict", False, Fault.REQUEST
    hint = "Read the resource again and decide."


class IdempotencyInProgress(Conflict):
    """The first request with this Idempotency-Key is still running."""

    code, title, retryable = "IDEMPOTENCY_IN_PROGRESS", "Still in progress", True
    hint = "Wait for Retry-After seconds and send the same request again."


class TooLarge(ServiceError):
    """The body is larger than we read."""

    code, status, title, retryable, fault = "TOO_LARGE", 413, "Body too large", False, Fault.REQUEST
    hint = "Send at most 256 kB; give audio by media_url."


class UnsupportedMediaType(ServiceError):
    """That content type is not read here."""

    code, status, title, retryable, fault = (
        "UNSUPPORTED_MEDIA_TYPE",
        415,
        "Unsupported media type",
        False,
        Fault.REQUEST,
    )
    hint = "Send Content-Type: application/json."


class Invalid(ServiceError):
    """One or more fields are wrong."""

    code, status, title, retryable, fault = "INVALID", 422, "Invalid request", False, Fault.REQUEST
    hint = "Each entry of errors names a field and what is wrong with it."


class TextInvalid(Invalid):
    """Nobody can speak that text."""

    code, title = "TEXT_INVALID", "Text cannot be spoken"
    hint = "Send plain words, or well-formed SSML with ssml: true; POST /v1/tts/preview lets you hear a text first."


class MediaInvalid(Invalid):
    """The audio behind media_url cannot be fetched or played."""

    code, title = "MEDIA_INVALID", "Audio cannot be played"
    hint = "Give an https address of an MP3, WAV, OGG or FLAC file that we can reach without a login."


class IdempotencyMismatch(Invalid):
    """This Idempotency-Key was used with a different body."""

    code, title = "IDEMPOTENCY_MISMATCH", "Idempotency key used before"
    hint = "Use a new key for a new request; the same key only repeats the same body."


class OverLimit(ServiceError):
    """Too many requests."""

    code, status, title, retryable, fault = "OVER_LIMIT", 429, "Too many requests", True, Fault.REQUEST
    hint = "Wait for Retry-After seconds; calls above pace or channels queue by themselves."


class Unavailable(ServiceError):
    """The service cannot store requests right now, so it accepts none."""

    code, status, title, retryable, fault = "UNAVAILABLE", 503, "Temporarily unavailable", True, Fault.US
    hint = "Repeat the same request with the same Idempotency-Key after Retry-After seconds."


class Draining(Unavailable):
    """This process is shutting down and takes no new requests."""

    code, title = "DRAINING", "Shutting down"


class NoTrunk(ServiceError):
    """No trunk is configured here, so no live call can leave."""

    code, status, title, retryable, fault = "NO_TRUNK", 503, "No trunk", False, Fault.US
    hint = "POST /v1/trunks makes one, as does a file named in TOCSIN_TRUNKS; test keys work without a trunk."


class SpeechFailed(ServiceError):
    """No engine could make audio of that text."""

    code, status, title, retryable, fault = "SPEECH_FAILED", 503, "Speech failed", True, Fault.US
    hint = "Try again, or choose another language or voice; tocsin doctor shows the engines."


def catalogue() -> dict[str, type[ServiceError]]:
    """Every error code we can answer with, by code, wherever its class stands."""
    found: dict[str, type[ServiceError]] = {}
    pending: list[type[ServiceError]] = [ServiceError]
    while pending:
        kind = pending.pop()
        found.setdefault(kind.code, kind)
        pending.extend(kind.__subclasses__())
    return found
