"""What a key may spend (/v1/limits), what calls cost (/v1/rates), and going on after a limit (/v1/keys/…/resume)."""

import re
from dataclasses import asdict
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from messaging.errors import FieldError, Invalid
from messaging.http import wants
from messaging.strict_json import step
from voice.api.openapi import answers, as_json, takes
from voice.api.parts import Api, ApiParts, MayAdmin, MayRead, Principal, require_not_suspended
from voice.api.reading import JSON, Body, read_body, typed
from voice.api.toll_models import CapsIn, LimitsIn, LimitsOut, RatesIn, RatesOut, ResumedOut
from voice.caps import Caps, Used, day_of
from voice.tariffs import BadRates, Rates, Tariff, decimal_text
from voice.toll_book import KeyCaps

log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1", tags=["Toll-fraud guard"])

_KEY = re.compile(r"key_[0-9A-Za-z_]{1,60}")
_LIMITS = {200: ("As it is now.", as_json(LimitsOut))}
_RATES = {200: ("As it is now.", as_json(RatesOut))}
KeyId = Annotated[
    str, Path(json_schema_extra={"pattern": f"^{_KEY.pattern}$"}, examples=["key_01K0ABCDEFGHJKMNPQRSTVWXYZ"])
]


@router.get("/limits", operation_id="getLimits", summary="What a key may spend", responses=answers(_LIMITS))
async def get_limits(request: Request, api: ApiParts, principal: MayRead) -> Response:
    """The rules of the account, and for the key that asks what they come to and what it has taken today."""
    wants(request, JSON)
    await api.guard.read()
    return await _told(api, principal)


@router.put(
    "/limits",
    operation_id="setLimits",
    summary="Say what a key may spend",
    responses=answers(_LIMITS, 415),
    openapi_extra=takes(LimitsIn, {"careful": {"calls_per_day": 500, "amount_per_day": "25", "max_duration_s": 120}}),
)
async def put_limits(request: Request, api: ApiParts, principal: MayAdmin) -> Response:
    """In place of the rules there were. They hold within about a second for requests from then on.

    A suspended key may not change them.
    """
    wants(request, JSON)
    lenient = request.headers.get("x-lenient") == "1"
    wanted, _ = typed(LimitsIn, await read_body(request), unknown_ok=lenient)
    keys = {_known(key_id): _caps(_key_caps(key_id, data, lenient=lenient)) for key_id, data in wanted.keys.items()}
    await require_not_suspended(api, principal)
    await api.tolls.set_caps(principal.owner, KeyCaps(_caps(wanted), keys))
    await api.guard.read()
    log.info("limits changed", account=principal.owner, key_id=principal.key_id, limits=_said(_caps(wanted)))
    return await _told(api, principal)


@router.post(
    "/keys/{key_id}/resume",
    operation_id="resumeKey",
    summary="Let a suspended key go on",
    responses=answers({200: ("It may send again.", as_json(ResumedOut))}),
)
async def resume(request: Request, api: ApiParts, principal: MayAdmin, key_id: KeyId) -> Response:
    """Its calls that wait are dialled then. A key cannot resume itself. Harmless when it was not suspended."""
    wants(request, JSON)
    await require_not_suspended(api, principal)
    resumed = await api.tolls.resume(principal.owner, _known(key_id, "#/key_id"))
    await api.guard.read()
    if resumed:
        log.info("key resumed", account=principal.owner, key_id=key_id, by=principal.key_id)
    return JSONResponse({"key_id": key_id, "resumed": resumed})


@router.get("/rates", operation_id="getRates", summary="The price list", responses=answers(_RATES))
async def get_rates(request: Request, api: ApiParts, principal: MayRead) -> Response:
    """The longest prefix counts. Empty: calls have no price, and `total_amount` is 0."""
    wants(request, JSON)
    await api.guard.read()
    return _priced(api, principal)


@router.put(
    "/rates",
    operation_id="setRates",
    summary="Replace the price list",
    responses=answers(_RATES, 415),
    openapi_extra=takes(
        RatesIn,
        {"two": {"currency": "EUR", "data": [{"prefix": "234", "per_minute": "0.085", "increment": "60/60"}]}},
    ),
)
async def put_rates(request: Request, api: ApiParts, principal: MayAdmin) -> Response:
    """Calls that were accepted keep the price they were accepted under. A suspended key may not change it."""
    wants(request, JSON)
    wanted, _ = typed(RatesIn, await read_body(request), unknown_ok=request.headers.get("x-lenient") == "1")
    rows = []
    for row in wanted.data:
        first, _, increment = row.increment.partition("/")
        rows.append(Tariff(row.prefix, row.per_minute, wanted.currency, int(first), int(increment), row.connect_fee))
    try:
        rates = Rates.of(wanted.currency, rows)
    except BadRates as error:
        raise Invalid(f"data: {error}", errors=(FieldError("#/data", "invalid", f"data: {error}"),)) from None
    await require_not_suspended(api, principal)
    await api.tolls.set_rates(principal.owner, rates)
    await api.guard.read()
    log.info("rates changed", account=principal.owner, key_id=principal.key_id, rows=len(rows))
    return _priced(api, principal)


def _known(key_id: str, pointer: str = "") -> str:
    if not _KEY.fullmatch(key_id):
        detail = "keys: a key id begins with key_, as `tocsin keys list` shows it"
        raise Invalid(detail, errors=(FieldError(pointer or step("#/keys", key_id), "invalid", detail),))
    return key_id


def _key_caps(key_id: str, data: object, *, lenient: bool) -> CapsIn:
    if not isinstance(data, dict):
        detail = f"keys: the limits of {key_id[:60]} have to be an object"
        raise Invalid(detail, errors=(FieldError(step("#/keys", key_id), "dict_type", detail),))
    return typed(CapsIn, Body(data), unknown_ok=lenient)[0]


def _caps(wanted: CapsIn) -> Caps:
    return Caps(**{name: getattr(wanted, name) for name in CapsIn.model_fields})


def _said(caps: Caps) -> dict[str, Any]:
    return {name: value for name, value in asdict(caps).items() if value is not None}


async def _told(api: Api, principal: Principal) -> Response:
    owner, key_id, guard = principal.owner, principal.key_id, api.guard
    own = guard.rules.caps.get(owner, KeyCaps())
    day = day_of(api.clock.now(), api.settings.account.timezone)
    stopped = {key: one.cap for (whose, key), one in guard.rules.suspended.items() if whose == owner}
    return JSONResponse(
        {
            "account": asdict(own.all),
            "keys": {key: asdict(caps) for key, caps in own.keys.items()},
            "this_key": {
                "key_id": key_id,
                "limits": asdict(guard.caps(owner, key_id)),
                "used": _used(day, await api.store.used(owner, key_id, day)),
                "suspended": stopped.get(key_id),
            },
            "suspended": stopped,
            "currency": guard.rates(owner).currency or None,
        }
    )


def _used(day: str, used: Used) -> dict[str, Any]:
    return {
        "day": day,
        "calls": used.calls,
        "minutes": round(used.seconds / 60, 2),
        "minutes_held": round(used.held_s / 60, 2),
        "amount": decimal_text(used.millionths),
        "amount_held": decimal_text(used.held_millionths),
        "open_calls": used.open_calls,
    }


def _priced(api: Api, principal: Principal) -> Response:
    rates = api.guard.rates(principal.owner)
    return JSONResponse(
        {
            "currency": rates.currency or None,
            "source": "account" if principal.owner in api.guard.rules.rates else "settings",
            "data": [
                {
                    "prefix": row.prefix,
                    "per_minute": row.per_minute,
                    "increment": f"{row.first_s}/{row.increment_s}",
                    "connect_fee": row.connect_fee,
                }
                for row in rates.rows
            ],
        }
    )
