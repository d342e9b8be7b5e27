"""The small SSML subset we understand, as pieces to render. Pure. Here: plain text and pauses."""

import re
from dataclasses import dataclass

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
    """What to render, in order. Raises SsmlError."""
    if not ssml:
        return (Say(text),)
    pieces: list[Piece] = []
    for part in re.split(r"(<[^>]*>)", text):
        pause = re.fullmatch(r'<break time="(\d+)ms"\s*/>', part)
        if pause:
            pieces.append(Silence(int(pause[1])))
        elif part.startswith("<") and part not in ("<speak>", "</speak>"):
            raise SsmlError(f"{part.strip('<>/').split()[0:1]} is not read here")
        elif part.strip() and not part.startswith("<"):
            pieces.append(Say(part))
    return tuple(pieces)
