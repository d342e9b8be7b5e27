"""Tones of the telephone network: made and recognised (DTMF, beep, ringback, busy). Pure.

Recognition is Goertzel's filter written as one matrix product: the energy of each frame at a handful of frequencies.
Digits follow ITU-T Q.23 (frequencies) and Q.24 (40 ms tones, 40 ms gaps, twist).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
import soxr
from numpy.typing import NDArray

from media.speech import Sound

LINE_RATE_HZ = 8000
_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
_KEYS = "123A456B789C*0#D"
_RAMP_MS = 2  # rounds the edges of a tone, so that it does not click

Floats = NDArray[np.float32]


class Progress(StrEnum):
    """What a network says by tones."""

    RINGBACK = "ringback"
    BUSY = "busy"
    CONGESTION = "congestion"


@dataclass(frozen=True, slots=True)
class Cadence:
    """Frequencies sounding together, and the on/off pattern they are switched with."""

    progress: Progress
    frequencies: tuple[int, ...]
    pattern_s: tuple[float, ...]  # on, off, on, off, …


# North America (ITU-T E.180 national tables), the 425 Hz plan of most other networks, and the United Kingdom.
CADENCES = (
    Cadence(Progress.RINGBACK, (440, 480), (2.0, 4.0)),
    Cadence(Progress.BUSY, (480, 620), (0.5, 0.5)),
    Cadence(Progress.CONGESTION, (480, 620), (0.25, 0.25)),
    Cadence(Progress.RINGBACK, (425,), (1.0, 4.0)),
    Cadence(Progress.BUSY, (425,), (0.5, 0.5)),
    Cadence(Progress.CONGESTION, (425,), (0.25, 0.25)),
    Cadence(Progress.RINGBACK, (400, 450), (0.4, 0.2, 0.4, 2.0)),
    Cadence(Progress.BUSY, (400,), (0.375, 0.375)),
)


@dataclass(frozen=True, slots=True)
class Beep:
    """A steady tone of one frequency."""

    at_ms: int
    ms: int
    hz: int


# --- making -----------------------------------------------------------------------------------------------------------


def tone(frequencies: Iterable[float], ms: int, *, level: float = 0.5, rate_hz: int = LINE_RATE_HZ) -> Sound:
    """`frequencies` together for `ms`; `level` is the peak of their sum."""
    wanted = tuple(frequencies)
    count = round(rate_hz * ms / 1000)
    at = np.arange(count, dtype=np.float64)[:, None] / rate_hz
    samples = np.sin(2 * np.pi * at * np.asarray(wanted)).sum(axis=1) * (level / max(1, len(wanted)))
    ramp = min(count // 2, round(rate_hz * _RAMP_MS / 1000))
    if ramp:
        rise = np.linspace(0.0, 1.0, ramp, endpoint=False)
        samples[:ramp] *= rise
        samples[count - ramp :] *= rise[::-1]
    return Sound(samples.astype(np.float32), rate_hz)


def silence(ms: int, *, rate_hz: int = LINE_RATE_HZ) -> Sound:
    return Sound(np.zeros(round(rate_hz * ms / 1000), dtype=np.float32), rate_hz)


def joined(sounds: Sequence[Sound]) -> Sound:
    """One after the other; all of one rate."""
    rates = {sound.rate_hz for sound in sounds}
    if len(rates) != 1:
        raise ValueError("only sounds of one rate can be joined")
    return Sound(np.concatenate([sound.samples for sound in sounds]), rates.pop())


def dtmf(digit: str, ms: int = 100, *, rate_hz: int = LINE_RATE_HZ) -> Sound:
    """One key of `0-9 A-D * #`; raises ValueError for any other."""
    index = _KEYS.find(digit.upper()) if len(digit) == 1 else -1
    if index < 0:
        raise ValueError("not a telephone key")
    return tone((_ROWS[index // 4], _COLUMNS[index % 4]), ms, rate_hz=rate_hz)


def dtmf_keys(digits: str, ms: int = 100, gap_ms: int = 80, *, rate_hz: int = LINE_RATE_HZ) -> Sound:
    """Several keys with gaps around them."""
    gap = silence(gap_ms, rate_hz=rate_hz)
    return joined([gap, *(part for digit in digits for part in (dtmf(digit, ms, rate_hz=rate_hz), gap))])


def beep(hz: float = 1000, ms: int = 400, *, rate_hz: int = LINE_RATE_HZ) -> Sound:
    """What a voicemail says before it records."""
    return tone((hz,), ms, rate_hz=rate_hz)


def progress_tone(cadence: Cadence, seconds: float, *, rate_hz: int = LINE_RATE_HZ) -> Sound:
    """`cadence`, from its start, cut at `seconds`."""
    parts: list[Sound] = []
    made = 0.0
    while made < seconds:
        for index, length in enumerate(cadence.pattern_s):
            ms = round(length * 1000)
            parts.append(silence(ms, rate_hz=rate_hz) if index % 2 else tone(cadence.frequencies, ms, rate_hz=rate_hz))
            made += length
    whole = joined(parts)
    return Sound(whole.samples[: round(seconds * rate_hz)], rate_hz)


def ringback(seconds: float, *, rate_hz: int = LINE_RATE_HZ) -> Sound:
    """440 + 480 Hz, two seconds on, four off."""
    return progress_tone(CADENCES[0], seconds, rate_hz=rate_hz)


def busy(seconds: float, *, rate_hz: int = LINE_RATE_HZ) -> Sound:
    """480 + 620 Hz, half a second on, half a second off."""
    return progress_tone(CADENCES[1], seconds, rate_hz=rate_hz)


# --- recognising ------------------------------------------------------------------------------------------------------


def at_line_rate(sound: Sound) -> Floats:
    """Samples at 8000 Hz without their DC part; anything that is not a number counts as silence."""
    samples = np.nan_to_num(np.asarray(sound.samples, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if sound.rate_hz != LINE_RATE_HZ and len(samples):
        samples = np.asarray(soxr.resample(samples, sound.rate_hz, LINE_RATE_HZ), dtype=np.float32)
    if not len(samples):
        return samples
    return np.asarray(samples - samples.mean(), dtype=np.float32)


def frames(samples: Floats, size: int, hop: int) -> Floats:
    """Overlapping frames as rows; a sound shorter than one frame is padded to one."""
    if len(samples) < size:
        samples = np.concatenate([samples, np.zeros(size - len(samples), dtype=np.float32)])
    return np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]


def energies(rows: Floats, frequencies: Sequence[float]) -> Floats:
    """Mean power of each frame at each frequency (Goertzel), with a Hann window against leakage.

    A sine of amplitude a gives a²/2, the same unit as the mean square of the frame.
    """
    size = rows.shape[1]
    window = np.hanning(size + 2)[1:-1]
    phase = 2 * np.pi * np.arange(size)[:, None] * np.asarray(frequencies, dtype=np.float64) / LINE_RATE_HZ
    gain = np.sqrt(2.0) / window.sum()
    cosine = (window[:, None] * np.cos(phase) * gain).astype(np.float32)
    sine = (window[:, None] * np.sin(phase) * gain).astype(np.float32)
    return np.asarray((rows @ cosine) ** 2 + (rows @ sine) ** 2, dtype=np.float32)


def power(rows: Floats) -> Floats:
    """Mean square of each frame under the same window as `energies`."""
    window = np.hanning(rows.shape[1] + 2)[1:-1] ** 2
    return np.asarray((rows**2) @ (window / window.sum()).astype(np.float32), dtype=np.float32)


_DIGIT_FRAME, _DIGIT_HOP = 204, 40  # 25.5 ms every 5 ms
_DIGIT_FLOOR = 10 ** (-45 / 10)
_PAIR_SHARE = 0.55  # of the frame's power that the two tones must hold; speech seldom passes 0.4
_TWIST = 10 ** (9 / 10)  # column against row: Q.24 administrations accept 4 to 10 dB
_CLEAR = 10 ** (6 / 10)  # the winner over the runner-up of its group
_DIGIT_FRAMES = 6  # 30 ms: Q.24 asks for 40 ms to be taken, and for 20 ms to be refused
_GAP_FRAMES = 6  # 30 ms; one lost 20 ms packet inside a tone is shorter and does not make two digits of it
_EDGE = 0.25  # of the power around: where half a frame is tone, the tone begins
_EDGE_FRAMES = 5


def digits_in(sound: Sound) -> str:
    """In-band DTMF digits, in order."""
    rows = frames(at_line_rate(sound), _DIGIT_FRAME, _DIGIT_HOP)
    found = energies(rows, _ROWS + _COLUMNS)
    low, high = found[:, :4], found[:, 4:]
    row, column = low.max(axis=1), high.max(axis=1)
    total = power(rows)
    valid = (
        (total > _DIGIT_FLOOR)
        & (row + column > _PAIR_SHARE * total)
        & (row < _TWIST * column)
        & (column < _TWIST * row)
        & (row > _CLEAR * np.sort(low, axis=1)[:, -2])
        & (column > _CLEAR * np.sort(high, axis=1)[:, -2])
    )
    around = np.lib.stride_tricks.sliding_window_view(np.pad(row + column, _EDGE_FRAMES), 2 * _EDGE_FRAMES + 1)
    valid &= row + column > _EDGE * around.max(axis=1)
    keys = np.where(valid, low.argmax(axis=1) * 4 + high.argmax(axis=1), -1)
    return "".join(_KEYS[key] for key in _presses(keys.tolist()))


def _presses(keys: Iterable[int]) -> Iterator[int]:
    """Debounce: a key counts once it held for `_DIGIT_FRAMES`, and again only after `_GAP_FRAMES` without it."""
    held, run, missing, current = -1, 0, 0, -1
    for key in keys:
        run = run + 1 if key == current else 1
        current = key
        missing = 0 if key == held else missing + 1
        if held >= 0 and missing >= _GAP_FRAMES:
            held = -1
        if key >= 0 and key != held and run >= _DIGIT_FRAMES:
            held, missing = key, 0
            yield key


_BEEP_FRAME, _BEEP_HOP = 800, 160  # 100 ms: 440 and 480 Hz are two tones, not one
_BEEP_FLOOR = 10 ** (-42 / 10)
_BEEP_SHARE = 0.85
_BEEP_BINS = 2  # either side of the peak, 10 Hz each: the main lobe of the window
_BEEP_STEADY_HZ = 25
_BEEP_RANGE_HZ = (350, 2600)


def beeps_in(sound: Sound, min_ms: int = 140) -> tuple[Beep, ...]:
    """Steady tones of one frequency between 350 and 2600 Hz; ringback and DTMF are two frequencies, so not a beep."""
    rows = frames(at_line_rate(sound), _BEEP_FRAME, _BEEP_HOP)
    spectrum = np.abs(np.fft.rfft(rows * np.hanning(_BEEP_FRAME), axis=1)) ** 2
    peak = spectrum.argmax(axis=1)
    near = np.abs(np.arange(spectrum.shape[1])[None, :] - peak[:, None]) <= _BEEP_BINS
    share = (spectrum * near).sum(axis=1) / np.maximum(spectrum.sum(axis=1), 1e-12)
    hz = peak * (LINE_RATE_HZ / _BEEP_FRAME)
    pure = (power(rows) > _BEEP_FLOOR) & (share > _BEEP_SHARE)
    pure &= (hz >= _BEEP_RANGE_HZ[0]) & (hz <= _BEEP_RANGE_HZ[1])
    return tuple(found for found in _steady(pure, hz) if found.ms >= min_ms)


def _steady(pure: NDArray[np.bool_], hz: NDArray[np.float64]) -> Iterator[Beep]:
    """Runs of pure frames whose frequency does not wander."""
    hop_ms, frame_ms = 1000 * _BEEP_HOP // LINE_RATE_HZ, 1000 * _BEEP_FRAME // LINE_RATE_HZ
    start: int | None = None
    for index in range(len(pure) + 1):
        goes_on = index < len(pure) and bool(pure[index])
        if start is not None and (not goes_on or abs(hz[index] - hz[start]) > _BEEP_STEADY_HZ):
            # A frame that is half tone is still pure: the run is longer than the tone by about half a frame.
            length = (index - 1 - start) * hop_ms + frame_ms // 2
            yield Beep(start * hop_ms + frame_ms // 4, length, round(float(np.median(hz[start:index]))))
            start = None
        if start is None and goes_on:
            start = index


_PROGRESS_FRAME, _PROGRESS_HOP = 400, 80
_PROGRESS_SHARE = 0.6
_CADENCE_TOLERANCE = 0.2


def progress_in(sound: Sound) -> Progress | None:
    """Ringback, busy or congestion, told by frequency and rhythm; needs two bursts, of which the last may be cut."""
    samples = at_line_rate(sound)
    rows = frames(samples, _PROGRESS_FRAME, _PROGRESS_HOP)
    total = power(rows)
    for frequencies in dict.fromkeys(cadence.frequencies for cadence in CADENCES):
        share = energies(rows, frequencies)
        on = (total > _BEEP_FLOOR) & (share.sum(axis=1) > _PROGRESS_SHARE * total)
        on &= share.min(axis=1) > 0.1 * total
        if on.sum() < 0.8 * (total > _BEEP_FLOOR).sum() or not on.any():
            continue
        rhythm = _rhythm(on)
        for cadence in CADENCES:
            if cadence.frequencies == frequencies and _fits(rhythm, cadence.pattern_s):
                return cadence.progress
    return None


def _rhythm(on: NDArray[np.bool_]) -> list[tuple[bool, float]]:
    """(sounding?, seconds) runs from the first sound to the last."""
    edges = np.flatnonzero(np.diff(on.astype(np.int8))) + 1
    bounds = [0, *edges.tolist(), len(on)]
    hop_s = _PROGRESS_HOP / LINE_RATE_HZ
    runs = [(bool(on[a]), (b - a) * hop_s) for a, b in pairwise(bounds)]
    sounding = [index for index, (is_on, _) in enumerate(runs) if is_on]
    return runs[sounding[0] : sounding[-1] + 1] if sounding else []


def _fits(rhythm: list[tuple[bool, float]], pattern_s: tuple[float, ...]) -> bool:
    """The runs follow the pattern from its start; the last one may be cut."""
    if len(rhythm) < 3:
        return False
    for index, (_, seconds) in enumerate(rhythm):
        wanted = pattern_s[index % len(pattern_s)]
        slack = max(0.06, _CADENCE_TOLERANCE * wanted)
        cut = index == len(rhythm) - 1
        if seconds > wanted + slack or (not cut and seconds < wanted - slack):
            return False
    return True
