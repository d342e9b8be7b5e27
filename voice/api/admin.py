"""POST /v1/admin/test-call: an operator's proof that a phone rings and hears us."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from messaging.http import wants
from voice.api import replies
from voice.api.calls import Prefer, dial
from voice.api.once import only_once
from voice.api.openapi import answers, as_json, takes
from voice.api.parts import ApiParts, MayAdmin
from voice.api.reading import JSON, read_body, typed
from voice.api.schemas import TestCallIn
from voice.messages import TEST_CALL
from voice.sending import Request as Order

router = APIRouter(prefix="/v1/admin", tags=["Admin"])


@router.post(
    "/test-call",
    status_code=202,
    operation_id="testCall",
    summary="Place a test call",
    responses=answers(
        {
            202: ("Stored, or the time of `Prefer: wait` was up.", as_json(replies.CallOut)),
            200: ("`Prefer: wait`: the outcome.", as_json(replies.CallOut)),
        },
        409,
        415,
    ),
    openapi_extra=takes(TestCallIn, {"sandbox": {"to": "12025550100"}}),
)
async def place_test_call(request: Request, api: ApiParts, principal: MayAdmin, prefer: Prefer = None) -> Response:
    """Needs the scope `admin`. Marked as a test call, so that figures can leave it out."""
    wants(request, JSON)
    body = await read_body(request)
    wanted, _ = typed(TestCallIn, body, unknown_ok=request.headers.get("x-lenient") == "1")
    order = Order(
        to=(wanted.to,),
        text=wanted.text,
        language=wanted.language.lower(),
        trunk_id=wanted.trunk_id,
        source=TEST_CALL,
    )
    async with only_once(request, principal, body) as once:
        return await dial(request, api, principal, order, once)
