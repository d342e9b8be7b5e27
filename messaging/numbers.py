"""Phone numbers: whatever people write, in; international digits without a plus, or a reason, out. Pure.

Accepted: `+…`, `00…`, bare international digits (as 9bits does), and national numbers when the account has a region;
blanks, hyphens, dots, slashes and brackets between; digits of any one script (a keyboard writes those), never mixed.
Refused: letters, extensions, parameters (`;phone-context=`), control characters, and every class of number below:
each has its own error, so that a list can say which of its numbers are bad and why.

Validity is libphonenumber's. It does not know what is expensive or dangerous to dial, so that is data here.
"""

import re
import unicodedata
from collections.abc import Collection
from importlib.resources import files
from typing import Final

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumber, PhoneNumberType, ValidationResult

from messaging.errors import Invalid

RAW_MAX = 64  # characters; longer than any number with its ornaments
E164_MAX = 15  # digits (ITU-T E.164 section 6)
SHORT_MAX = 6  # bare digits: short codes live below

MAGIC_FIRST, MAGIC_LAST = 12025550100, 12025550199  # fictional (NANP 555-01XX), and valid to libphonenumber

# Short numbers that reach an ambulance, the police, the fire brigade or a help line somewhere: those libphonenumber
# knows in any region, and Lagos (767), the crisis lines 988 (US) and 116xxx (EU). All of them, whatever the region: 112
# is no emergency number of Nigeria to libphonenumber, and a trunk does not ask in which country we meant it.
_EMERGENCY = """
    01 02 03 13 14 15 16 17 18 19 90 91 92 93 94 000 001 002 003 011 019 022 033 050 060 065 066 068 080 085
    088 100 101 102 103 104 105 106 107 108 110 111 112 113 114 115 116 117 118 119 120 122 123 124 125 127
    128 129 130 131 132 133 140 144 150 151 152 153 154 155 156 157 158 159 160 166 170 171 172 175 177 180
    188 190 191 192 193 194 195 197 198 199 211 311 333 355 511 555 666 819 888 901 902 903 911 912 913 917
    919 922 933 939 955 977 990 991 992 993 994 995 996 997 998 999 1122 1220 1298 1444 1669 1730 2611 9999
    10111 10177 90000 767 988 116000 116111 116117 116123
"""
EMERGENCY: Final = frozenset(_EMERGENCY.split())

SATELLITE: Final = {
    "870": "Inmarsat",
    "881": "global mobile satellite systems (Iridium, Globalstar)",
    "882": "international networks (Thuraya and others)",
    "883": "international networks",
}

PREMIUM: Final = {
    "1900": "North American 900 numbers",
    "808": "international shared cost service",
    "878": "universal personal numbers",
    "979": "international premium rate service",
}


def _high_risk() -> dict[str, str]:
    """high_risk.csv: prefix -> where. In a prefix x is any digit."""
    text = (files("messaging") / "high_risk.csv").read_text(encoding="utf-8")
    rows = (line.split(",") for line in text.splitlines() if line and not line.startswith("#"))
    return {prefix: where for prefix, where, _ in rows}


HIGH_RISK: Final = _high_risk()
_RANGES = re.compile("|".join(prefix.replace("x", r"\d") for prefix in HIGH_RISK))


class NumberError(Invalid):
    """That is not a phone number we can call."""

    code, title = "INVALID_NUMBER", "Invalid number"
    hint = "Send it in international form, digits only: 2348020000000 (+ or 00 in front is accepted)."


class TooShort(NumberError):
    """The number is too short for its country."""

    code, title = "TOO_SHORT", "Number too short"
    hint = "Check for lost digits; send it in international form: 2348020000000."


class TooLong(NumberError):
    """The number is too long for its country."""

    code, title = "TOO_LONG", "Number too long"
    hint = "Check for two numbers in one field; send one number in international form: 2348020000000."


class UnknownCountry(NumberError):
    """No country has that calling code."""

    code, title = "UNKNOWN_COUNTRY", "Unknown country"
    hint = "Start with the country's calling code: 234 for Nigeria, 44 for the United Kingdom."


class AmbiguousNumber(NumberError):
    """Without a plus this could be a number of your country or of another one."""

    code, title = "AMBIGUOUS_NUMBER", "Ambiguous number"
    hint = "Send it with + and the calling code."


class EmergencyNumber(NumberError):
    """Emergency and help lines are never called by a machine."""

    code, title = "EMERGENCY_NUMBER", "Emergency number"
    hint = "Remove it. To test, call 12025550100 on the sandbox."


class ShortCode(NumberError):
    """Short codes are not called: they mean something else on every network."""

    code, title = "SHORT_CODE", "Short code"
    hint = "Send the full number behind it in international form."


class PremiumNumber(NumberError):
    """Premium rate numbers are not called."""

    code, title = "PREMIUM_NUMBER", "Premium rate number"
    hint = "Send the person's own number; premium numbers cost money on every call."


class SharedCostNumber(NumberError):
    """Shared cost numbers are not called."""

    code, title = "SHARED_COST_NUMBER", "Shared cost number"
    hint = "Send the geographic or mobile number behind it."


class PersonalNumber(NumberError):
    """Personal numbers (follow-me services) are not called: they are charged like premium rate."""

    code, title = "PERSONAL_NUMBER", "Personal number service"
    hint = "Send the geographic or mobile number behind it."


class PagerNumber(NumberError):
    """Pagers are not called: nobody hears a message there, and some cost as much as premium rate."""

    code, title = "PAGER_NUMBER", "Pager"
    hint = "Send the person's own number."


class SatelliteNumber(NumberError):
    """Satellite phones and international networks are not called."""

    code, title = "SATELLITE_NUMBER", "Satellite number"
    hint = "Send a number on a terrestrial network, or reach the person by SMS."


class HighRiskNumber(NumberError):
    """This destination is closed, because it is mostly called by fraud."""

    code, title = "HIGH_RISK_NUMBER", "High-risk destination"
    hint = "Reach the person another way, or ask the operator."


class SandboxNumber(NumberError):
    """That number belongs to the sandbox and never leaves it."""

    code, title = "SANDBOX_NUMBER", "Sandbox number"
    hint = "Use a tk_test_ key for 12025550100 to 12025550199, or send a real number."


_BY_TYPE: dict[int, type[NumberError]] = {
    PhoneNumberType.PREMIUM_RATE: PremiumNumber,
    PhoneNumberType.SHARED_COST: SharedCostNumber,
    PhoneNumberType.PERSONAL_NUMBER: PersonalNumber,
    PhoneNumberType.PAGER: PagerNumber,
}
_BY_LENGTH: dict[int, type[NumberError]] = {
    ValidationResult.TOO_SHORT: TooShort,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: TooShort,
    ValidationResult.TOO_LONG: TooLong,
}

_PLUS = frozenset("+＋")
_BETWEEN = frozenset(" \t\u00a0\u2007\u2009\u202f-\u2010\u2011\u2012\u2013\u2014\u2212.()/")


def normalise(raw: str, region: str | None, *, home: Collection[str] = ()) -> str:
    """International digits without a plus. Raises NumberError, or the subclass that says which kind it is.

    `region`: two letters; national numbers are read as of this country. None: international numbers only.
    `home`: calling codes of countries where whoever asks lives besides: those may be called although HIGH_RISK lists
    them whole.
    A bare number that is valid both nationally and internationally is refused: nobody may ring the wrong person.
    """
    written, plus = _read(raw)
    readings = _readings(written, plus, region)
    valid = {_digits(number): number for number in readings if phonenumbers.is_valid_number(number)}
    if len(valid) > 1:
        raise AmbiguousNumber
    if not valid:
        raise _why_not(written, not plus and not written.startswith("00"), region, readings)
    digits, number = valid.popitem()
    at_home = {str(phonenumbers.country_code_for_region(region.upper()))} if region else set()
    _refuse_class(digits, number, at_home.union(home))
    return digits


def require_callable(digits: str, home: Collection[str] = ()) -> None:
    """Of international digits: raises the NumberError for what is never called, or for what is no number at all."""
    number = _parse(f"+{digits}", None) if digits.isascii() and digits.isdecimal() else None
    if number is None or not phonenumbers.is_valid_number(number):
        raise NumberError
    _refuse_class(digits, number, home)


def region_of(digits: str) -> str | None:
    """The country of international digits, two small letters; None: of no single country, or of none at all.

    A calling code is no country: +1 alone belongs to twenty-five.
    """
    number = _parse(f"+{digits}", None)
    region = phonenumbers.region_code_for_number(number) if number else None
    return region.lower() if region and region != "001" else None


def is_magic(number: str) -> bool:
    """One of the sandbox's own numbers: always allowed there, never on a real trunk. International digits."""
    return number.isascii() and number.isdecimal() and len(number) == 11 and MAGIC_FIRST <= int(number) <= MAGIC_LAST


def require_real(number: str) -> None:
    """Raises SandboxNumber for a magic number: call it before anything goes to a real trunk."""
    if is_magic(number):
        raise SandboxNumber


def masked(number: str) -> str:
    """For logs: at most the last four characters, and never more than half of it."""
    shown = min(4, len(number) // 2)
    return "•" * (len(number) - shown) + number[len(number) - shown :]


_E164 = phonenumbers.PhoneNumberFormat.E164


def _read(raw: str) -> tuple[str, bool]:
    """ASCII digits as they were written, and whether a plus stood in front."""
    if len(raw) > RAW_MAX:
        raise TooLong(f"A number has at most {E164_MAX} digits.")
    text = _trimmed(raw)
    plus = text[:1] in _PLUS and text != ""
    letters = [letter for letter in text[plus:] if letter not in _BETWEEN]
    digits = [unicodedata.decimal(letter, None) for letter in letters]
    if not digits or None in digits:
        raise NumberError("The number is empty." if not letters else "A number has digits only, and a + in front.")
    zeros = {ord(letter) - (digit or 0) for letter, digit in zip(letters, digits, strict=True)}
    if len(zeros) > 1:
        raise NumberError("The digits of one number are of one script.")
    return "".join(map(str, digits)), plus


def _trimmed(raw: str) -> str:
    """Without blanks and invisible marks around it: a form turns + into a blank, a phone book adds direction marks."""
    start, end = 0, len(raw)
    while start < end and _is_blank(raw[start]):
        start += 1
    while end > start and _is_blank(raw[end - 1]):
        end -= 1
    return raw[start:end]


def _is_blank(letter: str) -> bool:
    return letter in "\t\r\n" or unicodedata.category(letter) in ("Zs", "Cf")


def _readings(written: str, plus: bool, region: str | None) -> list[PhoneNumber]:
    """What it may mean: internationally first; as of the region, too, unless a plus stands in front."""
    abroad = written if plus else written[2:] if written.startswith("00") else written
    readings: list[PhoneNumber | None] = []
    if not abroad.startswith("0"):
        readings.append(_parse("+" + abroad, None))
    if region and not plus:
        readings.append(_parse(written, region))
    return [number for number in readings if number is not None]


def _parse(text: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region and region.upper())
    except phonenumbers.NumberParseException:
        return None


def _digits(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, _E164)[1:]


def _lies_in(digits: str, prefixes: dict[str, str]) -> bool:
    return any(digits.startswith(prefix) for prefix in prefixes)


def _refuse_class(digits: str, number: PhoneNumber, home: Collection[str]) -> None:
    if _lies_in(digits, SATELLITE):
        raise SatelliteNumber
    kind = _BY_TYPE.get(phonenumbers.number_type(number))
    if kind is not None:
        raise kind
    if _lies_in(digits, PREMIUM):
        raise PremiumNumber
    risky = _RANGES.match(digits)
    if risky and not (risky[0] == str(number.country_code) and risky[0] in home):
        raise HighRiskNumber


def _why_not(written: str, bare: bool, region: str | None, readings: list[PhoneNumber]) -> NumberError:
    """The most useful reason why no reading of it is a number."""
    abroad = written.removeprefix("00")
    if _is_emergency(written, abroad):
        return EmergencyNumber()
    if len(abroad) > E164_MAX:
        return TooLong()
    if bare and len(written) <= SHORT_MAX and not written.startswith("0"):
        return ShortCode()
    if bare and written.startswith("0") and not region:
        return NumberError("A national number: its calling code is missing.")
    for prefixes, kind in ((SATELLITE, SatelliteNumber), (PREMIUM, PremiumNumber)):
        if any(_lies_in(_digits(number), prefixes) for number in readings):
            return kind()
    if not readings:
        return TooShort() if len(abroad) <= SHORT_MAX else UnknownCountry()
    return _why_impossible(readings[-1])  # as of the region, when there is one


def _why_impossible(number: PhoneNumber) -> NumberError:
    kind = _BY_LENGTH.get(phonenumbers.is_possible_number_with_reason(number), NumberError)
    said = {TooShort: "too short", TooLong: "too long"}.get(kind, "not assigned")
    where = phonenumbers.region_code_for_country_code(number.country_code or 0)
    return kind(f"The number is {said} for {where if where != '001' else 'an international service'}.")


def _is_emergency(written: str, abroad: str) -> bool:
    """Alone, behind 00, or behind a calling code: 112, 00112, +234112, +440999."""
    if written in EMERGENCY or abroad in EMERGENCY:
        return True
    national = [abroad[n:] for n in (1, 2, 3) if abroad[:n] and int(abroad[:n]) in COUNTRY_CODE_TO_REGION_CODE]
    return any(part in EMERGENCY or part.removeprefix("0") in EMERGENCY for part in national)
