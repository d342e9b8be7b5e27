"""Sounds of a telephone network, as A-law: what an `Ear` says."""

import math
from array import array
from collections.abc import Iterable

from sip.causes import Sit
from sip.sandbox.g711 import PCMA

LEVEL = 1500  # the peak: -24 dBm0, as ITU-T E.180 has it
THIRD = (1776.7, 380)


def tones(*parts: tuple[float, float]) -> list[float]:
    """One after the other, each (Hz, ms); 0 Hz is silence."""
    return [LEVEL * math.sin(2 * math.pi * hz * n / 8000) for hz, ms in parts for n in range(round(8 * ms))]


def a_law(samples: Iterable[float]) -> bytes:
    return PCMA.encode(array("h", map(round, samples)).tobytes())


def together(*hz: float, ms: float) -> list[float]:
    return [sum(parts) for parts in zip(*(tones((one, ms)) for one in hz), strict=True)]


def ringback() -> bytes:
    return a_law([*together(440, 480, ms=1000), *tones((0, 500))])


SIGNALS: dict[Sit, bytes] = {
    sit: a_law(tones(*two, THIRD, (0, 200)))
    for sit, two in {
        Sit.VACANT: ((985.2, 380), (1370.6, 274)),
        Sit.INTERCEPT: ((913.8, 274), (1370.6, 274)),
        Sit.NO_CIRCUIT: ((985.2, 380), (1428.5, 380)),
        Sit.REORDER: ((913.8, 274), (1428.5, 380)),
    }.items()
}
"""Each signal, and a pause before it comes again."""

KEY_5 = a_law([*together(770, 1336, ms=100), *tones((0, 100))])
