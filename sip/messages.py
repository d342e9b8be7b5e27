"""SIP messages as text: what a final answer says (RFC 3261, RFC 3326), what may be kept of a message. Pure."""

import re
from dataclasses import dataclass

TEXT_MAX = 4096  # characters of one message that are kept; an INVITE of ours is below 1300
_STATUS = re.compile(r"SIP/2\.0 (\d{3})(?: ([^\r\n]*))?")
_HEADER = re.compile(r"^([A-Za-z0-9.!%*_+`'~-]+)[ \t]*:[ \t]*(.*?)[ \t]*$")
_Q850 = re.compile(r"q\.850\s*;(?:[^,]*?;)?\s*cause\s*=\s*(\d{1,3})", re.IGNORECASE)
_RETRY = re.compile(r"\s*(\d{1,9})")
_REALM = re.compile(r'^(?:www|proxy)-authenticate[ \t]*:.*?\brealm[ \t]*=[ \t]*"([^"\r\n]{0,200})"', re.I | re.M)
_LOGGED = re.compile(
    r"(?P<way>[TR]X) \d+ bytes (?:Request|Response) msg .*? (?:to|from) (?P<transport>\w+) (?P<peer>\S+):\r?\n"
    r"(?P<text>.*?)(?:\r?\n)?--end msg--",
    re.DOTALL,
)
# The value runs to the next line that is not a continuation (RFC 3261 section 7.3.1). A bare CR ends a line for some
# parsers and not for others: as a start it counts, as an end it does not, so nothing slips through between the two.
_CREDENTIALS = re.compile(
    r"(?:(?<=[\r\n])|\A)([ \t]*)((?:proxy-)?(?:authorization|authentication-info))[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*",
    re.IGNORECASE,
)
_SDP_KEYS = re.compile(r"(?:(?<=[\r\n])|\A)(a=crypto:|a=key-mgmt:|k=)[^\n]*", re.IGNORECASE)  # RFC 4568, 4567, 8866
_INFO = re.compile(r"\A\s*INFO\s|(?:(?<=[\r\n]))cseq[ \t]*:[ \t]*\d+[ \t]+INFO\b", re.IGNORECASE)
_BODY = re.compile(r"\r?\n\r?\n|\r\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_COMPACT = {"i": "call-id", "c": "content-type", "l": "content-length"}
HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Answer:
    """The status line word for word, and the headers of it that say why."""

    code: int
    reason: str
    reason_header: str | None = None
    q850: int | None = None
    retry_after_s: int | None = None
    has_sdp: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One message as PJSIP's log shows it. `code` 0: a request. `method` is that of the CSeq."""

    sent: bool
    peer: str
    text: str
    sip_call_id: str
    method: str
    code: int


def read_answer(text: str) -> Answer | None:
    """None when the text is no response."""
    status = _STATUS.match(text)
    if status is None:
        return None
    headers = _headers(text)
    why = headers.get("reason")
    cause = _Q850.search(why) if why else None
    retry = _RETRY.match(headers.get("retry-after", ""))
    return Answer(
        code=int(status[1]),
        reason=(status[2] or "")[:200],
        reason_header=why[:500] if why else None,
        q850=int(cause[1]) if cause else None,
        retry_after_s=int(retry[1]) if retry else None,
        has_sdp=headers.get("content-type", "").lower().startswith("application/sdp"),
    )


def read_log(entry: str) -> Seen | None:
    """The message in a log entry; None for every other entry."""
    found = _LOGGED.search(entry)
    if found is None:
        return None
    text = found["text"]
    headers = _headers(text)
    status = _STATUS.match(text)
    cseq = headers.get("cseq", "").split()
    return Seen(
        sent=found["way"] == "TX",
        peer=found["peer"],
        text=text,
        sip_call_id=headers.get("call-id", ""),
        method=cseq[1] if len(cseq) == 2 else "",
        code=int(status[1]) if status else 0,
    )


def reason_of(text: str) -> tuple[str | None, int | None]:
    """The Reason header of any message and the Q.850 cause in it: a BYE has one too."""
    why = _headers(text).get("reason")
    cause = _Q850.search(why) if why else None
    return (why[:500] if why else None), (int(cause[1]) if cause else None)


def header_of(text: str, *names: str) -> str:
    """The first value of the first of these headers that it has, names in lower case; empty when it has none."""
    headers = _headers(text)
    return next((headers[name] for name in names if name in headers), "")


def challenge_realm(text: str) -> str:
    """The realm that a 401 or 407 asks a login for; empty when it names none."""
    found = _REALM.search(text)
    return found[1] if found else ""


def masked(text: str | bytes) -> str:
    """The message without credentials, media keys and INFO bodies (keys pressed). Repeating it changes nothing.

    Nonces of challenges stay: they are not secret, and a wrong login cannot be explained without them.
    """
    said = _text(text)
    body = _BODY.search(said)
    if body and _INFO.search(said[: body.end()]):
        said = said[: body.end()] + (HIDDEN if said[body.end() :].strip() else "")
    said = _CREDENTIALS.sub(rf"\1\2: {HIDDEN}", said)
    said = _SDP_KEYS.sub(rf"\1{HIDDEN}", said)
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", said)


def kept(text: str | bytes) -> str:
    """`masked`, and no longer than `TEXT_MAX`: a hostile peer cannot fill the store."""
    whole = masked(text)
    return whole if len(whole) <= TEXT_MAX else whole[: TEXT_MAX - 1] + "…"


def has_login(text: str) -> bool:
    """Does the message carry credentials, hidden or not?"""
    return _CREDENTIALS.search(text) is not None


def _text(raw: str | bytes) -> str:
    """At most 64 Ki (the largest UDP datagram), as UTF-8 (RFC 3261 section 7) as far as it is."""
    octets = raw[:65536] if isinstance(raw, bytes) else raw[:65536].encode("utf-8", "replace")
    return octets.decode("utf-8", "replace")


def _unfolded(head: str) -> list[str]:
    """RFC 3261 section 7.3.1: a line that begins with white space continues the one before, secrets too."""
    lines: list[str] = []
    for line in head.split("\n"):
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return lines


def _headers(text: str) -> dict[str, str]:
    """First value of each header, names in lower case and in full."""
    head = text.replace("\r\n", "\n").partition("\n\n")[0]
    found: dict[str, str] = {}
    for line in _unfolded(head)[1:]:
        match = _HEADER.match(line)
        if match:
            name = match[1].lower()
            found.setdefault(_COMPACT.get(name, name), match[2])
    return found
