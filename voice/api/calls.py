"""/v1/calls: place one call, read everything known about one, end it. Finding them: finding.py."""

import json
from pathlib import Path as FilePath
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from messaging.errors import Invalid, NotFound, Unavailable
from messaging.http import header_text, preferred_wait, wants
from voice.api import replies
from voice.api.asking import about_numbers, asked
from voice.api.once import only_once, replayed
from voice.api.openapi import answers, as_bytes, as_json, as_text, takes
from voice.api.parts import (
    Api,
    ApiParts,
    MayRead,
    MaySend,
    Principal,
    ended,
    following,
    has_room_to_follow,
    known_call,
    sender_of,
)
from voice.api.reading import JSON, Body, form_call, read_body, typed
from voice.api.schemas import (
    WAIT_MAX_S,
    PlaceCallForm,
    PlaceCallIn,
)
from voice.call_object import call_object
from voice.calls import Call
from voice.messages import TEST_CALL
from voice.sending import Receipt
from voice.sending import Request as Order
from voice.store import Accepted

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/calls", tags=["Calls"])

WAV = "audio/wav"

CallId = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": "^call_[0-9A-HJKMNP-TV-Z]{26}$"},
        examples=["call_01K0ABCDEFGHJKMNPQRSTVWXYZ"],
    ),
]
Prefer = Annotated[
    str | None,
    Header(description=f"`wait=30` (at most {WAIT_MAX_S}): answer with the outcome, or 202 when the time is up."),
]
_EXAMPLES = {
    "alert": {"to": "12025550110", "text": "Disk full on db-1. Press 1 to acknowledge.", "gather": {"digits_max": 1}},
    "audio": {"to": "2348020000000", "media_url": "https://example.com/audio/alarm.mp3", "repeat": 2},
}
_ACCEPTED = {
    202: ("Stored, not dialled yet; or the time of `Prefer: wait` was up.", as_json(replies.CallOut)),
    200: ("`Prefer: wait`: the call is final, this is its outcome.", as_json(replies.CallOut)),
}


@router.post(
    "",
    status_code=202,
    operation_id="placeCall",
    summary="Place one call",
    responses=answers(
        _ACCEPTED,
        409,
        415,
        headers={
            "Location": "Address of the call.",
            "X-Warnings": "What could not be honoured.",
            "Preference-Applied": "The wait that was granted.",
            "Idempotent-Replayed": "true: this is the first answer to that key.",
        },
    ),
    openapi_extra=takes(PlaceCallIn, _EXAMPLES, form=PlaceCallForm),
)
async def place(request: Request, api: ApiParts, principal: MaySend, prefer: Prefer = None) -> Response:
    """JSON or a form. A repeated Idempotency-Key gets the first answer, which is always the queued call."""
    wants(request, JSON)
    body = await read_body(request, form=True)
    if body.form:
        body = Body(form_call(body.data), form=True)
    wanted, _ = typed(PlaceCallIn, body, unknown_ok=request.headers.get("x-lenient") == "1")
    async with only_once(request, principal, body) as once:
        order = asked(api, principal, wanted, (wanted.to,), "calls")
        return await dial(request, api, principal, order, once)


async def dial(
    request: Request, api: Api, principal: Principal, order: Order, once: tuple[str, str] | None = None
) -> Response:
    """Accept an order for one number and answer with its Call object: 202, or the outcome after `Prefer: wait`."""
    sender = sender_of(api, principal)
    try:
        receipt = await api.sending.send(
            sender, order, once, lambda receipt: (202, compact(call_object(queued(receipt, order, sender.owner))))
        )
    except Invalid as e:
        raise about_numbers(e, single=True) from e
    if isinstance(receipt, Accepted):
        return replayed(receipt, _address(json.loads(receipt.body or "{}").get("call_id")))
    call = queued(receipt, order, sender.owner)
    headers = {"X-Warnings": header_text("; ".join(receipt.warnings))} if receipt.warnings else {}
    if receipt.dry_run:
        nowhere = {"call_id": None, "ref_id": None, "dry_run": True, "audio_ms": receipt.audio_ms}
        return JSONResponse({**call_object(call), **nowhere}, 200, headers)
    headers |= _address(call.call_id)
    log.info("call accepted", call_id=call.call_id, ref_id=call.ref_id, source=order.source)
    wait_s = preferred_wait(request.headers.get("prefer"), WAIT_MAX_S)
    if wait_s is None or not has_room_to_follow(api, principal.owner):
        return JSONResponse(call_object(call), 202, headers)
    try:
        with following(api, principal.owner):
            is_final = await ended(api, call, wait_s)
        now = await api.sending.call(principal.owner, call.call_id)
    except Unavailable:  # the call was accepted: an error here would make the client ring the same person again
        return JSONResponse(call_object(call), 202, headers)
    headers["Preference-Applied"] = f"wait={wait_s}"
    return JSONResponse(call_object(now), 200 if is_final else 202, headers)


def _address(call_id: str | None) -> dict[str, str]:
    return {"Location": f"/v1/calls/{call_id}"} if call_id else {}


def compact(body: dict[str, Any]) -> str:
    """As JSONResponse writes it, so that a replay is the first answer to the byte."""
    return bytes(JSONResponse(body).body).decode()


def queued(receipt: Receipt, order: Order, owner: str) -> Call:
    """The call as it is the moment it was accepted; on a dry run, as it would be."""
    return Call(
        call_id=receipt.call_ids[0] if receipt.call_ids else "",
        ref_id=receipt.ref_id,
        owner=owner,
        to_number=receipt.accepted[0],
        from_number=receipt.from_number,
        created_at=receipt.accepted_at,
        sandbox=owner.endswith(".test"),
        sequence=1,
        client_reference=order.client_reference,
        callback_data=order.callback_data,
        test=order.source == TEST_CALL,
        tariff=receipt.tariffs[0] if receipt.tariffs else None,
    )


@router.get(
    "/{call_id}",
    operation_id="getCall",
    summary="The Call object",
    responses=answers({200: ("The call as it stands.", as_json(replies.CallOut))}, 404),
)
async def get(request: Request, api: ApiParts, principal: MayRead, call_id: CallId) -> Response:
    """The same object a webhook carries."""
    wants(request, JSON)
    return JSONResponse(call_object(await api.sending.call(principal.owner, known_call(call_id))))


async def hang_up(request: Request, api: ApiParts, principal: MaySend, call_id: CallId) -> Response:
    """CANCEL before the answer, BYE after it, never dialled when still queued. Harmless when repeated."""
    wants(request, JSON)
    return JSONResponse(call_object(await api.sending.hang_up(principal.owner, known_call(call_id))), 202)


for path, name in (("/{call_id}/hangup", "hangUp"), ("/{call_id}/actions/hangup", "hangUpAction")):
    router.post(
        path,
        status_code=202,
        operation_id=name,
        summary="End a call",
        responses=answers({202: ("The wish was left; the end arrives as an event.", as_json(replies.CallOut))}, 404),
    )(hang_up)


@router.get(
    "/{call_id}/recording",
    operation_id="getRecording",
    summary="The recording of a call",
    responses=answers(
        {
            200: ("WAV: said on the left, heard on the right.", as_bytes(WAV)),
            206: ("The part that the Range header asked for.", as_bytes(WAV)),
            416: ("That range is not in the file.", as_text()),
        },
        404,
    ),
)
@router.get("/{call_id}/recordings", include_in_schema=False)
async def recording(request: Request, api: ApiParts, principal: MayRead, call_id: CallId) -> Response:
    """Published when the call has ended. A sandbox call without one answers with what the catch-all phone recorded."""
    wants(request, WAV)
    call = await api.sending.call(principal.owner, known_call(call_id))
    if not call.status.is_final:
        raise NotFound(
            "Still recording, or not begun: the file is published when the call has ended.",
            hint="Ask again after call.ended.",
        )
    path = await api.recording(call) or await _heard_by_the_phone(api, principal, call)
    if path is None or not path.is_file():
        raise await _no_recording(api, principal, call)
    return FileResponse(path, media_type=WAV, filename=f"{call_id}.wav", content_disposition_type="inline")


async def _no_recording(api: Api, principal: Principal, call: Call) -> NotFound:
    """Why this call, which has ended, has no recording."""
    if call.answer_at is None:
        return NotFound("This call was not recorded: it was not answered.", hint="Its hangup_cause says why.")
    if not (await api.sending.status(principal.owner, call.ref_id)).message.script.record:
        return NotFound("This call was not recorded: nobody asked for it.", hint="Send record=true with the next call.")
    return NotFound(
        "The recording of this call is not here any more.",
        hint="Fetch recordings soon after call.ended; store.recording_hours says how long they are kept.",
    )


async def _heard_by_the_phone(api: Api, principal: Principal, call: Call) -> FilePath | None:
    found = await api.store.heard(principal.owner, None, call.call_id) if call.sandbox else None
    return FilePath(found.recording) if found and found.recording else None
