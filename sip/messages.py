"""SIP messages as text: what a final answer says (RFC 3261, RFC 3326), what may be kept of a message. Pure."""

import re
from dataclasses import dataclass

TEXT_MAX = 4096  # characters of one message kept for the ladder; ours have 900
_STATUS = re.compile(r"SIP/2\.0 (\d{3})(?: ([^\r\n]*))?")
_HEADER = re.compile(r"^([A-Za-z0-9.!%*_+`'~-]+)[ \t]*:[ \t]*(.*?)[ \t]*$")
_Q850 = re.compile(r"q\.850\s*;(?:[^,]*?;)?\s*cause\s*=\s*(\d{1,3})", re.IGNORECASE)
_RETRY = re.compile(r"\s*(\d{1,9})")
_LOGGED = re.compile(
    r"(?P<way>[TR]X) \d+ bytes (?:Request|Response) msg .*? (?:to|from) (?P<transport>\w+) (?P<peer>\S+):\r?\n"
    r"(?P<text>.*?)(?:\r?\n)?--end msg--",
    re.DOTALL,
)
_SECRET_HEADERS = ("authorization", "proxy-authorization", "authentication-info", "proxy-authentication-info")
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


def masked(text: str) -> str:
    """The message without what must not be kept: credentials, SRTP keys, keys pressed (INFO). Bounded."""
    head, blank, body = text.replace("\r\n", "\n").partition("\n\n")
    lines = _unfolded(head)
    kept = [_masked_header(line) for line in lines]
    if any(line.lower().startswith("cseq") and line.rstrip().upper().endswith(" INFO") for line in lines):
        body = HIDDEN if body else ""
    else:
        body = "\n".join(_masked_sdp(line) for line in body.split("\n"))
    whole = "\n".join(kept) + blank + body
    return whole if len(whole) <= TEXT_MAX else whole[: TEXT_MAX - 1] + "…"


def _masked_header(line: str) -> str:
    name = line.partition(":")[0].strip().lower()
    return f"{line.partition(':')[0]}: {HIDDEN}" if name in _SECRET_HEADERS else line


def _masked_sdp(line: str) -> str:
    for secret in ("a=crypto:", "a=key-mgmt:", "k="):
        if line.lower().startswith(secret):
            return secret + HIDDEN
    return line


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
