"""/v1/dial-permissions: which countries live calls of this account may go to."""

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from messaging.errors import FieldError, Invalid
from messaging.http import wants
from voice.api.openapi import answers, as_json, takes
from voice.api.parts import Api, ApiParts, MayAdmin, MayRead, Principal, is_test, require_not_suspended
from voice.api.reading import JSON, read_body, typed
from voice.api.toll_models import PermissionsIn, PermissionsOut
from voice.destinations import BadEntry, read_allow

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/dial-permissions", tags=["Toll-fraud guard"])

_NOW = {200: ("As it is now.", as_json(PermissionsOut))}


@router.get("", operation_id="getDialPermissions", summary="Where calls may go", responses=answers(_NOW))
async def get(request: Request, api: ApiParts, principal: MayRead) -> Response:
    """Premium rate, personal, satellite, short and emergency numbers are never called, whatever the list says."""
    wants(request, JSON)
    await api.guard.read()
    return _told(api, principal)


@router.put(
    "",
    operation_id="setDialPermissions",
    summary="Say where calls may go",
    responses=answers(_NOW, 415),
    openapi_extra=takes(PermissionsIn, {"two": {"allow": ["gb", "4989"]}}),
)
async def put(request: Request, api: ApiParts, principal: MayAdmin) -> Response:
    """In place of the list there was. It holds everywhere within about a second, also for calls that wait already."""
    wants(request, JSON)
    wanted, _ = typed(PermissionsIn, await read_body(request), unknown_ok=request.headers.get("x-lenient") == "1")
    try:
        allow = read_allow(wanted.allow)
    except BadEntry as error:
        raise Invalid(f"allow: {error}", errors=(FieldError("#/allow", "invalid", f"allow: {error}"),)) from None
    await require_not_suspended(api, principal)
    before = set(api.guard.allowed(principal.owner))
    await api.tolls.set_allow(principal.owner, allow)
    await api.guard.read()
    log.info(
        "dial permissions changed",
        account=principal.owner,
        key_id=principal.key_id,
        opened=sorted(set(allow) - before),
        closed=sorted(before - set(allow)),
    )
    return _told(api, principal)


def _told(api: Api, principal: Principal) -> Response:
    owner, guard = principal.owner, api.guard
    return JSONResponse(
        {
            "allow": list(guard.allowed(owner)),
            "source": "account" if owner in guard.rules.allow else "settings",
            "home": sorted(guard.destinations(owner).home),
            "applies": not is_test(principal),
        }
    )
