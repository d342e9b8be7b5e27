"""How loud a piece of sound is, and where in it anything is heard at all (pure)."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

FRAME_S = 0.02  # shorter than a syllable, longer than one period of the lowest voice
SILENT_DBFS = -50.0  # a telephone's own noise lies about here; the quietest engine we met speaks at -30
NOTHING_DBFS = -120.0  # what we call the level of digital silence


def dbfs(power: float) -> float:
    """The level of a mean square; full scale is a square wave of 1.0, so a full sine is -3 dBFS."""
    return max(NOTHING_DBFS, 10.0 * float(np.log10(power))) if power > 0 else NOTHING_DBFS


def frame_powers(samples: Samples, rate_hz: int) -> NDArray[np.float64]:
    """Mean square of each frame of 20 ms around its own mean, so that an offset is not taken for sound."""
    size = max(1, round(rate_hz * FRAME_S))
    if not len(samples):
        return np.zeros(0)
    padded = np.pad(samples, (0, -len(samples) % size), mode="edge").reshape(-1, size)
    return np.asarray(padded.var(axis=1, dtype=np.float64))


def loudest_dbfs(samples: Samples, rate_hz: int) -> float:
    powers = frame_powers(samples, rate_hz)
    return dbfs(float(powers.max())) if len(powers) else NOTHING_DBFS


def gated_dbfs(samples: Samples, rate_hz: int) -> float:
    """The level of what is heard, pauses left out: RMS with the two gates of ITU-R BS.1770-5."""
    powers = frame_powers(samples, rate_hz)
    heard = powers[powers > 10 ** (SILENT_DBFS / 10)]
    if not len(heard):
        return loudest_dbfs(samples, rate_hz)
    return dbfs(float(heard[heard > heard.mean() / 10].mean()))


def heard_span(samples: Samples, rate_hz: int, margin_s: float) -> slice:
    """From the first to the last frame in which something is heard, with a margin; empty when nothing is."""
    powers = frame_powers(samples, rate_hz)
    if not len(powers) or dbfs(float(powers.max())) < SILENT_DBFS:
        return slice(0, 0)
    # Soft beginnings (f, h, th) lie 35 dB under the loudest vowel; with 45 dB they stay.
    quiet = max(10 ** (-60 / 10), float(powers.max()) * 10 ** (-45 / 10))
    heard = np.flatnonzero(powers > quiet)
    size, margin = max(1, round(rate_hz * FRAME_S)), round(rate_hz * margin_s)
    return slice(max(0, int(heard[0]) * size - margin), min(len(samples), (int(heard[-1]) + 1) * size + margin))
