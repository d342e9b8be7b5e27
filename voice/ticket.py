"""An explained call as Markdown to paste into a ticket: verdict first, then the evidence, then the ladder. Pure.

It leaves the house: no key that was pressed, no text that was spoken, no credentials. The numbers stay, because the
carrier finds the call by them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sip.ladder import Row, as_text, lanes
from voice.explaining import Evidence, explained

VALUE_MOST = 300


def as_ticket(call: Mapping[str, Any], rows: Sequence[Row] = (), again: str | None = None) -> str:
    """For a Call object; `rows`, `again`: as for `explained`."""
    told = explained({**call, "digits": ""}, rows, again)
    sip = call.get("sip") or {}
    facts = [
        ("call", told.call_id),
        ("SIP Call-ID", sip.get("call_id")),
        ("trunk", call.get("trunk_id")),
        ("called, as sent", call.get("wire_to") or call.get("to_number")),
        ("caller, as sent", call.get("wire_from") or call.get("from_number")),
        ("INVITE sent", call.get("start_at")),
        ("ended", call.get("end_at")),
    ]
    lines = [
        f"# {_plain(told.title)} ({told.call_id})",
        "",
        f"**Verdict:** {_plain(told.sentence)}",
        "",
        f"**Whose side:** {told.side or 'nobody'}. **Trying again helps:** {'yes' if told.retryable else 'no'}.",
        "",
        f"**What to do:** {_plain(told.next_step)}",
        "",
        *_table(("fact", "value"), [(name, _code(value)) for name, value in facts if value]),
        "",
        "## Evidence",
        "",
        *_table(("what", "value", "ladder row"), [_row(fact) for fact in told.evidence]),
        "",
        "## SIP ladder",
        "",
        *_drawn(rows),
    ]
    return "\n".join(lines) + "\n"


def _row(fact: Evidence) -> tuple[str, str, str]:
    return fact.what.replace("_", " "), _code(fact.value), str(fact.ladder_row or "")


def _drawn(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["None is stored: the call was not dialled, or the ladder is switched off."]
    them = ", ".join(lanes(rows))
    return [
        "Credentials, media keys and pressed keys are hidden. Left is us.",
        "",
        "```text",
        as_text(rows, "tocsin", them, numbered=True).rstrip("\n"),
        "```",
    ]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, tuple("---" for _ in head), *rows)]


def _code(value: Any) -> str:
    """A peer's words as they are: inert in a code span, in one cell of a table."""
    words = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    inert = "".join(letter if letter.isprintable() else " " for letter in words).replace("`", "'").replace("|", "\\|")
    return f"`{inert[:VALUE_MOST]}`"


def _plain(words: str) -> str:
    """Our sentence, with a peer's reason phrase in it: nothing in it is Markdown or HTML."""
    marks = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>#|!~"})
    return "".join(letter for letter in words if letter.isprintable()).translate(marks)
