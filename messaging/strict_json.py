"""Reading a stranger's JSON: one object, I-JSON (RFC 7493), every complaint with the member it is about. Pure.

Python's reader accepts NaN, repeated names, lone surrogates and numbers of any length; here they are refused by name.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from messaging.errors import FieldError, InvalidJson

DEPTH_MAX = 20  # nothing we read is deeper than 4; far below the interpreter's own limit
DIGITS_MAX = 400  # of an integer: more than any float holds, few enough to be cheap
COMPLAINTS_MAX = 20  # named in one answer
SHOWN_MAX = 60  # characters of a stranger's words that we repeat


@dataclass(frozen=True, slots=True)
class _Bad:
    """Stands in the tree where something unreadable stood, until the walk knows its pointer."""

    code: str
    detail: str


class _Repeated(dict[str, Any]):
    """An object in which a name stood twice."""

    names: tuple[str, ...] = ()


def read_object(body: bytes) -> dict[str, Any]:
    """The one JSON object in `body`. Raises InvalidJson whose `errors` name the members that are wrong."""
    data = _parse(body)
    complaints = complaints_about(data)
    if complaints:
        raise InvalidJson(complaints[0].detail, errors=tuple(complaints))
    if not isinstance(data, dict):
        raise InvalidJson(f"The body must be one JSON object, not {kind_of(data)}.")
    return data


def complaints_about(data: object) -> list[FieldError]:
    """What is wrong with a parsed tree or a form: repeated names, lone surrogates, NUL, numbers out of range, depth."""
    found: list[FieldError] = []
    pending: list[tuple[str, object, int]] = [("#", data, 1)]
    while pending and len(found) < COMPLAINTS_MAX:
        pointer, value, depth = pending.pop()
        if depth > DEPTH_MAX:
            found.append(FieldError(pointer, "too_deep", f"{pointer} is nested deeper than {DEPTH_MAX} levels"))
            continue
        bad = _wrong_with(value)
        if bad is not None:
            where = step(pointer, value.names[0]) if isinstance(value, _Repeated) else pointer
            found.append(FieldError(where, bad.code, f"{where}: {bad.detail}"))
        pending.extend(reversed([(step(pointer, name), member, depth + 1) for name, member in _members(value)]))
    return found


def step(pointer: str, name: str | int) -> str:
    """One level down a JSON pointer (RFC 6901), safe to show."""
    return f"{pointer}/{shown(str(name)).replace('~', '~0').replace('/', '~1')}"


def shown(text: str) -> str:
    """A stranger's words, short and encodable, for use in an answer."""
    short = text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"
    # Surrogates, controls and the marks that turn the direction of a line are all unprintable to Python.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short)


def kind_of(value: object) -> str:
    names: dict[type, str] = {
        dict: "an object",
        _Repeated: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), "something else")


def _parse(body: bytes) -> object:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise InvalidJson(f"The body is not UTF-8: byte {e.start} cannot be read.") from e
    if not text.strip():
        raise InvalidJson("The body is empty.")
    try:
        return json.loads(
            text, parse_int=_integer, parse_float=_number, parse_constant=_constant, object_pairs_hook=_pairs
        )
    except json.JSONDecodeError as e:
        raise InvalidJson(f"The body is not valid JSON: line {e.lineno}, column {e.colno}: {e.msg}.") from e
    except RecursionError as e:
        raise InvalidJson(f"The body is nested deeper than {DEPTH_MAX} levels.") from e


def _integer(text: str) -> int | _Bad:
    return int(text) if len(text) <= DIGITS_MAX else _Bad("number_too_large", "that number is too large")


def _number(text: str) -> float | _Bad:
    value = float(text)
    return value if abs(value) != float("inf") else _Bad("number_too_large", "that number is too large")


def _constant(text: str) -> _Bad:
    return _Bad("not_json", f"{text} is not JSON")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    repeated = _Repeated(members)
    repeated.names = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return repeated


def _members(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _wrong_with(value: object) -> _Bad | None:
    if isinstance(value, _Bad):
        return value
    if isinstance(value, _Repeated):
        return _Bad("repeated_member", "this member stands there more than once")
    if isinstance(value, dict):
        return next((bad for name in value if (bad := _wrong_with(name)) is not None), None)
    if not isinstance(value, str):
        return None
    if "\0" in value:
        return _Bad("nul", "the NUL character is not text")
    if any("\ud800" <= c <= "\udfff" for c in value):
        return _Bad("lone_surrogate", "half of a surrogate pair is not a character")
    return None
