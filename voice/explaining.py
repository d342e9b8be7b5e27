"""Why did this call end so, and what proves it: a Call object and its ladder -> sentence, side, evidence. Pure.

`voice/explain.py` knows what each cause means; here is what was seen of this one call. Each piece of evidence that
stands in the ladder names its row, counted from 1.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sip.causes import Cause
from sip.ladder import Kind, Row, kind, label, method
from voice.explain import explain_call

Test = Callable[[Row], bool]
Value = str | int | float | bool

# Of a final answer: what says more than its code does.
_HEADERS = re.compile(
    r"^(warning|contact|retry-after|www-authenticate|proxy-authenticate|call-info|unsupported)[ \t]*:"
    r"[ \t]*([^\r\n]{1,300})",
    re.IGNORECASE | re.MULTILINE,
)
_REALM = re.compile(r'realm[ \t]*=[ \t]*"([^"\r\n]{1,100})"', re.IGNORECASE)
_REASON = re.compile(r"^reason[ \t]*:[ \t]*([^\r\n]{1,300})", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact. `what`: its name; `value`: word for word where a peer said it; `ladder_row`: which row says so."""

    what: str
    value: Value
    ladder_row: int | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """`side`: whose side failed (person, request, account, trunk, network, us), None: nobody's. `code`: the cause."""

    call_id: str
    status: str
    code: str
    title: str
    sentence: str
    side: str | None
    retryable: bool
    next_step: str
    evidence: tuple[Evidence, ...]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "evidence": [asdict(fact) for fact in self.evidence]}


def explained(call: Mapping[str, Any], rows: Sequence[Row] = (), again: str | None = None) -> Explained:
    """For a Call object, final or not; `rows`: its ladder, empty when none is stored.

    `again`: the retry class of its ending, which stands in no Call object; None: by its cause alone.
    """
    entry = explain_call(call, again)
    return Explained(
        call_id=str(call.get("call_id") or ""),
        status=str(call.get("status") or ""),
        code=entry.code,
        title=entry.title,
        sentence=entry.sentence,
        side=entry.fault,
        retryable=entry.retryable,
        next_step=entry.next_step,
        evidence=tuple(_evidence(call, rows)),
    )


def _evidence(call: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Evidence]:
    yield from _asked(call, rows)
    yield from _set_up(call, rows)
    yield from _answer(call, rows)
    yield from _end(call, rows)
    yield from _heard(call)


def _asked(call: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Evidence]:
    """What we sent: to whom, as whom, with which codecs, how often."""
    invites = [n for n, row in enumerate(rows, 1) if row.sent and kind(row) is Kind.REQUEST and method(row) == "INVITE"]
    first = invites[0] if invites else None
    if not call.get("start_at"):
        yield Evidence("dialled", False)
        return
    yield Evidence("invite_sent_at", str(call["start_at"]), first)
    if len(invites) > 1:
        yield Evidence("invites_sent", len(invites), invites[-1])
    for name in ("wire_to", "wire_from"):
        if call.get(name):
            yield Evidence(name, str(call[name]), first)
    if call.get("hangup_cause") == Cause.MEDIA_INCOMPATIBLE and first and rows[first - 1].codecs:
        yield Evidence("codecs_offered", ", ".join(rows[first - 1].codecs), first)


def _set_up(call: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Evidence]:
    """What came back before the final answer."""
    for number, row in enumerate(rows, 1):
        if not row.sent and row.first_line[8:11] in ("401", "407") and method(row) == "INVITE":
            realm = _REALM.search(row.text)
            yield Evidence("login_asked", realm[1] if realm else "", number)
    rang = _first(rows, lambda row: not row.sent and row.first_line[8:11] in ("180", "181", "182", "183"))
    waited = _ms(call.get("start_at"), call.get("ring_at"))
    if waited is not None:
        yield Evidence("rang_after_ms", waited, rang)
    if call.get("pdd_ms") is not None:
        yield Evidence("pdd_ms", call["pdd_ms"], rang)
    if rows and call.get("start_at") and not any(not row.sent for row in rows):
        yield Evidence("answers_received", 0)
    waited = _ms(call.get("start_at"), call.get("answer_at"))
    if waited is not None:
        yield Evidence("answered_after_ms", waited, _first(rows, _is_final_answer("200")))


def _answer(call: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Evidence]:
    """The final answer, word for word, and what it says beside its code."""
    sip = call.get("sip") or {}
    if not sip.get("code"):
        return
    is_remote = sip.get("origin") != "local"
    number = _last(rows, _is_final_answer(str(sip["code"]))) if is_remote else None
    yield Evidence("sip_answer", f"{sip['code']} {sip.get('reason') or ''}".strip(), number)
    yield Evidence("origin", "remote" if is_remote else "local", number)
    if sip.get("reason_header"):
        yield Evidence("reason_header", str(sip["reason_header"]), _saying(rows, sip["reason_header"]) or number)
        if sip.get("q850") is not None:  # without the header it is only what the code amounts to
            yield Evidence("q850", sip["q850"], number)
    if number and int(sip["code"]) >= 300:
        for name, value in _HEADERS.findall(rows[number - 1].text):
            yield Evidence(name.lower().replace("-", "_"), value.strip(), number)
    if sip.get("call_id"):
        yield Evidence("sip_call_id", str(sip["call_id"]))


def _end(call: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[Evidence]:
    """Who ended it, when, and with which words."""
    if call.get("hangup_source"):
        number = _last(rows, lambda row: kind(row) is Kind.REQUEST and method(row) in ("BYE", "CANCEL"))
        yield Evidence("ended_by", str(call["hangup_source"]), number)
        if number:
            row = rows[number - 1]
            yield Evidence("end_message", f"{label(row)} {'sent' if row.sent else 'received'}", number)
            why = _REASON.search(row.text)
            if why:
                yield Evidence("end_reason_header", why[1].strip(), number)
    if call.get("detail"):
        yield Evidence("detail", str(call["detail"]))
    if call.get("start_at") and call.get("end_at"):
        yield Evidence("ended_after_ms", _ms(call["start_at"], call["end_at"]) or 0)
    if call.get("permanent"):
        yield Evidence("permanent", True)
    if call.get("may_have_rung"):
        yield Evidence("may_have_rung", True)


def _heard(call: Mapping[str, Any]) -> Iterator[Evidence]:
    """What left for a phone that was off the hook, and how well it went."""
    if not call.get("answer_at"):
        return
    for name in ("heard_ms", "heard_pct", "played_to_end", "codec"):
        if call.get(name) not in (None, ""):
            yield Evidence(name, call[name])
    for name, value in (call.get("quality") or {}).items():
        if value is not None:
            yield Evidence(name, value)


def _is_final_answer(code: str) -> Test:
    def is_it(row: Row) -> bool:
        return not row.sent and row.first_line.startswith(f"SIP/2.0 {code}") and method(row) in ("INVITE", "")

    return is_it


def _first(rows: Sequence[Row], is_it: Test) -> int | None:
    return next((number for number, row in enumerate(rows, 1) if is_it(row)), None)


def _last(rows: Sequence[Row], is_it: Test) -> int | None:
    return next((number for number in range(len(rows), 0, -1) if is_it(rows[number - 1])), None)


def _saying(rows: Sequence[Row], words: str) -> int | None:
    """The last row whose Reason header this is: that of an answer or of a BYE."""
    return _last(rows, lambda row: (found := _REASON.search(row.text)) is not None and found[1].strip() == words)


def _ms(start: str | None, end: str | None) -> int | None:
    if not start or not end:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)
