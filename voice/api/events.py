"""GET /v1/calls/{id}/events: the story of a call, as a list or live as server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from messaging.clock import rfc3339
from messaging.errors import NotFound, OverLimit, Unavailable
from messaging.http import wants
from voice.api import replies
from voice.api.calls import CallId
from voice.api.openapi import answers, as_json, as_text
from voice.api.parts import FOLLOWERS_MOST, Api, ApiParts, MayRead, following, has_room_to_follow, known_call
from voice.api.reading import JSON
from voice.call_object import call_object
from voice.telling import Told

router = APIRouter(prefix="/v1/calls", tags=["Calls"])

STREAM = "text/event-stream"
HEARTBEAT_S = 15.0  # proxies close what is silent for longer; a comment line keeps them from it
RECONNECT_MS = 2000
RETRY_S = 5  # for one stream too many
HEARTBEAT = ": still here\n\n"


@router.get(
    "/{call_id}/events",
    operation_id="listEvents",
    summary="What happened to a call, in order",
    responses=answers(
        {
            200: (
                "All events so far; as a stream: those and all that follow.",
                {**as_json(replies.EventsOut), **as_text(STREAM)},
            ),
            204: ("Stream: the call has ended, and you have had its last event. Do not reconnect.", {}),
        },
        404,
    ),
)
async def events(
    request: Request,
    api: ApiParts,
    principal: MayRead,
    call_id: CallId,
    after: Annotated[int, Query(ge=0, le=1_000_000, description="Only events with a higher sequence.")] = 0,
    last_event_id: Annotated[str | None, Header(description="Sent by EventSource when it reconnects.")] = None,
) -> Response:
    """With `Accept: text/event-stream` it stays open until `call.ended`; `id` is the sequence, so nothing is missed."""
    kind = wants(request, JSON, STREAM)
    known = known_call(call_id)
    if kind == JSON:
        story = await api.sending.events(principal.owner, known)
        return JSONResponse({"data": [event_object(told) for told in story if told.event.sequence > after]})
    since = max(after, _sequence(last_event_id))
    call = await api.sending.call(principal.owner, known)
    if call.status.is_final and since >= call.sequence:  # nothing will follow: 204 tells EventSource to stay away
        return Response(status_code=204)
    following_it = await api.sending.follow(principal.owner, known, since)
    if not has_room_to_follow(api, principal.owner):
        raise OverLimit(
            f"{FOLLOWERS_MOST} streams of this account are open; close one, or ask without text/event-stream.",
            retry_after_s=RETRY_S,
        )
    return StreamingResponse(
        counted(api, principal.owner, stream(following_it, api.draining)),
        media_type=STREAM,
        headers={"X-Accel-Buffering": "no"},
    )


async def counted(api: Api, owner: str, lines: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    """Not counted before the first line is asked for: an answer that never began would count for ever."""
    with following(api, owner):
        async with aclosing(lines):
            async for line in lines:
                yield line


def _sequence(last_event_id: str | None) -> int:
    """An id we did not give means: from the beginning."""
    given = last_event_id or ""
    return int(given) if len(given) < 10 and given.isascii() and given.isdigit() else 0


def event_object(told: Told) -> dict[str, Any]:
    """`id` and `data` are those of the webhooks that tell it: `webhook-id`, and the call as it stood then."""
    event = told.event
    return {
        "id": event.event_id,
        "type": event.type,
        "timestamp": rfc3339(event.at),
        "sequence": event.sequence,
        "call_id": told.call.call_id,
        "data": call_object(told.call),
    }


async def stream(
    events: AsyncIterator[Told], draining: asyncio.Event, heartbeat_s: float = HEARTBEAT_S
) -> AsyncGenerator[str, None]:
    """Server-sent events until the story ends, we shut down or the store is away (the client comes back)."""
    yield f"retry: {RECONNECT_MS}\n\n"
    stopping = asyncio.ensure_future(draining.wait())
    arriving: asyncio.Future[Told] | None = None
    try:
        while not stopping.done():
            arriving = arriving or asyncio.ensure_future(_next(events))
            tasks: set[asyncio.Future[Any]] = {arriving, stopping}
            await asyncio.wait(tasks, timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            if not arriving.done():
                if not stopping.done():
                    yield HEARTBEAT
                continue
            try:
                told = arriving.result()
            except (StopAsyncIteration, Unavailable, NotFound):  # not found: its life was over meanwhile
                return
            arriving = None
            data = json.dumps(event_object(told))
            yield f"id: {told.event.sequence}\nevent: {told.event.type}\ndata: {data}\n\n"
    finally:
        waiting: list[asyncio.Future[Any]] = [task for task in (arriving, stopping) if task is not None]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _next(events: AsyncIterator[Told]) -> Told:
    return await anext(events)
