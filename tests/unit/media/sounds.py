"""Sound that a test can make: something with the loudness and pace of speech, and files of it."""

import io
from pathlib import Path

import numpy as np
import soundfile

from media.speech import Sound


def babble(seconds: float, rate_hz: int = 16_000, level: float = 0.2) -> Sound:
    """Noise in syllables, four a second; the same each time."""
    count = round(seconds * rate_hz)
    moments = np.arange(count) / rate_hz
    noise = np.random.default_rng(7).standard_normal(count)
    loudness = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * moments)
    return Sound((noise * loudness * level * 0.3).astype(np.float32), rate_hz)


def tone(seconds: float, rate_hz: int, hertz: float, level: float = 0.3) -> Sound:
    moments = np.arange(round(seconds * rate_hz)) / rate_hz
    return Sound((level * np.sin(2 * np.pi * hertz * moments)).astype(np.float32), rate_hz)


def nothing(seconds: float, rate_hz: int = 16_000) -> Sound:
    return Sound(np.zeros(round(seconds * rate_hz), np.float32), rate_hz)


def encoded(sound: Sound, kind: str, subtype: str | None = None, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    samples = np.repeat(sound.samples[:, None], channels, axis=1)
    soundfile.write(buffer, samples, sound.rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def file_of(path: Path, sound: Sound, kind: str, subtype: str | None = None, channels: int = 1) -> Path:
    path.write_bytes(encoded(sound, kind, subtype, channels))
    return path
