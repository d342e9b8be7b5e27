"""English that is easily misread: what is dialled, seats and sizes, dates and sums in the ways of other countries."""

import pytest

from media.reading import spoken

DIALLED = [
    ("dial *901*00#", "dial star nine zero one star zero zero hash"),
    ("*737#", "star seven three seven hash"),
    ("#31#", "hash three one hash"),
    ("press 9#", "press nine hash"),
    ("enter 12345#", "enter one two three four five hash"),
    ("#1", "number one"),
    ("*5 minutes*", "five minutes"),
    ("order #48213", "order four eight two one three"),
]
THOUSANDS = [
    ("1 250,50 €", "one thousand two hundred and fifty euros and fifty cents"),
    ("12 500 naira", "twelve thousand five hundred naira"),
    ("N12 500", "twelve thousand five hundred naira"),
    ("1 000 000", "one million"),
    ("12\u202f500", "twelve thousand five hundred"),
    ("1’250.50", "one thousand two hundred and fifty point five zero"),
    ("-1 250", "minus one thousand two hundred and fifty"),
    ("10 000-20 000 people", "ten thousand to twenty thousand people"),
    ("12 500 600", "twelve million five hundred thousand six hundred"),
    ("612 345 678", "six one two, three four five, six seven eight"),
    (
        "612 345 678 naira",
        "six hundred and twelve million three hundred and forty-five thousand six hundred and seventy-eight naira",
    ),
    ("0802 000 000", "zero eight zero two, zero zero zero, zero zero zero"),
    ("call 123 456", "call one two three, four five six"),
    ("rooms 101 102 103", "rooms one zero one, one zero two, one zero three"),
    ("1 2 3", "one two three"),
    (
        "1.234.567,89",
        "one million two hundred and thirty-four thousand five hundred and sixty-seven point eight nine",
    ),
    ("1.234.567", "one million two hundred and thirty-four thousand five hundred and sixty-seven"),
    ("version 1.100.200", "version one point one hundred point two hundred"),
]
PLACES = [
    ("Seat 4B", "Seat four-B"),
    ("Apt 4B", "Apartment four-B"),
    ("Terminal 2B", "Terminal two-B"),
    ("Gate 7K", "Gate seven-K"),
    ("Unit 5m", "Unit five-M"),
    ("row 12c", "row twelve-C"),
    ("exit 5m ahead", "exit five metres ahead"),
    ("4B", "four-B"),
]
DAYS = [
    ("20 Nov 26", "the twentieth of November twenty twenty-six"),
    ("on 20-Nov-26.", "on the twentieth of November twenty twenty-six."),
    ("20 Nov '26 at 9", "the twentieth of November twenty twenty-six at nine"),
    ("20 Nov 26 people", "the twentieth of November twenty-six people"),
    ("2026/11/20", "the twentieth of November twenty twenty-six"),
    ("20/11 at 9", "the twentieth of November at nine"),
    ("Exp 03/26", "Expiry March twenty twenty-six"),
    ("valid thru 03/2026", "valid thru March twenty twenty-six"),
    ("1530 hours", "fifteen thirty hours"),
    ("at 0905 hours", "at zero nine oh five hours"),
    ("by 1200 hours", "by twelve hundred hours"),
    ("1200 hours", "one thousand two hundred hours"),
    ("1530 hours of music", "one thousand five hundred and thirty hours of music"),
]
SUMS = [
    ("50¢", "fifty cents"),
    ("1¢", "one cent"),
    ("$.50", "fifty cents"),
    (".5", "zero point five"),
    ("10p", "ten pence"),
    ("1p", "one penny"),
    ("1080p", "one zero eight zero, P"),
    ("Rs. 500", "five hundred rupees"),
    ("Rs.1,250.50", "one thousand two hundred and fifty rupees and fifty paise"),
    ("10²", "ten squared"),
    ("10^3", "ten cubed"),
    ("10⁻³", "ten to the power of minus three"),
    ("x²", "x squared"),
    ("±5", "plus or minus five"),
]
NUMBERS = [
    ("555-0110", "five five five, zero one one zero"),
    ("call 555-1234", "call five five five, one two three four"),
    ("500-1000 people", "five hundred to one thousand people"),
    ("call 911 10 minutes later", "call nine one one ten minutes later"),
    ("card **** 1234", "card ending in one two three four"),
    ("card ending in ****1234", "card ending in one two three four"),
    ("••••1234", "ending in one two three four"),
    ("VISA 4242", "VISA four two four two"),
    ("Order 12 345 678", "Order one two, three four five, six seven eight"),
    ("order 12 500 naira", "order twelve thousand five hundred naira"),
    ("account ending 4242", "account ending four two four two"),
    ("0044 20 7946 0018", "zero zero four four, two zero, seven nine four six, zero zero one eight"),
    ("1-800-FLOWERS", "one, eight zero zero, FLOWERS"),
]


@pytest.mark.parametrize(("written", "heard"), DIALLED + THOUSANDS + PLACES + DAYS + SUMS + NUMBERS)
def test_easily_misread_english_is_said_as_a_person_would(written: str, heard: str) -> None:
    assert spoken(written, "en-gb") == heard


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("*737#", "star seven three seven pound"),
        ("11/20 at 9", "November twentieth at nine"),
        ("20 Nov 26", "November twentieth, twenty twenty-six"),
        ("Exp 03/26", "Expiry March twenty twenty-six"),
    ],
)
def test_american_english_has_its_own_hash_and_order_of_days(written: str, heard: str) -> None:
    assert spoken(written, "en-us") == heard
