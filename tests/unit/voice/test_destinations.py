"""Where an account may call: the table, and the rules around it. The account shows numbers of Nigeria and the US."""

from collections.abc import Iterator

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from config.settings import Settings
from messaging.numbers import NumberError, normalise
from sip.causes import Cause
from voice.destinations import BadEntry, Destinations, cause_of, read_allow
from voice.toll_book import TollBook
from voice.toll_guard import TollGuard
from voice.trunk_shelf import MemoryTrunkShelf

CALLER_IDS = ("2347080670000", "12025550199")
OURS = Destinations.of(CALLER_IDS, ("gb", "4989"))
OK, GEO, RISK = "", "GEO_BLOCKED", "HIGH_RISK_NUMBER"

# The other members of the North American plan: their calling code is that of the United States.
NANP_ABROAD = [
    "2684641234", "2642351234", "6847331234", "2462501234", "4413701234", "2423591234", "7672251234", "4734031234",
    "6713001234", "8762101234", "6582101234", "8697652917", "3453231234", "7582845678", "6702345678", "6644923456",
    "7872345678", "9392345678", "7215205678", "6492311234", "8682911234", "7844301234", "2843001234", "3406421234",
    "8092345678", "8292345678", "8492345678", "2042345678", "2262345678", "2502345678", "3062345678", "3432345678",
    "4032345678", "4162345678", "4182345678", "4382345678", "5062345678", "5142345678", "5192345678", "5812345678",
    "6042345678", "6132345678", "6472345678", "7052345678", "7802345678", "8672345678", "9022345678",
]  # fmt: skip
HIGH_RISK_COUNTRIES = {
    "ST", "IO", "AC", "SO", "KM", "SH", "TA", "FK", "PM", "CU", "TL", "NF", "NR", "PG", "SB", "VU", "WF", "CK", "NU",
    "KI", "TV", "TK", "MH", "KP",
}  # fmt: skip
OPEN = {"NG", "US", "GB"}

BY_HAND = [
    # home, and what the list opens
    ("+2348020000000", OK), ("+2347030000000", OK), ("+2349012345678", OK), ("+14155552671", OK), ("+13057771234", OK),
    ("+442071838750", OK), ("+447400123456", OK), ("+4989123456", OK), ("+49 89 123456", OK),
    # another country behind the same calling code
    ("+447781123456", GEO), ("+447797123456", GEO), ("+447624123456", GEO), ("+441481256789", GEO),
    ("+441534123456", GEO), ("+441624756789", GEO),
    # a country that is closed, and one of which only a part is open
    ("+493012345678", GEO), ("+4915123456789", GEO), ("+33612345678", GEO), ("+37120123456", GEO),
    ("+37060123456", GEO),
    ("+8613812345678", GEO), ("+77012345678", GEO), ("+79161234567", GEO), ("+80012345678", GEO), ("+18005551212", OK),
    # high-risk ranges, of our own country too
    ("+12129761234", RISK), ("+13059761234", RISK), ("+16002345678", RISK), ("+17002345678", "INVALID_NUMBER"),
    ("+5352345678", RISK), ("+24740123", RISK), ("+6745551234", RISK), ("+2525522010", RISK), ("+85021234567", RISK),
    # by their kind
    ("+19005551212", "PREMIUM_NUMBER"), ("+449098790123", "PREMIUM_NUMBER"), ("+448712345678", "PREMIUM_NUMBER"),
    ("+33899123456", "PREMIUM_NUMBER"), ("+499001234567", "PREMIUM_NUMBER"), ("+97912345678", "PREMIUM_NUMBER"),
    ("+448431234567", "PREMIUM_NUMBER"), ("+80812345678", "SHARED_COST_NUMBER"),
    ("+611300123456", "SHARED_COST_NUMBER"), ("+491801234567", "SHARED_COST_NUMBER"),
    ("+447012345678", "PERSONAL_NUMBER"), ("+15002345678", "PERSONAL_NUMBER"), ("+15332345678", "PERSONAL_NUMBER"),
    ("+447640123456", "PAGER_NUMBER"),
    ("+870773123456", "SATELLITE_NUMBER"), ("+881612345678", "SATELLITE_NUMBER"), ("+881712345678", "SATELLITE_NUMBER"),
    ("+882161234567", "SATELLITE_NUMBER"), ("+88299123456", "SATELLITE_NUMBER"), ("+8835100123456", "SATELLITE_NUMBER"),
    # short and emergency, also behind a calling code
    ("112", "EMERGENCY_NUMBER"), ("911", "EMERGENCY_NUMBER"), ("+1911", "EMERGENCY_NUMBER"),
    ("+234112", "EMERGENCY_NUMBER"), ("00112", "EMERGENCY_NUMBER"), ("+44999", "EMERGENCY_NUMBER"),
    ("+440999", "EMERGENCY_NUMBER"), ("116123", "EMERGENCY_NUMBER"), ("199", "EMERGENCY_NUMBER"),
    ("12345", "SHORT_CODE"), ("40404", "SHORT_CODE"), ("63336", "SHORT_CODE"),
    # other ways to write a closed number: none of them opens it
    ("0018762101234", GEO), ("18762101234", GEO), ("1 (876) 210-1234", GEO), ("+1.876.210.1234", GEO),
    ("＋１８７６２１０１２３４", GEO), ("+١٨٧٦٢١٠١٢٣٤", GEO), ("+۱۸۷۶۲۱۰۱۲۳۴", GEO), ("+१८७६२१०१२३४", GEO),
    ("\u202a+18762101234\u202c", GEO), ("\ufeff18762101234", GEO), (" 18762101234", GEO), ("18762101234\r\n", GEO),
    # other ways to write an open one
    ("002348020000000", OK), ("2348020000000", OK), ("+234 (0)802 000 0000", OK), ("２３４８０２０００００００", OK),
    ("٢٣٤٨٠٢٠٠٠٠٠٠٠", OK), ("\u2066+2348020000000\u2069", OK), ("00 44 20 7183 8750", OK),
    # what is written to be read twice
    ("+18762101234;phone-context=+234", "INVALID_NUMBER"), ("2348020000000;phone-context=+1876", "INVALID_NUMBER"),
    ("+2348020000000;ext=18762101234", "INVALID_NUMBER"), ("tel:+2348020000000", "INVALID_NUMBER"),
    ("+23480\u200b20000000", "INVALID_NUMBER"), ("+234\u202e8020000000", "INVALID_NUMBER"),
    ("+1\u00ad8762101234", "INVALID_NUMBER"), ("+234802000000٠", "INVALID_NUMBER"),
    ("+1８７６2101234", "INVALID_NUMBER"),
    ("+2348020000000,18762101234", "INVALID_NUMBER"), ("+2348020000000<18762101234", "INVALID_NUMBER"),
    ("+2348020000000\x00", "INVALID_NUMBER"), ("sip:18762101234@example.net", "INVALID_NUMBER"),
    ("++18762101234", "INVALID_NUMBER"), ("+234+18762101234", "INVALID_NUMBER"), ("1-876-CALLNOW", "INVALID_NUMBER"),
    ("08020000000", "INVALID_NUMBER"), ("", "INVALID_NUMBER"), ("+", "INVALID_NUMBER"),
    ("+999123456789", "UNKNOWN_COUNTRY"), ("+2348", "TOO_SHORT"), ("+23480200000001234", "TOO_LONG"),
]  # fmt: skip


def table() -> Iterator[tuple[str, str]]:
    """What is written, and the code of the refusal."""
    yield from BY_HAND
    for number in NANP_ABROAD:
        yield f"+1{number}", GEO
        yield f"001{number}", GEO
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number_for_type(region, PhoneNumberType.FIXED_LINE)
        if example is None or phonenumbers.region_code_for_number(example) != region:
            continue  # the example is one of the country whose numbering plan it shares
        digits = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:]
        code = OK if region in OPEN else RISK if region in HIGH_RISK_COUNTRIES else GEO
        for written in (f"+{digits}", f"00{digits}", digits):
            yield written, code


def verdict(written: str) -> str:
    try:
        number = normalise(written, None, home=OURS.home_codes)
    except NumberError as no:
        return no.code
    refusal = OURS.refusal(number)
    return refusal.code if refusal else OK


def test_more_than_five_hundred_numbers_each_get_their_verdict() -> None:
    rows = list(table())

    wrong = {written: (verdict(written), code) for written, code in rows if verdict(written) != code}

    assert wrong == {}
    assert len(rows) >= 500


def test_what_is_never_called_is_not_opened_by_any_list() -> None:
    everything = Destinations.of(
        CALLER_IDS, read_allow([*map(str.lower, phonenumbers.SUPPORTED_REGIONS), "247", "1900"])
    )

    for written, code in table():
        if code not in (OK, GEO) and written.startswith("+") and written[1:].isdecimal():
            refusal = everything.refusal(written[1:])
            assert refusal is not None, written
            assert cause_of(refusal) is Cause.INVALID_NUMBER


def test_what_was_accepted_is_judged_alike_when_it_is_dialled() -> None:
    for written, code in table():
        if code in (OK, GEO):
            refusal = OURS.refusal(normalise(written, None, home=OURS.home_codes))
            assert (refusal is None, refusal and cause_of(refusal)) == (code == OK, Cause.GEO_BLOCKED if code else None)


def test_an_account_without_a_caller_id_and_without_a_list_calls_nobody() -> None:
    refusal = Destinations.of((), ()).refusal("2348020000000")

    assert (refusal is not None and refusal.code, refusal and refusal.status) == (GEO, 403)


def test_who_lives_in_a_high_risk_country_may_call_it_and_nobody_else_may() -> None:
    assert Destinations.of(("24740123",), ()).refusal("24740123") is None
    refusal = Destinations.of(CALLER_IDS, ("ac",)).refusal("24740123")
    assert refusal is not None
    assert refusal.code == RISK


@pytest.mark.parametrize("entry", ["1", "7", "44", "+1", "xx", "gbr", "0044", "99", "2", "4a", "", "gb,ng", "1" * 16])
def test_an_entry_that_means_nothing_or_too_much_is_refused(entry: str) -> None:
    with pytest.raises(BadEntry):
        read_allow([entry])


def test_a_list_is_kept_in_one_form() -> None:
    assert read_allow([" GB", "gb", "+4420", "1876", "ng"]) == ("1876", "4420", "gb", "ng")


async def test_a_new_list_is_obeyed_and_test_calls_are_not_asked() -> None:
    book = TollBook(MemoryTrunkShelf())
    guard = TollGuard(book, read_allow(Settings().dial.allow), lambda: CALLER_IDS)

    before = guard.may_ring("main.live", "447400123456")
    await book.set_allow("main.live", ("gb",))
    await guard.read()

    assert before is not None
    assert before.code == GEO
    assert guard.may_ring("main.live", "447400123456") is None
    assert guard.may_ring("other.live", "447400123456") is not None
    assert guard.may_ring("main.test", "18762101234") is None


async def test_a_final_no_is_said_by_the_rules_and_trunks_of_this_moment_only() -> None:
    book, known, there = TollBook(MemoryTrunkShelf()), ["2347080670000"], ["2347080670000"]

    async def read_trunks() -> None:
        known[:] = there

    guard = TollGuard(book, (), lambda: tuple(known), read_trunks=read_trunks)
    await guard.read()
    await book.set_allow("main.live", ("gb",))  # by another process, which has taken calls since
    there.append("12025550199")

    assert guard.may_ring("main.live", "447400123456") is not None
    assert await guard.refusal("main.live", "447400123456") is None
    assert await guard.refusal("main.live", "14155552671") is None
    assert await guard.refusal("main.live", "33612345678") is not None


async def test_the_countries_of_a_new_trunk_are_open_at_once() -> None:
    numbers = ["2347080670000"]
    guard = TollGuard(TollBook(MemoryTrunkShelf()), (), lambda: tuple(numbers))

    closed = guard.may_ring("main.live", "14155552671")
    numbers.append("12025550199")

    assert closed is not None
    assert guard.may_ring("main.live", "14155552671") is None
