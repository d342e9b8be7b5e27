"""Why a call ended as it did, and the SIP messages that prove it: /v1/calls/{call_id}/explain and …/sip."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from messaging.errors import NotFound
from messaging.http import wants
from sip import ladder as sip_ladder
from voice.api import replies
from voice.api.drawing import FORMS, Form, drawn, in_forms
from voice.api.openapi import answers, as_json, as_text
from voice.api.parts import Api, ApiParts, MayRead, Principal, known_call
from voice.api.reading import JSON
from voice.call_object import call_object
from voice.explaining import explained
from voice.ticket import as_ticket

router = APIRouter(prefix="/v1/calls", tags=["Calls"])

MARKDOWN = "text/markdown"

CallId = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": "^call_[0-9A-HJKMNP-TV-Z]{26}$"},
        examples=["call_01K0ABCDEFGHJKMNPQRSTVWXYZ"],
    ),
]


@router.get(
    "/{call_id}/explain",
    operation_id="explainCall",
    summary="Why a call ended as it did",
    responses=answers(
        {200: ("The verdict and what proves it.", {**as_json(replies.ExplainOut), **as_text(MARKDOWN)})}, 404
    ),
)
async def explain(
    request: Request,
    api: ApiParts,
    principal: MayRead,
    call_id: CallId,
    form: Annotated[
        Literal["json", "markdown"] | None, Query(alias="format", description="Stronger than Accept.")
    ] = None,
) -> Response:
    """One sentence, whose side, whether trying again helps, what to do; as Markdown: a ticket, with the ladder."""
    kind = {"json": JSON, "markdown": MARKDOWN}.get(form or "") or wants(request, JSON, MARKDOWN)
    call = await api.sending.call(principal.owner, known_call(call_id))
    trace = await api.sending.trace(principal.owner, call.call_id)
    rows = sip_ladder.from_json(trace) if trace else ()
    again = call.ending.again if call.ending else None
    if kind == MARKDOWN:
        return PlainTextResponse(as_ticket(call_object(call), rows, again), media_type=MARKDOWN)
    return JSONResponse(explained(call_object(call), rows, again).as_dict())


@router.get(
    "/{call_id}/sip",
    operation_id="getLadder",
    summary="The SIP messages of a call",
    responses=answers(
        {200: ("Credentials, media keys and pressed keys are hidden in every form.", in_forms(replies.LadderOut))}, 404
    ),
)
async def ladder(
    request: Request,
    api: ApiParts,
    principal: MayRead,
    call_id: CallId,
    form: Form = None,
) -> Response:
    """What crossed the wire, in order, with the time between the messages. The capture is rebuilt, and says so."""
    kind = FORMS.get(form or "") or wants(request, *FORMS.values())
    trace = await api.sending.trace(principal.owner, known_call(call_id))
    if trace is None:
        raise await _no_ladder(api, principal, call_id)
    return drawn(kind, trace, call_id)


async def _no_ladder(api: Api, principal: Principal, call_id: str) -> NotFound:
    """Why this call, which exists, has no ladder."""
    call = await api.sending.call(principal.owner, call_id)
    if call.start_at is None and not call.status.is_final:
        return NotFound("This call was not dialled yet: no SIP message was sent.", hint="Ask again after call.dialing.")
    if call.start_at is None:
        return NotFound("This call was never dialled: no SIP message was sent.", hint="Its hangup_cause says why.")
    if not api.settings.lines.ladder:
        return NotFound("No SIP message of this call was kept.", hint="Set lines.ladder = true and start again.")
    return NotFound("No SIP message of this call is stored yet.", hint="Ask again after call.ended.")
