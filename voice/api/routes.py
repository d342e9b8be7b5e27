"""POST /v1/routes/simulate: which trunk a call would leave by, and why each other one would not take it."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from messaging.errors import FieldError, Invalid
from messaging.http import wants
from messaging.ids import call_id
from messaging.numbers import NumberError, normalise, require_real
from voice.api import replies
from voice.api.openapi import answers, as_json, takes
from voice.api.parts import ApiParts, MayRead, sender_of
from voice.api.reading import JSON, read_body, typed
from voice.api.schemas import SimulateIn
from voice.routing import Wanted
from voice.simulating import Way, simulate

router = APIRouter(prefix="/v1/routes", tags=["Trunks"])


@router.post(
    "/simulate",
    operation_id="simulateRoute",
    summary="Which trunk would a call take, and why",
    responses=answers({200: ("Every trunk, best first.", as_json(replies.RoutesOut))}, 415),
    openapi_extra=takes(SimulateIn, {"one number": {"to": "+2348020000000"}}),
)
async def simulate_route(request: Request, api: ApiParts, principal: MayRead) -> Response:
    """Nothing is stored and nothing is dialled. The dialers ask the same function with the same states, at most two
    seconds older here. `call_id`: a call that exists, so that its own draw by weight is shown; else a new one is drawn.
    """
    wants(request, JSON)
    body = await read_body(request)
    asked, _ = typed(SimulateIn, body, unknown_ok=request.headers.get("x-lenient") == "1")
    sender = sender_of(api, principal)
    to_number = _number(asked.to, sender.region, "#/to", real=not sender.sandbox)
    mine = next(iter(sender.caller_ids), "")
    wanted = Wanted(
        to_number,
        mine if asked.from_number is None else _number(asked.from_number, sender.region, "#/from"),
        sender.sandbox,
        asked.call_id or call_id(),
        None if sender.sandbox else asked.trunk_id,
    )
    ways = simulate(await api.routes(), wanted, api.clock.now(), asked.n)
    able = [way.candidate.trunk_id for way in ways if way.candidate.skip is None]
    return JSONResponse(
        {
            "to_number": wanted.to_number,
            "from_number": wanted.from_number or None,
            "trunk_id": able[0] if able else None,
            "n": asked.n,
            "data": [_row(way, able) for way in ways],
        }
    )


def _row(way: Way, able: list[str]) -> dict[str, object]:
    one = way.candidate
    return {
        "trunk_id": one.trunk_id,
        "position": able.index(one.trunk_id) + 1 if one.skip is None else None,
        "share": round(way.share, 4),
        "prefix": one.prefix,
        "skipped": one.skip.value if one.skip else None,
        "why": one.why or None,
    }


def _number(text: str, region: str | None, pointer: str, *, real: bool = False) -> str:
    try:
        number = normalise(text, region)
        if real:
            require_real(number)
    except NumberError as no:
        raise Invalid(no.detail, errors=(FieldError(pointer, no.code.lower(), no.detail),)) from no
    return number
