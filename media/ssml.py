"""The small SSML subset we understand, as pieces to render. Pure."""

from dataclasses import dataclass

from media.reading import spoken
from media.speech import SpeechError


class SsmlError(SpeechError):
    """The markup is not in our subset; the message names the element or attribute."""


@dataclass(frozen=True, slots=True)
class Say:
    """Words for an engine: already normalised, no markup. `rate` multiplies the prompt's speed."""

    text: str
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Silence:
    ms: int


Piece = Say | Silence


def parse(text: str, ssml: bool, language: str) -> tuple[Piece, ...]:
    """What to render, in order; at least one Say. Raises TextError or SsmlError."""
    return (Say(spoken(text, language)),)
