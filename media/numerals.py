"""English words for numbers, digits, days, times of day and sums of money. Pure."""

import re
from dataclasses import dataclass
from functools import lru_cache

from num2words import num2words

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_CARDINAL_DIGITS = 15  # longer numbers are not amounts but names of something: digit by digit


@dataclass(frozen=True, slots=True)
class Region:
    """What differs inside English: `us` puts the month first and says no "and" in a number."""

    us: bool


@lru_cache(maxsize=4096)
def _said(number: int, to: str) -> str:
    return str(num2words(number, lang="en", to=to)).replace(",", "")


def cardinal(number: int, region: Region) -> str:
    """Below a thousand million million; larger ones are said digit by digit."""
    if len(str(abs(number))) > _CARDINAL_DIGITS:
        return digits(str(abs(number)))
    words = _said(number, "cardinal")
    return words.replace(" and ", " ") if region.us else words


def ordinal(number: int, region: Region) -> str:
    if len(str(number)) > _CARDINAL_DIGITS:
        return digits(str(number))
    words = _said(number, "ordinal")
    return words.replace(" and ", " ") if region.us else words


def year(number: int, region: Region) -> str:
    if 2000 <= number <= 2009 or number < 1000 or number > 2999:
        return cardinal(number, region)
    return _said(number, "year")


def digits(text: str) -> str:
    """One by one; anything that is not a digit is left out."""
    return " ".join(DIGITS[int(digit)] for digit in text if digit in "0123456789")


def letters(text: str) -> str:
    """Spelled. Hyphens, because engines read a lone "A" as the article but "A-B" as letters."""
    return "-".join(letter.upper() for letter in text)


def amount(text: str) -> tuple[int, str] | None:
    """("1,234.50") → (1234, "50"); also "1.234,50". None when it is not one number."""
    last = max(text.rfind(","), text.rfind("."))
    whole, fraction = (text, "") if last < 0 else (text[:last], text[last + 1 :])
    mark = text[last] if last >= 0 else ""
    if mark and (text.count(mark) > 1 or (mark == "," and len(fraction) == 3)):
        whole, fraction = text, ""
    groups = re.split("[,.]", whole)
    if len(groups) > 1 and (len(groups[-1]) != 3 or not all(1 <= len(group) <= 3 for group in groups)):
        return None
    joined = "".join(groups)
    return (int(joined), fraction) if joined.isdigit() and len(joined) <= _CARDINAL_DIGITS else None


def number(text: str, region: Region) -> str:
    """A number as it is written, with sign, thousands and decimals."""
    sign = "minus " if text.startswith("-") else "plus " if text.startswith("+") else ""
    text = text.lstrip("+-")
    parsed = amount(text)
    if parsed is None:
        return sign + ", ".join(_integer(part, region) for part in re.split("[,.]", text) if part)
    whole, fraction = parsed
    if "," in text and "." not in text and fraction:  # in English a list: "1,5"
        return sign + ", ".join(_integer(part, region) for part in text.split(","))
    said = cardinal(whole, region) if "," in text or "." in text else _integer(text, region)
    return f"{sign}{said} point {digits(fraction)}" if fraction else sign + said


def _integer(text: str, region: Region) -> str:
    """Amounts as amounts; leading zeros and long strings as the codes that they are."""
    is_round = text.endswith("000") and len(text) <= _CARDINAL_DIGITS
    if (len(text) > 1 and text[0] == "0") or (len(text) > 6 and not is_round):
        return grouped(text)
    return cardinal(int(text), region)


def grouped(text: str) -> str:
    """Digits one by one, a short pause after every three, the rest (up to four) at the end."""
    if len(text) <= 6:
        return digits(text)
    cuts = list(range(0, len(text), 3))
    if len(text) - cuts[-1] == 1:
        cuts.pop()
    parts = [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]
    return ", ".join(digits(part) for part in parts)


def counted(count: int, one: str, many: str, region: Region) -> str:
    return f"{cardinal(count, region)} {one if count == 1 else many}"


def date(day: int, month: int, of_year: int | None, region: Region) -> str | None:
    """None when there is no such day."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    of = f" {year(of_year, region)}" if of_year is not None else ""
    if region.us:
        return f"{MONTHS[month - 1]} {ordinal(day, region)}" + ("," + of if of else "")
    return f"the {ordinal(day, region)} of {MONTHS[month - 1]}{of}"


def time(hour: int, minute: int, region: Region, *, leading_zero: bool = False, half: str = "") -> str | None:
    """As a person says it: on a 12 hour clock, "a.m." or "p.m." where the writing tells which."""
    if hour > 24 or minute > 59 or (half and not 1 <= hour <= 12):
        return None
    if not half and minute == 0 and hour in {0, 24}:
        return "midnight"
    if not half and (hour == 0 or hour > 12 or leading_zero):
        half = "p" if 12 <= hour < 24 else "a"
    said = cardinal((hour - 1) % 12 + 1, region)
    if minute:
        said += (" oh " if minute < 10 else " ") + cardinal(minute, region)
    elif not half:
        said += " o'clock"
    return f"{said} {half}.m." if half else said


CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "₦": ("naira", "naira", "kobo", "kobo"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₵": ("cedi", "cedis", "pesewa", "pesewas"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "ZAR": ("rand", "rand", "cent", "cents"),
    "KES": ("shilling", "shillings", "cent", "cents"),
    "CHF": ("Swiss franc", "Swiss francs", "rappen", "rappen"),
}
CURRENCIES |= {
    "USD": CURRENCIES["$"],
    "US$": CURRENCIES["$"],
    "GBP": CURRENCIES["£"],
    "EUR": CURRENCIES["€"],
    "NGN": CURRENCIES["₦"],
}
CURRENCIES |= {
    "INR": CURRENCIES["₹"],
    "JPY": CURRENCIES["¥"],
    "GHS": CURRENCIES["₵"],
    "A$": CURRENCIES["AUD"],
    "C$": CURRENCIES["CAD"],
}
CURRENCIES |= {
    "N": CURRENCIES["₦"],
    "Rs": CURRENCIES["₹"],
    "Rs.": CURRENCIES["₹"],
}  # as written in Nigeria and in India
SCALES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "bn": "billion", "b": "billion", "B": "billion",
}  # fmt: skip


def money(text: str, currency: str, region: Region, scale: str = "") -> str | None:
    """`currency`: a sign or an ISO 4217 code of the table; None when either part is not known."""
    names = CURRENCIES.get(currency if currency in CURRENCIES else currency.upper())
    if names is None:
        return None
    bare = text.lstrip("-+")
    parsed = amount(bare.replace(".", "") if re.fullmatch(r"\d{1,3}\.\d{3}", bare) else bare)
    if parsed is None:
        return None
    whole, fraction = parsed
    sign = "minus " if text.startswith("-") else ""
    one, many, cent, cents = names
    if scale or len(fraction) > 2:
        point = f" point {digits(fraction)}" if fraction else ""
        return f"{sign}{cardinal(whole, region)}{point} {SCALES.get(scale, scale)}".rstrip() + f" {many}"
    minor = int(fraction.ljust(2, "0")) if fraction else 0
    small = counted(minor, cent, cents, region) if minor else ""
    if small and not whole:
        return sign + small
    return sign + counted(whole, one, many, region) + (f" and {small}" if small else "")
