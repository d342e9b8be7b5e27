"""/v1/trunks: where calls leave. Test keys see and make the sandbox's trunks only, live keys never see those."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from messaging.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from messaging.http import wants
from messaging.strict_json import kind_of, shown
from sip.trunk import Credentials
from sip.trunk_object import from_object
from sip.trunk_reading import Said
from sip.trunk_section import TrunkError
from voice.api.openapi import answers, as_json, takes
from voice.api.parts import Api, ApiParts, MayAdmin, MayRead, Principal, is_test
from voice.api.reading import JSON, read_body
from voice.api.trunk_models import PlanOut, TrunkFileIn, TrunkIn, TrunkOut, TrunkPatch, TrunksOut
from voice.trunk_entry import READ_ONLY, AdminState, Entry, ManagedBy, TrunkExists
from voice.trunk_plan import Plan

router = APIRouter(prefix="/v1/trunks", tags=["Trunks"])

FILE_TRUNKS_MOST = 500  # a body of 256 kB holds fewer
IGNORED_MOST = 20  # unknown members that X-Lenient forgives in one trunk

TrunkId = Annotated[
    str, Path(json_schema_extra={"pattern": "^[a-z0-9][a-z0-9-]{0,31}$"}, examples=["sandbox"], max_length=32)
]
_EXAMPLE = {"id": "lab", "host": "127.0.0.1:5070", "sandbox": True, "channels": 4}


@router.get(
    "",
    operation_id="listTrunks",
    summary="All trunks",
    responses=answers({200: ("By id, on one page.", as_json(TrunksOut))}),
)
async def list_all(request: Request, api: ApiParts, principal: MayRead) -> Response:
    """Those that this key may know of, with who keeps them and whether they take calls."""
    wants(request, JSON)
    data = [entry.as_object() for entry in await _visible(api, principal)]
    return JSONResponse({"data": data, "page": {"count": len(data), "size": len(data)}, "next_cursor": None})


@router.get(
    "/{trunk_id}",
    operation_id="getTrunk",
    summary="One trunk",
    responses=answers({200: ("The trunk object.", as_json(TrunkOut))}, 404),
)
async def get(request: Request, api: ApiParts, principal: MayRead, trunk_id: TrunkId) -> Response:
    """Without its secrets."""
    wants(request, JSON)
    return JSONResponse((await known_trunk(api, principal, trunk_id)).as_object())


@router.post(
    "",
    status_code=201,
    operation_id="createTrunk",
    summary="Make a trunk",
    responses=answers({201: ("The trunk as it is now.", as_json(TrunkOut))}, 409, 415),
    openapi_extra=takes(TrunkIn, {"sandbox": _EXAMPLE}),
)
async def create(request: Request, api: ApiParts, principal: MayAdmin) -> Response:
    """In the words of the trunk file. The id is yours, so a repeat finds it taken and makes no second one."""
    wants(request, JSON)
    data = (await read_body(request)).data
    said = _read(data, lenient=_is_lenient(request))
    _check_kind(principal, said)
    if said.trunk.id in _taken(api):
        raise TrunkExists("That id is taken by the catch-all phone.")
    entry = await api.trunks.create(said)
    return JSONResponse(entry.as_object(), 201, headers={"Location": f"/v1/trunks/{entry.trunk.id}"})


@router.put(
    "/{trunk_id}",
    operation_id="replaceTrunk",
    summary="Replace a trunk",
    responses=answers({200: ("The trunk as it is now.", as_json(TrunkOut))}, 404, 409, 415),
    openapi_extra=takes(TrunkPatch, {"sandbox": {name: value for name, value in _EXAMPLE.items() if name != "id"}}),
)
async def replace(request: Request, api: ApiParts, principal: MayAdmin, trunk_id: TrunkId) -> Response:
    """What is left out is the default again, except the password: repeat the user name and it stays."""
    return await _change(request, api, principal, trunk_id, lambda _, data: data)


@router.patch(
    "/{trunk_id}",
    operation_id="changeTrunk",
    summary="Change members of a trunk",
    responses=answers({200: ("The trunk as it is now.", as_json(TrunkOut))}, 404, 409, 415),
    openapi_extra=takes(TrunkPatch, {"slower": {"limits": {"cps": 2}}}),
)
async def change(request: Request, api: ApiParts, principal: MayAdmin, trunk_id: TrunkId) -> Response:
    """JSON Merge Patch (RFC 7396): objects are merged, lists replaced, null takes a member away."""
    return await _change(request, api, principal, trunk_id, lambda before, data: _merged(before.as_object(), data))


@router.delete(
    "/{trunk_id}",
    status_code=204,
    operation_id="deleteTrunk",
    summary="Remove a trunk",
    responses=answers({204: ("It takes no more calls; those that are up go on.", {})}, 404, 409),
)
async def delete(request: Request, api: ApiParts, principal: MayAdmin, trunk_id: TrunkId) -> Response:
    """A trunk of a file is removed in the file."""
    wants(request, JSON)
    changeable(await known_trunk(api, principal, trunk_id))
    await api.trunks.remove(trunk_id)
    return Response(status_code=204)


def _state(path: str, state: AdminState, summary: str, about: str) -> None:
    async def set_state(request: Request, api: ApiParts, principal: MayAdmin, trunk_id: TrunkId) -> Response:
        wants(request, JSON)
        changeable(await known_trunk(api, principal, trunk_id))
        return JSONResponse((await api.trunks.set_state(trunk_id, state)).as_object())

    set_state.__doc__ = about
    router.post(
        f"/{{trunk_id}}/{path}",
        operation_id=f"{path}Trunk",
        summary=summary,
        responses=answers({200: ("The trunk as it is now.", as_json(TrunkOut))}, 404, 409),
    )(set_state)


_state("enable", AdminState.ENABLED, "Take calls again", "Also for trunks of a file, as are disable and drain.")
_state("disable", AdminState.DISABLED, "Take no calls", "New calls go elsewhere or wait. It outlives restarts.")
_state("drain", AdminState.DRAINING, "Take no new calls", "Those that are up end by themselves.")


@router.put(
    "",
    operation_id="applyTrunkFile",
    summary="Make the trunks what a file says",
    responses=answers({200: ("What changed, or with `dry_run` what would.", as_json(PlanOut))}, 409, 415),
    openapi_extra=takes(TrunkFileIn, {"plan": {"trunks": [_EXAMPLE], "dry_run": True}}),
)
async def apply(request: Request, api: ApiParts, principal: MayAdmin) -> Response:
    """What `tocsin plan` and `tocsin apply` ask. All or nothing; the second time it changes nothing.

    Trunks that an earlier file brought and this one does not name are removed; those of the API stay. Only trunks of
    the key's own kind are touched.
    """
    wants(request, JSON)
    data = (await read_body(request)).data
    source, dry_run = _file_members(data)
    rows, lenient = data.get("trunks"), _is_lenient(request)
    if not isinstance(rows, list) or len(rows) > FILE_TRUNKS_MOST:
        raise _wrong("#/trunks", f"trunks: has to be a list of at most {FILE_TRUNKS_MOST} trunks")
    said = [_read(row, lenient=lenient, pointer=f"#/trunks/{index}") for index, row in enumerate(rows)]
    ids = [one.trunk.id for one in said]
    for index, trunk_id in enumerate(ids):
        if trunk_id in ids[:index] or trunk_id in _taken(api):
            raise _wrong(f"#/trunks/{index}/id", f"trunks.{index}.id: is taken by another trunk")
    done = await api.trunks.apply(said, source, sandbox=is_test(principal), dry_run=dry_run)
    return JSONResponse(_shown(done, applied=not dry_run))


def _file_members(data: dict[str, Any]) -> tuple[str, bool]:
    source, dry_run = data.get("source", "trunks.toml"), data.get("dry_run", False)
    strangers = [name for name in data if name not in TrunkFileIn.model_fields]
    if strangers:
        raise _wrong(f"#/{strangers[0][:60]}", "there is only trunks, source and dry_run here", "unknown_member")
    if not isinstance(source, str) or not 0 < len(source) <= 100 or not source.isprintable():
        raise _wrong("#/source", "source: has to be the name of a file")
    if not isinstance(dry_run, bool):
        raise _wrong("#/dry_run", "dry_run: has to be true or false")
    return source, dry_run


def _shown(plan: Plan, *, applied: bool) -> dict[str, Any]:
    return {
        "changes": [
            {
                "id": change.trunk_id,
                "does": change.does.value,
                "differences": [
                    {"path": one.path, "before": one.before, "after": one.after} for one in change.differences
                ],
            }
            for change in plan.changes
        ],
        "unchanged": plan.unchanged,
        "warnings": list(plan.warnings),
        "applied": applied,
    }


# -- who may see and change what


async def _visible(api: Api, principal: Principal) -> list[Entry]:
    entries = [entry for entry in await api.trunks.all() if entry.trunk.id not in _taken(api)]
    if api.sandbox_trunk is not None:
        entries.append(Entry(api.sandbox_trunk, ManagedBy.SERVICE))
    return sorted(
        (entry for entry in entries if entry.trunk.sandbox is is_test(principal)), key=lambda entry: entry.trunk.id
    )


async def known_trunk(api: Api, principal: Principal, trunk_id: str) -> Entry:
    """Raises NotFound, also for a trunk of the other kind."""
    for entry in await _visible(api, principal):
        if entry.trunk.id == trunk_id:
            return entry
    raise NotFound("There is no such trunk, or it is of the other kind: test keys see only the sandbox's.")


def _taken(api: Api) -> tuple[str, ...]:
    return (api.sandbox_trunk.id,) if api.sandbox_trunk else ()


def changeable(entry: Entry) -> None:
    """Raises Conflict for the catch-all phone."""
    if entry.managed_by is ManagedBy.SERVICE:
        raise Conflict(
            "The catch-all phone comes with the service.",
            hint="Set TOCSIN_SANDBOX__ENABLED=false for a service without it.",
        )


def _check_kind(principal: Principal, said: Said) -> None:
    if said.trunk.sandbox is not is_test(principal):
        wanted = "sandbox: true" if is_test(principal) else "sandbox: false"
        raise Forbidden(f"This key keeps only trunks with {wanted}.", hint="Use a key of the other kind.")


# -- reading


async def _change(
    request: Request,
    api: Api,
    principal: Principal,
    trunk_id: str,
    words: Callable[[Entry, dict[str, Any]], dict[str, Any]],
) -> Response:
    wants(request, JSON)
    data, lenient = (await read_body(request)).data, _is_lenient(request)
    changeable(await known_trunk(api, principal, trunk_id))
    if data.get("id", trunk_id) != trunk_id:
        raise _wrong("#/id", "id: cannot be changed; make another trunk")

    def read(before: Entry) -> Said:
        auth = before.trunk.auth
        said = _read(
            {**words(before, data), "id": trunk_id}, kept=auth if auth and auth.password else None, lenient=lenient
        )
        _check_kind(principal, said)
        return said

    return JSONResponse((await api.trunks.replace(trunk_id, read)).as_object())


def _read(data: object, *, kept: Credentials | None = None, lenient: bool = False, pointer: str = "#") -> Said:
    """Raises Invalid."""
    if not isinstance(data, dict):
        raise _wrong(pointer, f"a trunk has to be an object, not {kind_of(data)}")
    said = {name: value for name, value in data.items() if name not in READ_ONLY}
    for _ in range(IGNORED_MOST):
        try:
            return from_object(said, kept=kept)
        except TrunkError as error:
            if not (lenient and error.is_unknown):
                code = "unknown_member" if error.is_unknown else "invalid"
                whose = "" if pointer == "#" else f"{shown(str(data.get('id', pointer[2:])))}: "
                raise _wrong(pointer + error.pointer.removeprefix("#"), f"{whose}{error}", code) from None
            said = _without(said, error)
    raise _wrong(pointer, "more unknown members than can be forgiven", "unknown_member")


def _without(data: Mapping[str, Any], error: TrunkError) -> dict[str, Any]:
    """Without the member that the error is about."""
    *parents, _ = error.pointer.removeprefix("#/").split("/")

    def pruned(value: Any, path: list[str]) -> Any:
        if isinstance(value, list):
            at = int(path[0])
            return [pruned(one, path[1:]) if index == at else one for index, one in enumerate(value)]
        if path:
            return {**value, path[0]: pruned(value[path[0]], path[1:])}
        return {name: inner for name, inner in value.items() if name != error.key}

    found: dict[str, Any] = pruned(data, parents)
    return found


def _merged(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(before)
    for name, value in patch.items():
        old = merged.get(name)
        merged[name] = _merged(old if isinstance(old, dict) else {}, value) if isinstance(value, dict) else value
    return {name: value for name, value in merged.items() if value is not None}


def _wrong(pointer: str, detail: str, code: str = "invalid") -> Invalid:
    return Invalid(detail, errors=(FieldError(pointer, code, detail),))


def _is_lenient(request: Request) -> bool:
    return request.headers.get("x-lenient") == "1"
