"""From bytes to a typed request: JSON, form or query, unknown members noticed, every complaint with its pointer."""

import difflib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from messaging.complaints import invalid_from
from messaging.errors import BadRequest, FieldError, Invalid, InvalidJson, UnsupportedMediaType
from messaging.strict_json import COMPLAINTS_MAX, complaints_about, read_object, shown, step

M = TypeVar("M", bound=BaseModel)

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
FORM_FIELDS_MAX = 60  # a call has fewer than 30

_FLAGS = frozenset({"ssml", "record", "dry_run"})

# What other services call it.
_FOREIGN = {
    "say": "text",
    "message": "text",
    "body": "text",
    "content": "text",
    "audio_url": "media_url",
    "recipients": "to",
    "destination": "to",
    "destinations": "to",
    "number": "to",
    "phone": "to",
    "originator": "from",
    "caller_id": "from",
    "lang": "language",
    "rate": "speed",
    "loop": "repeat",
    "schedule": "send_at",
    "scheduledDatetime": "send_at",
    "expire_at": "valid_until",
    "reportUrl": "callback_url",
    "webhook_url": "callback_url",
    "reference": "client_reference",
    "time_limit": "max_duration",
    "timeout": "ring_timeout",
}


@dataclass(frozen=True, slots=True)
class Body:
    """What was sent, parsed but not typed. `form`: every value was a string."""

    data: dict[str, Any]
    form: bool = False

    @property
    def canonical(self) -> str:
        """Equal for equal requests, however they were spaced or ordered."""
        return json.dumps(self.data, sort_keys=True)


async def read_body(request: Request, *, form: bool = False) -> Body:
    """The body of a request that takes JSON (and, when `form`, a form). Raises the 400, 413, 415 and 422 errors."""
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip(' "') or "utf-8"
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("Only UTF-8 is read here.")
    kind = kind.strip()
    if kind in (JSON, ""):
        return Body(read_object(await request.body()))
    if form and kind == FORM:
        return Body(_read_form(await request.body()), form=True)
    raise UnsupportedMediaType(
        f"The content type '{shown(kind)}' is not read here.",
        hint=f"Send Content-Type: {JSON}" + (f" or {FORM}." if form else ". With curl: -H 'Content-Type: …'."),
    )


def _read_form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FORM_FIELDS_MAX)
    except UnicodeDecodeError as e:
        raise BadRequest("The form is not UTF-8, percent-encoded.") from e
    except ValueError as e:
        raise BadRequest(f"The form has more than {FORM_FIELDS_MAX} fields.") from e
    data: dict[str, Any] = dict(pairs)
    repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    complaints = [
        *(
            FieldError(step("#", name), "repeated_member", f"{shown(name)} is given more than once")
            for name in repeated
        ),
        *complaints_about(data),
    ]
    if complaints:
        raise Invalid(complaints[0].detail, errors=tuple(complaints))
    return data


def form_call(data: dict[str, Any]) -> dict[str, Any]:
    """A form for POST /v1/calls as the JSON would be: `say` is `text`, a plus that became a blank is trimmed away."""
    if "say" in data and "text" in data:
        raise Invalid(
            "say and text are the same: give one.", errors=(FieldError("#/say", "conflict", "say is another text"),)
        )
    named = {"text" if name == "say" else name: value for name, value in data.items()}
    typed: dict[str, Any] = {}
    for name, value in named.items():
        if name in ("to", "from"):
            typed[name] = value.strip()
        elif name in ("gather", "sandbox", "callback_events"):
            typed[name] = _nested(name, value)
        elif name in _FLAGS:
            typed[name] = _flag(name, value)
        else:
            typed[name] = value
    return typed


def _flag(name: str, value: str) -> bool:
    words = {"true": True, "false": False}
    if value.lower() not in words:
        detail = f"{name}: should be true or false"
        raise Invalid(detail, errors=(FieldError(step("#", name), "bool_type", detail),))
    return words[value.lower()]


def _nested(name: str, value: str) -> Any:
    """A structured member in a form is JSON text; a list may also be words with commas."""
    if name == "callback_events" and not value.lstrip().startswith("["):
        return [word.strip() for word in value.split(",")]
    try:
        return read_object(b'{"value":' + value.encode() + b"}")["value"]
    except InvalidJson as e:
        pointer = step("#", name)
        raise Invalid(
            f"{name} should be JSON in a form.", errors=(FieldError(pointer, "not_json", f"{name} is not JSON"),)
        ) from e


def typed(model: type[M], body: Body, *, unknown_ok: bool = False) -> tuple[M, tuple[str, ...]]:
    """The request and its warnings. Unknown members are an error, or a warning where `unknown_ok`. Raises Invalid."""
    strangers = unknown_members(model, body.data)
    refused = () if unknown_ok else strangers
    try:
        found = model.model_validate(body.data, strict=not body.form)
    except ValidationError as e:
        complaints = [_plain(complaint) for complaint in e.errors(include_url=False, include_input=False)]
        raise invalid_from(complaints, refused) from e
    if refused:
        raise Invalid(refused[0].detail, errors=refused)
    return found, tuple(f"{stranger.detail}: ignored" for stranger in strangers)


def _plain(complaint: Any) -> dict[str, Any]:
    """A complaint without the names of types that pydantic puts into the path of a union."""
    return {**complaint, "loc": tuple(p for p in complaint["loc"] if not str(p).startswith(("list[", "function-")))}


def unknown_members(model: type[BaseModel], data: dict[str, Any], pointer: str = "#") -> tuple[FieldError, ...]:
    """Members that `model` does not have, at any depth, each with the name that was probably meant."""
    known = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    found: list[FieldError] = []
    for name, value in data.items():
        if len(found) >= COMPLAINTS_MAX:  # looking for what was meant takes time, and the answer has an end
            break
        if name not in known:
            where = f" in {pointer[2:]}" if len(pointer) > 1 else ""
            found.append(
                FieldError(
                    step(pointer, name), "unknown_member", f"there is no '{shown(name)}'{where}{_meant(name, known)}"
                )
            )
            continue
        nested = _model_in(known[name])
        if nested is not None and isinstance(value, dict):
            found.extend(unknown_members(nested, value, step(pointer, name)))
    return tuple(found)


def _meant(name: str, known: dict[str, Any]) -> str:
    close = difflib.get_close_matches(name[:60].lower(), known, n=1, cutoff=0.7)
    likely = _FOREIGN.get(name) if _FOREIGN.get(name) in known else (close[0] if close else None)
    return f" (did you mean '{likely}'?)" if likely else ""


def _model_in(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *get_args(annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def known_query(request: Request) -> None:
    """Refuse query parameters the route does not have, or has twice: a mistyped filter would find everything.

    Raises Invalid. `X-Lenient: 1` switches it off.
    """
    route = request.scope.get("route")
    if request.headers.get("x-lenient") == "1" or not isinstance(route, APIRoute):
        return
    known = _query_names(route.dependant)
    given = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [_stranger(name, known) for name in [name for name in given if name not in known][:COMPLAINTS_MAX]]
    wrong += [
        FieldError(step("#", name), "repeated_member", f"{shown(name)} is given more than once")
        for name, times in given.items()
        if times > 1 and name in known
    ]
    if wrong:
        raise Invalid(wrong[0].detail, errors=tuple(wrong[:COMPLAINTS_MAX]))


def _query_names(dependant: Dependant) -> set[str]:
    """Of a route's own parameters and of those it depends on."""
    own = {parameter.alias for parameter in dependant.query_params}
    return own.union(*(_query_names(inner) for inner in dependant.dependencies))


def _stranger(name: str, known: set[str]) -> FieldError:
    close = difflib.get_close_matches(name[:60].lower(), known, n=1, cutoff=0.6)
    meant = f" (did you mean '{close[0]}'?)" if close else ""
    return FieldError(step("#", name), "unknown_member", f"there is no parameter '{shown(name)}' here{meant}")
