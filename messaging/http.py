"""What every HTTP surface shares: the one error body (RFC 9457 and 9bits at once), request ids, how a key is presented,
and the guard that no request passes unread, too large, too slow or unanswered."""

import asyncio
import base64
import binascii
import json
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from messaging import ids
from messaging.complaints import invalid_from
from messaging.errors import (
    BadRequest,
    Draining,
    Invalid,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    OverLimit,
    RequestTimeout,
    ServiceError,
    TooLarge,
    TwoLengths,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from messaging.strict_json import shown

log = structlog.get_logger(__name__)

PROBLEM = "application/problem+json"
JSON = "application/json"
RETRY_UNAVAILABLE_S = 2  # an unsure store is usually back within a restart
KEY_MAX = 200  # characters; ours are far shorter
ERRORS_MOST = 100  # named in one answer: it must not be many times as long as the request

# What a router or a framework may raise by status, in our own words.
_BY_STATUS: dict[int, type[ServiceError]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthorized,
        NotFound,
        MethodNotAllowed,
        NotAcceptable,
        RequestTimeout,
        TooLarge,
        UnsupportedMediaType,
        Invalid,
        OverLimit,
        Unavailable,
    )
}
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


# -- the error body


def problem(error: ServiceError, request_id: str, path: str, ref_id: str | None = None) -> dict[str, Any]:
    """One body for every status: `status_code` and `message` as 9bits has them, the rest after RFC 9457 section 3."""
    return {
        "type": f"/errors/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": f"{path}#{request_id}",
        "status_code": error.status,
        "message": error.detail,
        "code": error.code,
        "retryable": error.retryable,
        "fault": error.fault,
        "hint": error.said_hint,
        "errors": [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in error.errors[:ERRORS_MOST]],
        "request_id": request_id,
        "ref_id": ref_id,
        **error.extra,
    }


def problem_response(error: ServiceError, scope: Scope, headers: dict[str, str] | None = None) -> Response:
    """The answer that tells `error`; application/json when that is what the client asked for by name."""
    accept = _header(scope, b"accept").lower()
    media_type = JSON if JSON in accept and PROBLEM not in accept else PROBLEM
    body = problem(error, request_id_of(scope), shown_path(scope))
    said = {**_headers_of(error), **(headers or {})}
    return Response(json.dumps(body).encode(), error.status, said, media_type=media_type)


def _headers_of(error: ServiceError) -> dict[str, str]:
    headers: dict[str, str] = {}
    unsure = error.status == HTTPStatus.SERVICE_UNAVAILABLE and error.retryable
    wait_s = error.retry_after_s or (RETRY_UNAVAILABLE_S if unsure else None)
    if wait_s is not None:
        headers["Retry-After"] = str(wait_s)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="tocsin"'
    return headers


def install_error_handlers(app: FastAPI) -> None:
    """Replace every error answer of the framework by ours. Unforeseen exceptions are the Doorkeeper's."""

    async def ours(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, ServiceError)
        return problem_response(exc, request.scope)

    async def framework(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        kind = _BY_STATUS.get(exc.status_code, ServiceError if exc.status_code >= 500 else BadRequest)
        return problem_response(kind(), request.scope)

    async def parameters(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)
        return problem_response(invalid_from(exc.errors()), request.scope)

    app.add_exception_handler(ServiceError, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, parameters)


# -- who is calling


def presented_key(request: Request) -> str:
    """The API key from `Authorization: Bearer KEY` or `Basic base64(KEY:)`. Raises Unauthorized, always the same."""
    if any(name in request.query_params for name in ("api_key", "apikey", "access_token")):
        raise BadRequest(
            "API keys are not accepted in the address: addresses end up in logs.",
            hint="Send Authorization: Bearer KEY, and replace the key that was in the address.",
        )
    scheme, _, value = request.headers.get("authorization", "").strip().partition(" ")
    key = value.strip() if scheme.lower() == "bearer" else _user_name(value) if scheme.lower() == "basic" else ""
    if not key or len(key) > KEY_MAX or not key.isascii() or not key.isprintable():
        raise Unauthorized
    return key


def _user_name(credentials: str) -> str:
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode("ascii").partition(":")[0]
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


# -- what the client wants


def wants(request: Request, *produced: str) -> str:
    """What of `produced` the Accept header likes best: by q, then in its own order (RFC 9110 section 12.5.1).

    Without the header, or when all are the same to it, the first. Raises NotAcceptable.
    """
    accept = request.headers.get("accept", "").strip()
    if not accept:
        return produced[0]
    ranges: dict[str, tuple[float, int]] = {}
    for place, part in enumerate(accept.split(",")):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        ranges.setdefault(name, (_weight(parameters), -place))
    liked = [(kind, _liking(kind, ranges)) for kind in produced]
    kind, (weight, _) = max(liked, key=lambda one: one[1])  # of equals, max takes the first
    if weight > 0:
        return kind
    raise NotAcceptable(f"This address answers with {' or '.join(produced)}.")


def _liking(kind: str, ranges: dict[str, tuple[float, int]]) -> tuple[float, int]:
    """By the most specific range that covers it, however that one is weighted."""
    for allowed in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if allowed in ranges:
            return ranges[allowed]
    return 0.0, 0


def _weight(parameters: Sequence[str]) -> float:
    """q, 1 when there is none or it is none."""
    given = next((parameter[2:] for parameter in parameters if parameter.startswith("q=")), "")
    return float(given) if _QVALUE.fullmatch(given) else 1.0


_QVALUE = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def header_text(text: str) -> str:
    """Words for a header: one line of ASCII (RFC 9110 section 5.5)."""
    return " ".join(text.encode("ascii", "replace").decode().split())[:1000]


_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?=$|[,;\s])", re.IGNORECASE)


def preferred_wait(prefer: str | None, most_s: int = 60) -> int | None:
    """Seconds of `Prefer: wait=30` (RFC 7240 section 4.3), at most `most_s`; None when it is not asked for."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), most_s) if found else None


# -- the guard around the application


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of a request we read, and for how long."""

    body_max_bytes: int
    timeout_s: float


class Doorkeeper:
    """Outermost ASGI layer: gives every request its id, reads bodies whole within limits, answers OPTIONS and HEAD,
    turns new work away while draining, and lets no exception out."""

    def __init__(
        self,
        app: ASGIApp,
        reading: Reading,
        draining: Callable[[], bool],
        methods: Callable[[str], set[str]],
        observe: Callable[[Scope, int], None] = lambda scope, status: None,
    ) -> None:
        """`methods(path)`: those the routes take there. `observe(scope, status)` is called once per answer."""
        self._app = app
        self._reading = reading
        self._draining = draining
        self._methods = methods
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = ids.request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        # Our copy: HEAD is served as GET and its body dropped on the way out, while the server still sees HEAD.
        inner = dict(scope)
        answer = _Answer(send, request_id, head=scope["method"] == "HEAD")
        try:
            await self._serve(inner, receive, answer.send)
        except ServiceError as e:
            await answer.instead(problem_response(e, scope, self._headers(e, scope)), scope, receive)
        except Exception as e:  # noqa: BLE001 - the outermost frame: whatever it is, the client gets one shape
            told = {"method": scope["method"], "error": type(e).__name__, "at": where(e)}
            log.error("request failed", request_id=request_id, **told)  # noqa: TRY400 - see where()
            await answer.instead(problem_response(ServiceError(), scope), scope, receive)
        finally:
            self._observe(inner, answer.status)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = self._methods(scope["path"])
        if scope["method"] == "OPTIONS" and allowed:
            response = Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": _listed(allowed)})
            await response(scope, receive, send)
            return
        if scope["method"] == "HEAD" and "GET" in allowed:
            scope["method"] = "GET"
        if allowed and scope["method"] not in allowed:
            raise MethodNotAllowed(f"{shown(scope['method'])} is not possible here; {_listed(allowed)} is.")
        if self._draining() and scope["method"] not in ("GET", "HEAD"):
            raise Draining
        body = await self._read(scope, receive)
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises TooLarge (by the announced or the true length) and RequestTimeout."""
        announced = _header(scope, b"content-length")
        if announced and _header(scope, b"transfer-encoding"):  # RFC 9112 section 6.1: somebody may be smuggling
            raise TwoLengths
        if announced.isdigit() and (len(announced) > 18 or int(announced) > self._reading.body_max_bytes):
            raise TooLarge(f"The body has {shown(announced)} bytes; we read {self._reading.body_max_bytes}.")
        body = bytearray()
        try:
            async with asyncio.timeout(self._reading.timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise BadRequest("The connection closed before the body was complete.")
                    body += message.get("body", b"")
                    if len(body) > self._reading.body_max_bytes:
                        raise TooLarge(f"We read at most {self._reading.body_max_bytes} bytes.")
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as e:
            raise RequestTimeout from e

    def _headers(self, error: ServiceError, scope: Scope) -> dict[str, str]:
        if isinstance(error, MethodNotAllowed):
            return {"Allow": _listed(self._methods(scope["path"]))}
        # What is still on its way is not worth reading; a client that has sent everything reads our answer first.
        return {"Connection": "close"} if isinstance(error, TooLarge | RequestTimeout | TwoLengths) else {}


class _Answer:
    """The way out: adds our headers, drops the body of a HEAD, remembers whether an answer has begun."""

    def __init__(self, send: Send, request_id: str, *, head: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._head = head
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            present = {name for name, _ in message["headers"]}
            added = [(name, value) for name, value in _SECURITY_HEADERS if name not in present]
            added.append((b"x-request-id", self._request_id.encode()))
            message = {**message, "headers": [*message["headers"], *added]}
        elif self._head:
            if message.get("more_body", False):
                return
            message = {**message, "body": b""}
        await self._send(message)

    async def instead(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Answer with `response`; when an answer has begun already, only breaking off is honest."""
        if self.status:
            raise ConnectionAbortedError("the answer broke off")
        await response(scope, receive, self.send)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body we have read, then whatever the server says (a disconnect)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def where(error: BaseException) -> list[str]:
    """The frames of an exception, innermost last, without any value: messages and locals may hold what people say."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def request_id_of(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def shown_path(scope: Scope) -> str:
    """The path without its query: a query may hold what does not belong into an answer or a log."""
    return shown(scope.get("path", ""))


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _listed(methods: set[str]) -> str:
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set()) | {"OPTIONS"}))
