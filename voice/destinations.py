"""Where an account may call: the toll-fraud guard's one question, asked at acceptance and again before dialling. Pure.

Allowed without asking: the countries of the account's own caller ids. Every other country: by the account's allow list.
Never, whatever the list says: what `messaging.numbers` refuses by its kind (premium, shared cost, personal, pagers,
satellites, short and emergency numbers) and the ranges of high_risk.csv. A country is not a calling code: +1 is shared
by twenty-five, and a caller id in one of them opens none of the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from messaging.errors import Fault
from messaging.numbers import NumberError, region_of, require_callable
from sip.causes import Cause

ENTRIES_MOST = 300  # there are about 245 countries
PREFIX_MOST = 15  # digits (ITU-T E.164 section 6)

REGIONS: Final = frozenset(region.lower() for region in phonenumbers.SUPPORTED_REGIONS)


class GeoBlocked(NumberError):
    """This account may not call that country."""

    code, status, title, fault = "GEO_BLOCKED", 403, "Country not allowed", Fault.ACCOUNT
    hint = "Allow the country, if you mean to call it: tocsin permissions allow gb, or PUT /v1/dial-permissions."


class BadEntry(ValueError):
    """An entry of an allow list that means nothing, or too much; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """`home`, `countries`: two small letters each. `prefixes`: international digits. Empty: nothing is allowed."""

    home: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(cls, caller_ids: Iterable[str], allow: Sequence[str]) -> "Destinations":
        """`allow`: as `read_allow` returned it."""
        return cls(
            frozenset(region for number in caller_ids if (region := region_of(number))),
            frozenset(entry for entry in allow if entry.isalpha()),
            tuple(entry for entry in allow if entry.isdecimal()),
        )

    @property
    def home_codes(self) -> frozenset[str]:
        """Their calling codes."""
        return frozenset(str(phonenumbers.country_code_for_region(region.upper())) for region in self.home)

    def refusal(self, number: str) -> NumberError | None:
        """Why these international digits are not called, or None."""
        try:
            require_callable(number, self.home_codes)
        except NumberError as no:
            return no
        region = region_of(number)
        if region in self.home or region in self.countries or number.startswith(self.prefixes):
            return None
        where = f"the country {region.upper()}" if region else "a service of no single country"
        return GeoBlocked(f"The number lies in {where}, which this account may not call.")


def cause_of(refusal: NumberError) -> Cause:
    """With which cause a call ends that was accepted before it was refused."""
    return Cause.GEO_BLOCKED if isinstance(refusal, GeoBlocked) else Cause.INVALID_NUMBER


def read_allow(entries: Iterable[str]) -> tuple[str, ...]:
    """Countries as two small letters, prefixes as digits, each once, sorted. Raises BadEntry."""
    found = sorted({_entry(text.strip()) for text in entries})
    if len(found) > ENTRIES_MOST:
        raise BadEntry(f"an allow list has at most {ENTRIES_MOST} entries")
    return tuple(found)


def _entry(text: str) -> str:
    shown = text[:20]
    if text.isascii() and text.isalpha():
        if text.lower() not in REGIONS:
            raise BadEntry(f"'{shown}' is no country: two letters, as in gb")
        return text.lower()
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= PREFIX_MOST):
        raise BadEntry(f"'{shown}' is neither a country (gb) nor a prefix of international digits (4420)")
    shared = COUNTRY_CODE_TO_REGION_CODE.get(int(digits)) if not digits.startswith("0") else None
    if shared and len(shared) > 1:
        raise BadEntry(f"+{digits} is shared by {len(shared)} countries: name the country, or more digits")
    if not any(int(digits[:n]) in COUNTRY_CODE_TO_REGION_CODE for n in (1, 2, 3) if len(digits) >= n):
        raise BadEntry(f"no country's calling code begins {shown}")
    return digits
