"""How a trunk stands: its status, its registration, and the SIP messages of that. /v1/trunks/{trunk_id}/…"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from messaging.errors import NotFound
from messaging.http import wants
from sip.trunk import Registration
from voice.api import replies
from voice.api.drawing import FORMS, Form, drawn, in_forms
from voice.api.openapi import answers, as_json
from voice.api.parts import ApiParts, MayAdmin, MayRead
from voice.api.reading import JSON
from voice.api.trunk_models import TrunkOut, TrunkStatusOut
from voice.api.trunks import TrunkId, changeable, known_trunk
from voice.trunk_status import SCORED_OVER, trunk_status

router = APIRouter(prefix="/v1/trunks", tags=["Trunks"])


@router.get(
    "/{trunk_id}/status",
    operation_id="getTrunkStatus",
    summary="How a trunk stands",
    responses=answers({200: ("As all dialers say it is, at most three seconds ago.", as_json(TrunkStatusOut))}, 404),
)
async def status(request: Request, api: ApiParts, principal: MayRead, trunk_id: TrunkId) -> Response:
    """Is it up, and if not why; registration, pings, channels, pace, and how its calls went in the last 24 hours."""
    wants(request, JSON)
    entry = await known_trunk(api, principal, trunk_id)
    now = api.clock.now()
    marks = await api.store.scores.marks(trunk_id, now - SCORED_OVER, now)
    told = await api.record.told(trunk_id)
    found = trunk_status(entry.trunk, await api.dialers(), marks, told, admin=entry.admin)
    return JSONResponse({"trunk_id": trunk_id, **found})


def _registration(path: str, registers: bool, summary: str, about: str) -> None:
    async def set_registers(request: Request, api: ApiParts, principal: MayAdmin, trunk_id: TrunkId) -> Response:
        wants(request, JSON)
        changeable(await known_trunk(api, principal, trunk_id))
        return JSONResponse((await api.trunks.set_registers(trunk_id, registers)).as_object())

    set_registers.__doc__ = about
    router.post(
        f"/{{trunk_id}}/{path}",
        operation_id=f"{path}Trunk",
        summary=summary,
        responses=answers({200: ("The trunk as it is now.", as_json(TrunkOut))}, 404, 409),
    )(set_registers)


_registration("register", True, "Register now", "Try at once, also after a refused login, and keep it registered.")
_registration("unregister", False, "Take the registration back", "No calls leave by it until `register`.")


@router.get(
    "/{trunk_id}/registration/sip",
    operation_id="getRegistrationLadder",
    summary="The SIP messages of a registration",
    responses=answers(
        {
            200: (
                "The latest, of the last day. Credentials are hidden in every form.",
                in_forms(replies.RegistrationLadderOut),
            )
        },
        404,
    ),
)
async def ladder(
    request: Request,
    api: ApiParts,
    principal: MayRead,
    trunk_id: TrunkId,
    form: Form = None,
) -> Response:
    """What crossed the wire, as for a call. Of several dialers: between the one that spoke last and the registrar."""
    kind = FORMS.get(form or "") or wants(request, *FORMS.values())
    entry = await known_trunk(api, principal, trunk_id)
    if entry.trunk.registration is Registration.NONE:
        raise NotFound(f"The trunk {trunk_id} does not register.", hint="Only trunks of the type register do.")
    trace = await api.record.ladder(trunk_id)
    if trace is None:
        raise NotFound("No SIP message of its registration is kept.", hint="Ask again after: register.")
    return drawn(kind, trace, trunk_id, of="trunk_id")
