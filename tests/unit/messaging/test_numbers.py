"""Numbers as people write them, and what becomes of them: one table, and the rules around it."""

import re
import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers.shortnumberinfo import is_emergency_number

from messaging.errors import Fault, Invalid, catalogue
from messaging.numbers import (
    EMERGENCY,
    HIGH_RISK,
    PREMIUM,
    SATELLITE,
    HighRiskNumber,
    NumberError,
    SandboxNumber,
    is_magic,
    masked,
    normalise,
    require_real,
)

NG = "2348020000000"

ACCEPTED = [
    # one number, as people write it
    ("2348020000000", None, NG),
    ("+2348020000000", None, NG),
    ("002348020000000", None, NG),
    (" 2348020000000", None, NG),  # a form made a blank of the +
    ("  +234 802 000 0000  ", None, NG),
    ("+234-802-000-0000", None, NG),
    ("+234.802.000.0000", None, NG),
    ("+234/802/0000000", None, NG),
    ("+234 (0)802 000 0000", None, NG),
    ("00 234 802 000 0000", None, NG),
    ("+234\u00a0802\u202f000\u20110000", None, NG),  # no-break blanks and hyphen
    ("+234–802—000−0000", None, NG),  # dashes of a word processor
    ("\u202a+2348020000000\u202c", None, NG),  # direction marks of a phone book
    ("\ufeff2348020000000", None, NG),
    ("2348020000000\r\n", None, NG),  # the last cell of a line
    ("\t2348020000000", None, NG),
    ("＋2348020000000", None, NG),
    # other scripts' digits: one script at a time
    ("２３４８０２０００００００", None, NG),
    ("٢٣٤٨٠٢٠٠٠٠٠٠٠", None, NG),
    ("۲۳۴۸۰۲۰۰۰۰۰۰۰", None, NG),
    ("+२३४८०२०००००००", None, NG),
    # national, as of the account's region
    ("08020000000", "NG", NG),
    ("0802 000 0000", "ng", NG),
    ("8020000000", "NG", NG),
    ("2348020000000", "NG", NG),
    ("+447400123456", "NG", "447400123456"),
    ("00447400123456", "NG", "447400123456"),
    ("447400123456", "NG", "447400123456"),
    ("07400 123456", "GB", "447400123456"),
    ("4155552671", "US", "14155552671"),
    ("(415) 555-2671", "US", "14155552671"),
    ("011 234 802 000 0000", "US", NG),  # its own international prefix
    ("0011 234 802 000 0000", "AU", NG),
    ("0412 345 678", "AU", "61412345678"),
    ("8705551234", "US", "18705551234"),  # Arkansas, not a satellite
    ("06 1234 5678", "IT", "390612345678"),  # Italy keeps the zero
    # elsewhere
    ("+1 (202) 555-0100", None, "12025550100"),
    ("12025550199", None, "12025550199"),
    ("+44 (0)20 7183 8750", None, "442071838750"),
    ("+39 06 1234 5678", None, "390612345678"),
    ("+33 6 12 34 56 78", None, "33612345678"),
    ("+256 772 123456", None, "256772123456"),
    ("+61 412 345 678", None, "61412345678"),
    ("18005551212", None, "18005551212"),
    ("22158", "SH", "29022158"),  # home is never high-risk
]

REFUSED = [
    # not a number
    ("", None, "INVALID_NUMBER"),
    ("   ", None, "INVALID_NUMBER"),
    ("+", None, "INVALID_NUMBER"),
    ("()-", None, "INVALID_NUMBER"),
    ("0802", None, "INVALID_NUMBER"),  # a national number, and we do not know whose
    ("08020000000", None, "INVALID_NUMBER"),
    ("1-800-FLOWERS", None, "INVALID_NUMBER"),
    ("tel:+2348020000000", None, "INVALID_NUMBER"),
    ("sip:2348020000000@example.net", None, "INVALID_NUMBER"),
    ("+2348020000000;phone-context=+44", None, "INVALID_NUMBER"),
    ("+2348020000000;ext=5", None, "INVALID_NUMBER"),
    ("2348020000000 ext 5", None, "INVALID_NUMBER"),
    ("2348020000000x5", None, "INVALID_NUMBER"),
    ("2348020000000,,1", None, "INVALID_NUMBER"),
    ("2348020000000#", None, "INVALID_NUMBER"),
    ("*21*2348020000000#", None, "INVALID_NUMBER"),
    ("2348020000000<2348030000000", None, "INVALID_NUMBER"),
    ("+2348020000000\x00", None, "INVALID_NUMBER"),
    ("234\x008020000000", None, "INVALID_NUMBER"),
    ("2348020000000\r\nVia: x", None, "INVALID_NUMBER"),
    ("234802\n0000000", None, "INVALID_NUMBER"),
    ("234802%0d0a0000", None, "INVALID_NUMBER"),
    ("2.34802E+12", None, "INVALID_NUMBER"),  # a spreadsheet's
    ("++2348020000000", None, "INVALID_NUMBER"),
    ("2348020000000+", None, "INVALID_NUMBER"),
    ("234+8020000000", None, "INVALID_NUMBER"),
    ("2348٠20000000", None, "INVALID_NUMBER"),  # two scripts
    ("²³⁴⁸⁰²⁰", None, "INVALID_NUMBER"),
    ("①②③④⑤⑥⑦", None, "INVALID_NUMBER"),
    ("٢٣٤٨٠٢٠ABC", None, "INVALID_NUMBER"),
    ("+441632960001", None, "INVALID_NUMBER"),  # fictional
    ("+5312345678", None, "INVALID_NUMBER"),
    ("4155552671", "NG", "INVALID_NUMBER"),
    # length
    ("+2348", None, "TOO_SHORT"),
    ("+23480200", None, "TOO_SHORT"),
    ("0802", "NG", "TOO_SHORT"),
    ("555-0100", "US", "TOO_SHORT"),  # the area code is missing
    ("+4420718387501", None, "TOO_LONG"),
    ("+23480200000001234", None, "TOO_LONG"),
    ("23480200000002348030000000", None, "TOO_LONG"),
    ("1" * 65, None, "TOO_LONG"),
    # countries
    ("+999123456789", None, "UNKNOWN_COUNTRY"),
    ("2100000000000", None, "UNKNOWN_COUNTRY"),
    # emergency and help
    ("112", None, "EMERGENCY_NUMBER"),
    ("112", "NG", "EMERGENCY_NUMBER"),
    ("199", "NG", "EMERGENCY_NUMBER"),
    ("767", "NG", "EMERGENCY_NUMBER"),
    ("911", "US", "EMERGENCY_NUMBER"),
    ("9 1 1", None, "EMERGENCY_NUMBER"),
    ("٩١١", None, "EMERGENCY_NUMBER"),
    ("999", "GB", "EMERGENCY_NUMBER"),
    ("000", "AU", "EMERGENCY_NUMBER"),
    ("+112", None, "EMERGENCY_NUMBER"),
    ("00112", None, "EMERGENCY_NUMBER"),
    ("+234112", None, "EMERGENCY_NUMBER"),
    ("234112", None, "EMERGENCY_NUMBER"),
    ("+1911", None, "EMERGENCY_NUMBER"),
    ("+440999", None, "EMERGENCY_NUMBER"),
    ("988", "US", "EMERGENCY_NUMBER"),
    ("116123", None, "EMERGENCY_NUMBER"),
    ("10111", "ZA", "EMERGENCY_NUMBER"),
    # short codes
    ("12345", None, "SHORT_CODE"),
    ("40404", "US", "SHORT_CODE"),
    ("131", "NG", "EMERGENCY_NUMBER"),  # an emergency number in Chile: all of them, whatever the region
    # what costs
    ("+19005551212", None, "PREMIUM_NUMBER"),
    ("+33899123456", None, "PREMIUM_NUMBER"),
    ("+448712345678", None, "PREMIUM_NUMBER"),
    ("+97912345678", None, "PREMIUM_NUMBER"),
    ("+80812345678", None, "SHARED_COST_NUMBER"),
    ("+611300123456", None, "SHARED_COST_NUMBER"),
    ("+447012345678", None, "PERSONAL_NUMBER"),
    ("+447640123456", None, "PAGER_NUMBER"),
    # satellites and what is called mostly by fraud
    ("+8705551234", None, "SATELLITE_NUMBER"),
    ("+870773123456", None, "SATELLITE_NUMBER"),
    ("+881612345678", None, "SATELLITE_NUMBER"),
    ("+882161234567", None, "SATELLITE_NUMBER"),
    ("+8835100123456", None, "SATELLITE_NUMBER"),
    ("00881612345678", "NG", "SATELLITE_NUMBER"),
    ("+24740123", None, "HIGH_RISK_NUMBER"),
    ("+6745551234", None, "HIGH_RISK_NUMBER"),
    ("+5352345678", None, "HIGH_RISK_NUMBER"),
    ("+29022158", "NG", "HIGH_RISK_NUMBER"),
]


@pytest.mark.parametrize(("raw", "region", "digits"), ACCEPTED)
def test_a_number_becomes_international_digits(raw: str, region: str | None, digits: str) -> None:
    assert normalise(raw, region) == digits


@pytest.mark.parametrize(("raw", "region", "code"), REFUSED)
def test_a_number_we_do_not_call_says_which_kind_it_is(raw: str, region: str | None, code: str) -> None:
    with pytest.raises(NumberError) as refused:
        normalise(raw, region)

    assert refused.value.code == code


def test_a_bare_number_with_two_meanings_is_refused() -> None:
    with pytest.raises(NumberError) as refused:
        normalise("4327837069", "US")  # Texas, or Austria

    assert refused.value.code == "AMBIGUOUS_NUMBER"
    assert normalise("+4327837069", "US") == "4327837069"
    assert normalise("4327837069", None) == "4327837069"
    assert normalise("14327837069", "US") == "14327837069"


def test_only_who_lives_there_may_call_a_high_risk_country_and_nobody_a_high_risk_range() -> None:
    assert normalise("+24740123", None, home=("247",)) == "24740123"
    for raw, home in (("+24740123", "246"), ("+12129761234", "1"), ("+16006211234", "1")):
        with pytest.raises(HighRiskNumber):
            normalise(raw, None, home=(home,))


@pytest.mark.parametrize("digits", range(2, 5))
def test_every_emergency_number_that_libphonenumber_knows_is_on_our_list(digits: int) -> None:
    numbers = [str(number).zfill(digits) for number in range(10**digits)] if digits < 4 else ["1122", "1669", "9999"]
    regions = sorted(phonenumbers.SUPPORTED_SHORT_REGIONS)

    missing = {n for region in regions for n in numbers if n not in EMERGENCY and is_emergency_number(n, region)}

    assert missing == set()


def test_every_class_has_its_own_code_a_fix_and_a_verdict() -> None:
    kinds = [NumberError, *(kind for kind in NumberError.__subclasses__() if kind.__module__ == NumberError.__module__)]

    assert len({kind.code for kind in kinds}) == len(kinds) >= 13
    for kind in kinds:
        assert issubclass(kind, Invalid)
        assert (kind.status, kind.retryable, kind.fault) == (422, False, Fault.REQUEST)
        assert kind.__doc__
        assert kind.__doc__.endswith(".")
        assert kind.code in catalogue()
    assert len({kind.hint for kind in kinds}) >= len(kinds) - 2


@pytest.mark.parametrize(("number", "magic"), [
    ("12025550100", True), ("12025550199", True), ("12025550150", True), ("12025550200", False), ("12025550099", False),
    ("2348020000000", False), ("", False), ("١٢٠٢٥٥٥٠١٠٠", False), ("012025550100", False),
])  # fmt: skip
def test_magic_numbers_are_the_fictional_hundred(number: str, magic: bool) -> None:
    assert is_magic(number) is magic


def test_a_magic_number_is_a_number_but_never_goes_to_a_real_trunk() -> None:
    number = normalise("+1 202 555 0110", None)

    with pytest.raises(SandboxNumber):
        require_real(number)
    require_real("2348020000000")


@pytest.mark.parametrize(
    ("number", "shown"),
    [(NG, "•••••••••0000"), ("12345678", "••••5678"), ("1234", "••34"), ("112", "••2"), ("1", "•"), ("", "")],
)
def test_a_masked_number_shows_its_end_only(number: str, shown: str) -> None:
    assert masked(number) == shown


def test_the_lists_are_calling_prefixes_with_a_name() -> None:
    for prefixes in (SATELLITE, PREMIUM, HIGH_RISK):
        assert all(re.fullmatch(r"[1-9][0-9x]*", prefix) and name for prefix, name in prefixes.items())
    assert set(SATELLITE) == {"870", "881", "882", "883"}


def test_importing_numbers_does_not_load_the_geocoder() -> None:
    heavy = "[m for m in sys.modules if any(w in m for w in ('geodata', 'geocoder', 'carrier', 'timezone'))]"
    program = f"import sys, messaging.numbers as n; n.normalise('+2348020000000', None); print({heavy})"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout.strip() == "[]"


digits_of_any_script = st.characters(whitelist_categories=["Nd", "No", "Nl"])
marks = st.sampled_from(["+", "00", "0", "234", "1", " ", "-", "(", "112", "870", "\x00", ";"])
numberish = st.lists(st.one_of(marks, digits_of_any_script), max_size=20).map("".join)


@given(raw=st.one_of(st.text(max_size=80), numberish), region=st.sampled_from([None, "NG", "US", "gb", "XX", ""]))
@example("\ud800", None)
@example("+", "NG")
@example("00", "NG")
@example("𝟎𝟎𝟐𝟑𝟒𝟖𝟎𝟐𝟎𝟎𝟎𝟎𝟎𝟎𝟎", None)
def test_anything_is_a_clean_number_or_a_refusal(raw: str, region: str | None) -> None:
    try:
        number = normalise(raw, region)
    except NumberError:
        return

    assert number.isascii()
    assert number.isdecimal()
    assert 5 <= len(number) <= 15
    assert not number.startswith("0")
    assert normalise(number, None, home=tuple(HIGH_RISK)) == number


@given(st.text(max_size=40))
def test_a_mask_never_shows_more_than_four(number: str) -> None:
    assert len(masked(number)) == len(number)
    assert masked(number)[: max(0, len(number) - 4)] == "•" * max(0, len(number) - 4)
