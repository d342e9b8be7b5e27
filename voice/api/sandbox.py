"""/sandbox/v1: what the catch-all phone heard, and which numbers behave how. Test keys only."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from messaging.errors import Forbidden, NotFound
from messaging.http import wants
from voice.api import replies
from voice.api.openapi import answers, as_json
from voice.api.parts import Api, ApiParts, MayRead, Principal, is_test, known_call
from voice.api.reading import JSON
from voice.api.schemas import Seconds
from voice.store import Heard

router = APIRouter(prefix="/sandbox/v1", tags=["Sandbox"])

WAIT_MAX_S = 60
LOOK_EVERY_S = 0.1  # nobody announces that the phone has written down what it heard


@router.get(
    "/heard/latest",
    operation_id="getHeard",
    summary="What the catch-all phone heard last",
    responses=answers({200: ("Flat, for assertions.", as_json(replies.HeardOut))}, 404),
)
async def heard(
    request: Request,
    api: ApiParts,
    principal: MayRead,
    to: Annotated[str | None, Query(min_length=1, max_length=40)] = None,
    call_id: Annotated[str | None, Query(json_schema_extra={"pattern": "^call_[0-9A-HJKMNP-TV-Z]{26}$"})] = None,
    wait: Annotated[
        Seconds,
        Query(description=f"Seconds, at most {WAIT_MAX_S}: `10` or `10s`."),
    ] = "0",
) -> Response:
    """By number, by call, or simply the last one. 404 when nothing was heard in time."""
    wants(request, JSON)
    only_test(principal)
    known = known_call(call_id) if call_id is not None else None
    found = await _look(api, principal, _digits(to), known, _seconds(wait))
    if found is None:
        raise NotFound("The catch-all phone has heard nothing like that yet.")
    return JSONResponse(await _flat(api, principal, found))


@router.get(
    "/magic",
    operation_id="listMagicNumbers",
    summary="Numbers that misbehave on purpose",
    responses=answers({200: ("Every other number answers and listens.", as_json(replies.MagicOut))}),
)
async def magic(request: Request, api: ApiParts, principal: MayRead) -> Response:
    """The table that the catch-all phone itself works by."""
    wants(request, JSON)
    only_test(principal)
    return JSONResponse({"data": [dict(row) for row in api.magic]})


def only_test(principal: Principal) -> None:
    if not is_test(principal):
        raise Forbidden("The sandbox exists only for test keys.", hint="Use a tk_test_… key.")


async def _look(api: Api, principal: Principal, to: str | None, call_id: str | None, wait_s: float) -> Heard | None:
    until = api.clock.monotonic() + wait_s
    while True:
        found = await api.store.heard(principal.owner, to, call_id)
        left = until - api.clock.monotonic()
        if found is not None or left <= 0 or api.draining.is_set():
            return found
        await asyncio.sleep(min(LOOK_EVERY_S, left))


async def _flat(api: Api, principal: Principal, found: Heard) -> dict[str, Any]:
    call = await api.sending.call(principal.owner, found.call_id)
    message = (await api.sending.status(principal.owner, call.ref_id)).message
    return {
        "to": found.to,
        "said": message.prompt.text,
        "heard_s": found.heard_s,
        "match": found.match,
        "level_dbfs": found.level_dbfs,
        "digits": found.digits,
        "status": call.status.value,
        "call_id": found.call_id,
        "recording_url": f"/v1/calls/{found.call_id}/recording" if found.recording else None,
    }


def _digits(number: str | None) -> str | None:
    return None if number is None else number.strip().removeprefix("+").removeprefix("00")


def _seconds(text: str) -> float:
    return min(float(text.removesuffix("s")), WAIT_MAX_S)
