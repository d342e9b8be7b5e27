"""/sandbox/v1/chaos: what trouble the catch-all phone makes. Test keys only; one setting for everybody who calls it."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from messaging.errors import FieldError, Invalid
from messaging.http import wants
from sip.sandbox.faults import CALM, BadChaos, Chaos
from voice.api import replies
from voice.api.openapi import answers, as_json, takes
from voice.api.parts import ApiParts, MayRead, MaySend
from voice.api.reading import JSON, read_body, typed
from voice.api.sandbox import only_test
from voice.api.schemas import ChaosIn

router = APIRouter(prefix="/sandbox/v1/chaos", tags=["Sandbox"])

_EXAMPLE = {"storm": {"busy_pct": 10, "trunk_503_pct": 5, "no_bye_pct": 5, "wrong_codec_pct": 5, "loss_pct": 2}}
_NOW = {200: ("As it is now.", as_json(replies.ChaosOut))}


@router.get("", operation_id="getChaos", summary="What trouble the phone makes", responses=answers(_NOW))
async def get(request: Request, api: ApiParts, principal: MayRead) -> Response:
    """Nothing, unless somebody declared it within the last day."""
    wants(request, JSON)
    only_test(principal)
    return _told(await api.chaos.declared())


@router.put(
    "",
    operation_id="declareChaos",
    summary="Make calls go wrong on purpose",
    responses=answers(_NOW, 415),
    openapi_extra=takes(ChaosIn, _EXAMPLE),
)
async def declare(request: Request, api: ApiParts, principal: MaySend) -> Response:
    """For all calls from now on, except to magic numbers and with `sandbox`. Shares are exact in every 100 calls."""
    wants(request, JSON)
    only_test(principal)
    wanted, _ = typed(ChaosIn, await read_body(request), unknown_ok=request.headers.get("x-lenient") == "1")
    try:
        chaos = Chaos(**wanted.model_dump())
    except BadChaos as e:
        raise Invalid(str(e), errors=(FieldError("#", "invalid", str(e)),)) from e
    await api.chaos.declare(chaos)
    return _told(chaos)


@router.delete("", operation_id="endChaos", summary="Let calls go well again", responses=answers(_NOW))
async def end(request: Request, api: ApiParts, principal: MaySend) -> Response:
    """Harmless when there is none."""
    wants(request, JSON)
    only_test(principal)
    await api.chaos.declare(CALM)
    return _told(CALM)


def _told(chaos: Chaos) -> Response:
    return JSONResponse({"on": chaos.is_on, **chaos.as_dict()})
