"""The network's announcement tones before an answer: three rising tones whose pitch and length say what is wrong. Pure.

ITU-T E.180/Q.35 has 950, 1400 and 1800 Hz, 330 ms each; within its tolerances Bellcore (GR-1162, SR-2275) chose two
pitches and two lengths for the first two tones: eight signals, six of them with a meaning. Tables that agree: John
Covert, TELECOM Digest of 18 October 1985; Dave Bonney, TELECOM Digest of 24 August 1990; the touch-tone text of
gbppr.ddns.net, after an installation manual of about 1983 (all eight). The plain tones of E.180 lie between the
pitches and say nothing but "no".
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from math import atan2, cos, pi, sin
from operator import mul

from sip.causes import Sit

RATE_HZ = 8000
_BLOCK = 40  # samples, 5 ms: fine enough for lengths, and wide enough (200 Hz) for both pitches of one tone
_BLOCK_MS = 1000 * _BLOCK / RATE_HZ
_CENTRES = (950.0, 1400.0, 1776.7)  # Hz: halfway between the pitches of each tone; the third has one pitch
_LOW, _HIGH = (913.8, 1370.6, 1776.7), (985.2, 1428.5)
_OUT_OF_TUNE = 0.0165  # 1.5 %, and what an estimate in noise may add; 1400 Hz stays between the two
_FAINT = _BLOCK * 100.0**2  # energy of a block below which nobody listens: about -50 dBFS, as for keys
_SHARE = 0.55  # of a block's energy that one tone has to hold: in speech this never lasts
_STEADY = 0.8  # how far the blocks of one tone have to agree on its pitch: 1 is a perfect sine
_DROP_BLOCKS = 10  # two lost packets (40 ms) and their edges do not end a tone
_GAP_BLOCKS = 10  # silence between tones: E.180 allows 30 ms
_TONE_MS = 100.0  # shorter is no tone: the first may have begun before anybody listened
_LONGEST_MS = 460.0  # 380 ms and 20 %
_THIRD_MS = 295.0  # 380 ms less 20 %, and a block at either end
_SHORT_BELOW = 0.86  # of the third tone, which is the ruler: short is 274/380 = 0.72 of it, long as long

# first high, second high, second short -> first short, meaning. None: it is not asked, as it may be cut off. Where
# only lengths tell a dead number from a full network, both have to: a torn stream makes a short tone long.
_MEANS: dict[tuple[bool, bool, bool], tuple[bool | None, Sit]] = {
    (True, False, True): (None, Sit.VACANT),
    (False, False, True): (True, Sit.INTERCEPT),
    (True, True, False): (None, Sit.NO_CIRCUIT),
    (False, False, False): (False, Sit.NO_CIRCUIT),  # of a long-distance carrier
    (False, True, False): (True, Sit.REORDER),
    (True, False, False): (True, Sit.REORDER),  # of a long-distance carrier
}


def _table(hz: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    turn = 2 * pi * hz / RATE_HZ
    return tuple(cos(turn * n) for n in range(_BLOCK)), tuple(sin(turn * n) for n in range(_BLOCK))


_TABLES = [_table(hz) for hz in _CENTRES]


@dataclass(slots=True)
class _Tone:
    """Blocks of one tone. `turn`: by how much the phase runs on from block to block, weighted by strength."""

    band: int
    begin: int
    end: int  # the last block
    last: complex
    turn: complex = 0j
    strength: float = 0.0

    def add(self, block: int, value: complex) -> None:
        if block == self.end + 1:
            self.turn += value * self.last.conjugate()
            self.strength += abs(value) * abs(self.last)
        self.end, self.last = block, value

    @property
    def ms(self) -> float:
        return (self.end - self.begin + 1) * _BLOCK_MS

    @property
    def steady(self) -> bool:
        return abs(self.turn) >= _STEADY * self.strength > 0

    @property
    def hz(self) -> float:
        # Tables start anew in each block, so the centre's own turn has to be taken out first.
        own = 2 * pi * _CENTRES[self.band] * _BLOCK / RATE_HZ
        turned = self.turn * complex(cos(own), -sin(own))
        return _CENTRES[self.band] + atan2(turned.imag, turned.real) * RATE_HZ / (2 * pi * _BLOCK)


class SitEar:
    """One direction of one call, mono PCM16 at 8 kHz in any portions."""

    def __init__(self) -> None:
        self._rest = array("h")
        self._block = 0
        self._now: _Tone | None = None
        self._before: list[_Tone] = []  # whole tones of a signal that is not over

    def hear(self, pcm: bytes) -> Iterator[Sit]:
        """Signals that became certain with this."""
        self._rest.frombytes(pcm)
        begin = 0
        while begin + _BLOCK <= len(self._rest):
            over = self._take(*_strongest(self._rest[begin : begin + _BLOCK]))
            found = self._follow(over) if over is not None else None
            if found is not None:
                yield found
            begin += _BLOCK
        del self._rest[:begin]

    def _take(self, band: int | None, value: complex) -> _Tone | None:
        """The tone that is over now."""
        block, now = self._block, self._now
        self._block += 1
        if now is not None and band == now.band and block - now.end <= _DROP_BLOCKS:
            now.add(block, value)
            return None
        if now is not None and band is None and block - now.end <= _DROP_BLOCKS:
            return None
        self._now = _Tone(band, block, block, value) if band is not None else None
        return now if now is not None and now.ms >= _TONE_MS else None

    def _follow(self, tone: _Tone) -> Sit | None:
        """What three in a row mean."""
        if not tone.steady or tone.ms > _LONGEST_MS:
            self._before.clear()
            return None
        if self._before and not self._continues(tone):
            self._before.clear()
        if tone.band == len(self._before):
            self._before.append(tone)
        if len(self._before) < len(_CENTRES):
            return None
        first, second, third = self._before
        self._before = []
        return _meaning(first, second, third)

    def _continues(self, tone: _Tone) -> bool:
        return tone.band == len(self._before) and tone.begin - self._before[-1].end - 1 <= _GAP_BLOCKS


def _meaning(first: _Tone, second: _Tone, third: _Tone) -> Sit | None:
    highs = [_is_high(first), _is_high(second)]
    if None in highs or not _near(third.hz, _LOW[2]) or third.ms < _THIRD_MS:
        return None
    ruler = _SHORT_BELOW * third.ms
    found = _MEANS.get((bool(highs[0]), bool(highs[1]), second.ms < ruler))
    if found is None or found[0] not in (None, first.ms < ruler):
        return None
    return found[1]


def _is_high(tone: _Tone) -> bool | None:
    """None: between the two."""
    if _near(tone.hz, _LOW[tone.band]):
        return False
    return True if _near(tone.hz, _HIGH[tone.band]) else None


def _near(hz: float, wanted: float) -> bool:
    return abs(hz / wanted - 1) <= _OUT_OF_TUNE


def _strongest(samples: "array[int]") -> tuple[int | None, complex]:
    """The tone that fills a block; None for anything else."""
    energy = sum(map(mul, samples, samples))
    if energy < _FAINT:
        return None, 0j
    values = [complex(sum(map(mul, samples, re)), -sum(map(mul, samples, im))) for re, im in _TABLES]
    band = max(range(len(values)), key=lambda n: abs(values[n]))
    # A pure tone of amplitude a has the energy N a²/2 and, here, the power (N a/2)².
    pure = 2 * abs(values[band]) ** 2 >= _SHARE * energy * _BLOCK
    return (band, values[band]) if pure else (None, 0j)
