"""What pydantic complains about, in words for whoever sent the request: no type of ours, no pattern, no value. Pure."""

from collections.abc import Iterable
from typing import Any

from messaging.errors import FieldError, Invalid
from messaging.strict_json import step

_CODES = {"missing": "missing", "value_error": "invalid", "extra_forbidden": "unknown_member"}
_OBJECT, _WHOLE, _NUMBER, _FLAG = "an object", "a whole number", "a number", "true or false"
_SHOULD_BE = {
    "string_type": "a string",
    "list_type": "an array",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
}
_SAID = {
    "missing": "is required",
    "string_pattern_mismatch": "is not written as we can read it",
    "int_parsing_size": "has too many digits",
    "too_short": "should have entries: at least {min_length}",
    "too_long": "has too many entries: at most {max_length} are read",
    "string_too_short": "is too short: at least {min_length} characters",
    "string_too_long": "is too long: at most {max_length} characters",
}


def invalid_from(complaints: Iterable[Any], also: Iterable[FieldError] = ()) -> Invalid:
    """One Invalid from pydantic's list of errors; the values that were sent are never repeated."""
    errors = [*also, *(_field_error(complaint) for complaint in complaints)]
    return Invalid(errors[0].detail if errors else None, errors=tuple(errors))


def _field_error(complaint: dict[str, Any]) -> FieldError:
    where = [part for part in complaint["loc"] if part not in ("body", "query", "path", "header")]
    pointer = "#"
    for part in where:
        pointer = step(pointer, part)
    kind = complaint["type"]
    return FieldError(pointer, _CODES.get(kind, kind), f"{pointer[2:] or 'body'}: {_words(kind, complaint)}")


def _words(kind: str, complaint: dict[str, Any]) -> str:
    if kind in _SHOULD_BE:
        return f"should be {_SHOULD_BE[kind]}"
    message = str(complaint["msg"])
    if kind in _SAID and not message.startswith("should "):  # a form may bring words of its own: see schemas.said
        return _SAID[kind].format_map(complaint.get("ctx", {}))
    said = message.removeprefix("Value error, ").removeprefix("Input ")
    return said[:1].lower() + said[1:]
