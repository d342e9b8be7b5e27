"""Why did it end so, whose side is it, does trying again help, what to do: for every word and number we ever say.

`explain` knows causes, their numbers, statuses, SIP answers and the error codes of the API; `sentence_for`, `word_for`
and `exit_code` read a Call object (the JSON of the API, so the command line needs nothing else).
"""

import difflib
import importlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum
from functools import cache
from types import MappingProxyType
from typing import Any

from messaging.errors import ServiceError, catalogue
from sip.causes import ABOUT, CAUSE_CODES, Again, Cause
from sip.outcomes import IN_VAIN, SIP_CODES, of_answer
from voice.calls import Status
from voice.explanations import CAUSES, NOTES, PHRASES, PROGRESS, STATUSES, Text


@dataclass(frozen=True, slots=True)
class Explanation:
    """One entry of the dictionary. `fault`: person, request, account, trunk, network, us, or None (nobody's)."""

    code: str
    title: str
    sentence: str
    fault: str | None
    retryable: bool
    next_step: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Exit(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CONFIG = 3
    AUTH = 4
    NOT_FOUND = 5
    RATE_LIMITED = 6
    UNREACHABLE = 7
    DIFFERS = 8
    BUSY = 10
    NO_ANSWER = 11
    DECLINED = 12
    NOT_IN_SERVICE = 13
    TRUNK_FAILURE = 14
    NO_AUDIO = 15
    VOICEMAIL = 16
    WRONG_KEY = 17
    NEVER_DIALLED = 18
    TIMEOUT = 124
    INTERRUPTED = 130


# The blocks of hangup_cause_code (its thousands) tell most, these causes the rest.
_EXIT_OF_BLOCK = {
    2: Exit.NOT_IN_SERVICE,
    4: Exit.OK,
    5: Exit.TRUNK_FAILURE,
    6: Exit.NO_AUDIO,
    7: Exit.TRUNK_FAILURE,
    8: Exit.NEVER_DIALLED,
    9: Exit.UNEXPECTED,
}
_EXIT_OF_CAUSE = {
    Cause.CANCELED_BY_API: Exit.INTERRUPTED,
    Cause.VALIDITY_EXPIRED: Exit.NEVER_DIALLED,
    Cause.REMOTE_CANCEL: Exit.TRUNK_FAILURE,
    Cause.USER_BUSY: Exit.BUSY,
    Cause.RING_TIMEOUT: Exit.NO_ANSWER,
    Cause.NO_USER_RESPONDING: Exit.NO_ANSWER,
    Cause.TEMPORARILY_UNAVAILABLE: Exit.NO_ANSWER,
    Cause.CALL_DECLINED: Exit.DECLINED,
    Cause.UNWANTED: Exit.DECLINED,
    Cause.ANALYTICS_BLOCKED: Exit.DECLINED,
    Cause.MEDIA_INCOMPATIBLE: Exit.TRUNK_FAILURE,
}

EXIT_CODES: Mapping[Cause, Exit] = MappingProxyType(
    {
        cause: _EXIT_OF_CAUSE[cause] if cause in _EXIT_OF_CAUSE else _EXIT_OF_BLOCK[number // 1000]
        for cause, number in CAUSE_CODES.items()
    }
)
"""Cause of a call's end -> exit code, for calls that were not answered; see `exit_code`."""

ERROR_HOMES = (
    "messaging.errors",
    "messaging.guard",
    "messaging.numbers",
    "voice.caps",
    "voice.destinations",
    "voice.selftest",
    "voice.trunk_entry",
)
"""Where ServiceError and its subclasses are defined; a test finds the ones that are missing here."""

HEARD_PCT = 80  # from here on a message counts as heard, unless the service is set otherwise

_HELPS = frozenset({Again.LATER, Again.NEXT_TRUNK})  # the retry classes in which another attempt may end better

_SIP = re.compile(r"(?:SIP(?:/2\.0)?[ :_]*)?([1-6]\d\d)(?:[ _].*)?", re.IGNORECASE)
_ALIASES = {
    "CANCELLED": "canceled",
    "DECLINED": "rejected",
    "IN_PROGRESS": "answered",
    "INITIATED": "dialing",
    "NOANSWER": "no_answer",
    "SILENT": "no_audio",
    "TIMEOUT": "ring_timeout",
    "UNREACHABLE": "trunk_unreachable",
    "VOICE_FAILED": "speech",
}


def explain(code: str) -> Explanation | None:
    """What `code` means, in any case: a cause or its number, a status, an error code, a SIP answer. None: unknown."""
    asked = code.strip()[:100]
    if asked.isupper():  # written like an error code: then INVALID_NUMBER is the error, not the cause of that name
        know_all_errors()
    if asked in catalogue():
        return _of_error(catalogue()[asked])
    answer = _SIP.fullmatch(asked)
    if answer:
        return _of_answer(int(answer[1]))
    word = re.sub(r"[ -]+", "_", asked).upper()
    found = _dictionary().get(_ALIASES.get(word, word).lower())
    if found is not None:
        return found
    know_all_errors()
    kind = catalogue().get(word)
    return _of_error(kind) if kind else None


def near(code: str) -> list[str]:
    """Up to three codes that look like an unknown one."""
    know_all_errors()
    known = {word.lower(): word for word in (*_dictionary(), *catalogue(), *map(str, SIP_CODES))}
    return [known[word] for word in difflib.get_close_matches(code.strip().lower()[:100], known, n=3, cutoff=0.6)]


def know_all_errors() -> None:
    """Load the modules that define errors, so that `catalogue()` is whole. Late: one of them loads libphonenumber."""
    for home in ERROR_HOMES:
        importlib.import_module(home)


@cache
def _dictionary() -> dict[str, Explanation]:
    entries = {status.value: _of_text(status.value, text, None) for status, text in STATUSES.items()}
    for cause, text in CAUSES.items():
        fault = ABOUT[cause][2]
        entries[cause.value] = _of_text(cause.value, text, fault.value if fault else None)
        entries[str(CAUSE_CODES[cause])] = entries[cause.value]
    return entries


def _of_text(code: str, text: Text, fault: str | None) -> Explanation:
    return Explanation(code, text.title, text.sentence, fault, text.retryable, text.next_step)


def _of_error(kind: type[ServiceError]) -> Explanation:
    sentence = " ".join((kind.__doc__ or "").split())
    return Explanation(kind.code, kind.title, sentence, kind.fault.value, kind.retryable, kind.hint)


def _of_answer(code: int) -> Explanation:
    if code in PROGRESS:
        phrase, sentence = PROGRESS[code]
        return Explanation(str(code), f"{code} {phrase}", sentence, None, False, "Nothing to do.")
    if code < 300:
        return Explanation(str(code), f"{code} (progress)", "The call goes on.", None, False, "Nothing to do.")
    outcome = of_answer(code)
    text = CAUSES[outcome.cause]
    phrase = PHRASES.get(code, f"(treated as {code // 100}00, as RFC 3261 says)")
    sentence = " ".join(part for part in (text.sentence, NOTES.get(code)) if part)
    fault = outcome.fault.value if outcome.fault else None
    return Explanation(str(code), f"{code} {phrase}", sentence, fault, outcome.again in _HELPS, text.next_step)


def exit_code(call: Mapping[str, Any], *, wanted: str | None = None) -> int:
    """For a Call object. `wanted`: the keys one of which had to be pressed, if any. Not final: TIMEOUT."""
    status, cause = _status(call), _cause(call)
    if status is None or not status.is_final:
        return Exit.TIMEOUT
    if status is not Status.COMPLETED or cause in IN_VAIN:
        return EXIT_CODES.get(cause, Exit.UNEXPECTED) if cause else Exit.UNEXPECTED
    if call.get("answered_by") == "machine":
        return Exit.VOICEMAIL
    if wanted and not set(wanted) & set(call.get("digits") or ""):
        return Exit.WRONG_KEY
    return Exit.OK


def word_for(call: Mapping[str, Any], heard_pct: int = HEARD_PCT) -> str:
    """The word on the screen for a Call object: one of a fixed, small set."""
    status, cause = _status(call), _cause(call)
    if status is None:
        return "Unknown"
    if status is Status.COMPLETED:
        return _completed_word(call, cause, heard_pct)
    if call.get("may_have_rung") and status is Status.FAILED:
        return "Line lost, may have rung"
    if status is Status.FAILED and EXIT_CODES.get(cause or Cause.LINE_ERROR) is Exit.NOT_IN_SERVICE:
        return "Number not in service"
    if status is Status.BLOCKED and cause is Cause.SUPPRESSED:
        return "Opted out"
    return STATUSES[status].title


def _completed_word(call: Mapping[str, Any], cause: Cause | None, heard_pct: int) -> str:
    heard = bool(call.get("played_to_end")) or (call.get("heard_pct") or 0) >= heard_pct
    if cause in IN_VAIN:
        return "Silent call"
    if call.get("answered_by") == "machine":
        return "Voicemail (message left)" if heard else "Voicemail (no message)"
    if call.get("digits"):
        return "Answered, key pressed"
    return "Heard, no key" if heard else "Hung up early"


def explain_call(call: Mapping[str, Any], again: str | None = None) -> Explanation:
    """Why a call ended as it did: the five facts for a Call object. `again`: the retry class of its ending.

    Only the class knows whether trying again helps: one cause may have several. A trunk that refuses one call is not
    one that has barred us, and a time limit may cut off everything or nothing.
    """
    status, cause = _status(call), _cause(call)
    entry = _dictionary().get(cause.value if cause else status.value if status else "")
    if entry is None:
        return Explanation(
            "unknown", "Unknown", "Nothing is known of this call.", None, False, "Look at the call's events."
        )
    fault = call.get("fault") or entry.fault
    helps = again in _HELPS if again not in (None, Again.NONE) else entry.retryable
    retryable = helps and not call.get("permanent") and not call.get("may_have_rung")
    return Explanation(entry.code, word_for(call), sentence_for(call), fault, retryable, entry.next_step)


def sentence_for(call: Mapping[str, Any]) -> str:
    """How a Call object went, in one or two sentences for people. Numbers of the person do not appear in it."""
    status, cause = _status(call), _cause(call)
    if status is None:
        return "Nothing is known of this call."
    if not status.is_final:
        return STATUSES[status].sentence
    if status is Status.COMPLETED:
        return _story(call, cause)
    text = CAUSES[cause].sentence if cause else STATUSES[status].sentence
    said = "; ".join(filter(None, (_answer(call.get("sip")), call.get("detail"))))
    return (f"{text.removesuffix('.')} ({said})." if said else text) + _doubt(call, cause)


def _story(call: Mapping[str, Any], cause: Cause | None) -> str:
    waited = _seconds(call.get("start_at"), call.get("answer_at"))
    parts = ["Answered" if waited is None else f"Answered after {waited:.1f} s"]
    if cause is Cause.NO_AUDIO:
        parts.append("but none of our audio left: nobody can have heard the message")
        return ", ".join(parts) + "."
    if call.get("played_to_end"):
        parts.append("heard the whole message")
    elif call.get("heard_pct") is not None:
        parts.append(f"heard {call['heard_pct']} % of the message")
    if call.get("digits"):
        parts.append(f"pressed {call['digits']}")
    parts.append(_END.get(cause) or _HUNG_UP.get(str(call.get("hangup_source")), "the call ended"))
    return ", ".join(parts) + "."


_END: dict[Cause | None, str] = {
    Cause.MEDIA_TIMEOUT: "but no sound came from their side",
    Cause.SECURITY_REQUIRED: "but without the encryption that this trunk has to use, so nothing was said",
    Cause.MEDIA_INCOMPATIBLE: "but without a codec that was offered, so nothing was said",
    Cause.MAX_DURATION: "the time limit ended the call",
    Cause.SIGNALLING_LOST: "then the signalling was lost",
    Cause.PLATFORM_SHUTDOWN: "then our service was shut down",
}
_HUNG_UP = {
    "callee": "they hung up",
    "platform": "we hung up",
    "api": "hung up by request",
    "trunk": "the trunk hung up",
}


def _doubt(call: Mapping[str, Any], cause: Cause | None) -> str:
    if not call.get("may_have_rung"):
        return ""
    return (
        " It may have rung."
        if cause is Cause.CANCELED_BY_API
        else " It may have rung; it is not called again by itself."
    )


def _answer(sip: Mapping[str, Any] | None) -> str:
    if not sip or not sip.get("code"):
        return ""
    if sip.get("origin") == "local":
        return f"no answer from the trunk; our own {sip['code']}"
    return f"SIP {sip['code']} {sip.get('reason') or ''}".strip()


def _status(call: Mapping[str, Any]) -> Status | None:
    try:
        return Status(call.get("status", ""))
    except ValueError:
        return None


def _cause(call: Mapping[str, Any]) -> Cause | None:
    try:
        return Cause(call.get("hangup_cause") or "")
    except ValueError:
        return None


def _seconds(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
