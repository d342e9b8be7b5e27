"""How a command or a process leaves when it cannot go on: one line on stderr, and the exit code that tells why."""

import sys

import structlog

from config.settings import SettingsError
from messaging.errors import ServiceError, Unavailable
from voice.explain import Exit
from voice.preflight import CannotStart

log = structlog.get_logger(__name__)


def leave(error: BaseException) -> int:
    """Say it; the exit code."""
    words, code = in_words(error)
    if words:
        print(f"tocsin: {words}", file=sys.stderr, flush=True)
    return code


def leave_process(error: BaseException) -> int:
    """The same for a process of the service: a fault of ours is logged whole, because nobody can ask for it again."""
    if _is_expected(error):
        return leave(error)
    log.error("process failed", error=type(error).__name__, exc_info=error)
    return Exit.UNEXPECTED


def in_words(error: BaseException) -> tuple[str, int]:
    """One line, after wrong use with the usage in it; and `Exit`'s number."""
    usage = getattr(error, "format_message", None)  # typer's own errors; it keeps their classes to itself
    if usage is not None:
        context = getattr(error, "ctx", None)
        told = f"{_one_line(usage()).rstrip('.')}."
        if context is not None:
            told += f" {context.get_usage()} (more: {context.command_path} --help)"
        return told, Exit.USAGE
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return "", Exit.INTERRUPTED
    if isinstance(error, SettingsError):
        return str(error), Exit.CONFIG
    if isinstance(error, CannotStart):
        return str(error), error.exit_code
    if isinstance(error, Unavailable):
        return "the store does not answer", Exit.UNREACHABLE
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else ""), Exit.UNEXPECTED
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, Exit.UNEXPECTED


def _is_expected(error: BaseException) -> bool:
    return isinstance(error, SettingsError | CannotStart | ServiceError | KeyboardInterrupt)


def _one_line(text: str) -> str:
    return " ".join(text.split())
