"""Writes the reference pages that are made from the code: `python docs/reference/generate.py`. A test compares them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from messaging.errors import ServiceError, catalogue
from sip.causes import CAUSE_CODES, Again, Cause
from sip.events import Ended, Origin, Phase
from sip.outcomes import NEVER_DIALLED, NEVER_NEXT_TRUNK, SIP_CODES, judge, never_dialled, of_answer
from voice.explain import ERROR_HOMES, EXIT_CODES, Exit, explain, know_all_errors

HERE = Path(__file__).parent
MADE_BY = "<!-- Made by docs/reference/generate.py from the code; edit there. -->"

AGAIN: dict[Again, str] = {
    Again.OK: "done",
    Again.LATER: "the same number again later, if the retry plan allows",
    Again.NEXT_TRUNK: "the next trunk now, then as `later`; never after an 18x",
    Again.DEAD_NUMBER: "permanent for this number: stop",
    Again.REFUSED: "the person refused: stop, never another trunk",
    Again.CONFIG: "a configuration fault: stop this trunk, alarm",
    Again.OURS: "ours or the API's doing: no retry",
    Again.UNCERTAIN: "it may have rung and nobody can know: no further leg by itself",
    Again.NONE: "the question does not arise",
}

EXITS: dict[Exit, str] = {
    Exit.OK: "answered",
    Exit.UNEXPECTED: "something unexpected",
    Exit.USAGE: "wrong use of the command",
    Exit.CONFIG: "invalid configuration",
    Exit.AUTH: "no valid key, or not allowed",
    Exit.NOT_FOUND: "not found",
    Exit.RATE_LIMITED: "too many requests",
    Exit.UNREACHABLE: "the server cannot be reached",
    Exit.BUSY: "busy",
    Exit.NO_ANSWER: "no answer",
    Exit.DECLINED: "declined",
    Exit.NOT_IN_SERVICE: "number not in service",
    Exit.TRUNK_FAILURE: "trunk failure",
    Exit.NO_AUDIO: "answered, but no audio was heard",
    Exit.VOICEMAIL: "voicemail",
    Exit.WRONG_KEY: "wrong or no key",
    Exit.NEVER_DIALLED: "expired or blocked, never dialled",
    Exit.TIMEOUT: "time is up before the call ended",
    Exit.INTERRUPTED: "interrupted or canceled",
}


def outcomes_page() -> str:
    return "\n".join(
        [
            MADE_BY,
            "# Outcomes",
            "",
            "How a call ends: `status`, `hangup_cause` with its stable number, whose side it is on, and what may",
            "be done about it. `tocsin explain CODE` says the same in a terminal.",
            "",
            "## Causes",
            "",
            *_table(("hangup_cause", "code", "fault", "exit", "what it means", "what to do"), map(_cause_row, Cause)),
            "",
            "## SIP answers",
            "",
            "The answer of the peer, when nothing else explains the end. Answers that are not listed count as x00 of",
            "their class (RFC 3261 section 8.1.3.2); 3xx is never followed. `permanent` is true for `dead_number` and",
            "`refused`. After an 18x `next_trunk` becomes `later`.",
            "",
            *_table(("SIP", "status", "hangup_cause", "Q.850", "class"), map(_answer_row, SIP_CODES)),
            "",
            f"Never another trunk, whatever its policy: {', '.join(map(str, sorted(NEVER_NEXT_TRUNK)))}.",
            "",
            "Who said it matters: 408, 502 and 503 of our own stack (`sip.origin` is `local`) mean something else.",
            "",
            *_table(("own stack", "when", "status", "hangup_cause", "class", "may have rung"), _own_rows()),
            "",
            "## Completed in silence",
            "",
            "A call that was answered stays `completed`, but it counts as heard only when our audio left and,",
            "where the trunk says `rtp.required`, the other side sent sound too. `no_audio`: nothing was played,",
            "or fewer than 90 % of the packets that were due left us; that is our defect. `media_timeout`: no",
            "sound came from the other side. Both leave the recipient `undelivered`. Who hangs up before the",
            "first word is due was not called in silence.",
            "",
            "## Never dialled",
            "",
            *_table(("hangup_cause", "status", "class"), map(_never_row, NEVER_DIALLED)),
            "",
            "## Retry classes",
            "",
            *_table(("class", "meaning"), ((f"`{again}`", meaning) for again, meaning in AGAIN.items())),
            "",
            "## Exit codes of the command line",
            "",
            *_table(("code", "meaning"), ((str(int(code)), meaning) for code, meaning in EXITS.items())),
            "",
        ]
    )


def errors_page() -> str:
    know_all_errors()
    kinds = sorted((kind for kind in catalogue().values() if _is_ours(kind)), key=lambda kind: (kind.status, kind.code))
    rows = (
        (
            f"`{kind.code}`",
            str(kind.status),
            "yes" if kind.retryable else "no",
            kind.fault.value,
            " ".join((kind.__doc__ or "").split()),
            kind.hint,
        )
        for kind in kinds
    )
    return "\n".join(
        [
            MADE_BY,
            "# Errors",
            "",
            "Every error body carries `code`, `status`, `title`, `detail`, `retryable`, `fault` and `hint` (RFC",
            "9457), and `status_code` and `message` as 9bits has them. `tocsin explain CODE` says the same in a",
            "terminal.",
            "",
            *_table(("code", "HTTP", "try again", "fault", "what it means", "what to do"), rows),
            "",
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def _cause_row(cause: Cause) -> tuple[str, ...]:
    entry = explain(cause.value)
    assert entry is not None
    numbers = str(CAUSE_CODES[cause]), entry.fault or "–", str(int(EXIT_CODES[cause]))
    return f"`{cause}`", *numbers, entry.sentence, entry.next_step


def _answer_row(code: int) -> tuple[str, ...]:
    outcome = of_answer(code)
    entry = explain(str(code))
    assert entry is not None
    q850 = "–" if outcome.q850 is None else str(outcome.q850)
    return entry.title, f"`{outcome.ending}`", f"`{outcome.cause}`", q850, f"`{outcome.again}`"


def _never_row(cause: Cause) -> tuple[str, ...]:
    outcome = never_dialled(cause)
    return f"`{cause}`", f"`{outcome.ending}`", f"`{outcome.again}`"


# What our own stack says, when, and the leg that stands for it.
OWN_STACK = [
    ("408", "the trunk said nothing at all", {"code": 408, "phase": Phase.SILENT}),
    ("408", "it rang before", {"code": 408, "phase": Phase.RINGING}),
    ("502", "the trunk's name does not resolve", {"code": 502, "phase": Phase.SILENT, "sent": False}),
    ("503", "the transport failed before a byte left", {"code": 503, "phase": Phase.SILENT, "sent": False}),
    ("503", "the transport failed later", {"code": 503, "phase": Phase.SILENT}),
    ("any", "our line process died", {"code": 0, "phase": Phase.TRYING, "lost": True}),
]


def _own_rows() -> Iterator[tuple[str, ...]]:
    for code, when, facts in OWN_STACK:
        ended = Ended(call_id="", at=0.0, reason="", origin=Origin.LOCAL, **facts)
        outcome = judge(ended, rang=False, answered=False)
        rung = "yes" if outcome.may_have_rung else "no"
        yield code, when, f"`{outcome.ending}`", f"`{outcome.cause}`", f"`{outcome.again}`", rung


def _is_ours(kind: type[ServiceError]) -> bool:
    return kind.__module__ in ERROR_HOMES


def pages() -> dict[Path, str]:
    """Every generated page and what has to stand in it."""
    return {HERE / "outcomes.md": outcomes_page(), HERE / "errors.md": errors_page()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
