"""Sounds for both ends of a call, and what was recorded of them."""

from pathlib import Path

import numpy as np
import soundfile

from media.speech import Sound


def warble(path: Path, seconds: float, low_hz: float, rate: int = 8000) -> str:
    """A sound that no other moment of it resembles: what is matched must be this one, and all of it."""
    at = np.arange(int(seconds * rate)) / rate
    pitch = low_hz * (1 + at / seconds + 0.3 * np.sin(2 * np.pi * 1.7 * at))
    loudness = 0.4 * (0.55 + 0.45 * np.sin(2 * np.pi * 2.3 * at))
    samples = loudness * np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    soundfile.write(path, samples.astype(np.float32), rate, subtype="PCM_16")
    return str(path)


def sound(path: str | Path, channel: int | None = None) -> Sound:
    samples, rate = soundfile.read(path, dtype="float32")
    return Sound(samples if channel is None else samples[:, channel].copy(), rate)
