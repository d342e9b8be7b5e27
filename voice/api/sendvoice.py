"""POST /v1/sendvoice as 9bits documents it, and what became of the message."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from messaging.clock import rfc3339
from messaging.errors import Invalid
from messaging.http import wants
from voice.api import replies
from voice.api.asking import about_numbers, asked
from voice.api.once import only_once, replayed
from voice.api.openapi import answers, as_json, takes
from voice.api.parts import ApiParts, MayRead, MaySend, known_ref, sender_of
from voice.api.reading import JSON, Body, read_body, typed
from voice.api.schemas import RecipientCursor, SendVoiceIn
from voice.messages import MessageStatus, Outcome
from voice.sending import Progress, Receipt
from voice.store import Accepted

router = APIRouter(prefix="/v1/sendvoice", tags=["Voice messages"])

PAGE_DEFAULT, PAGE_MAX = 25, 200
REF = "9azmf1ntcl358gczduzz4rs0u"

RefId = Annotated[
    str,
    Path(
        description="The ref_id, with or without `msg_` in front.",
        json_schema_extra={"pattern": "^(msg_)?[0-9a-z]{25}$"},
        examples=[REF],
    ),
]
_SAID = {
    MessageStatus.ACCEPTED: "Accepted: nothing was dialled yet",
    MessageStatus.PROCESSING: "Calls are in progress",
    MessageStatus.FINISHED: "Every recipient has its outcome",
    MessageStatus.CANCELED: "Canceled",
}
_EXAMPLES = {
    "9bits": {"to": ["2348020000000", "2348030000000"], "media_url": "https://example.com/audio/Kalimba.mp3"},
    "text": {"to": "12025550110", "text": "Your appointment is tomorrow at nine. Press one to confirm.", "gather": {}},
}
_SENT = {
    "status_code": 200,
    "message": "Request is being processed",
    "ref_id": REF,
    "accepted_at": "2026-10-24T22:54:05.120Z",
    "recipients_accepted": 2,
    "recipients_rejected": [],
    "call_ids": ["call_01K0ABCDEFGHJKMNPQRSTVWXYZ", "call_01K0ABCDEFGHJKMNPQRSTVWXZ0"],
    "status_url": f"/v1/sendvoice/status/{REF}",
    "warnings": [],
    "dry_run": False,
    "audio_ms": None,
}


@router.post(
    "",
    operation_id="sendVoice",
    summary="Send a voice message to up to 1000 people",
    responses=answers({200: ("Stored. Nothing was dialled yet.", as_json(replies.SendVoiceOut, _SENT))}, 409, 415),
    openapi_extra=takes(SendVoiceIn, _EXAMPLES),
)
async def send_voice(request: Request, api: ApiParts, principal: MaySend) -> Response:
    """The 9bits request, unchanged. Some bad numbers: 200 and `recipients_rejected`; all bad: 422, nothing stored."""
    wants(request, JSON)
    body = await read_body(request)
    message, warnings = typed(SendVoiceIn, body, unknown_ok=True)
    async with only_once(request, principal, body) as once:
        order = asked(api, principal, message, tuple(message.to), "sendvoice", warnings)
        try:
            receipt = await api.sending.send(sender_of(api, principal), order, once, _answer)
        except Invalid as e:
            raise about_numbers(e, single=_is_single(body)) from e
    if isinstance(receipt, Accepted):
        return replayed(receipt)
    status, text = _answer(receipt)
    return Response(text, status, media_type=JSON)


def _is_single(body: Body) -> bool:
    return isinstance(body.data.get("to"), str)


def _answer(receipt: Receipt) -> tuple[int, str]:
    said = "Dry run: nothing was stored" if receipt.dry_run else "Request is being processed"
    return 200, json.dumps(
        {
            "status_code": 200,
            "message": said,
            "ref_id": None if receipt.dry_run else receipt.ref_id,
            "accepted_at": rfc3339(receipt.accepted_at),
            "recipients_accepted": len(receipt.accepted),
            "recipients_rejected": [{"to": no.to, "code": no.code, "detail": no.detail} for no in receipt.refused],
            "call_ids": list(receipt.call_ids),
            "status_url": None if receipt.dry_run else f"/v1/sendvoice/status/{receipt.ref_id}",
            "warnings": list(receipt.warnings),
            "dry_run": receipt.dry_run,
            "audio_ms": receipt.audio_ms,
        }
    )


@router.get(
    "/status/{ref_id}",
    operation_id="getVoiceMessage",
    summary="What became of a message",
    responses=answers({200: ("The message and its recipients by outcome.", as_json(replies.MessageOut))}, 404),
)
async def status(request: Request, api: ApiParts, principal: MayRead, ref_id: RefId) -> Response:
    """The parts of `recipients` always add up to its total."""
    wants(request, JSON)
    return JSONResponse(_message(await api.sending.status(principal.owner, known_ref(ref_id))))


@router.get(
    "/{ref_id}/recipients",
    operation_id="listRecipients",
    summary="Each recipient and its outcome",
    responses=answers({200: ("One page, in the order of the request.", as_json(replies.RecipientPage))}, 404),
)
async def recipients(
    request: Request,
    api: ApiParts,
    principal: MayRead,
    ref_id: RefId,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[RecipientCursor | None, Query(description="`next_cursor` of the page before, unchanged.")] = None,
) -> Response:
    """Rejected numbers are in the answer to the request; here stand those that were accepted."""
    wants(request, JSON)
    offset = int(cursor[1:]) if cursor else 0
    found = await api.sending.recipients(principal.owner, known_ref(ref_id), offset, limit + 1)
    data = [
        {"index": one.index, "to_number": one.to_number, "outcome": one.outcome.value, "call_ids": list(one.call_ids)}
        for one in found[:limit]
    ]
    more = f"r{offset + limit}" if len(found) > limit else None
    return JSONResponse({"data": data, "page": {"count": len(data), "size": limit}, "next_cursor": more})


@router.post(
    "/{ref_id}/cancel",
    operation_id="cancelVoiceMessage",
    summary="Cancel what was not dialled, hang up what is in progress",
    responses=answers({200: ("The message as it stands; ends arrive as events.", as_json(replies.MessageOut))}, 404),
)
async def cancel(request: Request, api: ApiParts, principal: MaySend, ref_id: RefId) -> Response:
    """Harmless when repeated. A call that is ringing is canceled, one that was answered is hung up."""
    wants(request, JSON)
    return JSONResponse(_message(await api.sending.cancel(principal.owner, known_ref(ref_id))))


def _message(progress: Progress) -> dict[str, Any]:
    message, tally = progress.message, progress.tally
    return {
        "status_code": 200,
        "message": f"Being canceled: {tally.pending} of {tally.total} still to end"
        if tally.canceling
        else _SAID[tally.status],
        "ref_id": message.ref_id,
        "status": tally.status.value,
        "canceling": tally.canceling,
        "accepted_at": rfc3339(message.created_at),
        "send_at": rfc3339(message.due_at),
        "valid_until": rfc3339(message.valid_until),
        "recipients": {"total": tally.total, **{one.value: tally.by_outcome.get(one, 0) for one in Outcome}},
        "recipients_url": f"/v1/sendvoice/{message.ref_id}/recipients",
        "client_reference": message.client_reference,
        "callback_data": message.callback_data,
        "sandbox": message.sandbox,
        "warnings": list(message.warnings),
    }
