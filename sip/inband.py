"""Keys heard in the sound itself: the eight tones of ITU-T Q.23, by the timing of Q.24. Pure.

For trunks that send keys neither as events nor as INFO. A key is two tones, one of each group, that hold nearly all of
the energy for at least 40 ms: speech seldom does.
"""

from array import array
from collections.abc import Iterator
from math import cos, pi, sin
from operator import mul

RATE_HZ = 8000
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
_WINDOW, _HOP = 160, 80  # samples: 20 ms, every 10 ms; a tone of 40 ms fills two windows wherever it begins
_TRUE_AFTER = 2  # windows in a row that agree
_OVER_AFTER = 2  # windows in a row without it, until the same key counts again: a pause of 40 ms
_FAINT = 160 * 100.0**2  # energy of a window below which nobody listens: about -50 dBFS
_SHARE = 0.55  # of the energy that the two tones have to hold; Q.24 lets them be 1.5 % out of tune
_TWIST = 10.0  # one tone may be so many times as strong as the other (10 dB); Q.24 asks for 4 to 8 dB


def _table(hz: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    turn = 2 * pi * hz / RATE_HZ
    return tuple(cos(turn * n) for n in range(_WINDOW)), tuple(sin(turn * n) for n in range(_WINDOW))


_ROW_TABLES, _COLUMN_TABLES = [_table(hz) for hz in _ROWS], [_table(hz) for hz in _COLUMNS]


class InBand:
    """One direction of one call, mono PCM16 at 8 kHz in any portions."""

    def __init__(self) -> None:
        self._rest = array("h")
        self._last = ""
        self._same = 0
        self._held = ""  # told, and still sounding
        self._missed = 0

    def hear(self, pcm: bytes) -> Iterator[str]:
        """Keys that became certain with this."""
        self._rest.frombytes(pcm)
        begin = 0
        while begin + _WINDOW <= len(self._rest):
            key = self._take(_key_in(self._rest[begin : begin + _WINDOW]))
            if key:
                yield key
            begin += _HOP
        del self._rest[:begin]

    def _take(self, seen: str) -> str:
        self._same = self._same + 1 if seen == self._last else 1
        self._last = seen
        if self._held:
            self._missed = 0 if seen == self._held else self._missed + 1
            if self._missed >= _OVER_AFTER:
                self._held = ""
        if not seen or self._held or self._same < _TRUE_AFTER:
            return ""
        self._held, self._missed = seen, 0
        return seen


def _key_in(samples: "array[int]") -> str:
    """The key of one window; empty for anything else."""
    energy = sum(map(mul, samples, samples))
    if energy < _FAINT:
        return ""
    rows, columns = _powers(samples, _ROW_TABLES), _powers(samples, _COLUMN_TABLES)
    row, column = max(rows), max(columns)
    # A pure tone of amplitude a has the energy N a²/2 and, here, the power (N a/2)².
    if 2 * (row + column) < _SHARE * energy * len(samples) or not 1 / _TWIST < row / column < _TWIST:
        return ""
    return _KEYS[rows.index(row)][columns.index(column)]


def _powers(samples: "array[int]", tables: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> list[float]:
    return [sum(map(mul, samples, re)) ** 2 + sum(map(mul, samples, im)) ** 2 for re, im in tables]
