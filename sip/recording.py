"""Two mono recordings of one call made into one: left what was said, right what was heard. Pure but for its files."""

import array
import os
import wave
from pathlib import Path

RATE_HZ = 8000


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
