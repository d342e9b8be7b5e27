"""Numbers, sums of money, telephone numbers and codes in the words of languages other than English. Pure.

num2words knows the numbers, `media.lexicon` the words around them. Where neither does, digits stay for the engine, but
never so that one is lost: what is a name and no amount (a code, a telephone number, 007) gets its digits one by one.

A space between digits makes one number when the first group is not 0 and has one to three digits and each further
group has three: "12 500", "1 000 000". Of three groups of three ("612 345 678") only a sum of money, or one with
no-break spaces, is a number, or one that ends in 000; else they are a telephone number, read group by group.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

from num2words import CONVERTER_CLASSES, num2words

from media.codes import DIALLED, MASK
from media.lexicon import CODE_COPULAS, CODE_NOUNS, CODE_OF, CODE_STEMS, CURRENCIES, MONEY_SAID, WORDS, Words

_VARIANTS = {"nb": "no", "nn": "no", "kk": "kz", "iw": "he", "in": "id"}
_FAILURES = (NotImplementedError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, AssertionError)

# --- number words -----------------------------------------------------------------------------------------------------


def _converter(tag: str) -> str | None:
    """The name num2words has for a language: "pt-br" → "pt_BR"."""
    base, _, region = tag.lower().partition("-")
    for name in (f"{base}_{region.upper()}", base, _VARIANTS.get(base, "")):
        if name in CONVERTER_CLASSES:
            return name
    return None


def _words(tag: str) -> Words | None:
    name = _converter(tag) or ""
    return WORDS.get(name) or WORDS.get(name.partition("_")[0])


@lru_cache(maxsize=4096)
def in_words(number: str, tag: str, to: str = "cardinal") -> str:
    """`number` (ASCII digits) in words, decimals digit by digit; unchanged where one of its words is not known.

    num2words is only asked for whole numbers from 0 on: of its decimals and negatives some languages lose a part.
    """
    sign, bare = ("-", number[1:]) if number.startswith("-") else ("", number)
    whole, mark, fraction = bare.partition("," if "," in bare else ".")
    words = _words(tag)
    if words is None and (sign or mark):
        return number
    said = [_whole(whole, tag, to), *(_whole(digit, tag) for digit in fraction)]
    if words is not None and mark:
        said.insert(1, words.point if mark == "." and words.point else words.comma)
    if words is not None and sign:
        said.insert(0, words.minus)
    return " ".join(said) if all(said) else number


def _whole(number: str, tag: str, to: str = "cardinal") -> str:
    """Empty where num2words cannot."""
    try:
        words = str(num2words(int(number), lang=_converter(tag) or "", to=to)).strip()
    except _FAILURES:
        return ""
    return "" if any(letter in "0123456789" for letter in words) else words


def one_by_one(digits: str, tag: str) -> str:
    """Digits as separate words; separate digits where the language is not known."""
    said = [in_words(digit, tag) for digit in digits.lstrip("+")]
    return ("+ " if digits[:1] == "+" else "") + " ".join(said)


def _in_groups(text: str, tag: str) -> str:
    """Group by group as it is written. The French say pairs as numbers: "zéro six, douze, trente-quatre"."""
    pairs = tag.partition("-")[0] == "fr"
    said = (
        in_words(group, tag) if pairs and len(group) == 2 and group[0] != "0" else one_by_one(group, tag)
        for group in re.findall(r"[0-9]{1,40}", text)
    )
    return ("+ " if text.startswith("+") else "") + ", ".join(said)


# --- what is written --------------------------------------------------------------------------------------------------

_START, _END = r"(?<![\w.,:/+^'-])", r"(?![\w:/^'-]|[.,][0-9])"
_GROUPS = (
    r"[1-9][0-9]{0,2}(?:(?:[ '][0-9]{3}){1,4}(?:[.,][0-9]{1,2})?|(?:\.[0-9]{3}){1,4},[0-9]{1,2}"
    r"|(?:,[0-9]{3}){1,4}\.[0-9]{1,2}|(?:\.[0-9]{3}){2,4}|(?:,[0-9]{3}){2,4})(?! ?[0-9])"
)
_PLAIN = r"(?:0|[1-9][0-9]{0,8})(?:[.,][0-9]{1,2})?"
_SUM = rf"(?:{_GROUPS}|[1-9][0-9]{{0,2}}[.,][0-9]{{3}}|{_PLAIN})"
_CURRENCY = "|".join(sorted(map(re.escape, CURRENCIES), key=len, reverse=True))
_NOUN = rf"(?:(?:{'|'.join(CODE_STEMS)})\w{{0,8}}|(?:{'|'.join(CODE_NOUNS)})\b)"
_LEAD = (
    rf"\b{_NOUN}(?:\s(?:{'|'.join(CODE_OF)})\s?\w{{1,20}})?"
    rf"(?:[^.!?:;=0-9\n]{{0,40}}?(?:\s(?:{'|'.join(CODE_COPULAS)})(?=\s)|[:=]))?(?:\s(?:le|el|il|o|la)(?=\s))?\s{{0,2}}"
)

_MASKED = rf"{MASK}(?P<ending>[0-9]{{3,6}})(?![\w*#])"
_CODE = (
    rf"(?P<lead>{_LEAD})"
    rf"(?P<code>[0-9]{{4,12}}(?:[ -][0-9]{{2,6}}){{0,4}}|[0-9]{{2,3}}(?:[ -][0-9]{{2,6}}){{1,5}}){_END}"
    rf"(?! ?(?:{_CURRENCY}|euro|dol+[ao]r|naira|franc))"
)
_TELEPHONES = (
    r"(?<!\+)\+ ?[0-9](?:[ ().-]{0,2}[0-9]){6,19}(?![0-9])",
    r"0(?=(?:[ /-]?[0-9]){8,16}(?![0-9]))[0-9]{1,5}(?:[ /-][0-9]{2,8}){1,6}(?![\w-]|[.,][0-9])",
    r"0[0-9](?:\.[0-9]{2}){4}(?![\w-]|[.,][0-9])",
    r"(?<![$£€₦])(?<![A-Z]{3} )(?<![0-9] )[1-9][0-9]{2} [0-9]{3} (?!000)[0-9]{3}(?! ?[0-9])"
    rf"{_END}(?! ?(?:{_CURRENCY}))",
)
_WRITTEN = re.compile(
    "|".join(
        (
            _MASKED,
            DIALLED,
            r"(?<!\S)(?P<sign>[*#])(?=[\s.,;!?)]|$)",
            _CODE,
            rf"(?<![\w.,:/'-])(?P<phone>{'|'.join(_TELEPHONES)})",
            rf"{_START}(?P<minus>-?)(?P<before>{_CURRENCY}) ?(?P<price>-?{_SUM}){_END}",
            rf"{_START}(?P<sum>-?{_SUM}) ?(?P<after>{_CURRENCY})(?!\w)",
            rf"{_START}(?<![0-9] )(?P<grouped>-?{_GROUPS}){_END}",
            rf"(?<![\w.,:/'-])(?P<name>\+?(?:0[0-9]{{1,39}}|[0-9]{{7,40}})){_END}",
            rf"{_START}(?P<amount>-?{_PLAIN}){_END}",
        )
    ),
    re.I,
)


def numbers(text: str, tag: str) -> str:
    """`text` with its numbers said in the language `tag`, as far as its words are known."""
    return _WRITTEN.sub(lambda match: _SAY[match.lastgroup or ""](match, tag), text)


def _plain(text: str) -> str:
    """Without thousands marks: "1.250,50" → "1250,50", "1 000 000" → "1000000"."""
    whole, fraction = re.fullmatch(r"(.{1,30}?)([.,][0-9]{1,2})?", text).groups("")  # type: ignore[union-attr]
    return re.sub("[ '.,]", "", whole) + fraction


def _amount(match: re.Match[str], tag: str) -> str:
    return in_words(_plain(match[match.lastgroup or 0]), tag)


def _name(match: re.Match[str], tag: str) -> str:
    text = match["name"]
    if text.isdigit() and text[0] != "0" and text.endswith("000") and len(text) <= 9:
        return in_words(text, tag)
    return one_by_one(text, tag)


def _phone(match: re.Match[str], tag: str) -> str:
    return _in_groups(match["phone"], tag)


def _code(match: re.Match[str], tag: str) -> str:
    groups = re.findall("[0-9]{1,12}", match["code"])
    return match["lead"] + ", ".join(one_by_one(group, tag) for group in groups)


def _ending(match: re.Match[str], tag: str) -> str:
    return " " + one_by_one(match["ending"], tag)


def _dialled(match: re.Match[str], tag: str) -> str:
    words = _words(tag)
    signs = {"*": (words and words.star) or "*", "#": (words and words.hash) or "#"}
    return " ".join(signs.get(each) or in_words(each, tag) for each in match[match.lastgroup or 0])


def _money(match: re.Match[str], tag: str) -> str:
    """In the words of the language; where they are not known, as it is written: engines know their own money."""
    written = match["price"] if match["before"] else match["sum"]
    bare = _plain(written.lstrip("-"))
    currency = CURRENCIES.get(match["before"] or match["after"])
    words = _words(tag)
    said = _sum(bare.replace(",", "."), currency, tag) if currency and words is not None else ""
    if words is None or not said:
        if "," in bare or "." in bare or words is None:
            return match[0].replace(written, bare)
        return match[0].replace(written, in_words(bare, tag))
    negative = match["minus"] or written.startswith("-")
    return f"{words.minus} {said}" if negative else said


@lru_cache(maxsize=4096)
def _sum(amount: str, currency: str, tag: str) -> str:
    name = next((known for known in (_converter(tag) or "", tag.partition("-")[0]) if known in MONEY_SAID), None)
    if name is None:
        return ""
    value = Decimal(amount).quantize(Decimal("0.01"))
    whole, cents = divmod(int(value * 100), 100)
    try:
        said = str(num2words(value, lang=name, to="currency", currency=currency))
        parts = str(num2words(value, lang=name, to="currency", currency=currency, separator="|")).split("|")
    except _FAILURES:
        return ""
    if len(parts) == 2 and not (whole and cents):
        return (parts[1] if cents else parts[0]).strip()
    if name.startswith("fr") and whole and cents >= 10:
        return f"{parts[0].strip()} {in_words(str(cents), tag)}"
    return said


_SAY: dict[str, Callable[[re.Match[str], str], str]] = {
    "ending": _ending,
    "dialled": _dialled,
    "sign": _dialled,
    "code": _code,
    "phone": _phone,
    "price": _money,
    "after": _money,
    "grouped": _amount,
    "name": _name,
    "amount": _amount,
}
