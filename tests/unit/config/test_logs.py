"""Logs hold no whole number, nothing that people said, and nothing that writes elsewhere on a terminal."""

import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from config.logs import configure

NUMBER = "12025550110"
CANARY = "the-code-is-4821"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Logging is a global of its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("uvicorn").setLevel(logging.NOTSET)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def said(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        NUMBER, f"+{NUMBER}", f"to {NUMBER}.", f"{NUMBER}: busy", f"sip:{NUMBER}@10.0.0.1", f"<sip:+{NUMBER}@h;x=1>",
        f"tel:{NUMBER}", f"00{NUMBER}", f"'{NUMBER}'", f"?to={NUMBER}&x=1", f"a\n{NUMBER}\nb",
        f"name='report of {NUMBER}'", "+1 202 555 0110",
        "+1 (202) 555-0110", "+1.202.555.0110", "35412345678", "+3541234567",
    ],
)  # fmt: skip
def test_no_whole_number_is_logged_however_it_is_wrapped(text: str) -> None:
    out = io.StringIO()
    configure("test", stream=out)

    structlog.get_logger("x").info("call", why=text, deep={"rows": [text, (text,)], text: 1}, error=ValueError(text))
    logging.getLogger("library").warning("it said %s", text)

    digits = "".join(sign for sign in out.getvalue() if sign.isdigit() or sign not in " ()+.-")
    for number in (NUMBER, "35412345678", "3541234567"):
        assert number not in digits


@pytest.mark.parametrize(
    "text",
    [
        "call_01K0ABCDEFGHJKMNPQRSTVWXYZ", "2026-11-20T15:02:32.906317Z", "127.0.0.1:56150", "1763650842.503",
        "req_12345678901", "12:30:45", "1000 of 262144", "voice/dispatch.py:1234 run", "9azmf1ntcl358gczduzz4rs0u",
        "0.1.20261120",
    ],
)  # fmt: skip
def test_ids_times_and_addresses_stay_readable(text: str) -> None:
    out = io.StringIO()
    configure("test", stream=out)

    structlog.get_logger("x").info("call", why=text)

    assert said(out)[0]["why"] == text


def test_an_exception_tells_its_kind_and_its_way_but_not_its_words() -> None:
    out = io.StringIO()
    configure("test", stream=out)
    secret = CANARY
    try:
        try:
            raise ValueError(secret)
        except ValueError as error:
            raise RuntimeError(f"because of {secret}") from error
    except RuntimeError as error:
        structlog.get_logger("x").exception("stumbled")
        logging.getLogger("library").exception("stumbled too", exc_info=error)

    ours, theirs = said(out)
    assert CANARY not in out.getvalue()
    lines = ours["exception"].splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["RuntimeError", "ValueError"]
    assert "test_logs.py" in lines[1]
    assert theirs["exception"] == ours["exception"]


def test_an_exception_is_told_on_a_terminal_too() -> None:
    out = Terminal()
    configure("test", stream=out)
    try:
        raise ValueError(CANARY)
    except ValueError:
        structlog.get_logger("x").exception("stumbled")
        logging.getLogger("library").exception("stumbled too")

    assert out.getvalue().count("ValueError") == 2
    assert CANARY not in out.getvalue()


def test_the_words_of_the_system_are_told() -> None:
    out = io.StringIO()
    configure("test", stream=out)
    try:
        raise OSError(28, "No space left on device", f"/data/{CANARY}")
    except OSError:
        structlog.get_logger("x").exception("journal not written")

    assert said(out)[0]["exception"].splitlines()[0] == "OSError: No space left on device"
    assert CANARY not in out.getvalue()


async def test_a_task_whose_failure_nobody_saw_is_told_without_its_words() -> None:
    out = io.StringIO()
    configure("test", stream=out)

    async def fails() -> None:
        raise ValueError(CANARY)

    task = asyncio.ensure_future(fails())
    await asyncio.wait({task})
    del task
    gc.collect()

    assert "ValueError" in out.getvalue()
    assert CANARY not in out.getvalue()


def test_nobody_writes_a_line_of_their_own_or_steers_the_terminal() -> None:
    out = Terminal()
    configure("test", stream=out)

    structlog.get_logger("x").warning("refused", why="ok\n2026-01-01 [info] forged\x1b[2J\x9b31m\u202e\r")

    assert len(out.getvalue().splitlines()) == 1
    assert not {"\x9b", "\u202e", "\r"} & set(out.getvalue())
    assert "\x1b[2J" not in out.getvalue()


def test_strangers_who_do_not_speak_http_leave_no_line() -> None:
    out = io.StringIO()
    configure("test", stream=out)

    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")

    assert not out.getvalue()
