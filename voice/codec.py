"""Our frozen values <-> the JSON text that is kept of them. Known types only; defaults are left out.

Shared by the store and the journal. A member that a later version added is absent in an old text and takes its default;
a member that a later version took away is ignored, so a rolling restart reads both.
"""

import json
import types
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

V = TypeVar("V")
Read = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_json(value: Any) -> str:
    """Compact JSON of a frozen dataclass. Times are Unix microseconds: exact, and short."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def from_json(kind: type[V], text: str | bytes) -> V:
    """Raises ValueError, KeyError or TypeError when the text is not one of ours."""
    return from_plain(kind, json.loads(text))


def from_plain(kind: type[V], raw: Any) -> V:
    shape: Any = kind
    value: V = _reader(shape)(raw)
    return value


def plain(value: Any) -> Any:
    """The value as JSON types."""
    if value is None or isinstance(value, str | int | float):  # StrEnum is a str
        return value
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    shape: Any = type(value)
    return {
        name: plain(member)
        for name, default in _defaults(shape)
        if (member := getattr(value, name)) is not default and member != default
    }


@cache
def _defaults(kind: type) -> tuple[tuple[str, Any], ...]:
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is not one of the values we keep")
    return tuple((one.name, _default(one)) for one in fields(kind))


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING


@cache
def _reader(kind: Any) -> Read:
    if get_origin(kind) in (types.UnionType, Union):
        return _optional(kind)
    if get_origin(kind) is tuple:
        one = _reader(get_args(kind)[0])
        return lambda raw: tuple(one(item) for item in raw)
    if kind is datetime:
        return lambda raw: _EPOCH + raw * _MICROSECOND
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind)
    return lambda raw: raw


def _optional(kind: Any) -> Read:
    (one,) = (part for part in get_args(kind) if part is not type(None))
    read = _reader(one)
    return lambda raw: None if raw is None else read(raw)


def _dataclass(kind: type) -> Read:
    hints = get_type_hints(kind)
    readers = {one.name: _reader(hints[one.name]) for one in fields(kind)}

    def read(raw: Any) -> Any:
        return kind(**{name: readers[name](item) for name, item in raw.items() if name in readers})

    return read
