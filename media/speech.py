"""The SpeechEngine port, its errors, and the chain that asks one engine after the other.

Engines render; they do not cache, level or trim (`media.library`, `media.audio` do). Every engine and ToneEngine, the
twin, pass `tests/contract/test_speech.py`: audio of plausible length or SpeechError; never silence; bounded time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SpeechError(Exception):
    """No audio could be made. The text says why, in words an operator understands; it never contains the message."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One piece of plain text for an engine: already normalised to words, no markup."""

    text: str
    language: str = "en-gb"  # BCP 47, lower case
    voice: str | None = None
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono audio: float32 samples in -1..1."""

    samples: NDArray[np.float32]
    rate_hz: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz


class SpeechEngine(Protocol):
    @property
    def name(self) -> str:
        """Short and stable: "gtts", "flite", "espeak-ng", "tones"."""
        ...

    def speaks(self, language: str) -> bool: ...

    async def speak(self, utterance: Utterance) -> Sound:
        """Raises SpeechError. Never returns silence or implausibly short audio."""
        ...


@dataclass(frozen=True, slots=True)
class Spoken:
    sound: Sound
    engine: str
    warnings: tuple[str, ...] = ()


class SpeechChain(Protocol):
    """What `first_that_speaks(engines)` returns."""

    @property
    def engines(self) -> Sequence[SpeechEngine]: ...

    async def speak(self, utterance: Utterance) -> Spoken: ...
