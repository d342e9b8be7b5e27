"""Writes the reference pages that are made from the code: `python docs/reference/generate.py`. A test compares them."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import SecretStr

from config.settings import Section, Settings
from messaging.errors import ServiceError, catalogue
from sip.causes import CAUSE_CODES, Again, Cause
from sip.events import Ended, Origin, Phase
from sip.outcomes import NEVER_DIALLED, NEVER_NEXT_TRUNK, SIP_CODES, judge, never_dialled, of_answer
from sip.sandbox.scripts import MAGIC, PhoneScript
from voice.cli.main import app
from voice.explain import ERROR_HOMES, EXIT_CODES, Exit, explain, know_all_errors

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "config" / "tocsin.example.toml"
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
    Exit.DIFFERS: "`tocsin plan`: the service differs from the file",
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


def magic_numbers_page() -> str:
    return "\n".join(
        [
            MADE_BY,
            "# Magic numbers",
            "",
            "```sh",
            "tocsin magic                                          # this list, in a terminal",
            "tocsin call 12025550101 --say Hello --wait --api-key tk_test_demo   # busy: exit code 10",
            "```",
            "",
            "The catch-all phone answers every number that a `tk_test_…` key calls. These misbehave on purpose,",
            "over real SIP and RTP on loopback. All lie in +1 202 555 0100 to 0199: reserved for fiction, valid to",
            "number libraries, and refused (`SANDBOX_NUMBER`) for live keys, so a leak rings nobody.",
            "",
            *_table(("number", "the phone …", "SIP", "status", "hangup_cause"), _magic_rows()),
            "",
            "Every other number answers and listens to the end.",
            "",
            "A single call can ask for more, in its request (test keys only):",
            "",
            "```json",
            '{"sandbox": {"answer_after": 2, "press": "1@3s", "hangup_after": 10}}',
            "```",
            "",
            "Seconds of ringing; keys at so many seconds after the answer, or, without `@`, after the prompt; seconds",
            "until the person hangs up.",
            "",
        ]
    )


def _magic_rows() -> Iterator[tuple[str, ...]]:
    for number, script in MAGIC.items():
        yield f"+{number}", script.title, _sip(script), f"`{script.expect.status}`", f"`{script.expect.cause}`"


def _sip(script: PhoneScript) -> str:
    return f"{script.expect.code} {script.expect.reason}"


def settings_page() -> str:
    return "\n".join(
        [
            MADE_BY,
            "# Settings",
            "",
            "```sh",
            "export TOCSIN_HTTP__PORT=9000                  # the environment wins",
            "export TOCSIN_CONFIG=/etc/tocsin/tocsin.toml   # over this file, whose [http] port = … means the same",
            "tocsin serve --port 9001                       # and a flag wins over both",
            "```",
            "",
            "A name that is not known is an error that says what was probably meant. A list is comma-separated in the",
            "environment. A secret may stand in a file: add `_FILE` to the variable, or write",
            '`secret = { file = "/run/secrets/webhook" }`. `config/tocsin.example.toml` is a file to start from.',
            "",
            *_settings_of("", Settings, _sentences()),
            "## Not in the tree",
            "",
            "`TOCSIN_CONFIG`: the settings file. `TOCSIN_URL`, `TOCSIN_API_KEY`: where `tocsin call` goes, with which",
            "key. `TOCSIN_REDIS_URL`, `TOCSIN_WEBHOOK_SECRET` and `TOCSIN_CALLBACK_URL` are short names.",
            "",
        ]
    )


def _settings_of(name: str, section: type[Section], sentences: dict[str, str]) -> Iterator[str]:
    """One table for the section's own members, then its sections."""
    before = f"{name}." if name else ""
    inner = {key: kind for key, info in section.model_fields.items() if _is_section(kind := info.annotation)}
    yield f"## {name or 'Top level'}"
    yield ""
    rows = (
        (f"`TOCSIN_{(before + key).replace('.', '__').upper()}`", _default(info.default), sentences[before + key])
        for key, info in section.model_fields.items()
        if key not in inner
    )
    yield from _table(("variable", "default", "what it does"), rows)
    yield ""
    for key, kind in inner.items():
        yield from _settings_of(before + key, kind, sentences)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _default(value: object) -> str:
    if value in (None, ()):
        return "not set"
    if isinstance(value, SecretStr):
        return "secret"
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _sentences() -> dict[str, str]:
    """What the example file says of each setting. Raises KeyError later for one of which it says nothing."""
    found, section, said = {}, "", ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"\[(\w+)\]", line):
            section = f"{heading[1]}."
        elif setting := re.match(r"#(\w+) = ", line):
            found[section + setting[1]] = said
            said = ""
        else:
            said = line.removeprefix("# ") if line.startswith("# ") else ""
    return found


def commands_page() -> str:
    group: Any = typer.main.get_command(app)
    return "\n".join(
        [
            MADE_BY,
            "# The tocsin command",
            "",
            "```sh",
            "tocsin demo                                    # the whole story, on this machine only",
            "tocsin call 12025550110 --say 'Press one' --gather 1 --wait --api-key tk_test_demo",
            "tocsin explain 486                             # any SIP code, cause or error code",
            "```",
            "",
            "`--json` gives JSON on stdout. The exit code tells how a call ended:",
            "[all of them](outcomes.md#exit-codes-of-the-command-line). Wrong use is 2, a wrong setting 3.",
            "",
            *_commands("tocsin", group.commands),
        ]
    )


def _commands(before: str, commands: dict[str, Any]) -> Iterator[str]:
    for name, command in commands.items():
        if inner := getattr(command, "commands", None):
            yield from _commands(f"{before} {name}", inner)
            continue
        arguments = [parameter for parameter in command.params if not parameter.opts[0].startswith("-")]
        yield f"## {' '.join([before, name, *(argument.name.upper() for argument in arguments)])}"
        yield ""
        yield from [" ".join(command.help.split()), ""]
        if command.params:
            yield from _table(("", "default", "what it does"), map(_parameter_row, command.params))
            yield ""


def _parameter_row(parameter: Any) -> tuple[str, ...]:
    is_option = parameter.opts[0].startswith("-")
    names = ", ".join(f"`{name}`" for name in parameter.opts) if is_option else f"`{parameter.name.upper()}`"
    default = "required" if parameter.required else "" if parameter.default in (None, False, "") else parameter.default
    also = f" Or `{parameter.envvar}`." if parameter.envvar else ""
    return names, f"`{default}`" if default not in ("", "required") else default, f"{parameter.help}{also}"


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
    return {
        HERE / "outcomes.md": outcomes_page(),
        HERE / "errors.md": errors_page(),
        HERE / "magic-numbers.md": magic_numbers_page(),
        HERE / "settings.md": settings_page(),
        HERE / "cli.md": commands_page(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
