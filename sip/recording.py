"""WAV files: how long one is, and the two sides of a call made into one (left said, right heard). Pure but for them."""

import array
import os
import wave
from pathlib import Path

RATE_HZ = 8000


def file_ms(path: str) -> int:
    """Length of a WAV by its header. Raises OSError, EOFError or wave.Error."""
    with wave.open(path, "rb") as file:
        return round(1000 * file.getnframes() / file.getframerate())


def parts(target: Path) -> tuple[Path, Path]:
    """Where the two sides are written while the call is up; the library wants the name to end in .wav."""
    return target.with_suffix(".said.wav"), target.with_suffix(".heard.wav")


def join(target: Path) -> None:
    """Publish `target` from its parts in one step, and remove them. Raises OSError or wave.Error.

    Called when both parts are closed: their headers are written only then. About 10 ms for five minutes.
    """
    said_path, heard_path = parts(target)
    said, heard = _samples(said_path), _samples(heard_path)
    length = max(len(said), len(heard))
    both = array.array("h", bytes(4 * length))
    both[0 : 2 * len(said) : 2] = said
    both[1 : 1 + 2 * len(heard) : 2] = heard
    half = target.with_suffix(".half")
    with wave.open(str(half), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(both.tobytes())
    half.replace(target)
    discard(target)


def discard(target: Path) -> None:
    """Remove the parts; there is nothing to publish."""
    for part in parts(target):
        try:
            os.unlink(part)
        except FileNotFoundError:
            pass


def _samples(path: Path) -> "array.array[int]":
    with wave.open(str(path), "rb") as file:
        return array.array("h", file.readframes(file.getnframes()))
