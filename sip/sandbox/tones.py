"""What the phone can say without any speech engine: a beep, key tones, a greeting of spoken-like syllables."""

import array
import math
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

from sip.sandbox.g711 import RATE_HZ

BEEP_HZ = 1000.0
BEEP_S = 0.4
KEY_S = 0.16
KEY_GAP_S = 0.1

_LEVEL = 8000.0  # peak of a tone: -12 dBFS
_ROWS = (697.0, 770.0, 852.0, 941.0)
_COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
_PAD = "123A456B789C*0#D"


class BadGreeting(ValueError):
    """The greeting is no mono PCM16 WAV at 8000 Hz."""


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE_HZ))


def tone(frequencies: Sequence[float], seconds: float) -> bytes:
    """PCM16 at 8 kHz; ends faded over 5 ms so that they do not click."""
    count = round(seconds * RATE_HZ)
    fade = round(0.005 * RATE_HZ)
    level = _LEVEL / len(frequencies)
    samples = array.array("h")
    for n in range(count):
        value = sum(math.sin(2 * math.pi * hz * n / RATE_HZ) for hz in frequencies)
        samples.append(round(level * value * min(1.0, n / fade, (count - n) / fade)))
    return _little(samples)


def beep() -> bytes:
    return tone([BEEP_HZ], BEEP_S)


def key(digit: str) -> bytes:
    """The two tones of a key (ITU-T Q.23) and the gap after it."""
    row, column = divmod(_PAD.index(digit), 4)
    return tone([_ROWS[row], _COLUMNS[column]], KEY_S) + silence(KEY_GAP_S)


def greeting(seconds: float = 2.4) -> bytes:
    """Something with the rhythm and spectrum of a voice: four syllables a second, a falling pitch and its harmonics."""
    samples = array.array("h")
    phase = 0.0
    for n in range(round(seconds * RATE_HZ)):
        at = n / RATE_HZ
        phase += 2 * math.pi * (140.0 - 15.0 * at) / RATE_HZ
        voice = sum(math.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
        syllable = math.sin(4 * math.pi * at) ** 2
        samples.append(round(_LEVEL / 2 * voice * syllable))
    return _little(samples)


def from_wav(path: Path) -> bytes:
    """The PCM16 samples of a recorded greeting. Raises BadGreeting, OSError."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
                raise BadGreeting(f"{path}: a greeting is mono PCM16 at {RATE_HZ} Hz")
            return file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise BadGreeting(f"{path}: {error}") from error


def _little(samples: "array.array[int]") -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
