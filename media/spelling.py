"""ToneEngine, the twin of the speech engines: spells text in tone pairs that a test phone reads back exactly.

One byte of UTF-8 is two symbols of 25 ms (20 bytes per second); a symbol is one of 16 pairs of frequencies. Symbols
take turns between two alphabets, so equal neighbours stay apart and a jitter buffer may stretch or shorten them
without harm. A message is START, bytes, CRC-32, END: what was damaged on the way is refused, never misread.
All frequencies lie outside the row group of DTMF, so no receiver takes a message for key presses.
"""

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from media.speech import Sound, SpeechError, Utterance
from media.tones import Floats, at_line_rate, energies, frames, joined, power, tone

SYMBOL_MS = 25
MARK_MS = 60  # START and END: longer, so that trimming may gnaw at them
TEXT_MAX = 10_000

_LOW = (1050, 1200, 1350, 1500, 1650, 1800, 1950, 2100)
_HIGH = (2250, 2400, 2550, 2700, 2850, 3000, 3150, 3300)
_START, _END = (340, 540), (430, 660)
_LEVEL = 0.5

_FRAME, _HOP = 120, 20  # 15 ms every 2.5 ms: several whole frames inside each symbol
_FLOOR = 10 ** (-50 / 10)
_SHARE = 0.5  # of the power that must lie on our frequencies, or it is not our signal
_RUN_MIN = 3  # frames; shorter runs are the seam between two symbols


class Garbled(SpeechError):
    """Tones were heard, but not a whole message: cut, or its checksum does not agree. `parts` has None for each."""

    def __init__(self, parts: tuple[str | None, ...]) -> None:
        super().__init__("tones were heard, but a message was cut or damaged on the way")
        self.parts = parts


class ToneEngine:
    """A SpeechEngine for every language and voice; `speed` is ignored, the listener needs no slower tones."""

    @property
    def name(self) -> str:
        return "tones"

    def speaks(self, language: str) -> bool:
        return True

    async def speak(self, utterance: Utterance) -> Sound:
        return spell(utterance.text)


def spell(text: str) -> Sound:
    """`text` as tones, 8000 Hz. Raises SpeechError when it is empty, too long or not valid Unicode."""
    if not text.strip():
        raise SpeechError("there is nothing to spell")
    if len(text) > TEXT_MAX:
        raise SpeechError(f"more than {TEXT_MAX} characters are not spelled")
    try:
        body = text.encode()
    except UnicodeEncodeError:
        raise SpeechError("the text is not valid Unicode") from None
    body += zlib.crc32(body).to_bytes(4, "big")
    symbols = [_symbol(nibble, index % 2) for index, nibble in enumerate(_nibbles(body))]
    return joined([tone(_START, MARK_MS, level=_LEVEL), *symbols, tone(_END, MARK_MS, level=_LEVEL)])


def _nibbles(body: bytes) -> Iterator[int]:
    for byte in body:
        yield byte >> 4
        yield byte & 15


def _symbol(nibble: int, alphabet: int) -> Sound:
    pair = (_LOW[4 * alphabet + nibble // 4], _HIGH[4 * alphabet + nibble % 4])
    return tone(pair, SYMBOL_MS, level=_LEVEL)


def decode(sound: Sound) -> str:
    """The text of all messages in `sound`, joined by spaces; "" without any tones. Raises Garbled."""
    parts = messages(sound)
    if None in parts:
        raise Garbled(parts)
    return " ".join(part for part in parts if part is not None)


def messages(sound: Sound) -> tuple[str | None, ...]:
    """One entry per message begun in `sound`: its text, or None when it was cut or damaged."""
    found: list[str | None] = []
    nibbles: list[int] | None = None
    for kind, nibble in _runs(at_line_rate(sound)):
        if kind == "start":
            if nibbles is not None:
                found.append(None)
            nibbles = []
        elif kind == "end":
            found.append(_checked(nibbles))
            nibbles = None
        elif nibbles is None:
            nibbles = [-1]  # symbols without their START: the beginning was lost
        else:
            nibbles.append(nibble)
    if nibbles is not None:
        found.append(None)
    return tuple(found)


def _checked(nibbles: list[int] | None) -> str | None:
    if nibbles is None or len(nibbles) % 2 or len(nibbles) <= 8 or -1 in nibbles:
        return None
    body = bytes(high << 4 | low for high, low in zip(nibbles[::2], nibbles[1::2], strict=True))
    if zlib.crc32(body[:-4]).to_bytes(4, "big") != body[-4:]:
        return None
    try:
        return body[:-4].decode()
    except UnicodeDecodeError:
        return None


def _runs(samples: Floats) -> Iterator[tuple[str, int]]:
    """What was sent, run by run: ("start", 0), ("end", 0) or ("symbol", 0 to 15)."""
    rows = frames(samples, _FRAME, _HOP)
    found = energies(rows, _LOW + _HIGH + _START + _END)
    total = power(rows)
    groups = np.stack(
        [
            found[:, 0:4].max(axis=1) + found[:, 8:12].max(axis=1),
            found[:, 4:8].max(axis=1) + found[:, 12:16].max(axis=1),
            found[:, 16:18].sum(axis=1),
            found[:, 18:20].sum(axis=1),
        ],
        axis=1,
    )
    ours = (total > _FLOOR) & (groups.max(axis=1) > _SHARE * total)
    speaker = np.where(ours, groups.argmax(axis=1), -1)
    edges = np.flatnonzero(np.diff(speaker)) + 1
    for chunk in np.split(np.arange(len(speaker)), edges):
        if speaker[chunk[0]] >= 0 and len(chunk) >= _RUN_MIN:
            yield _read(int(speaker[chunk[0]]), found[chunk])


def _read(alphabet: int, rows: NDArray[np.float32]) -> tuple[str, int]:
    """One run of frames that agree on the alphabet (0, 1, START, END), read by its summed energy."""
    total = rows.sum(axis=0)
    if alphabet >= 2:
        return ("start", "end")[alphabet - 2], 0
    low = int(total[4 * alphabet : 4 * alphabet + 4].argmax())
    high = int(total[8 + 4 * alphabet : 12 + 4 * alphabet].argmax())
    return "symbol", 4 * low + high
