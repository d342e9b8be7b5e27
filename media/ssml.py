"""The small SSML subset we understand, as pieces to render. Pure.

Elements (W3C Speech Synthesis Markup Language 1.1): speak, p, s, break, say-as, prosody (rate only), sub. Everything
else is refused by name: markup that one engine honours and the next ignores makes two different messages of one.

The parser is the standard library's expat: it reads XML as it is, has no network and no file access, and with document
type declarations refused there are no entities to expand. An own parser would have its own mistakes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from media.numerals import Region, date, grouped, letters, ordinal, year
from media.numerals import number as english_number
from media.phrases import SPELLED_SIGNS
from media.polyglot import in_words, one_by_one
from media.reading import TextError, spoken
from media.speech import SpeechError

DEPTH_MAX = 20
LENGTH_MAX = 20_000  # characters of markup; the caller's own limit on text is lower
SILENCE_MAX_MS = 10_000
SILENCES_MAX_MS = 60_000
PARAGRAPH_MS = 400
RATE_MIN, RATE_MAX = 0.5, 2.0  # the range every engine can render


class SsmlError(SpeechError):
    """The markup is not in our subset; the message names the element or attribute."""

    of_request = True


@dataclass(frozen=True, slots=True)
class Say:
    """Words for an engine: already normalised, no markup. `rate` (0.5 to 2.0) multiplies the prompt's speed."""

    text: str
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Silence:
    ms: int


Piece = Say | Silence


_ROOT = re.compile(r"\s{0,100}<(?:\?xml|!|speak\b)")


def parse(text: str, ssml: bool, language: str) -> tuple[Piece, ...]:
    """What to render, in order: at least one Say, no two Say of one rate and no two Silence side by side.

    Plain text is one Say per paragraph (paragraphs are parted by empty lines). SSML without its root, as people write
    it ("One moment<break time='1s'/>please"), gets one. Raises TextError when there is nothing
    to say and SsmlError when the markup is not in the subset.
    """
    raw = _walk(_tree(_rooted(text)), 1.0, language) if ssml else _paragraphs(text)
    pieces = tuple(_merged(_worded(raw, language)))
    if not any(isinstance(piece, Say) for piece in pieces):
        raise TextError("there is nothing to say")
    silences = sum(piece.ms for piece in pieces if isinstance(piece, Silence))
    if silences > SILENCES_MAX_MS:
        raise SsmlError(f"the breaks add up to more than {SILENCES_MAX_MS // 1000} s of silence")
    return pieces


def _rooted(text: str) -> str:
    return text if _ROOT.match(text) else f"<speak>{text}</speak>"


def _paragraphs(text: str) -> Iterator[Piece]:
    for index, paragraph in enumerate(re.split(r"\n[ \t]{0,100}\n[\s]{0,1000}", text.replace("\r\n", "\n"))):
        if index:
            yield Silence(PARAGRAPH_MS)
        yield Say(paragraph)


def _worded(pieces: Iterator[Piece], language: str) -> Iterator[Piece]:
    """Neighbouring Say of one rate as one, then read; a number may be split over elements, a sentence always is."""
    pending: Say | None = None
    for piece in (*pieces, None):
        if isinstance(piece, Say) and pending is not None and piece.rate == pending.rate:
            pending = Say(pending.text + piece.text, pending.rate)
            continue
        if pending is not None and (words := spoken(pending.text, language)):
            yield Say(words, pending.rate)
        pending = piece if isinstance(piece, Say) else None
        if isinstance(piece, Silence):
            yield piece


def _merged(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Without empty silences, silence at the end of a paragraph at the very end, and two silences in a row."""
    silence = 0
    for piece in pieces:
        if isinstance(piece, Silence):
            silence += piece.ms
            continue
        if silence:
            yield Silence(silence)
            silence = 0
        yield piece
    if silence > PARAGRAPH_MS:
        yield Silence(silence)


# --- markup to a tree -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Element:
    name: str
    attributes: Mapping[str, str]
    children: "list[_Element | str]" = field(default_factory=list)


_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "speak": frozenset({"version", "xmlns", "xml:lang"}),
    "p": frozenset(),
    "s": frozenset(),
    "break": frozenset({"time", "strength"}),
    "say-as": frozenset({"interpret-as", "format"}),
    "prosody": frozenset({"rate"}),
    "sub": frozenset({"alias"}),
}
_TEXT_ONLY = frozenset({"say-as", "sub"})


def _tree(text: str) -> _Element:
    if len(text) > LENGTH_MAX:
        raise SsmlError(f"the markup is longer than {LENGTH_MAX} characters")
    root = _Element("", {})
    stack = [root]

    def start(name: str, attributes: dict[str, str]) -> None:
        _check(name, attributes, stack)
        element = _Element(name, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def data(characters: str) -> None:
        if stack[-1].name == "break" and characters.strip():
            raise SsmlError("<break> has no content")
        stack[-1].children.append(characters)

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: stack.pop()
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = _refuse("a document type declaration")
    parser.EntityDeclHandler = _refuse("an entity declaration")
    parser.ProcessingInstructionHandler = _refuse("a processing instruction")
    try:
        parser.Parse(text.strip().encode(), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise SsmlError(f"not well-formed XML: {reason} (line {error.lineno}, column {error.offset})") from None
    except UnicodeEncodeError:
        raise SsmlError("the markup is not valid Unicode") from None
    return next(child for child in root.children if isinstance(child, _Element))


def _refuse(what: str) -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise SsmlError(f"{what} is not allowed")

    return refuse


def _check(name: str, attributes: Mapping[str, str], stack: list[_Element]) -> None:
    allowed = _ATTRIBUTES.get(name)
    if len(stack) == 1 and name != "speak":
        raise SsmlError(f"the outermost element is <speak>, not <{_short(name)}>")
    if allowed is None:
        raise SsmlError(f"<{_short(name)}> is not supported")
    if len(stack) > DEPTH_MAX:
        raise SsmlError(f"elements are nested more than {DEPTH_MAX} deep")
    if (name == "speak") != (len(stack) == 1):
        raise SsmlError("<speak> cannot stand inside another element")
    if stack[-1].name in _TEXT_ONLY:
        raise SsmlError(f"<{stack[-1].name}> contains only text")
    if stack[-1].name == "break":
        raise SsmlError("<break> has no content")
    for attribute in attributes:
        if attribute not in allowed:
            raise SsmlError(f'<{name}> does not support the attribute "{_short(attribute)}"')


def _short(name: str) -> str:
    return name if len(name) <= 40 else name[:40] + "…"


# --- the tree to pieces -----------------------------------------------------------------------------------------------


def _walk(element: _Element, rate: float, language: str) -> Iterator[Piece]:
    """Pieces whose text is not yet read."""
    if element.name == "break":
        yield Silence(_break_ms(element.attributes))
        return
    if element.name in _TEXT_ONLY:
        yield Say(_fixed(element, language), rate)
        return
    if element.name == "speak":
        _check_language(element.attributes.get("xml:lang"), language)
    if element.name == "prosody":
        rate = _rate(element.attributes, rate)
    for child in element.children:
        if isinstance(child, str):
            yield Say(re.sub(r"\s{1,1000}", " ", child), rate)
        else:
            yield from _walk(child, rate, language)
    if element.name in {"p", "s"}:
        yield Say("\n\n", rate)  # reads as the end of a sentence
    if element.name == "p":
        yield Silence(PARAGRAPH_MS)


def _check_language(asked: str | None, language: str) -> None:
    if asked and asked.lower().split("-")[0] != language.lower().split("-")[0]:
        raise SsmlError("xml:lang differs from the language of the message")


_STRENGTHS_MS = {"none": 0, "x-weak": 100, "weak": 250, "medium": 500, "strong": 750, "x-strong": 1000}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}


def _break_ms(attributes: Mapping[str, str]) -> int:
    if "time" not in attributes:
        strength = attributes.get("strength", "medium")
        if strength not in _STRENGTHS_MS:
            raise SsmlError(f"<break> knows these strengths: {', '.join(_STRENGTHS_MS)}")
        return _STRENGTHS_MS[strength]
    match = re.fullmatch(r"\+?([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s)", attributes["time"].strip())
    if match is None:
        raise SsmlError('<break> takes a time like "500ms" or "1.5s"')
    ms = float(match[1]) * (1000 if match[2] == "s" else 1)
    if ms > SILENCE_MAX_MS:
        raise SsmlError(f"one <break> lasts at most {SILENCE_MAX_MS // 1000} s")
    return round(ms)


def _rate(attributes: Mapping[str, str], outer: float) -> float:
    """Percentages are of the rate outside: "80%"; "-20%" is the older way to write the same."""
    asked = attributes.get("rate", "").strip()
    if not asked:
        raise SsmlError("<prosody> needs the attribute rate")
    match = re.fullmatch(r"([+-]?)([0-9]{1,4}(?:\.[0-9]{1,3})?)%", asked)
    if asked not in _RATES and match is None:
        raise SsmlError(f'<prosody> takes a rate like "80%" or one of {", ".join(_RATES)}')
    if match is None:
        factor = _RATES[asked]
    else:
        share = float(match[2]) / 100
        factor = {"": share, "+": 1 + share, "-": 1 - share}[match[1]]
    rate = round(outer * factor, 3)
    if not RATE_MIN <= rate <= RATE_MAX:
        raise SsmlError(f"the rate of speech stays between {RATE_MIN:.0%} and {RATE_MAX:.0%}")
    return rate


# --- say-as and sub ---------------------------------------------------------------------------------------------------


def _fixed(element: _Element, language: str) -> str:
    text = "".join(child for child in element.children if isinstance(child, str)).strip()
    if element.name == "sub":
        if not element.attributes.get("alias", "").strip():
            raise SsmlError("<sub> needs the attribute alias")
        return element.attributes["alias"]
    kind = element.attributes.get("interpret-as", "")
    if kind not in _INTERPRETERS:
        raise SsmlError(f"<say-as> knows these values of interpret-as: {', '.join(_INTERPRETERS)}")
    if element.attributes.get("format") and kind not in {"date", "time"}:
        raise SsmlError(f"<say-as> takes a format only for date and time, not for {kind}")
    # Spaces: "room<say-as …>12</say-as>" are two words.
    return f" {_INTERPRETERS[kind](text, element.attributes.get('format', ''), language)} " if text else ""


def _is_english(language: str) -> bool:
    return language.lower().split("-")[0] == "en"


def _region(language: str) -> Region:
    return Region(us=language.lower() == "en-us")


def _characters(text: str, _: str, language: str) -> str:
    """Letters, digits and signs one by one."""
    said: list[str] = []
    for run in re.findall(r"[^\W\d_]{1,1000}|[0-9]{1,1000}|[^\s]", text):
        if run.isascii() and run.isdigit():
            said.append(grouped(run) if _is_english(language) else one_by_one(run, language))
        elif run.isalpha():
            said.append(letters(run))
        else:
            said.append(SPELLED_SIGNS.get(run, "") if _is_english(language) else run)
    return ", ".join(filter(None, said))


def _digits(text: str, _: str, language: str) -> str:
    if not re.fullmatch(r"\+?[0-9()., /*#-]{1,1000}", text) or not re.search("[0-9]", text):
        raise SsmlError("<say-as> digits and telephone take only digits and the signs between them")
    groups = re.findall(r"[0-9]{1,1000}", text)
    plus = "plus " if text.startswith("+") else ""
    if not _is_english(language):
        return ("+ " if plus else "") + ", ".join(one_by_one(group, language) for group in groups)
    return plus + ", ".join(grouped(group) for group in groups)


def _whole(text: str) -> str:
    plain = re.sub(r"(?<=[0-9])[, '](?=[0-9]{3})", "", text)
    if not re.fullmatch(r"-?[0-9]{1,15}", plain):
        raise SsmlError("<say-as> cardinal and ordinal take a whole number of at most 15 digits")
    return str(int(plain))


def _cardinal(text: str, _: str, language: str) -> str:
    if _is_english(language) and re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", text):
        return english_number(text, _region(language))
    plain = _whole(text)
    if not _is_english(language):
        return in_words(plain, language)
    sign = "minus " if plain.startswith("-") else ""
    return sign + english_number(f"{int(plain.lstrip('-')):,}", _region(language))


def _ordinal(text: str, _: str, language: str) -> str:
    plain = _whole(re.sub(r"(?:st|nd|rd|th)$", "", text))
    if plain.startswith("-"):
        raise SsmlError("<say-as> ordinal takes a number from 0 on")
    return ordinal(int(plain), _region(language)) if _is_english(language) else in_words(plain, language, "ordinal")


def _date(text: str, form: str, language: str) -> str:
    if not form:
        return text
    form = {"yyyymmdd": "ymd", "ddmmyyyy": "dmy", "mmddyyyy": "mdy"}.get(form.lower(), form.lower())
    if not re.fullmatch(r"(?=[dmy]{1,3}$)(?!.*(.).*\1).+", form):
        raise SsmlError('<say-as> date takes a format of the letters d, m and y, like "dmy" or "md"')
    parts = re.findall(r"[0-9]{1,8}", text)
    if len(parts) == 1 and len(parts[0]) == 8 and len(form) == 3:
        cuts = {"y": 4, "m": 2, "d": 2}
        at = 0
        digits_of, parts = parts[0], []
        for letter in form:
            parts.append(digits_of[at : at + cuts[letter]])
            at += cuts[letter]
    if len(parts) != len(form):
        raise SsmlError(f"<say-as> date: the text has not the parts of the format {form}")
    said = _calendar(dict(zip(form, map(int, parts), strict=True)), language)
    if said is None:
        raise SsmlError("<say-as> date: there is no such day")
    return said


def _calendar(parts: Mapping[str, int], language: str) -> str | None:
    """In English words; in other languages as ISO 8601, which their engines read."""
    day, month, of_year = parts.get("d"), parts.get("m"), parts.get("y")
    if not _is_english(language):
        return "-".join(f"{parts[key]:02}" for key in "ymd" if key in parts)
    region = _region(language)
    if day is not None and month is not None:
        return date(day, month, of_year, region)
    if day is not None:
        return ordinal(day, region) if 1 <= day <= 31 else None
    if month is not None:
        whole = date(1, month, of_year, Region(us=False))
        return whole.removeprefix("the first of ") if whole else None
    return year(of_year or 0, region)


def _as_written(text: str, _: str, language: str) -> str:
    """Times and sums of money: reading knows how they are written."""
    return text


_INTERPRETERS: Mapping[str, Callable[[str, str, str], str]] = {
    "characters": _characters,
    "spell-out": _characters,
    "digits": _digits,
    "telephone": _digits,
    "cardinal": _cardinal,
    "ordinal": _ordinal,
    "date": _date,
    "time": _as_written,
    "currency": _as_written,
}
