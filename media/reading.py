"""How written text is spoken: numbers, dates, money, phone numbers and codes become words. Pure.

English has rules of its own (`media.english`); in other languages numbers, money and codes become words where the
language is known (`media.polyglot`), and the rest is left to the engine.
"""

import re
import unicodedata

from media.english import english
from media.numerals import Region
from media.polyglot import numbers
from media.speech import SpeechError


class TextError(SpeechError):
    """The text cannot be spoken. The message says why and never repeats the text."""

    of_request = True


def clean(text: str, limit: int) -> str:
    """`text` in NFC, without control characters and white space at its ends; for plain text and for SSML.

    Raises TextError: longer than `limit` characters, NUL or half a surrogate pair in it, or no letter and no digit.
    """
    if "\0" in text:
        raise TextError("the text contains a NUL character")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise TextError("the text is not valid Unicode: it contains half of a surrogate pair")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n\n")
    kept = "".join(letter for letter in lines if letter in "\n\t" or not _is_control(letter))
    kept = unicodedata.normalize("NFC", kept).strip()
    if len(kept) > limit:
        raise TextError(f"the text has {len(kept)} characters; at most {limit} are spoken")
    if not any(unicodedata.category(letter)[0] in "LN" for letter in kept):
        raise TextError("the text has no letter and no digit: there is nothing to say")
    return kept


# Zero width joiner and non-joiner shape letters in many scripts; the other format characters only hide or reorder text.
_JOINERS = "\u200c\u200d"


def _is_control(letter: str) -> bool:
    return letter not in _JOINERS and unicodedata.category(letter) in {"Cc", "Cf", "Cs"}


def spoken(text: str, language: str) -> str:
    """`text` as words that any engine reads right.

    Total: any string in, one line of letters, spaces and plain punctuation out; empty when there is nothing to say.
    `language` is BCP 47; only "en-us" puts months first.
    """
    tag = language.lower().replace("_", "-")
    in_english = tag == "en" or tag.startswith("en-")
    prepared = _prepared(text, in_english)
    if in_english:
        return _tidy(english(prepared, Region(us=tag == "en-us")))
    return _tidy(numbers(prepared, tag), keep=_SIGNS_LEFT)


# --- before and after -------------------------------------------------------------------------------------------------

_BEFORE_NFKC = str.maketrans({"½": " 1/2 ", "¼": " 1/4 ", "¾": " 3/4 ", "⅓": " 1/3 ", "⅔": " 2/3 ", "…": ". "})
# Between groups of three digits, a space that does not break is a thousands mark. A plain one is one only in some
# places, so it is told apart here, while that can still be seen.
_GROUPS_KEPT = re.compile(
    r"(?<![\w.,:/+'-])(?<![0-9][ \u00a0\u2007\u2009\u202f])[1-9][0-9]{0,2}"
    r"(?:[\u00a0\u2007\u2009\u202f][0-9]{3}){1,4}(?![ \u00a0\u2007\u2009\u202f]?[0-9])"
)
_POWER = re.compile(r"(?<=[0-9)])(⁻?[⁰¹²³⁴-⁹]{1,3})|(?<=(?<![A-Za-z])[A-Za-z])([²³])")
_SUPERSCRIPT = re.compile(r"(?<![A-Za-z])(k?m)([²³])")
_AFTER_NFKC = str.maketrans(
    {
        "‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "`": "'",
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "−": "-", "—": ", ", "―": ", ", "•": ", ", "·": " ", "→": ", ",
        "|": ", ", "\\": " ", "×": "x", "٫": ",", "٬": "'", "\u00a0": " ",
    }
)  # fmt: skip


_IN_ENGLISH = str.maketrans(
    {
        "±": " plus or minus ", "≤": " at most ", "≥": " at least ", "≈": " about ", "÷": " divided by ",
        "√": " root ", "§": " section ", "№": "No. ",
    }
)  # fmt: skip


def _prepared(text: str, in_english: bool) -> str:
    text = "".join(letter for letter in text if letter in "\n\t\r" or not _is_control(letter))
    text = re.sub(r"(?<=[0-9]) {1,2}(?=[0-9]/)", " ", re.sub("[•●]{3,16}", "****", text).translate(_BEFORE_NFKC))
    text = _GROUPS_KEPT.sub(lambda match: re.sub(r"[^0-9]", "'", match[0]), text)
    if in_english:
        text = text.translate(_IN_ENGLISH)
        text = _SUPERSCRIPT.sub(lambda match: ("sq" if match[2] == "²" else "cu") + match[1], text)
    text = _POWER.sub(r"^\1\2", text)
    text = unicodedata.normalize("NFKC", text).replace("⁄", "/").translate(_AFTER_NFKC)
    text = "".join(_digit(letter) for letter in text)
    text = re.sub(r"[\t\r\f\v ]{1,1000}", " ", text)
    text = re.sub(r"([.!?;:,])? ?(\n\s{0,1000})", _line_end, text.strip())
    return unicodedata.normalize("NFC", text)


def _line_end(match: re.Match[str]) -> str:
    """A new line is a short pause, an empty line the end of a sentence."""
    return (match[1] or (", " if match[2].count("\n") == 1 else ". ")) + " "


def _digit(letter: str) -> str:
    """Digits of any script as 0 to 9; other numbers (circled, Roman) as they are."""
    if letter.isascii() or unicodedata.category(letter) != "Nd":
        return letter
    return str(unicodedata.digit(letter))


# Every engine has its own words for these in its languages; we have them in English.
_SIGNS_LEFT = "%‰€$£¥₦₹₺₽₴°+&/@=#*^±≤≥≈÷√§"


def _tidy(text: str, keep: str = "") -> str:
    """Letters, marks, spaces, `keep` and the punctuation that engines pause at; nothing twice."""
    text = re.sub(r"[()\[\]{}]|(?<=\s)-{1,3}(?=\s)", ", ", text)
    text = "".join(letter if letter in keep or _is_speakable(letter) else " " for letter in text)
    text = re.sub(r"(?<![^\W_])(?:'|-(?![0-9]))|['-](?![^\W_])", " ", text)
    text = re.sub(r"\s{1,1000}", " ", text)
    text = re.sub(r" ?([.,;:!?])(?: ?[.,;:!?]){1,1000}", _strongest, text)
    text = re.sub(r" (?=[.,;:!?])", "", text)
    text = re.sub(r"(?<=[,;:!?])(?=[^\W\d])", " ", text)
    return unicodedata.normalize("NFC", re.sub(r"^[\s.,;:!?]{1,1000}", "", text).strip(" ,;:"))


def _strongest(match: re.Match[str]) -> str:
    """Of several marks in a row the one with the longest pause; a dot that closes "a.m." is one of them."""
    return next(mark for mark in "?!.;:," if mark in match[0])


def _is_speakable(letter: str) -> bool:
    return letter in " .,;:!?'-" or letter in _JOINERS or unicodedata.category(letter)[0] in "LMN"
