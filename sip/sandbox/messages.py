"""SIP messages in a datagram (RFC 3261 section 7): bytes to values and back; tolerant to read, strict to write.

Text is decoded as UTF-8 with surrogate escapes, so that whatever a peer sent is echoed byte for byte where the RFC
wants it echoed.
"""

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass

Address = tuple[str, int]

REASONS = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    400: "Bad Request",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
}

_COMPACT = {
    "a": "accept-contact",
    "c": "content-type",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "v": "via",
    "x": "session-expires",
}
_SINGLE = ("from", "to", "call-id", "cseq")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,64}")
_SENT_BY = re.compile(
    r"SIP\s*/\s*2\.0\s*/\s*[A-Za-z0-9]+\s+(\[[0-9A-Fa-f:.]+\]|[^\s:;,]+)\s*(?::\s*([0-9]{1,5}))?\s*(;.*)?$", re.I | re.S
)
_RPORT = re.compile(r";\s*rport\s*(?==|;|$)(=\s*[0-9]*)?", re.I)


class Malformed(ValueError):
    """No SIP message, or a request that nobody could answer: it lacks what a response must repeat."""


@dataclass(frozen=True, slots=True)
class Via:
    """The topmost Via: where the request comes from."""

    host: str
    port: int
    branch: str
    has_rport: bool


@dataclass(frozen=True, slots=True)
class Headers:
    """Names in lower case and long form, in the order of the message."""

    rows: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.rows if key == name), None)

    def all(self, name: str) -> list[str]:
        """Every value, lists taken apart at their commas."""
        return [part for key, value in self.rows if key == name for part in split_list(value)]


@dataclass(frozen=True, slots=True)
class Request:
    """`problem`: code and words to refuse it with, when it can be answered but not obeyed."""

    method: str
    uri: str
    headers: Headers
    body: bytes
    via: Via
    call_id: str
    cseq: int
    from_tag: str
    to_tag: str
    problem: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Response:
    code: int
    reason: str
    headers: Headers
    branch: str
    method: str  # of the request it answers


def parse(datagram: bytes) -> Request | Response:
    """Raises Malformed."""
    head, body = _split(datagram)
    lines = _unfold(head)
    headers = Headers(tuple(_rows(lines[1:])))
    first = lines[0].strip()
    if first[:8].upper() == "SIP/2.0 ":
        return _response(first, headers)
    return _request(first, headers, body)


def _split(datagram: bytes) -> tuple[str, bytes]:
    datagram = datagram.lstrip(b"\r\n")
    end = re.search(rb"\r\n\r\n|\n\n|\r\r", datagram)
    head, body = (datagram[: end.start()], datagram[end.end() :]) if end else (datagram, b"")
    text = head.decode("utf-8", "surrogateescape")
    if not text.strip() or "\x00" in text:
        raise Malformed("no text")
    return text, body


def _unfold(head: str) -> list[str]:
    lines: list[str] = []
    for line in re.split(r"\r\n|\n|\r", head):
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return lines


def _rows(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if colon and _TOKEN.fullmatch(name):
            yield _COMPACT.get(name, name), value.strip()


def _response(first: str, headers: Headers) -> Response:
    found = re.fullmatch(r"SIP/2\.0 +([1-6][0-9][0-9])(?: +(.*))?", first, re.I)
    via = headers.all("via")
    cseq = (headers.get("cseq") or "").split()
    if not found or not via or len(cseq) != 2:
        raise Malformed("no status line, Via or CSeq")
    return Response(int(found[1]), found[2] or "", headers, parse_via(via[0]).branch, cseq[1].upper())


def _request(first: str, headers: Headers, body: bytes) -> Request:
    parts = first.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not parts[1]:
        raise Malformed("no request line")
    method, uri, version = parts
    values = {name: headers.get(name) for name in _SINGLE}
    vias = headers.all("via")
    cseq = re.fullmatch(r"([0-9]{1,10})\s+(\S+)", values["cseq"] or "")
    if not vias or not cseq or not all(values.values()):
        raise Malformed("Via, From, To, Call-ID or CSeq is missing")
    request = Request(
        method=method,
        uri=uri,
        headers=headers,
        body=body,
        via=parse_via(vias[0]),
        call_id=values["call-id"] or "",
        cseq=int(cseq[1]),
        from_tag=parameter(values["from"] or "", "tag") or "",
        to_tag=parameter(values["to"] or "", "tag") or "",
    )
    return _judged(request, version, cseq[2])


def _judged(request: Request, version: str, cseq_method: str) -> Request:
    """The request with the first fault a response can name, and its body cut to Content-Length (section 18.3)."""
    length = request.headers.get("content-length")
    problem: tuple[int, str] | None = None
    body = request.body
    if version.upper() != "SIP/2.0":
        problem = 505, REASONS[505]
    elif cseq_method != request.method:
        problem = 400, "CSeq Method Differs"
    elif request.cseq >= 2**31:
        problem = 400, "CSeq Too Large"
    elif any(sum(key == name for key, _ in request.headers.rows) > 1 for name in _SINGLE):
        problem = 400, "Repeated Header"
    elif length is not None:
        if not re.fullmatch(r"[0-9]{1,7}", length) or int(length) > len(body):
            problem = 400, "Bad Content-Length"
        else:
            body = body[: int(length)]
    return dataclasses.replace(request, body=body, problem=problem)


def parse_via(value: str) -> Via:
    found = _SENT_BY.match(value)
    if not found or int(found[2] or 5060) > 65535:
        raise Malformed("bad Via")
    rest = found[3] or ""
    return Via(
        host=found[1].strip("[]").lower(),
        port=int(found[2] or 5060),
        branch=parameter(value, "branch") or "",
        has_rport=bool(_RPORT.search(rest)),
    )


def split_list(value: str) -> list[str]:
    """The members of a comma-separated header; commas in quotes or angle brackets do not separate."""
    parts, start, quoted, depth = [], 0, False, 0
    for at, char in enumerate(value):
        if char == '"' and (at == 0 or value[at - 1] != "\\"):
            quoted = not quoted
        elif not quoted and char in "<>":
            depth += 1 if char == "<" else -1
        elif char == "," and not quoted and depth <= 0:
            parts.append(value[start:at].strip())
            start = at + 1
    parts.append(value[start:].strip())
    return [part for part in parts if part]


def parameter(value: str, name: str) -> str | None:
    """A header parameter of an address or a Via: not one of the URI inside angle brackets."""
    tail = value.rpartition(">")[2] if ">" in value else value.partition(";")[2]
    for part in tail.split(";"):
        key, _, content = part.partition("=")
        if key.strip().lower() == name:
            return content.strip()
    return None


def address_uri(value: str) -> str:
    """The URI of a Contact, Route, From or To."""
    found = re.search(r"<([^<>]*)>", value)
    return found[1].strip() if found else value.partition(";")[0].strip()


def uri_user(uri: str) -> str:
    """The user part of a sip:, sips: or tel: URI without its parameters; "" if there is none."""
    found = re.match(r"(?:sips?:([^@;?]*)(?:;[^@]*)?@|tel:([^;?]*))", uri, re.I)
    return (found[1] or found[2] or "") if found else ""


def uri_address(uri: str) -> Address | None:
    """Host and port of a sip: URI, when the host stands there as an IPv4 address."""
    found = re.match(r"sip:(?:[^@]*@)?([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::([0-9]{1,5}))?(?=[;?]|$)", uri, re.I)
    if not found or not 0 < int(found[2] or 5060) < 65536:
        return None
    return found[1], int(found[2] or 5060)


def response_address(request: Request, source: Address) -> Address:
    """Where the response goes: RFC 3261 section 18.2.2, RFC 3581 section 4."""
    return source if request.via.has_rport else (source[0], request.via.port)


def respond(
    request: Request,
    code: int,
    reason: str | None = None,
    *,
    source: Address,
    to_tag: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> bytes:
    """The response as bytes (RFC 3261 section 8.2.6): Via, From, To, Call-ID, CSeq repeated, To tag added."""
    first, *others = request.headers.all("via")
    rows = [("Via", _stamped(first, request.via, source)), *(("Via", via) for via in others)]
    if code > 100 and request.method == "INVITE":
        rows += [("Record-Route", value) for value in request.headers.all("record-route")]
    to = request.headers.get("to") or ""
    rows += [
        ("From", request.headers.get("from") or ""),
        ("To", to if code == 100 or request.to_tag else f"{to};tag={to_tag}"),
        ("Call-ID", request.call_id),
        ("CSeq", request.headers.get("cseq") or ""),
    ]
    timestamp = request.headers.get("timestamp")
    if code == 100 and timestamp:
        rows.append(("Timestamp", timestamp))
    return write(f"SIP/2.0 {code} {reason or REASONS.get(code, '')}", [*rows, *headers], body)


def _stamped(value: str, via: Via, source: Address) -> str:
    """The top Via with what we saw of the sender."""
    if via.has_rport:
        return _RPORT.sub(f";rport={source[1]}", value, count=1) + f";received={source[0]}"
    return value if via.host == source[0] else f"{value};received={source[0]}"


def write(first: str, rows: Iterable[tuple[str, str]], body: bytes = b"") -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in rows), f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body
