"""The magic numbers as data: what the catch-all phone does for each number, and what the caller should see.

One table feeds the phone, `tocsin magic`, the console, the docs and the tests. All numbers lie in +1 202 555 0100 to
0199: reserved for fiction, yet valid to number libraries. A number that is not in the table is answered like ...0100.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

OVERRIDE_HEADER = "X-Tocsin-Sandbox"

# A person needs a moment to pick up; a fixed time would hide races that real answers show.
HUMAN_S = (0.3, 0.6)
# An override may not hold a call for ever.
LONGEST_S = 600.0


@dataclass(frozen=True, slots=True)
class Final:
    """A refusal: status code and reason phrase, `after_s` seconds after the INVITE (or after ringing began)."""

    code: int
    reason: str
    after_s: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Press:
    """Keys to press: `at_s` seconds after the answer, or, when None, after the prompt.

    "After the prompt": the phone heard speech, then `PROMPT_OVER_S` of silence. `patience_s` presses anyway that long
    after the press before it (or after the answer) when no further prompt is heard.
    """

    keys: str
    at_s: float | None = None
    patience_s: float | None = None


@dataclass(frozen=True, slots=True)
class Voicemail:
    """A greeting, a beep `beep_at_s` seconds after the answer (later if the greeting is longer), then the recording.

    What is said before the beep is not recorded, as on a real mailbox.
    """

    beep_at_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Expect:
    """What a correct caller sees and reports. `code` and `reason`: the final answer to the (last) INVITE.

    `ended_by`: whose request or answer ends the call, "caller" or "phone". `status` and `cause`: the words of the Call
    object for it.
    """

    code: int
    reason: str
    ended_by: str
    status: str
    cause: str


@dataclass(frozen=True, slots=True)
class PhoneScript:
    """How the phone behaves on one call. Times in seconds.

    `ring_after_s`: INVITE to 180 (100 Trying comes at once), None: never rings. `answer_after_s`: 180 to 200, a range
    to pick from, None: never answers. `final`: a refusal instead of an answer. Neither: rings until the caller gives
    up. `hangup_after_s`: from the answer. `silent`: neither sends nor hears RTP or RTCP. `loss` (0 to 1) and
    `jitter_ms` (as RFC 3550 measures it) impair both directions; what is lost on the way in is really not heard, so
    that the phone's RTCP reports are true. `login`: 407 to every INVITE without a login, and this to one with a login,
    whichever (the phone knows none). `answers_on_try`: tries before that one end with `until_then`. `says_bye` False:
    the person hangs up and the BYE is lost; from then on nobody there knows the call. `wrong_codec`: answers with one
    that was not offered.
    """

    title: str
    expect: Expect
    ring_after_s: float | None = 0.0
    answer_after_s: tuple[float, float] | None = HUMAN_S
    final: Final | None = None
    presses: tuple[Press, ...] = ()
    hangup_after_s: float | None = None
    silent: bool = False
    loss: float = 0.0
    jitter_ms: float = 0.0
    voicemail: Voicemail | None = None
    login: Final | None = None
    answers_on_try: int = 1
    until_then: Final | None = None
    says_bye: bool = True
    wrong_codec: bool = False


def q850(cause: int, text: str) -> tuple[str, str]:
    """A Reason header (RFC 3326), as gateways to the telephone network send it."""
    return ("Reason", f'Q.850;cause={cause};text="{text}"')


_COMPLETED = Expect(200, "OK", "caller", "completed", "normal_clearing")
_HUNG_UP = Expect(200, "OK", "phone", "completed", "normal_clearing")
_BUSY = Final(486, "Busy Here", headers=(q850(17, "User busy"),))

ANSWERS = PhoneScript("answers and listens to the end (as every other number)", _COMPLETED)


def _refuses(title: str, final: Final, status: str, cause: str, *, rings: bool = False) -> PhoneScript:
    return PhoneScript(
        title,
        Expect(final.code, final.reason, "phone", status, cause),
        ring_after_s=0.0 if rings else None,
        answer_after_s=None,
        final=final,
    )


def _presses(title: str, *presses: Press) -> PhoneScript:
    return PhoneScript(title, _COMPLETED, presses=presses)


MAGIC: Mapping[str, PhoneScript] = MappingProxyType(
    {
        "12025550100": ANSWERS,
        "12025550101": _refuses("is busy", _BUSY, "busy", "user_busy"),
        "12025550102": PhoneScript(
            "rings for ever",
            Expect(487, "Request Terminated", "caller", "no_answer", "ring_timeout"),
            answer_after_s=None,
        ),
        "12025550103": _refuses(
            "declines after one second of ringing",
            Final(603, "Decline", 1.0, (q850(21, "Call rejected"),)),
            "rejected",
            "call_declined",
            rings=True,
        ),
        "12025550104": _refuses(
            "is not in service",
            Final(404, "Not Found", headers=(q850(1, "Unallocated (unassigned) number"),)),
            "failed",
            "unallocated_number",
        ),
        # Rings first: a 480 within a second and without ringing would mean a congested trunk.
        "12025550105": _refuses(
            "is temporarily unavailable, after two seconds of ringing",
            Final(480, "Temporarily Unavailable", 2.0, (q850(20, "Subscriber absent"),)),
            "no_answer",
            "temporarily_unavailable",
            rings=True,
        ),
        "12025550106": _refuses(
            "trunk overloaded, Retry-After 5 s",
            Final(503, "Service Unavailable", headers=(("Retry-After", "5"),)),
            "failed",
            "trunk_failure",
        ),
        "12025550107": PhoneScript(
            "voicemail: greeting, beep at 3 s, then records",
            _COMPLETED,
            voicemail=Voicemail(),
        ),
        "12025550108": PhoneScript("answers, hangs up after 2 s", _HUNG_UP, hangup_after_s=2.0),
        "12025550109": PhoneScript(
            "answers, no audio in or out",
            Expect(200, "OK", "caller", "completed", "media_timeout"),
            silent=True,
        ),
        "12025550110": _presses("presses 1 after the prompt", Press("1")),
        "12025550111": _presses("presses 2 after the prompt", Press("2")),
        "12025550112": _presses("presses 9 after the prompt (opt-out)", Press("9")),
        "12025550113": _presses(
            "presses a wrong key (7), then 1 after the next prompt or 3 s",
            Press("7"),
            Press("1", patience_s=3.0),
        ),
        "12025550114": PhoneScript("answers, says nothing, presses nothing", _COMPLETED),
        "12025550115": PhoneScript("8 s post-dial delay, then answers", _COMPLETED, ring_after_s=8.0),
        "12025550116": PhoneScript(
            "answers over a bad path: 5 % loss, 40 ms jitter, both directions",
            _COMPLETED,
            loss=0.05,
            jitter_ms=40.0,
        ),
        # A caller that has no login to give is refused with the 407 itself (cause auth_failed).
        "12025550117": PhoneScript(
            "asks for a login (407) and accepts none (403)",
            Expect(403, "Forbidden", "phone", "failed", "forbidden"),
            ring_after_s=None,
            answer_after_s=None,
            login=Final(403, "Forbidden"),
        ),
        "12025550118": PhoneScript(
            "busy twice, answers on the third try",
            _COMPLETED,
            answers_on_try=3,
            until_then=_BUSY,
        ),
    }
)


class BadOverride(ValueError):
    """The sandbox override cannot be read; the text says which part and why."""


def script_for(number: str, override: str | None = None) -> PhoneScript:
    """What the phone does when `number` (with or without "+") is called, changed by a per-call override.

    `override` is the value of the INVITE header `X-Tocsin-Sandbox`, e.g. `answer_after=2;press=1@3s;hangup_after=10`.
    Raises BadOverride.
    """
    return overridden(MAGIC.get(number.lstrip("+"), ANSWERS), override or "")


def overridden(script: PhoneScript, text: str) -> PhoneScript:
    """`script` as an override changes it. Unknown keys are ignored; a known key must be right. Raises BadOverride.

    `ring_after`, `answer_after`, `hangup_after`: seconds ("2", "2.5s", "300ms"), at most 600. `press`: keys, alone
    (after the prompt) or `@` seconds after the answer, several separated by commas ("7@2s,1@5s"). `code`: refuse with
    this SIP code, 300 to 699. `loss`: per cent, up to 50. `jitter`: milliseconds, up to 200. `expect` stays that of the
    number.
    """
    for part in filter(None, (part.strip() for part in text.split(";"))):
        key, separator, value = (piece.strip() for piece in part.partition("="))
        if key not in _KEYS:
            continue
        if not separator or not value:
            raise BadOverride(f"{key}: a value is missing")
        script = _KEYS[key](script, value)
    return script


def _seconds(key: str, value: str) -> float:
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s)?", value)
    if not found:
        raise BadOverride(f"{key}: {value!r} is no time such as 2, 2.5s or 300ms")
    seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
    if seconds > LONGEST_S:
        raise BadOverride(f"{key}: {value} is more than {LONGEST_S:.0f} s")
    return seconds


def _number(key: str, value: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", value) or not least <= int(value) <= most:
        raise BadOverride(f"{key}: {value!r} is no whole number from {least} to {most}")
    return int(value)


def _press(script: PhoneScript, value: str) -> PhoneScript:
    presses = []
    for part in value.split(","):
        keys, at, when = part.strip().partition("@")
        if not re.fullmatch(r"[0-9*#A-D]{1,32}", keys):
            raise BadOverride(f"press: {keys!r} are no telephone keys")
        presses.append(Press(keys, _seconds("press", when) if at else None))
    return replace(script, presses=tuple(presses))


def _answer(script: PhoneScript, value: str) -> PhoneScript:
    """Who asks for an answer gets one, whatever the number would have done."""
    seconds = _seconds("answer_after", value)
    return replace(script, answer_after_s=(seconds, seconds), final=None, login=None, answers_on_try=1)


def _refuse(script: PhoneScript, value: str) -> PhoneScript:
    final = Final(_number("code", value, 300, 699), "As Asked")
    return replace(script, final=final, answer_after_s=None, login=None, answers_on_try=1)


_KEYS: Mapping[str, Callable[[PhoneScript, str], PhoneScript]] = {
    "ring_after": lambda script, value: replace(script, ring_after_s=_seconds("ring_after", value)),
    "answer_after": _answer,
    "hangup_after": lambda script, value: replace(script, hangup_after_s=_seconds("hangup_after", value)),
    "press": _press,
    "code": _refuse,
    "loss": lambda script, value: replace(script, loss=_number("loss", value.removesuffix("%"), 0, 50) / 100),
    "jitter": lambda script, value: replace(script, jitter_ms=_number("jitter", value.removesuffix("ms"), 0, 200)),
}
