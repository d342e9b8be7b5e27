"""Values <-> frames on the pipe between the dialer and a line process: four bytes of length, then JSON.

Only the classes named here can come out of `decode`, with every field of the declared type: a line process taken over
by a hostile packet can lie about its calls, but it cannot make its parent build anything else. Hence never pickle.
"""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from sip.commands import Command
from sip.events import Event
from sip.setup import LineSetup

Value = Command | Event | LineSetup

MAX_FRAME = (
    64 * 1024
)  # a masked SIP message of 4 KiB is the largest thing that travels; JSON may write it six times as long
_LENGTH = struct.Struct("!I")
_INT_MAX = 2**63  # beyond that no store and no JSON reader on the way agrees with us

_Reader = Callable[[Any], Any]


class WireError(Exception):
    """A frame that is too long, or is not a value we know. The pipe it came from is not to be believed any more."""


def encode(value: Value) -> bytes:
    """One whole frame. Raises WireError when it is too long."""
    payload = dumps(value).encode("ascii")
    if len(payload) > MAX_FRAME:
        raise WireError(f"{type(value).__name__} takes {len(payload)} bytes, more than {MAX_FRAME}")
    return _LENGTH.pack(len(payload)) + payload


def dumps(value: Value) -> str:
    """One line of ASCII JSON: a frame without its length; also the form of a journal line."""
    name = type(value).__name__
    if name not in _KNOWN:
        raise WireError(f"{name} does not travel")
    return json.dumps({"type": name, **_plain(value)}, separators=(",", ":"), allow_nan=False)


def loads(text: str | bytes) -> Value:
    """The value, checked field by field. Raises WireError."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {type(error).__name__}") from None
    if not isinstance(raw, dict):
        raise WireError("not an object")
    name = raw.pop("type", None)
    reader = _KNOWN.get(name) if isinstance(name, str) else None
    if reader is None:
        raise WireError("not a type we know")
    value: Value = reader(raw)
    return value


class FrameReader:
    """Cuts a byte stream into values, however the bytes arrive."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Value]:
        """All values complete by now. Raises WireError; after that the reader is of no use."""
        self._buffer += data
        values: list[Value] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise WireError(f"a frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            values.append(loads(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return values


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    return value


def _read_str(raw: Any) -> str:
    if not isinstance(raw, str):
        raise WireError("not a string")
    # SIP is not always UTF-8; a lone surrogate would only explode later, in the store.
    return raw.encode("utf-8", "replace").decode("utf-8") if not raw.isascii() else raw


def _read_bool(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise WireError("not a boolean")
    return raw


def _read_int(raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not -_INT_MAX <= raw < _INT_MAX:
        raise WireError("not an integer of 64 bits")
    return raw


def _read_float(raw: Any) -> float:
    if not isinstance(raw, (int, float)) or isinstance(raw, bool):
        raise WireError("not a number")
    try:
        number = float(raw)
    except OverflowError:
        raise WireError("not a number of 64 bits") from None
    if not math.isfinite(number):
        raise WireError("not a finite number")
    return number


def _read_none(raw: Any) -> None:
    if raw is not None:
        raise WireError("not null")


_SCALARS: dict[Any, _Reader] = {
    str: _read_str,
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    NoneType: _read_none,
}


def _reader(hint: Any) -> _Reader:
    """What reads a field of this type; made once, when the module is imported."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _enum_reader(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return _record_reader(hint)
    if get_origin(hint) is tuple:
        return _tuple_reader(get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return _union_reader(tuple(_reader(arm) for arm in get_args(hint)))
    raise TypeError(f"{hint} has no form on the wire")


def _enum_reader(kind: type[StrEnum]) -> _Reader:
    def read(raw: Any) -> StrEnum:
        try:
            return kind(_read_str(raw))
        except ValueError:
            raise WireError(f"not a {kind.__name__}") from None

    return read


def _record_reader(kind: type) -> _Reader:
    hints = get_type_hints(kind)
    readers = {f.name: _reader(hints[f.name]) for f in fields(kind)}
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}

    def read(raw: Any) -> Any:
        if not isinstance(raw, dict) or not needed <= raw.keys() <= readers.keys():
            raise WireError(f"not the fields of {kind.__name__}")
        return kind(**{name: readers[name](item) for name, item in raw.items()})

    return read


def _tuple_reader(arms: tuple[Any, ...]) -> _Reader:
    if len(arms) == 2 and arms[1] is Ellipsis:
        each = _reader(arms[0])
        return lambda raw: tuple(each(item) for item in _list(raw))
    readers = [_reader(arm) for arm in arms]

    def read(raw: Any) -> tuple[Any, ...]:
        items = _list(raw)
        if len(items) != len(readers):
            raise WireError(f"not {len(readers)} items")
        return tuple(one(item) for one, item in zip(readers, items, strict=True))

    return read


def _list(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise WireError("not a list")
    return raw


def _union_reader(arms: tuple[_Reader, ...]) -> _Reader:
    def read(raw: Any) -> Any:
        for arm in arms:
            try:
                return arm(raw)
            except WireError:
                continue
        raise WireError("none of the types allowed here")

    return read


KNOWN: tuple[type, ...] = get_args(Value)
_KNOWN: dict[str, _Reader] = {kind.__name__: _record_reader(kind) for kind in KNOWN}
