"""A stored SIP ladder in its five forms, for whoever shows one: of a call, of a registration."""

import json
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel

from sip import ladder as sip_ladder
from sip.ladder_mermaid import as_mermaid
from sip.ladder_pcap import as_pcap
from sip.ladder_svg import as_svg
from voice.api.openapi import as_bytes, as_json, as_text
from voice.api.reading import JSON

TEXT, MERMAID, SVG, PCAP = "text/plain", "text/vnd.mermaid", "image/svg+xml", "application/x-pcapng"
FORMS = {"json": JSON, "text": TEXT, "mermaid": MERMAID, "svg": SVG, "pcap": PCAP}
Form = Annotated[
    Literal["json", "text", "mermaid", "svg", "pcap"] | None, Query(alias="format", description="Stronger than Accept.")
]
US = "tocsin"
# An SVG is a document: opened by itself it may draw, and do nothing else.
_SVG_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def in_forms(model: type[BaseModel]) -> dict[str, Any]:
    """The answers, for the description; `model`: of the one in JSON."""
    return {**as_json(model), **as_text(), **as_text(MERMAID), **as_text(SVG), **as_bytes(PCAP)}


def drawn(kind: str, trace: str, name: str, *, of: str = "call_id") -> Response:
    """A stored ladder in one of `FORMS`; `name`: what it is of, an `of`."""
    if kind == JSON:
        messages: list[dict[str, Any]] = json.loads(trace)
        return JSONResponse({of: name, "messages": messages})
    rows = sip_ladder.from_json(trace)
    if kind == PCAP:
        return Response(
            as_pcap(rows), media_type=PCAP, headers={"Content-Disposition": f'attachment; filename="{name}.pcapng"'}
        )
    if kind == SVG:
        return Response(as_svg(rows, US, name), media_type=SVG, headers=_SVG_HEADERS)
    if kind == MERMAID:
        return PlainTextResponse(as_mermaid(rows, US), media_type=MERMAID)
    return PlainTextResponse(sip_ladder.as_text(rows, US, rows[0].peer if rows else ""))
