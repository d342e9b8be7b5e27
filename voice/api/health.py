"""Is it alive, is it ready and why not, which version, its figures, and the dictionary of its errors."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from starlette.types import Scope

from messaging.errors import NotFound, ServiceError, Unavailable, catalogue
from messaging.http import presented_key, wants, where
from voice.api import replies
from voice.api.openapi import NO_KEY, answers, as_json, as_text
from voice.api.parts import Api, ApiParts, Caller, Check, MayRead
from voice.api.reading import JSON

log = structlog.get_logger(__name__)
router = APIRouter(tags=["Admin"])

CHECK_WITHIN_S = 2.0  # a check that takes longer has failed
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})


class Figures:
    """Requests by route, method and status: a few hundred series at most, whatever strangers ask for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tocsin_http_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )

    def observe(self, scope: Scope, status: int) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(route, method, str(status or "broken")).inc()


async def live() -> Response:
    """This process turns. Nothing else is looked at: a restart would not mend it."""
    return PlainTextResponse("ok\n")


for path, name in (("/livez", "livez"), ("/healthz", "healthz")):
    router.get(
        path,
        operation_id=name,
        summary="Is this process alive",
        responses=answers({200: ("It is.", as_text())}, key=False),
        openapi_extra=NO_KEY,
    )(live)


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="May work be sent here",
    responses=answers(
        {200: ("Yes.", {**as_text(), **as_json(replies.ReadyOut)}), 503: ("No, and why.", as_json(replies.ReadyOut))},
        key=False,
    ),
    openapi_extra=NO_KEY,
)
async def ready(
    request: Request,
    api: ApiParts,
    verbose: Annotated[str | None, Query(max_length=5, description="Present: the checks as JSON.")] = None,
) -> Response:
    """Store durable, a voice works, lines usable, not draining. A trunk that is down is told and costs nothing.

    `detail` needs a key with the scope `read`: versions, trunks and addresses are nothing for strangers.
    """
    checks = await run_checks(api)
    is_ready = all(check.ok for check in checks if check.required)
    if is_ready and verbose is None:
        return PlainTextResponse("ready\n")
    told = await _may_know(request, api)
    rows = {c.name: {"ok": c.ok, "detail": c.detail if told else "", "required": c.required} for c in checks}
    return JSONResponse({"ready": is_ready, "checks": rows}, 200 if is_ready else HTTPStatus.SERVICE_UNAVAILABLE)


async def _may_know(request: Request, api: Api) -> bool:
    """A key is not asked for here, so a wrong one is no fault."""
    try:
        principal = await api.accounts.who(presented_key(request))
    except ServiceError:
        return False
    return principal is not None and "read" in principal.scopes


async def run_checks(api: Api) -> list[Check]:
    """Every check, side by side, each bounded; one that raises has failed."""
    draining = api.draining.is_set()
    own = Check("api", not draining, "shutting down" if draining else "takes requests")
    return [own, *await asyncio.gather(*(_bounded(check) for check in api.checks))]


async def _bounded(check: Any) -> Check:
    name = getattr(check, "__name__", "check")
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            found: Check = await check()
            return found
    except Unavailable:  # told once, by whoever lost it; the checks would only repeat it
        return Check(name, False, "the store does not answer")
    except TimeoutError:
        return Check(name, False, f"no answer within {CHECK_WITHIN_S:g} s")
    except Exception as e:  # noqa: BLE001 - a check may fail in any way; it must not take the others with it
        log.error("readiness check failed", check=name, error=type(e).__name__, at=where(e))  # noqa: TRY400 - no values
        return Check(name, False, "the check itself failed; see the log")


@router.get(
    "/version",
    operation_id="version",
    summary="Which version answers",
    responses=answers({200: ("Name and version.", as_json(replies.VersionOut))}),
)
async def version(request: Request, api: ApiParts, principal: Caller) -> Response:
    """Needs a key: strangers need not know it."""
    wants(request, JSON)
    return JSONResponse({"name": "tocsin", "version": api.version})


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Figures for Prometheus",
    responses=answers({200: ("Text exposition format.", as_text("text/plain"))}),
)
async def metrics(api: ApiParts, principal: MayRead) -> Response:
    """No per-call and no per-number labels."""
    found = generate_latest(api.registry)
    if api.figures is not None:
        found += generate_latest(await api.figures())
    return Response(found, media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/errors",
    operation_id="listErrors",
    summary="The dictionary of error codes",
    responses=answers({200: ("Every code we can answer with.", as_json(replies.ErrorsOut))}, key=False),
    openapi_extra=NO_KEY,
)
async def errors(request: Request) -> Response:
    """Made from the error classes themselves."""
    wants(request, JSON)
    return JSONResponse({"data": [_entry(kind) for _, kind in sorted(catalogue().items())]})


@router.get(
    "/errors/{code}",
    operation_id="explainError",
    summary="What an error code means and what to do",
    responses=answers({200: ("One entry.", as_json(replies.ErrorEntry))}, 404, key=False),
    openapi_extra=NO_KEY,
)
async def error(request: Request, code: Annotated[str, Path(max_length=60, examples=["INVALID_NUMBER"])]) -> Response:
    """`type` of every error body leads here."""
    wants(request, JSON)
    kind = catalogue().get(code)
    if kind is None:
        raise NotFound("We have no such error code; /errors lists all.")
    return JSONResponse(_entry(kind))


def _entry(kind: type[ServiceError]) -> dict[str, Any]:
    return {
        "code": kind.code,
        "status": kind.status,
        "title": kind.title,
        "meaning": (kind.__doc__ or "").strip(),
        "retryable": kind.retryable,
        "fault": kind.fault.value,
        "hint": kind.hint,
    }
