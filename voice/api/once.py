"""Idempotency-Key: the same request twice is one request. The store decides; here it is scoped and replayed."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from fastapi.responses import Response

from messaging.errors import FieldError, IdempotencyInProgress, Invalid
from voice.api.parts import Principal, api_of
from voice.api.reading import JSON, Body
from voice.store import Accepted

Once = tuple[str, str]  # scoped key, fingerprint

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")
IN_FLIGHT_RETRY_S = 1


@asynccontextmanager
async def only_once(request: Request, principal: Principal, body: Body) -> AsyncIterator[Once | None]:
    """What `Sending.send` needs to serve this request once, None without the header.

    Raises Invalid for a malformed key and IdempotencyInProgress while this process works on the same key.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        yield None
        return
    if not _PRINTABLE.fullmatch(key) or not key.strip():
        detail = "Idempotency-Key should have 1 to 255 printable ASCII characters."
        raise Invalid(detail, errors=(FieldError("#/Idempotency-Key", "invalid", detail),))
    address = f"{request.method}\n{request.url.path}\n{key}"
    scoped = f"{principal.owner}:{hashlib.sha256(address.encode()).hexdigest()}"
    in_flight: set[str] = api_of(request).in_flight
    if scoped in in_flight:
        raise IdempotencyInProgress(retry_after_s=IN_FLIGHT_RETRY_S)
    in_flight.add(scoped)
    try:
        yield scoped, hashlib.sha256(body.canonical.encode()).hexdigest()
    finally:
        in_flight.discard(scoped)


def replayed(first: Accepted, headers: dict[str, str] | None = None) -> Response:
    """The first answer, word for word. `headers`: those it had that can be told from its body."""
    said = {"Idempotent-Replayed": "true", **(headers or {})}
    return Response(first.body, first.status or 200, said, media_type=JSON)
