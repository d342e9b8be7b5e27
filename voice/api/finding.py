"""GET /v1/calls: find calls, a page at a time as JSON or all of them as CSV."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from messaging.errors import FieldError, Invalid
from messaging.http import wants
from voice.api import replies
from voice.api.openapi import answers, as_json, as_text
from voice.api.parts import Api, ApiParts, MayRead, known_ref
from voice.api.reading import JSON
from voice.api.schemas import CallCursor, CauseName, RefIdText, TrunkId, _moment
from voice.call_object import call_object
from voice.calls import Call
from voice.store import CallFilter, CallPage

router = APIRouter(prefix="/v1/calls", tags=["Calls"])

CSV = "text/csv"
PAGE_DEFAULT, PAGE_MAX = 25, 200
NUMBER_MAX = 100  # pages: all before a numbered one are read again each time; a cursor goes on where it stood

AnsweredBy = Literal["human", "machine", "fax", "unknown"]


def _moment_of(name: str) -> Any:
    return Query(alias=name, json_schema_extra={"format": "date-time"})


def wanted(
    status: Annotated[replies.Status | None, Query()] = None,
    hangup_cause: Annotated[CauseName | None, Query(examples=["user_busy"])] = None,
    answered_by: Annotated[AnsweredBy | None, Query()] = None,
    to_number: Annotated[str | None, Query(min_length=1, max_length=40)] = None,
    from_number: Annotated[str | None, Query(min_length=1, max_length=40)] = None,
    ref_id: Annotated[RefIdText | None, Query()] = None,
    client_reference: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    trunk_id: Annotated[TrunkId | None, Query()] = None,
    start_gte: Annotated[str | None, _moment_of("start_at[gte]")] = None,
    start_lt: Annotated[str | None, _moment_of("start_at[lt]")] = None,
    created_gte: Annotated[str | None, _moment_of("created_at[gte]")] = None,
    created_lt: Annotated[str | None, _moment_of("created_at[lt]")] = None,
) -> CallFilter:
    """Raises Invalid for a time that is none, NotFound for a message that cannot be."""
    return CallFilter(
        status=status,
        hangup_cause=hangup_cause,
        answered_by=answered_by,
        to_number=_digits(to_number),
        from_number=_digits(from_number),
        ref_id=known_ref(ref_id) if ref_id else None,
        client_reference=client_reference,
        trunk_id=trunk_id,
        start_gte=_time("start_at[gte]", start_gte),
        start_lt=_time("start_at[lt]", start_lt),
        created_gte=_time("created_at[gte]", created_gte),
        created_lt=_time("created_at[lt]", created_lt),
    )


Wanted = Annotated[CallFilter, Depends(wanted)]


@router.get(
    "",
    operation_id="listCalls",
    summary="Find calls, newest first",
    responses=answers(
        {200: ("One page; as CSV every call that matches.", {**as_json(replies.CallPageOut), **as_text(CSV)})}
    ),
)
async def find(
    request: Request,
    api: ApiParts,
    principal: MayRead,
    which: Wanted,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[CallCursor | None, Query(description="`next_cursor` of the page before, unchanged.")] = None,
    page: Annotated[
        int | None,
        Query(ge=1, le=NUMBER_MAX, description="Instead of a cursor, which goes on after it."),
    ] = None,
) -> Response:
    """By the moment they were created. Test keys see sandbox calls, live keys live ones. CSV knows no pages."""
    if wants(request, JSON, CSV) == CSV:
        return await _csv(api, principal.owner, which)
    if page is not None and cursor is not None:
        raise _wrong("page", "goes without cursor")
    number = page or (None if cursor else 1)
    found = await _numbered(api, principal.owner, which, page or 1, limit, cursor)
    data = [call_object(call) for call in found.calls]
    said_page = {"count": len(data), "number": number, "size": limit}
    return JSONResponse({"data": data, "page": said_page, "next_cursor": found.cursor})


@router.get(
    ".csv",
    operation_id="exportCalls",
    summary="Every call that matches, as CSV",
    responses=answers({200: ("A line of names, then a line per call, newest first.", as_text(CSV))}),
)
async def export(request: Request, api: ApiParts, principal: MayRead, which: Wanted) -> Response:
    """The members of the Call object that are one value; a text that a spreadsheet would run begins with '."""
    wants(request, CSV)
    return await _csv(api, principal.owner, which)


async def _numbered(api: Api, owner: str, which: CallFilter, number: int, limit: int, cursor: str | None) -> CallPage:
    """Page `number` after `cursor`. Pages shift when calls are added meanwhile; a cursor's do not."""
    last = number * limit
    found: list[Call] = []
    while True:
        asked = min(PAGE_MAX, last - len(found))
        part = await api.sending.calls(owner, which, cursor, asked)
        found.extend(part.calls)
        cursor = part.cursor
        if cursor is None or number == 1 or len(found) == last:
            return CallPage(tuple(found[last - limit :]), cursor)
        if len(part.calls) < asked:  # the store has looked through as many as it does for one question
            raise _wrong("page", "too few calls match to count so far; go on with next_cursor")


# -- CSV (RFC 4180)

_NESTED = frozenset({"sip", "route", "quality"})
_NOBODY = Call("", "", "", "", "", datetime.fromtimestamp(0, UTC), sandbox=False)
COLUMNS = tuple(name for name in call_object(_NOBODY) if name not in _NESTED)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a spreadsheet knows a formula (OWASP: CSV injection)


async def _csv(api: Api, owner: str, which: CallFilter) -> Response:
    first = await api.sending.calls(owner, which, None, PAGE_MAX)  # a store that is away is a 503, not half a file
    headers = {"Content-Disposition": 'attachment; filename="calls.csv"'}
    return StreamingResponse(_lines(api, owner, which, first), media_type=CSV, headers=headers)


async def _lines(api: Api, owner: str, which: CallFilter, page: CallPage) -> AsyncIterator[str]:
    yield _written([COLUMNS])
    while True:
        yield _written([[_cell(call_object(call)[name]) for name in COLUMNS] for call in page.calls])
        if page.cursor is None or api.draining.is_set():
            return
        page = await api.sending.calls(owner, which, page.cursor, PAGE_MAX)


def _written(rows: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


# -- parameters


def _digits(number: str | None) -> str | None:
    if number is None:
        return None
    bare = number.strip().removeprefix("+")
    return bare.removeprefix("00")


def _time(name: str, text: str | None) -> datetime | None:
    try:
        return None if text is None else _moment(text)
    except ValueError as e:
        raise _wrong(name, str(e)) from e


def _wrong(name: str, detail: str) -> Invalid:
    return Invalid(f"{name}: {detail}", errors=(FieldError(f"#/{name}", "invalid", f"{name}: {detail}"),))
