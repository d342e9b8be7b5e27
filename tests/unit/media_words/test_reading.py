"""What people write in messages, and what they want to hear."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.reading import TextError, clean, spoken
from media.speech import SpeechError

BRITISH = [
    ("Your code is 4821", "Your code is four eight two one"),
    ("Your code for Acme is 4821.", "Your code for Acme is four eight two one."),
    ("PIN: 0042", "PIN: zero zero four two"),
    ("OTP 739201 expires in 5 minutes", "O-T-P seven three nine two zero one expires in five minutes"),
    ("Use code AB12C at checkout", "Use code A-B, one two, C at checkout"),
    ("reference number XK-4821-B", "reference number X-K, four eight two one, B"),
    ("password is hunter22", "password is hunter, two two"),
    ("4821 is your Google code", "four eight two one is your Google code"),
    ("G-483921 is your code", "G, four eight three nine two one is your code"),
    ("Your code expires in 10 minutes", "Your code expires in ten minutes"),
    ("Enter 583920 now", "Enter five eight three nine two zero now"),
    ("room 12", "room twelve"),
    ("flight BA2490", "flight B-A, two four nine zero"),
    ("error 404", "error four zero four"),
    ("Call +2348020000000", "Call plus two three four, eight zero two, zero zero zero, zero zero zero zero"),
    ("Call 0802 000 0000", "Call zero eight zero two, zero zero zero, zero zero zero zero"),
    ("08020000000", "zero eight zero, two zero zero, zero zero zero, zero zero"),
    ("call (212) 555-0199", "call two one two, five five five, zero one nine nine"),
    ("212-555-0199", "two one two, five five five, zero one nine nine"),
    ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
    ("dial 112", "dial one one two"),
    ("call us on 3456", "call us on three four five six"),
    ("card 4111 1111 1111 1111", "card four one one one, one one one one, one one one one, one one one one"),
    ("2026-11-20", "the twentieth of November twenty twenty-six"),
    ("on 20/11/2026", "on the twentieth of November twenty twenty-six"),
    ("on the 20/11/2026", "on the twentieth of November twenty twenty-six"),
    ("20 Nov 2026", "the twentieth of November twenty twenty-six"),
    ("20th November 2026", "the twentieth of November twenty twenty-six"),
    ("Nov 20, 2026", "the twentieth of November twenty twenty-six"),
    ("November 20", "the twentieth of November"),
    ("Mon 20 Nov", "Monday the twentieth of November"),
    ("Mon-Fri 9am-5pm", "Monday to Friday nine a.m. to five p.m."),
    ("in 2026", "in twenty twenty-six"),
    ("since 1999", "since nineteen ninety-nine"),
    ("2019-2024", "twenty nineteen to twenty twenty-four"),
    ("the 1990s", "the nineteen nineties"),
    ("2026 people", "two thousand and twenty-six people"),
    ("2026-11-20T14:30:00Z", "the twentieth of November twenty twenty-six at two thirty p.m. U-T-C"),
    ("2026-11-20 09:05", "the twentieth of November twenty twenty-six at nine oh five a.m."),
    ("2026-13-45", "two zero two six, one three, four five"),
    ("12.05.2026", "the twelfth of May twenty twenty-six"),
    ("by 3/4", "by the third of April"),
    ("9:00", "nine o'clock"),
    ("14:30", "two thirty p.m."),
    ("9am", "nine a.m."),
    ("9:05 a.m.", "nine oh five a.m."),
    ("9.30pm", "nine thirty p.m."),
    ("00:00", "midnight"),
    ("00:15", "twelve fifteen a.m."),
    ("12:00", "twelve o'clock"),
    ("9:00-17:00", "nine o'clock to five p.m."),
    ("25:61", "twenty-five to sixty-one"),
    ("14:30:05", "two thirty p.m. and five seconds"),
    ("1h30m", "one hour thirty minutes"),
    ("2h", "two hours"),
    ("5m30s", "five minutes thirty seconds"),
    ("$12.50", "twelve dollars and fifty cents"),
    ("$1", "one dollar"),
    ("$0.99", "ninety-nine cents"),
    ("$1.01", "one dollar and one cent"),
    ("£3", "three pounds"),
    ("£2.50", "two pounds and fifty pence"),
    ("€1,200.00", "one thousand two hundred euros"),
    ("€1.200,00", "one thousand two hundred euros"),
    ("1.200,00 €", "one thousand two hundred euros"),
    ("₦5,000", "five thousand naira"),
    ("N5,000", "five thousand naira"),
    ("NGN 5000", "five thousand naira"),
    ("5000 NGN", "five thousand naira"),
    ("USD 12.50", "twelve dollars and fifty cents"),
    ("$5k", "five thousand dollars"),
    ("$1.2 million", "one point two million dollars"),
    ("£3m", "three million pounds"),
    ("-$5", "minus five dollars"),
    ("$5/month", "five dollars per month"),
    ("£10-£20", "ten pounds to twenty pounds"),
    ("12%", "twelve percent"),
    ("12.5%", "twelve point five percent"),
    ("5km", "five kilometres"),
    ("1 km", "one kilometre"),
    ("5 kg", "five kilograms"),
    ("-5°C", "minus five degrees Celsius"),
    ("30°C", "thirty degrees Celsius"),
    ("90 km/h", "ninety kilometres per hour"),
    ("10 GB", "ten gigabytes"),
    ("100Mbps", "one hundred megabits per second"),
    ("1 min", "one minute"),
    ("3 hrs", "three hours"),
    ("5 m²", "five square metres"),
    ("1st", "first"),
    ("21st", "twenty-first"),
    ("103rd", "one hundred and third"),
    ("1/2", "one half"),
    ("3/4", "three quarters"),
    ("2½", "two and a half"),
    ("2 1/2 cups", "two and a half cups"),
    ("24/7", "twenty-four seven"),
    ("16:9", "sixteen to nine"),
    ("3x4", "three by four"),
    ("10-15 people", "ten to fifteen people"),
    ("5-year-old", "five year old"),
    ("3.14", "three point one four"),
    ("1,234,567", "one million two hundred and thirty-four thousand five hundred and sixty-seven"),
    ("1000000", "one million"),
    ("12345678", "one two three, four five six, seven eight"),
    ("007", "zero zero seven"),
    ("0.5", "zero point five"),
    ("-7", "minus seven"),
    ("+5", "plus five"),
    ("10k", "ten thousand"),
    ("#1", "number one"),
    ("No. 5", "Number five"),
    ("~5 minutes", "about five minutes"),
    ("<5", "less than five"),
    ("192.168.0.1", "one nine two dot one six eight dot zero dot one"),
    ("10.0.0.0/8", "one zero dot zero dot zero dot zero slash eight"),
    ("192.168.1.10:8080", "one nine two dot one six eight dot one dot one zero port eight zero eight zero"),
    ("v2.0", "version two point zero"),
    ("version 1.2.3", "version one point two point three"),
    ("https://example.com/a/b?x=1", "example dot com slash a slash b question mark x equals one"),
    ("www.acme.com.", "W-W-W dot acme dot com."),
    ("acme.com", "acme dot com"),
    ("see acme.co.uk/help, please", "see acme dot co dot U-K slash help, please"),
    ("jane.doe@example.com", "jane dot doe at example dot com"),
    ("Smith & Sons", "Smith and Sons"),
    ("meet @ noon", "meet at noon"),
    ("press *", "press star"),
    ("press # to end", "press hash to end"),
    ("press 1", "press one"),
    ("#outage", "hashtag outage"),
    ("a/b", "a or b"),
    ("TCP/IP", "T-C-P I-P"),
    ("and/or", "and or"),
    ("Dr. Smith", "Doctor Smith"),
    ("Mr. and Mrs. Jones", "Mister and Missus Jones"),
    ("St. Mary's church", "Saint Mary's church"),
    ("12 High St.", "twelve High Street."),
    ("e.g. this", "for example this"),
    ("pens, etc.", "pens, et cetera."),
    ("SMS", "S-M-S"),
    ("The API is down", "The A-P-I is down"),
    ("send an sms", "send an S-M-S"),
    ("ATMs", "A-T-M's"),
    ("NASA and COVID-19", "NASA and COVID nineteen"),
    ("SERVER DOWN NOW, CALL IT", "SERVER DOWN NOW, CALL IT"),
    ("The US and UK", "The U-S and U-K"),
    ("World War II", "World War two"),
    ("Henry VIII", "Henry the eighth"),
    ("Chapter IV", "Chapter four"),
    ("I am", "I am"),
    ("MIX of things", "MIX of things"),
    ("4G", "four-G"),
    ("MP3", "M-P-three"),
    ("Q3", "Q-three"),
    ("A4 paper", "A-four paper"),
    ("server1 is down", "server one is down"),
    ("web-01", "web zero one"),
    ("db02", "D-B, zero two"),
    ("B2B", "B-two-B"),
    ("Disk at 95% on db02 (eu-west-1)!!!", "Disk at ninety-five percent on D-B, zero two, E-U west one!"),
    ("CPU > 90%", "CPU more than ninety percent"),
    ("C++", "C plus plus"),
    ("x = 5", "x equals five"),
    ("hello 😀 world", "hello world"),
    ("“Quoted” – and dashed — text…", "Quoted, and dashed, text."),
    ("٣٤ people", "thirty-four people"),
    ("１２３", "one hundred and twenty-three"),
    ("account 0123456789", "account zero one two, three four five, six seven eight nine"),
    ("ext. 12", "extension twelve"),
    ("12-34-56", "one two, three four, five six"),
    ("99.9%", "ninety-nine point nine percent"),
    ("1,5", "one, five"),
    ("5 MB/s", "five megabytes per second"),
    ("OK", "okay"),
    ("10:30 UTC", "ten thirty U-T-C"),
    ("T-shirt", "T-shirt"),
    ("Hello world, how are you?", "Hello world, how are you?"),
    ("It's 5 o'clock", "It's five o'clock"),
    ("$100B", "one hundred billion dollars"),
    ("100,000", "one hundred thousand"),
    ("12,50 EUR", "twelve euros and fifty cents"),
    ("version 10", "version ten"),
    ("3 pm", "three p.m."),
    ("7 days/week", "seven days per week"),
    ("1 of 3", "one of three"),
    ("Temp. 5°", "Temp. five degrees"),
    ("2nd Ave.", "second Avenue."),
    ("9-5", "nine to five"),
    ("5'10\"", "five feet ten inches"),
    ("i.e. now", "that is now"),
    ("50/50", "fifty fifty"),
    ("0", "zero"),
    ("USD", "dollars"),
    ("the '90s", "the nineties"),
    ("order #48213", "order four eight two one three"),
    ("Pay in USD", "Pay in dollars"),
    ("Invoice INV-2026-0042", "Invoice I-N-V, two zero two six, zero zero four two"),
    ("Meeting ID: 834 5521 9087", "Meeting I-D: eight three four, five five two one, nine zero eight seven"),
    ("Verification code: 123 456", "Verification code: one two three, four five six"),
    ("incident INC0012345", "incident I-N-C, zero zero one, two three four five"),
    ("Account ending 4821", "Account ending four eight two one"),
    ("prod-eu-1", "prod E-U one"),
    ("latency > 2.5s for 10m", "latency more than two point five seconds for ten minutes"),
    ("Your balance is -£12.05.", "Your balance is minus twelve pounds and five pence."),
]
MESSAGES = [
    (
        "ALERT: CPU at 97.5% on web-01 since 14:05 UTC (+12% vs. yesterday)",
        "ALERT: CPU at ninety-seven point five percent on web zero one since two oh five p.m. U-T-C, plus"
        " twelve percent versus yesterday",
    ),
    (
        "Mrs. Okafor, your appointment with Dr. St. John is on Mon 23 Nov 2026 at 9:30am. Press 1 to "
        "confirm or * to repeat.",
        "Missus Okafor, your appointment with Doctor Saint John is on Monday the twenty-third of November"
        " twenty twenty-six at nine thirty a.m. Press one to confirm or star to repeat.",
    ),
    (
        "[FIRING:3] DiskFull 10.0.3.17:9100 — see https://grafana.example.com/d/abc",
        "FIRING: three, DiskFull one zero dot zero dot three dot one seven port nine one zero zero, see "
        "grafana dot example dot com slash d slash abc",
    ),
    (
        "Invoice of ₦1,250,000.50 is due by 30/11/2026.",
        "Invoice of one million two hundred and fifty thousand naira and fifty kobo is due by the "
        "thirtieth of November twenty twenty-six.",
    ),
    (
        "BA117 leaves gate B12 at 18:45 on 1 Dec. Then nothing.",
        "B-A, one one seven leaves gate B, one two at six forty-five p.m. on the first of December. Then nothing.",
    ),
]
AMERICAN = [
    ("20/11/2026", "November twentieth, twenty twenty-six"),
    ("11/20/2026", "November twentieth, twenty twenty-six"),
    ("03/04/2026", "March fourth, twenty twenty-six"),
    ("by 3/4", "by March fourth"),
    ("20 Nov", "November twentieth"),
    ("1,234", "one thousand two hundred thirty-four"),
    ("105th", "one hundred fifth"),
    ("in 2005", "in two thousand five"),
    ("press #", "press pound"),
]


@pytest.mark.parametrize(("written", "heard"), BRITISH + MESSAGES)
def test_written_english_becomes_words(written: str, heard: str) -> None:
    assert spoken(written, "en-gb") == heard


@pytest.mark.parametrize(("written", "heard"), AMERICAN)
def test_american_english_puts_the_month_first_and_leaves_out_and(written: str, heard: str) -> None:
    assert spoken(written, "en-us") == heard


def test_the_table_holds_at_least_a_hundred_and_fifty_strings() -> None:
    assert len({written for written, _ in BRITISH}) >= 150


@pytest.mark.parametrize("heard", [heard for _, heard in BRITISH + MESSAGES])
def test_reading_twice_says_the_same(heard: str) -> None:
    assert spoken(heard, "en-gb") == heard


@pytest.mark.parametrize(
    "plain",
    ["Hello world, how are you?", "It's five o'clock.", "Well-known facts; nothing else!", "The meeting is at noon"],
)
def test_plain_words_stay_as_they_are(plain: str) -> None:
    assert spoken(plain, "en-gb") == plain
    assert spoken(plain, "sw") == plain


_PIECES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "code ",
            "1",
            "0",
            "2026",
            "-",
            "/",
            ":",
            ".",
            ",",
            " ",
            "$",
            "£",
            "%",
            "°C",
            "km",
            "st",
            "am",
            "@",
            "www.",
            "x",
            "+",
        ]
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES, max_size=12).map("".join), st.sampled_from(["en-gb", "en-us", "fr", "yo", "ar", ""]))
def test_any_text_can_be_read(text: str, language: str) -> None:
    said = spoken(text, language)

    assert not any(unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} for letter in said)
    assert said == said.strip()
    if language.startswith("en"):
        assert not any(unicodedata.category(letter) == "Nd" for letter in said)


HOSTILE = [
    "a", "1", "1,", "1.2.", "a@", "a.b-c@", "-", "1-", "0 ", "http://", "www.", "code ", "code is ", "code: ", "+1 ",
    "$", "$1", "(", "(1)", " ", "\n", "x\n", "A", "AB ", "1/2/", "12:34:", "1 h 2 ", "is ", "é1", ".", "!?", "a-", "1a",
    "mon ", "Mon-", "the 1 Nov ", "٣", "ﷺ", "½", "a.", "1 2", "0802 ", "code pin ", "A1-", "St. ", "War I ", "' ",
    "5'5", "N1", "in 20", "ab_", "\u0301", "😀", "call us on ", "4821 is your ", "2026-11-20T",
    "code est ", "1 000 ", "*1", "*", "*** ", "1#", "#1", "+1-", "€1 ", "01 ", "1,000", "1.000,5", ". ", "3/4 at ",
]  # fmt: skip
SECONDS_MAX = 3.0  # of CPU for four readings; measured 0.1 to 0.4, for the ligature that NFKC makes 18 letters of 1.2


@pytest.mark.parametrize("unit", HOSTILE)
def test_ten_thousand_hostile_characters_are_read_in_bounded_time(unit: str) -> None:
    text = (unit * 10_000)[:10_000]
    before = time.process_time()

    for language in ("en-gb", "fr"):
        spoken(text, language)
        spoken(text[: len(text) // 2] + "!" + text[len(text) // 2 :], language)

    assert time.process_time() - before < SECONDS_MAX


def test_clean_strips_control_characters_and_keeps_what_scripts_need() -> None:
    assert clean("  Hi\u0007 the\u202ere\r\nnow\ufeff ", 100) == "Hi there\nnow"
    assert clean("क\u094d\u200dष", 100) == "क\u094d\u200dष"
    assert clean("e\u0301", 1) == "é"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\0b", "NUL"),
        ("a\ud800b", "surrogate"),
        ("", "no letter"),
        (" \n\t\u0007", "no letter"),
        ("😀 !!! ...", "no letter"),
        ("x" * 101, "101 characters; at most 100"),
    ],
)
def test_clean_refuses_what_cannot_be_spoken_and_says_why(text: str, reason: str) -> None:
    with pytest.raises(TextError, match=reason) as refused:
        clean(text, 100)

    assert isinstance(refused.value, SpeechError)


def test_an_error_never_repeats_the_text() -> None:
    with pytest.raises(TextError) as refused:
        clean("secret 4821 " * 20, 100)

    assert "secret" not in str(refused.value)
    assert "4821" not in str(refused.value)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_clean_gives_text_that_it_accepts_again(text: str) -> None:
    try:
        once = clean(text, 50)
    except TextError:
        return

    assert clean(once, 50) == once
    once.encode()
