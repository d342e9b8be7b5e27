"""SIP messages seen on the wire -> a ladder of rows, as JSON or as text, with what is secret taken out. Pure.

The parser is total: whatever a peer sends becomes a row. Sizes are bounded: a hostile peer cannot fill the store.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sip.events import Trace
from sip.messages import has_login, kept

ROWS_MAX = 200
FIRST_LINE_MAX = 160
SLOW_MS = 2000  # a gap worth pointing at

_MEDIA = re.compile(r"^m=audio[ ]+\d[^ \n]*[ ]+\S+[ ]+([0-9 ]+)", re.MULTILINE)
_RTPMAP = re.compile(r"^a=rtpmap:(\d{1,3})[ ]+([A-Za-z0-9.-]{1,32})/", re.MULTILINE)
_CSEQ = re.compile(r"^cseq[ \t]*:[ \t]*\d+[ \t]+([^\s]{1,32})", re.MULTILINE | re.IGNORECASE)
_STATIC = {"0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "18": "G729"}  # RFC 3551 section 6
_CODECS_MAX = 16


class Kind(StrEnum):
    """What a row is, as every drawing tells it apart."""

    REQUEST = "request"
    PROVISIONAL = "provisional"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Row:
    """One message. `at`: Unix seconds. `delta_ms`: since the row before. `size`: characters as it was on the wire."""

    at: float
    delta_ms: int
    sent: bool
    peer: str
    first_line: str
    sdp: bool
    codecs: tuple[str, ...]
    size: int
    text: str


Ladder = tuple[Row, ...]


def ladder(traces: Iterable[Trace]) -> Ladder:
    """Rows in order of time, at most `ROWS_MAX`: the first half and the last, when there are more."""
    seen = sorted(traces, key=lambda trace: trace.at)
    if len(seen) > ROWS_MAX:
        seen = seen[: ROWS_MAX // 2] + seen[-ROWS_MAX // 2 :]
    rows: list[Row] = []
    for trace in seen:
        before = rows[-1].at if rows else trace.at
        rows.append(_row(trace, round((trace.at - before) * 1000)))
    return tuple(rows)


def _row(trace: Trace, delta_ms: int) -> Row:
    text = kept(trace.text)
    codecs = _codecs(text)
    return Row(
        at=trace.at,
        delta_ms=delta_ms,
        sent=trace.sent,
        peer="".join(letter for letter in trace.peer if letter.isprintable())[:64],
        first_line=_first_line(text),
        sdp=codecs is not None,
        codecs=codecs or (),
        size=len(trace.text),
        text=text,
    )


def _first_line(text: str) -> str:
    line = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line.strip())[
        :FIRST_LINE_MAX
    ]


def _codecs(text: str) -> tuple[str, ...] | None:
    """Names of the audio formats in the SDP, in order of preference; None without SDP for audio."""
    media = _MEDIA.search(text)
    if media is None:
        return None
    names = _STATIC | {number: name.upper() for number, name in _RTPMAP.findall(text)}
    return tuple(_short(names.get(number, number)) for number in media[1].split()[:_CODECS_MAX])


def _short(codec: str) -> str:
    return "tel" if codec == "TELEPHONE-EVENT" else codec[:16]


def as_json(rows: Sequence[Row]) -> str:
    """A JSON array: `at` RFC 3339 in UTC with milliseconds, `direction` sent or received, the rest as in Row."""
    return json.dumps([_as_object(row) for row in rows], ensure_ascii=False, separators=(",", ":"))


def _as_object(row: Row) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "delta_ms": row.delta_ms,
        "direction": "sent" if row.sent else "received",
        "peer": row.peer,
        "first_line": row.first_line,
        "sdp": row.sdp,
        "codecs": list(row.codecs),
        "size": row.size,
        "text": row.text,
    }


def from_json(text: str) -> Ladder:
    """The rows of `as_json`, times to the millisecond. Raises ValueError or KeyError for anything else."""
    return tuple(
        Row(
            at=datetime.fromisoformat(row["at"]).timestamp(),
            delta_ms=row["delta_ms"],
            sent=row["direction"] == "sent",
            peer=row["peer"],
            first_line=row["first_line"],
            sdp=row["sdp"],
            codecs=tuple(row["codecs"]),
            size=row["size"],
            text=row["text"],
        )
        for row in json.loads(text)
    )


def kind(row: Row) -> Kind:
    if not row.first_line.startswith("SIP/2.0 "):
        return Kind.REQUEST
    return Kind.PROVISIONAL if row.first_line[8:9] == "1" else Kind.FINAL


def method(row: Row) -> str:
    """Of a request; of an answer, what it answers: the method of its CSeq. Empty when neither can be told."""
    if kind(row) is Kind.REQUEST:
        return row.first_line.split(" ", 1)[0]
    found = _CSEQ.search(row.text)
    return found[1].upper() if found else ""


def label(row: Row) -> str:
    """`INVITE (auth) (SDP PCMA,PCMU,tel)`, `180 Ringing`."""
    if kind(row) is Kind.REQUEST:
        words = (method(row) or "(empty)") + (" (auth)" if has_login(row.text) else "")
    else:
        words = row.first_line.removeprefix("SIP/2.0 ")
    return words + (f" (SDP {','.join(row.codecs)})" if row.sdp else "")


def slow(row: Row, before: Row | None) -> str:
    """An answer that took long; not the one after 18x (a person takes time), nor a request (a talk takes time)."""
    rang = before is not None and before.first_line.startswith("SIP/2.0 18")
    if rang or row.delta_ms < SLOW_MS or kind(row) is Kind.REQUEST:
        return ""
    return f"slow: {row.delta_ms / 1000:.1f} s"


def host(peer: str) -> str:
    """`41.2.3.4:5060` -> `41.2.3.4`, `[::1]:5060` -> `::1`."""
    name, colon, port = peer.rpartition(":")
    return (name if colon and port.isdigit() else peer).strip("[]")


def lanes(rows: Sequence[Row]) -> tuple[str, ...]:
    """The hosts on the other side, in the order in which they came up."""
    return tuple(dict.fromkeys(host(row.peer) for row in rows))


_LANE = 44  # characters between the two lanes
_GAP = 12  # for the time
_STROKES = {Kind.REQUEST: "─", Kind.PROVISIONAL: "·", Kind.FINAL: "═"}


def as_text(rows: Sequence[Row], us: str, them: str, *, numbered: bool = False) -> str:
    """A ladder to read: requests solid, provisional answers dotted, final answers double; time since the row before.

    `numbered`: each row begins with its number, from 1, for those who point at rows.
    """
    left, right = us[:_LANE], them[:_LANE]
    gap = "     " if numbered else ""
    lines = [f"{gap}{'Δ ms':>{_GAP - 4}}    {left}{right:>{max(_LANE + 2 - len(left), len(right) + 1)}}"]
    for number, (before, row) in enumerate(zip((None, *rows), rows, strict=False), 1):
        late = slow(row, before)
        lines.append((f"{number:>4} " if numbered else "") + _line(row) + (f"  ← {late}" if late else ""))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _line(row: Row) -> str:
    stroke = _STROKES[kind(row)]
    words = f" {label(row)} "[: _LANE - 6]
    arrow = f"{stroke * 6}{words}".ljust(_LANE - 1, stroke)
    drawn = f"{arrow}►" if row.sent else f"◄{arrow}"
    return f"{f'{row.delta_ms:+d}':>{_GAP - 4}}    │{drawn}│"
