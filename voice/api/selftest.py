"""/v1/trunks/{trunk_id}/test: every step of a trunk tried in turn. A dialer does it; here it is asked and read."""

import asyncio
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from messaging.errors import FieldError, IdempotencyMismatch, Invalid, NotFound, Unavailable
from messaging.http import preferred_wait, wants
from messaging.ids import is_test_id, test_id, test_id_of
from messaging.numbers import NumberError, normalise, require_real
from messaging.strict_json import shown
from sip.trunk import Trunk
from voice.api.asking import about_numbers
from voice.api.calls import Prefer
from voice.api.once import only_once
from voice.api.openapi import answers, as_json, takes
from voice.api.parts import (
    Api,
    ApiParts,
    MayAdmin,
    MayRead,
    Principal,
    following,
    has_room_to_follow,
    is_test,
    sender_of,
)
from voice.api.reading import JSON, Body, read_body, typed
from voice.api.selftest_models import SelfTestIn, SelfTestOut
from voice.api.trunks import TrunkId, known_trunk
from voice.caps import KeySuspended, Reservation
from voice.orders import Refusal, Sender, digits, wrong_number
from voice.selftest import WITHIN_S, Stage, TrunkTest, as_seen
from voice.selftest_toll import reservation

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/trunks", tags=["Trunks"])

LOOK_S = 0.2  # while a client waits for the end
CATCH_ALL = "12025550100"  # answers and listens to the end

TestId = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": "^test_[0-9A-HJKMNP-TV-Z]{26}$"},
        examples=["test_01K0ABCDEFGHJKMNPQRSTVWXYZ"],
    ),
]
_BODY = takes(SelfTestIn, {"with a call": {"to": "12025550100"}})
_ANSWERS = {
    202: ("Asked, or still under way when the time of `Prefer: wait` was up.", as_json(SelfTestOut)),
    200: ("`Prefer: wait`: the finished test.", as_json(SelfTestOut)),
}


@router.post(
    "/{trunk_id}/test",
    status_code=202,
    operation_id="testTrunk",
    summary="Try every step of a trunk",
    responses=answers(
        _ANSWERS,
        404,
        409,
        415,
        headers={
            "Location": "Address of the test.",
            "Preference-Applied": "The wait that was granted.",
            "Idempotent-Replayed": "true: this is the test that the key asked for first.",
        },
    ),
    openapi_extra={"requestBody": {**_BODY["requestBody"], "required": False}},
)
async def ask(
    request: Request, api: ApiParts, principal: MayAdmin, trunk_id: TrunkId, prefer: Prefer = None
) -> Response:
    """DNS, connect, TLS, OPTIONS, REGISTER, then a call: INVITE, RTP both ways, DTMF, BYE. On lines of its own, so it
    disturbs no call and works for a disabled trunk too. With `to` a phone rings, and that counts as a call of the key;
    one test at a time for each trunk.
    """
    wants(request, JSON)
    body = await read_body(request) if await request.body() else Body({})
    wanted, _ = typed(SelfTestIn, body, unknown_ok=request.headers.get("x-lenient") == "1")
    trunk = (await known_trunk(api, principal, trunk_id)).trunk
    async with only_once(request, principal, body) as once:
        test = _test(api, principal, trunk, wanted, test_id_of(once[0]) if once else test_id())
        before = await api.self_tests.read(test.test_id) if once else None
        if before is not None:
            return _replayed(api, test, *before)
        sender = sender_of(api, principal)
        overrun = await api.self_tests.ask(test, await _reserved(api, sender, test))
        if overrun is not None:
            raise await api.sending.refused(sender, overrun)
    log.info("trunk test asked", trunk_id=trunk_id, test_id=test.test_id, key_id=test.key_id, rings=bool(test.to))
    return await _waited(request, api, principal, test)


@router.get(
    "/{trunk_id}/tests/{test_id}",
    operation_id="getTrunkTest",
    summary="A self-test as it stands",
    responses=answers({200: ("The steps that were made so far.", as_json(SelfTestOut))}, 404),
)
async def get(request: Request, api: ApiParts, principal: MayRead, trunk_id: TrunkId, test_id: TestId) -> Response:
    """Kept for a day."""
    wants(request, JSON)
    found = await api.self_tests.read(test_id) if is_test_id(test_id) else None
    if found is None or (found[0].owner, found[0].trunk_id) != (principal.owner, trunk_id):
        raise NotFound("There is no such test of this trunk, or it is older than a day.")
    return JSONResponse(_seen(api, *found).as_object())


def _seen(api: Api, test: TrunkTest, held: bool) -> TrunkTest:
    return as_seen(test, held=held, now=api.clock.now())


def _address(test: TrunkTest) -> dict[str, str]:
    return {"Location": f"/v1/trunks/{test.trunk_id}/tests/{test.test_id}"}


def _replayed(api: Api, test: TrunkTest, before: TrunkTest, held: bool) -> Response:
    if (test.to, test.from_number) != (before.to, before.from_number):
        raise IdempotencyMismatch
    return JSONResponse(_seen(api, before, held).as_object(), 202, {**_address(before), "Idempotent-Replayed": "true"})


async def _waited(request: Request, api: Api, principal: Principal, test: TrunkTest) -> Response:
    headers = _address(test)
    wait_s = preferred_wait(request.headers.get("prefer"), WITHIN_S)
    if not wait_s or not has_room_to_follow(api, principal.owner):
        return JSONResponse(test.as_object(), 202, headers)
    try:
        with following(api, principal.owner):
            test = await _ended(api, test, wait_s)
    except Unavailable:  # it was asked for: an error here would make the client ask again
        return JSONResponse(test.as_object(), 202, headers)
    headers["Preference-Applied"] = f"wait={wait_s}"
    return JSONResponse(test.as_object(), 200 if test.stage is Stage.FINISHED else 202, headers)


async def _ended(api: Api, test: TrunkTest, wait_s: float) -> TrunkTest:
    """As it stands when it is over, or the time is up, or we are shutting down."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while test.stage is not Stage.FINISHED and loop.time() < until and not api.draining.is_set():
        await asyncio.sleep(LOOK_S)
        found = await api.self_tests.read(test.test_id)
        if found is not None:
            test = _seen(api, *found)
    return test


# -- what is asked


def _test(api: Api, principal: Principal, trunk: Trunk, wanted: SelfTestIn, new_id: str) -> TrunkTest:
    """Raises Invalid."""
    sandbox = is_test(principal)
    sender = sender_of(api, principal)
    to = _number(wanted.to, sender) if wanted.to else ""
    if sandbox and not to:
        to = CATCH_ALL
    return TrunkTest(
        test_id=new_id,
        trunk_id=trunk.id,
        owner=principal.owner,
        key_id=principal.key_id,
        sandbox=sandbox,
        asked_at=api.clock.now(),
        to=to,
        from_number=_caller_id(sender, trunk, wanted.from_number) if to else "",
        tariff=sender.rates.tariff(to),
    )


def _number(text: str, sender: Sender) -> str:
    """Read as the number of any call."""
    try:
        number = normalise(text, sender.region, home=() if sender.sandbox else sender.destinations.home_codes)
        if not sender.sandbox:
            require_real(number)
    except NumberError as no:
        raise Invalid(no.detail, errors=(FieldError("#/to", no.code.lower(), no.detail),)) from no
    return number


def _caller_id(sender: Sender, trunk: Trunk, asked: str | None) -> str:
    """One that the trunk may show: its own, also while it is disabled, else the account's."""
    allowed = trunk.caller_ids or sender.caller_ids
    if asked is None and allowed:
        return allowed[0]
    if asked is not None and digits(asked) in allowed:
        return digits(asked)
    if not allowed:
        detail = "Neither the trunk nor the account has a caller id; set caller_ids of the trunk."
        raise Invalid(detail, errors=(FieldError("#/from", "no_caller_id", detail),))
    detail = f"from: {shown(asked or '')} is not a caller id of the trunk '{trunk.id}'."
    raise Invalid(detail, errors=(FieldError("#/from", "not_of_trunk", detail),))


async def _reserved(api: Api, sender: Sender, test: TrunkTest) -> Reservation | None:
    """What it may take of the limits of its key. A test call obeys the guard and the limits as every call does."""
    if not test.to:
        return None
    if sender.is_suspended:
        raise KeySuspended
    try:
        if not test.sandbox and (refusal := await api.guard.refusal(test.owner, test.to)):
            raise refusal
        return reservation(test, sender.caps, api.settings.account.timezone)
    except NumberError as no:
        wrong = wrong_number(Refusal(test.to, 0, no.code, no.detail))
        raise about_numbers(Invalid(wrong.detail, errors=(wrong,)), single=True) from no
