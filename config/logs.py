"""Logging: JSON lines, or readable ones on a terminal. Events, not prose; ids are bound, never repeated.

What may never stand in a log: a whole phone number, the text of a message, digits, a key, a password (R23). Numbers are
masked here, whoever logs them; the rest is a matter of not passing it.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_NUMBER = re.compile(r"(?<![\w.:-])\+?(\d{3})\d{4,9}(\d{3})(?![\w.:-])")


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str) and name not in ("timestamp", "level", "process"):
            event[name] = _NUMBER.sub(r"\1…\2", value)
    return event


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
        structlog.processors.format_exc_info,
        _mask,
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
