"""Compares what was sent with what a phone recorded: was it heard, all of it, and was it the right thing? Pure.

Both sounds become log spectrograms (24 mel bands, 32 ms every 5 ms), with the average spectrum of the voice taken out:
plain 20 ms envelopes cannot tell two sentences of one voice apart, these can. The sent spectrogram is found in the
recording by correlation, then followed in steps of 0.2 s, so that a jitter buffer that slips costs the seam and not
the rest. Level, line codecs, sampling rate and a constant filter drop out of the comparison.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from media.speech import Sound
from media.tones import LINE_RATE_HZ, Floats, at_line_rate, frames

SILENCE_DBFS = -99.0

_FRAME, _HOP = 256, 40  # samples: 32 ms every 5 ms
_HOP_MS = 1000 * _HOP // LINE_RATE_HZ
_BANDS, _LOW_HZ, _HIGH_HZ = 24, 200.0, 3600.0
_RANGE_DB = 35.0  # below the loud part of the sound; deeper is codec noise
_SOUNDING_DB = 30.0
_FLOOR_DBFS = -60.0  # line noise and comfort noise stay below
_MARGIN = 20  # frames around sounding ones that count too: a steady tone differs from nothing only at its edges

_OVERLAP_MIN = 60  # frames (0.3 s): less says nothing
_STEP = 2  # alignment works on every second frame, 10 ms
_SEGMENT = 20  # steps of 10 ms: what is followed as one piece
_SLIP = 50  # steps of 10 ms: how far a piece may lie from where the whole was found
_SLIP_COST = 2.2  # in segments: a jump must gain 0.44 s of agreement; unrelated speech seldom does
_REPEAT_SLACK_S = 1.0  # how far a repetition may be from its due time

# Unrelated speech, put where it fits best, still correlates: by about this much in one second, less in longer sounds.
# `match` counts from there (as Cohen's kappa counts from chance), so 0 is chance and 1 is identical.
_CHANCE_1S = 0.50
_CHANCE_MAX = 0.70
_FOUND = 0.55  # correlation within 0.3 s above which a moment counts as heard
_FOUND_FRAMES = 30  # either side

Matrix = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a phone heard.

    `heard_s`: seconds of sound above the noise floor, pauses up to 0.2 s within it included.
    `level_dbfs`: RMS of the sounding part, -99 for digital silence.
    `match`: 0 is chance, 1 is the same sound, at most -1; over the part that is there (`coverage` tells how much is).
    0.0 when nothing was recorded; None when nothing was sent to compare with.
    `offset_ms`: where in the recording the sent sound begins, negative when its start was cut; None when not found.
    `coverage`: 0 to 1, share of the sent sound (with all its repetitions) that was recognised in the recording.
    """

    heard_s: float
    level_dbfs: float
    match: float | None
    offset_ms: int | None
    coverage: float | None


def compare(sent: Sound | None, recorded: Sound, *, repeat: int = 1, pause_ms: int = 0) -> Comparison:
    """How much of `sent`, said `repeat` times with about `pause_ms` between, is in `recorded`; any rates and levels."""
    heard = at_line_rate(recorded)
    heard_s, level = _loudness(heard)
    said = _spectrogram(at_line_rate(sent)) if sent is not None else None
    if said is None or not said.sounding.any():
        return Comparison(heard_s, level, None, None, None)
    got = _spectrogram(heard) if heard_s else None
    if got is None or not got.sounding.any():
        return Comparison(heard_s, level, 0.0, None, 0.0)
    takes = _find(said, got, max(1, repeat), pause_ms)
    weight = sum(take.overlap for take in takes)
    match = sum(take.match * take.overlap for take in takes) / weight if weight else 0.0
    coverage = sum(take.coverage for take in takes) / len(takes)
    offset = takes[0].lag * _HOP_MS if takes[0].overlap else None
    return Comparison(heard_s, level, round(match, 3), offset, round(coverage, 3))


_LOUDNESS_FRAME = 160
_BRIDGE = 10  # frames of 20 ms: a pause within a word or between two


def _loudness(samples: Floats) -> tuple[float, float]:
    """(seconds of sound, RMS of it in dBFS)."""
    if not len(samples):
        return 0.0, SILENCE_DBFS
    squares = (frames(samples, _LOUDNESS_FRAME, _LOUDNESS_FRAME) ** 2).mean(axis=1)
    loud = float(np.percentile(squares, 95))
    sounding = squares > max(10 ** (_FLOOR_DBFS / 10), loud * 10 ** (-_SOUNDING_DB / 10))
    level = 10 * np.log10(max(float((squares[sounding] if sounding.any() else squares).mean()), 1e-12))
    at = np.flatnonzero(sounding)
    gaps = np.diff(at)
    count = len(at) + int((gaps[gaps <= _BRIDGE] - 1).sum())
    return round(count * _LOUDNESS_FRAME / LINE_RATE_HZ, 2), round(max(SILENCE_DBFS, float(level)), 1)


@dataclass(frozen=True, slots=True)
class _Spectrogram:
    bands: Matrix  # dB, one row per 5 ms
    sounding: Mask


@dataclass(frozen=True, slots=True)
class _Take:
    """One repetition of the sent sound as it was found in the recording."""

    lag: int  # frames of 5 ms
    match: float
    overlap: int  # sounding frames of the sent sound that lie within the recording
    coverage: float


def _filters() -> Matrix:
    """Triangles on the mel scale, as columns."""

    def hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(700 * (10 ** (mel / 2595) - 1))

    low, high = (2595 * np.log10(1 + edge / 700) for edge in (_LOW_HZ, _HIGH_HZ))
    edges = hertz(np.linspace(low, high, _BANDS + 2))
    bins = np.arange(_FRAME // 2 + 1)[:, None] * (LINE_RATE_HZ / _FRAME)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


_FILTERS = _filters()
_WINDOW = np.hanning(_FRAME).astype(np.float32)


def _spectrogram(samples: Floats) -> _Spectrogram:
    """With `_MARGIN` frames of silence added at both ends (so lags between two of them stay what they were)."""
    rows = frames(np.pad(samples, _MARGIN * _HOP), _FRAME, _HOP) * _WINDOW
    power = (np.abs(np.fft.rfft(rows, axis=1)) ** 2).astype(np.float32) @ _FILTERS
    total = power.sum(axis=1)
    loud = max(float(np.percentile(total, 95)), 1e-9)
    absolute = 10 ** (_FLOOR_DBFS / 10) * float((_WINDOW**2).sum()) * _FRAME / 2
    sounding = total > max(loud * 10 ** (-_SOUNDING_DB / 10), absolute)
    floor = loud / _BANDS * 10 ** (-_RANGE_DB / 10)
    bands = 10 * np.log10(power + floor)
    return _Spectrogram(np.asarray(bands, dtype=np.float32), sounding)


# --- alignment --------------------------------------------------------------------------------------------------------


def _find(said: _Spectrogram, got: _Spectrogram, repeat: int, pause_ms: int) -> list[_Take]:
    """Every repetition, in order; one that is not there has overlap 0."""
    at = np.flatnonzero(got.sounding)
    extent = int(at[0]), int(at[-1]) + 1
    first, last = _with_margin(extent, got)
    mask = _widened(said.sounding)
    scores = _scores(_centred(said.bands, mask), mask, _centred(got.bands, _widened(got.sounding))[first:last])
    before = len(said.bands[::_STEP]) - 1
    period = round(((len(said.bands) - 2 * _MARGIN) * _HOP_MS + pause_ms) / (_HOP_MS * _STEP))
    lags = (peak - before for peak in _peaks(scores, repeat, period))
    return [_take(said, mask, got, lag * _STEP + first, extent) for lag in lags]


def _with_margin(extent: tuple[int, int], got: _Spectrogram) -> tuple[int, int]:
    return max(0, extent[0] - _MARGIN), min(len(got.bands), extent[1] + _MARGIN)


def _widened(sounding: Mask) -> Mask:
    return np.convolve(sounding, np.ones(2 * _MARGIN + 1))[_MARGIN : _MARGIN + len(sounding)] > 0.5


def _centred(bands: Matrix, mask: Mask) -> Matrix:
    return np.asarray(bands - bands[mask].mean(axis=0), dtype=np.float32)


def _scores(said: Matrix, mask: Mask, got: Matrix) -> Floats:
    """How well the two agree at each lag (10 ms), from "said ends where got begins" on.

    Correlation over the overlap times the root of its length: chance then weighs the same in long and short overlaps,
    and a recording that was cut early is found as well as a whole one.
    """
    a, b, weight = (said * mask[:, None])[::_STEP], got[::_STEP], mask[::_STEP].astype(np.float32)
    size = 1 << (len(a) + len(b) - 2).bit_length()
    roll = len(a) - 1

    def lagged(left: Matrix, right: Matrix) -> Floats:
        product = np.conj(np.fft.rfft(left, size, axis=0)) * np.fft.rfft(right, size, axis=0)
        circular = np.fft.irfft(product.sum(axis=1), size)
        return np.roll(circular, roll)[: roll + len(b)].astype(np.float32)

    inside = np.ones((len(b), 1), dtype=np.float32)
    overlap = lagged(weight[:, None], inside)
    energy_a = lagged((a**2).sum(axis=1, keepdims=True), inside)
    energy_b = lagged(weight[:, None], (b**2).sum(axis=1, keepdims=True))
    scale = np.sqrt(np.maximum(energy_a, 1.0) * np.maximum(energy_b, 1.0))
    agreement = lagged(a, b) / scale * np.sqrt(np.maximum(overlap, 0))
    return np.where(overlap * _STEP >= _OVERLAP_MIN, agreement, 0.0).astype(np.float32)


def _peaks(scores: Floats, repeat: int, period: int) -> list[int]:
    """The index of each repetition: they come one period apart, give or take `_REPEAT_SLACK_S`."""
    slack = round(_REPEAT_SLACK_S * 1000 / (_HOP_MS * _STEP))
    padded = np.concatenate([scores, np.zeros(repeat * period + slack + 1, dtype=np.float32)])
    total = scores.astype(np.float64)
    if repeat > 1:
        around = np.pad(padded, slack, mode="constant")
        best = np.lib.stride_tricks.sliding_window_view(around, 2 * slack + 1).max(axis=1)
        for index in range(1, repeat):
            total = total + best[index * period : index * period + len(scores)]
    peaks = [int(total.argmax())]
    while len(peaks) < repeat:
        due = peaks[-1] + period
        near = padded[max(0, due - slack) : due + slack + 1]
        peaks.append(max(0, due - slack) + int(near.argmax()) if near.size and near.max() > 0 else due)
    return peaks


# --- judgement --------------------------------------------------------------------------------------------------------


def _take(said: _Spectrogram, mask: Mask, got: _Spectrogram, lag: int, extent: tuple[int, int]) -> _Take:
    """Follow the sent sound through the recording from `lag` on and judge it; `extent`: where the recording sounds."""
    first, last = _with_margin(extent, got)
    where = np.arange(len(said.bands)) + _path(said, mask, got, lag, (first, last))
    within = (where >= first) & (where < last)
    # Silence around the recorded part tells something only where the sent sound is silent too: else it was cut there.
    core = (where >= extent[0]) & (where < extent[1])
    inside = mask & within & (core | ~said.sounding)
    overlap = int((inside & said.sounding).sum())
    if inside.sum() < _OVERLAP_MIN or not overlap:
        return _Take(lag, 0.0, 0, 0.0)
    a = said.bands[inside] - said.bands[inside].mean(axis=0)
    b = got.bands[where[inside]]
    b = b - b.mean(axis=0)
    products = np.stack([(a * b).sum(axis=1), (a * a).sum(axis=1), (b * b).sum(axis=1)], axis=1)
    whole = products.sum(axis=0)
    correlation = float(whole[0] / max(1e-6, float(np.sqrt(whole[1] * whole[2]))))
    beyond = _beyond_chance(correlation, float(inside.sum()) * _HOP_MS / 1000)
    local = np.zeros((len(mask), 3))
    local[inside] = products
    sums = np.cumsum(np.pad(local, ((_FOUND_FRAMES + 1, _FOUND_FRAMES), (0, 0))), axis=0)
    near = sums[2 * _FOUND_FRAMES + 1 :] - sums[: -2 * _FOUND_FRAMES - 1]
    likeness = near[:, 0] / np.sqrt(np.maximum(near[:, 1] * near[:, 2], 1e-6))
    found = int((inside & said.sounding & (likeness >= _FOUND)).sum())
    # Two sentences that share a rhythm agree a little everywhere; the right one agrees everywhere.
    match = beyond * (found / overlap) ** 0.5 if beyond > 0 else beyond
    return _Take(lag, match, overlap, found / int(said.sounding.sum()))


def _beyond_chance(correlation: float, seconds: float) -> float:
    chance = min(_CHANCE_MAX, _CHANCE_1S / np.sqrt(max(seconds, 0.1)))
    return float((correlation - chance) / (1 - chance if correlation > chance else 1 + chance))


def _path(said: _Spectrogram, mask: Mask, got: _Spectrogram, lag: int, extent: tuple[int, int]) -> NDArray[np.int64]:
    """The lag of each sent frame: constant but for slips, by dynamic programming over segments of 0.2 s."""
    reach = _SLIP * _STEP
    b = _around(got, lag - reach, lag + len(said.bands) + reach, extent)
    a = (_centred(said.bands, mask) * mask[:, None])[::_STEP]
    windows = np.lib.stride_tricks.sliding_window_view(b, 2 * reach + 1, axis=0)[::_STEP]
    energies = np.lib.stride_tricks.sliding_window_view((b**2).sum(axis=1), 2 * reach + 1)[::_STEP]
    steps = np.arange(0, len(a), _SEGMENT)
    gained = np.add.reduceat(np.einsum("tb,tbd->td", a, windows, optimize=True), steps, axis=0)
    own = np.add.reduceat((a**2).sum(axis=1), steps)
    theirs = np.add.reduceat(energies * mask[::_STEP, None], steps, axis=0)
    likeness = gained / np.sqrt(np.maximum(own[:, None] * theirs, 1.0))
    lags = _cheapest(likeness) - reach + lag
    return np.repeat(lags, _SEGMENT * _STEP)[: len(said.bands)]


def _around(got: _Spectrogram, start: int, end: int, extent: tuple[int, int]) -> Matrix:
    """Rows `start` to `end` of the recording, without its mean; zero where it has none."""
    low, high = max(extent[0], start), max(extent[0], start, min(extent[1], end))
    rows = np.zeros((end - start, _BANDS), dtype=np.float32)
    if low < high:
        rows[low - start : high - start] = got.bands[low:high] - got.bands[low:high].mean(axis=0)
    return rows


def _cheapest(likeness: Matrix) -> NDArray[np.int64]:
    """For each segment the column it takes; changing columns costs `_SLIP_COST`."""
    came: list[NDArray[np.int64]] = []
    score = np.zeros(likeness.shape[1])
    columns = np.arange(likeness.shape[1])
    for row in likeness:
        best = int(score.argmax())
        jump = score[best] - _SLIP_COST > score
        came.append(np.where(jump, best, columns))
        score = np.where(jump, score[best] - _SLIP_COST, score) + row
    column = int(score.argmax())
    path: list[int] = []
    for previous in reversed(came):
        path.append(column)
        column = int(previous[column])
    return np.asarray(path[::-1], dtype=np.int64)
