"""What was said of a trunk, table by table, read so that every mistake is named: file, table and key, or pointer."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

_KIND: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class TrunkError(Exception):
    """What was said of a trunk is wrong. `table`, `key` and `pointer` say where; the text never contains a secret.

    `pointer` is a JSON pointer fragment (RFC 6901), counted from the trunk: `#/uris/0/host`. `is_unknown`: there is no
    such key at all.
    """

    is_unknown = False

    def __init__(self, file: Path | None, table: str, key: str, sentence: str, pointer: str = "#") -> None:
        self.file, self.table, self.key, self.sentence, self.pointer = file, table, key, sentence, pointer
        where = " ".join(part for part in (f"[{table}]" if table else "", key) if part)
        if file is None:
            where = pointer.removeprefix("#/").removeprefix("#").replace("/", ".")
        super().__init__(": ".join(part for part in (str(file or ""), where, sentence) if part))


@dataclass(frozen=True, slots=True)
class Section:
    """The values of one table. Everything that reads one raises TrunkError when it is not what it has to be.

    `file` is None for an object that came over the API.
    """

    file: Path | None
    table: str
    values: Mapping[str, Any]
    pointer: str = "#"

    def error(self, key: str, sentence: str) -> TrunkError:
        return TrunkError(self.file, self.table, key, sentence, self._down(key) if key else self.pointer)

    def only(self, known: tuple[str, ...]) -> None:
        """Refuse every key that is not known, with the nearest one that is."""
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key[:60], known, n=1)
                error = self.error(key, "unknown key" + (f"; did you mean {near[0]}?" if near else ""))
                error.is_unknown = True
                raise error

    def get(self, key: str, kind: type[T], default: T) -> T:
        value = self.values.get(key, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(key, f"has to be {_KIND[kind]}")
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        value = self.get(key, int, default)
        if not low <= value <= high:
            raise self.error(key, f"has to be between {low} and {high}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, f"has to be {_KIND[float]}")
        if not low <= value <= high:
            raise self.error(key, f"has to be between {low:g} and {high:g}")
        return float(value)

    def words(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        value: list[Any] = self.get(key, list, list(default))
        if not all(isinstance(word, str) for word in value):
            raise self.error(key, "has to be a list of texts")
        return tuple(value)

    def choice(self, key: str, default: E) -> E:
        """One of the words of the enum that `default` belongs to."""
        words = [member.value for member in type(default)]
        if self.get(key, str, default.value) not in words:
            raise self.error(key, f"has to be one of {', '.join(words)}")
        return type(default)(self.values.get(key, default))

    def inner(self, key: str) -> "Section":
        """The table below, empty when it is not there."""
        return Section(self.file, self._dotted(key), self.get(key, dict, {}), self._down(key))

    def each(self, key: str) -> tuple["Section", ...]:
        """The tables of a list of tables."""
        tables = self.get(key, list, [])
        if not all(isinstance(table, dict) for table in tables):
            raise self.error(key, "has to be a list of tables { … }")
        return tuple(
            Section(self.file, f"{self._dotted(key)}[{number}]", table, f"{self._down(key)}/{number}")
            for number, table in enumerate(tables)
        )

    def either(self, short: str, full: "Section", key: str) -> tuple["Section", str]:
        """Where the value stands: here (the short form) or in `full` (the full form), never in both."""
        if short in self.values and key in full.values:
            raise self.error(short, f"stands in {full.table.rsplit('.', 1)[-1]}.{key} too; say it once")
        return (full, key) if key in full.values else (self, short)

    def _dotted(self, key: str) -> str:
        return f"{self.table}.{key}" if self.table else key

    def _down(self, key: str) -> str:
        short = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in key[:60])
        return f"{self.pointer}/{short.replace('~', '~0').replace('/', '~1')}"
