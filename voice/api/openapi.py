"""The OpenAPI description, whole: every route's bodies, answers, errors with examples, and how a key is presented."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from messaging.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    OverLimit,
    RequestTimeout,
    ServiceError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from messaging.http import JSON, PROBLEM, problem
from voice.api import replies, schemas, selftest_models, toll_models, trunk_models
from voice.api.reading import FORM

REF = "#/components/schemas/{model}"
_EXAMPLE_REQUEST = "req_01K0ABCDEFGHJKMNPQRSTVWXYZ"

_ERRORS: dict[int, type[ServiceError]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        NotAcceptable,
        RequestTimeout,
        Conflict,
        TooLarge,
        UnsupportedMediaType,
        Invalid,
        OverLimit,
        ServiceError,
        Unavailable,
    )
}
_SEVERAL = {
    503: "Not now, and `code` says why: the store is unsure, we shut down, nobody can speak, or no trunk is there."
}
_MARK = "x-shared"  # until the description is whole, when it becomes a reference
_EVERYWHERE = (400, 405, 408, 413, 422, 500)  # any request may be unreadable, slow, large or unlucky
_WITH_A_KEY = (401, 403, 406, 429, 503)

DESCRIPTION = """\
Tocsin phones people and speaks. `POST /v1/sendvoice` takes the 9bits request unchanged; `POST /v1/calls` places one
call.

**Keys.** `Authorization: Bearer tk_test_…` or `curl -u tk_test_…:`. A test key never leaves this machine: every number
is answered by the catch-all phone. A live key never reaches it.

**Reading.** One JSON object in UTF-8, at most 256 kB. Unknown members and query parameters are refused with the name
that was probably meant, except on `/v1/sendvoice`, where they are named in `warnings`. The header `X-Lenient: 1` makes
every address as forgiving as `/v1/sendvoice`.

**Repeating.** Send an `Idempotency-Key` with every POST that can ring; repeat the same request with the same key as
often as you like, at most one phone rings.

**Errors.** One shape for every status; `code` is stable, `hint` says what to do next, `/errors` is the dictionary.
"""

TAGS = [
    {"name": "Voice messages", "description": "One request, up to 1000 people."},
    {"name": "Calls", "description": "One programmable call, and everything known about each call."},
    {"name": "Toll-fraud guard", "description": "What an account may call, and spend."},
    {"name": "Trunks", "description": "Where calls leave. Test keys see the sandbox's trunks, live keys all others."},
    {"name": "Media", "description": "Hear it before you send it."},
    {"name": "Sandbox", "description": "What the catch-all phone heard (test keys only)."},
    {"name": "Admin", "description": "Test calls, health, figures."},
]
_MODELS: tuple[type[BaseModel], ...] = (
    schemas.SendVoiceIn,
    schemas.PlaceCallIn,
    schemas.PlaceCallForm,
    schemas.TestCallIn,
    schemas.SimulateIn,
    schemas.PreviewIn,
    schemas.ChaosIn,
    trunk_models.TrunkIn,
    trunk_models.TrunkPatch,
    trunk_models.TrunkFileIn,
    trunk_models.TrunkOut,
    trunk_models.TrunksOut,
    trunk_models.TrunkStatusOut,
    trunk_models.PlanOut,
    toll_models.PermissionsIn,
    toll_models.PermissionsOut,
    selftest_models.SelfTestIn,
    selftest_models.SelfTestOut,
    replies.Problem,
    replies.SendVoiceOut,
    replies.MessageOut,
    replies.RecipientPage,
    replies.CallOut,
    replies.RoutesOut,
    replies.CallPageOut,
    replies.EventsOut,
    replies.LadderOut,
    replies.RegistrationLadderOut,
    replies.FeedOut,
    replies.ExplainOut,
    replies.HeardOut,
    replies.MagicOut,
    replies.ChaosOut,
    replies.ReadyOut,
    replies.VersionOut,
    replies.ErrorsOut,
    replies.ErrorEntry,
)


def ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def takes(model: type[BaseModel], examples: dict[str, Any], *, form: type[BaseModel] | None = None) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its own body. `examples`: name -> value."""
    content: dict[str, Any] = {
        JSON: {"schema": ref(model), "examples": {name: {"value": value} for name, value in examples.items()}}
    }
    if form:
        content[FORM] = {"schema": ref(form), "example": {"to": "12025550100", "say": "Hello"}}
    return {"requestBody": {"required": True, "content": content}}


def answers(
    good: dict[int, tuple[str, dict[str, Any]]], *errors: int, key: bool = True, headers: dict[str, str] | None = None
) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: `good` is status -> (description, content), `errors` are those beyond the usual ones."""
    found: dict[int | str, dict[str, Any]] = {}
    for status, (description, content) in good.items():
        found[status] = {"description": description, "headers": _described(headers)}
        if content:
            found[status]["content"] = content
    for status in sorted({*_EVERYWHERE, *(_WITH_A_KEY if key else ()), *errors} - set(good)):
        kind = _ERRORS[status]
        found[status] = {"description": kind.title, _MARK: f"#/components/responses/{kind.__name__}"}
    return found


def as_json(model: type[BaseModel], example: Any = None) -> dict[str, Any]:
    return {JSON: {"schema": ref(model), **({"example": example} if example is not None else {})}}


def as_bytes(media_type: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


def as_text(media_type: str = "text/plain") -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string"}}}


def _described(headers: dict[str, str] | None) -> dict[str, Any]:
    said = {"X-Request-Id": "Our id of this request; name it when you ask us.", **(headers or {})}
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in said.items()}


def _failure(kind: type[ServiceError]) -> dict[str, Any]:
    example = problem(kind(), _EXAMPLE_REQUEST, "/v1/calls")
    body = {"schema": ref(replies.Problem), "example": example}
    headers = {}
    if kind.status in (401,):
        headers["WWW-Authenticate"] = "Bearer"
    if kind.status in (409, 429, 503):
        headers["Retry-After"] = "Seconds to wait, where waiting helps."
    if kind.status == 405:
        headers["Allow"] = "The methods that work here."
    said = _SEVERAL.get(kind.status, kind.title)
    return {"description": said, "content": {PROBLEM: body, JSON: body}, "headers": _described(headers)}


def describe(app: FastAPI, version: str) -> Callable[[], dict[str, Any]]:
    """`app.openapi`: made once, when somebody asks."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_describe(app, version))
        return made

    return openapi


def _describe(app: FastAPI, version: str) -> dict[str, Any]:
    document = get_openapi(
        title="Tocsin", version=version, description=DESCRIPTION, routes=app.routes, tags=TAGS, openapi_version="3.1.0"
    )
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **_schemas(_MODELS)}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "Your API key: tk_test_… or tk_live_…"},
        "basic": {"type": "http", "scheme": "basic", "description": "The key as user name, no password."},
    }
    components["responses"] = {kind.__name__: _failure(kind) for kind in _ERRORS.values()}
    for operation in (o for verbs in document["paths"].values() for o in verbs.values()):
        operation["responses"] = {status: _shared(answer) for status, answer in operation["responses"].items()}
    document["security"] = [{"bearer": []}, {"basic": []}]
    document["webhooks"] = {name: {"post": _webhook(name, when)} for name, when in replies.EVENTS.items()}
    return document


_SIGNED = {
    "webhook-id": "The event's id, the same each time it is sent: drop what you have had.",
    "webhook-timestamp": "Unix seconds of this try.",
    "webhook-signature": "`v1,…` of `id.timestamp.body` (Standard Webhooks); several during a rotation.",
}


def _webhook(name: str, when: str) -> dict[str, Any]:
    """What we post to callback_url: the standard envelope, or the flat Call object where 9bits was asked for."""
    envelope = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": ref(replies.CallOut),
        },
    }
    headers = [
        {"name": header, "in": "header", "required": True, "description": said, "schema": {"type": "string"}}
        for header, said in _SIGNED.items()
    ]
    return {
        "operationId": "on" + "".join(word.capitalize() for word in name.split(".")),
        "summary": when,
        "tags": ["Calls"],
        "security": [],
        "parameters": headers,
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"anyOf": [envelope, ref(replies.CallOut)]}}},
        },
        "responses": {"2XX": {"description": "Received. Anything else is tried again."}},
    }


def _shared(answer: dict[str, Any]) -> dict[str, Any]:
    """An error answer by reference: it is the same everywhere."""
    return {"$ref": answer[_MARK]} if _MARK in answer else answer


def _schemas(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    asked = [(m, "serialization" if m.__module__ == replies.__name__ else "validation") for m in models]
    _, definitions = models_json_schema(asked, ref_template=REF)  # type: ignore[arg-type]  # mode is a Literal of those words
    return dict(definitions["$defs"])


NO_KEY: dict[str, Any] = {"security": []}
