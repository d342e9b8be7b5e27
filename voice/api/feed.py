"""GET /v1/events: what happened that is about no call, in order, for whoever was away."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from messaging.http import wants
from voice.api import replies
from voice.api.openapi import answers, as_json
from voice.api.parts import ApiParts, MayRead
from voice.api.reading import JSON

router = APIRouter(prefix="/v1/events", tags=["Trunks"])

FROM_THE_FIRST = "0-0"
PAGE = 25
PAGE_MOST = 200


@router.get(
    "",
    operation_id="listTrunkEvents",
    summary="What happened to trunks",
    responses=answers({200: ("Oldest first.", as_json(replies.FeedOut))}),
)
async def feed(
    request: Request,
    api: ApiParts,
    principal: MayRead,
    after: Annotated[
        str,
        Query(
            pattern=r"^[0-9]{1,15}-[0-9]{1,9}$",
            max_length=25,
            description="The `cursor` of the last answer.",
            examples=["1764014400000-0"],
        ),
    ] = FROM_THE_FIRST,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST)] = PAGE,
) -> Response:
    """`trunk.*`, kept for 30 days. `cursor` is where to go on, also when nothing new is there.

    A test key sees those of the sandbox's trunks. What happened to a call is at `/v1/calls/{call_id}/events`.
    """
    wants(request, JSON)
    page = await api.record.feed(principal.owner, after, limit)
    return JSONResponse({"data": list(page.events), "cursor": page.cursor})
