"""Logging: JSON lines, or readable ones on a terminal. Events, not prose; ids are bound, never repeated.

What may never stand in a log: a whole phone number, the text of a message, digits, a key, a password (R23). Numbers are
masked here, whoever logs them and however deep they lie; of an exception only its kind and its way through the code is
told, because messages and locals may hold what people say. The rest is a matter of not passing it.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any, TextIO

# structlog loads rich where it finds it: 0.15 s of each start, for tracebacks with locals, which we never print.
_HIDES_RICH = "rich" not in sys.modules
if _HIDES_RICH:
    sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402

if _HIDES_RICH:
    del sys.modules["rich"]

# 8 to 15 digits that stand alone: not in an id, a decimal, a time or a port. "sip:1202…@host" and "1202…." do count.
_NUMBER = re.compile(r"(?<![\w.-])(?<![0-9]:)\+?([0-9]{8,15})(?![\w-])(?![.:][0-9])")
_WRITTEN = re.compile(r"\+[0-9](?:[ ().-]{0,2}[0-9]){6,14}(?![0-9])")  # as people write it: +1 (202) 555-0110
_REPR = re.compile(r"exception=(\w+)\(.*", re.DOTALL)  # how asyncio shows a task whose failure nobody looked at
_OURS = frozenset({"timestamp", "level", "process", "exc_info"})
_FRAMES_MOST = 50


def _masked(found: re.Match[str]) -> str:
    digits = "".join(sign for sign in found[0] if sign.isdigit())
    return f"{digits[:3]}…{digits[-3:]}" if len(digits) >= 10 else f"…{digits[-2:]}"


def _text(text: str) -> str:
    """Without whole numbers, and without what would write elsewhere on a terminal or begin a line of its own."""
    text = _NUMBER.sub(_masked, _WRITTEN.sub(_masked, _REPR.sub(r"exception=\1(…)", text)))
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return {_clean(name): _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _text(str(value))


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if name not in _OURS:
            event[name] = _clean(value)
    return event


def _tell_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`exception`: kinds and frames, outermost first, those it came from after it; the words only of the system's."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else None
    if given and error is None:
        error = sys.exc_info()[1]
    if error is not None:
        event["exception"] = "\n".join(list(_story(error))[:_FRAMES_MOST])
    return event


def _story(error: BaseException) -> Iterator[str]:
    seen: set[int] = set()
    told: BaseException | None = error
    while told is not None and id(told) not in seen:
        seen.add(id(told))
        words = f": {_text(told.strerror)}" if isinstance(told, OSError) and told.strerror else ""
        yield type(told).__name__ + words
        for frame in traceback.extract_tb(told.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} {frame.name}"
        told = told.__cause__ or (None if told.__suppress_context__ else told.__context__)


def configure(process: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library for one process; call once, at its start. Logs go to stderr."""
    out = stream or sys.stderr
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if out.isatty() else structlog.processors.JSONRenderer()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
        _tell_exception,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    # Libraries speak through the standard library: warnings and worse, in the same form.
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of every stranger who does not speak HTTP
