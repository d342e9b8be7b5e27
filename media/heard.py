"""Compares what was sent with what a phone recorded. Pure."""

from dataclasses import dataclass

from media.speech import Sound


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a phone heard.

    `heard_s`: seconds of sound above the noise floor; `level_dbfs`: RMS of the sounding part, -99 for silence;
    `match`: -1..1, None without a sent sound; `offset_ms`: where the sent sound begins in the recording;
    `coverage`: 0..1, share of the sent sound that was found.
    """

    heard_s: float
    level_dbfs: float
    match: float | None
    offset_ms: int | None
    coverage: float | None


def compare(sent: Sound | None, recorded: Sound, *, repeat: int = 1, pause_ms: int = 0) -> Comparison:
    """How much of `sent`, said `repeat` times with `pause_ms` between, is in `recorded`."""
    return Comparison(recorded.seconds, -99.0, None, None, None)
