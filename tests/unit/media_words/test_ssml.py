"""Markup becomes pieces to render, or is refused by name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.reading import TextError
from media.speech import SpeechError
from media.ssml import Piece, Say, Silence, SsmlError, parse


def speak(body: str, language: str = "en-gb") -> tuple[Say | Silence, ...]:
    return parse(f"<speak>{body}</speak>", ssml=True, language=language)


def say_as(kind: str, text: str, form: str = "", language: str = "en-gb") -> str:
    attribute = f' format="{form}"' if form else ""
    (said,) = speak(f'<say-as interpret-as="{kind}"{attribute}>{text}</say-as>', language)
    assert isinstance(said, Say)
    return said.text


def test_plain_text_is_one_piece_in_words() -> None:
    assert parse("Hello. Your code\nis 4821!", False, "en-gb") == (Say("Hello. Your code, is four eight two one!"),)


def test_empty_lines_part_paragraphs() -> None:
    assert parse("One.\n\n\n Two.\r\n\r\nThree", False, "en-gb") == (
        Say("One."),
        Silence(400),
        Say("Two."),
        Silence(400),
        Say("Three"),
    )


def test_plain_text_with_angle_brackets_is_not_markup() -> None:
    assert parse("a <break/> b", False, "en-gb") == (Say("a break b"),)


@pytest.mark.parametrize("text", ["", "   ", "😀", "...", "$"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(TextError):
        parse(text, False, "en-gb")


@pytest.mark.parametrize("body", ["", " ", '<break time="1s"/>', "<p></p>", "😀"])
def test_markup_without_words_is_refused(body: str) -> None:
    with pytest.raises(TextError):
        speak(body)


PIECES = [
    ("Hello", (Say("Hello"),)),
    ("a &amp; b, 5 &lt; 6", (Say("a and b, five less than six"),)),
    ("Hi<!-- nobody hears this --> there", (Say("Hi there"),)),
    ("one\n   two", (Say("one two"),)),
    ('A<break time="2s"/>B', (Say("A"), Silence(2000), Say("B"))),
    ('A<break time="250ms"/>B', (Say("A"), Silence(250), Say("B"))),
    ("A<break/>B", (Say("A"), Silence(500), Say("B"))),
    ('A<break strength="strong"/>B', (Say("A"), Silence(750), Say("B"))),
    ('A<break strength="none"/>B', (Say("A"), Say("B"))),
    ('A<break time="1s"/><break time="1s"/>B', (Say("A"), Silence(2000), Say("B"))),
    ("<p><s>One</s><s>Two!</s></p><p>Three</p>", (Say("One. Two!"), Silence(400), Say("Three"))),
    ('<prosody rate="80%">slow</prosody>', (Say("slow", 0.8),)),
    ('<prosody rate="fast">fast</prosody> normal', (Say("fast", 1.25), Say("normal"))),
    ('<prosody rate="-20%">slow <prosody rate="150%">er</prosody></prosody>', (Say("slow", 0.8), Say("er", 1.2))),
    ('<sub alias="World Wide Web">W3</sub> is here', (Say("World Wide Web is here"),)),
    ('room<say-as interpret-as="digits">12</say-as>', (Say("room one two"),)),
    ("$<sub alias='5'>x</sub>", (Say("five dollars"),)),
]


@pytest.mark.parametrize(("body", "pieces"), PIECES)
def test_markup_becomes_pieces(body: str, pieces: tuple[Say | Silence, ...]) -> None:
    assert speak(body) == pieces


def test_the_attributes_that_writers_put_on_speak_are_accepted() -> None:
    text = (
        '<?xml version="1.0"?>\n<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">'
        "Hi</speak>"
    )

    assert parse(text, True, "en-gb") == (Say("Hi"),)


SAY_AS = [
    ("characters", "AB12c", "", "A-B, one two, C"),
    ("spell-out", "W3-C", "", "W, three, dash, C"),
    ("digits", "0042", "", "zero zero four two"),
    ("telephone", "+234 802 000 0000", "", "plus two three four, eight zero two, zero zero zero, zero zero zero zero"),
    ("cardinal", "1,234", "", "one thousand two hundred and thirty-four"),
    ("cardinal", "2026", "", "two thousand and twenty-six"),
    ("cardinal", "10000001", "", "ten million and one"),
    ("cardinal", "-5", "", "minus five"),
    ("cardinal", "3.50", "", "three point five zero"),
    ("ordinal", "21", "", "twenty-first"),
    ("ordinal", "2nd", "", "second"),
    ("date", "20/11/2026", "dmy", "the twentieth of November twenty twenty-six"),
    ("date", "11/20/2026", "mdy", "the twentieth of November twenty twenty-six"),
    ("date", "20261120", "yyyymmdd", "the twentieth of November twenty twenty-six"),
    ("date", "2026.11.20", "ymd", "the twentieth of November twenty twenty-six"),
    ("date", "20.11.", "dm", "the twentieth of November"),
    ("date", "11/2026", "my", "November twenty twenty-six"),
    ("date", "2026", "y", "twenty twenty-six"),
    ("date", "2026-11-20", "", "the twentieth of November twenty twenty-six"),
    ("time", "14:30", "hms24", "two thirty p.m."),
    ("currency", "$12.50", "", "twelve dollars and fifty cents"),
    ("currency", "USD 3", "", "three dollars"),
]


@pytest.mark.parametrize(("kind", "text", "form", "heard"), SAY_AS)
def test_say_as_says_how(kind: str, text: str, form: str, heard: str) -> None:
    assert say_as(kind, text, form) == heard


def test_say_as_in_other_languages_uses_their_number_words() -> None:
    assert say_as("digits", "042", language="fr") == "zéro quatre deux"
    assert say_as("ordinal", "3", language="fr") == "troisième"
    assert say_as("cardinal", "21", language="de") == "einundzwanzig"
    assert say_as("digits", "42", language="yo") == "4 2"
    assert say_as("date", "20/11/2026", "dmy", language="fr") == "2026-11-20"


REFUSED = [
    ('<voice name="x">a</voice>', "<voice> is not supported"),
    ('<audio src="http://127.0.0.1/a.wav"/>', "<audio> is not supported"),
    ('<prosody pitch="high">a</prosody>', '"pitch"'),
    ('<prosody rate="80%" volume="loud">a</prosody>', '"volume"'),
    ("<prosody>a</prosody>", "needs the attribute rate"),
    ('<prosody rate="quickly">a</prosody>', "takes a rate"),
    ('<prosody rate="10%">a</prosody>', "between 50% and 200%"),
    ('<prosody rate="60%"><prosody rate="60%">a</prosody></prosody>', "between 50% and 200%"),
    ('a<break time="10001ms"/>', "at most 10 s"),
    ('a<break time="-1s"/>', "takes a time"),
    ('a<break time="1e9s"/>', "takes a time"),
    ('a<break strength="huge"/>', "strengths"),
    ("a<break>b</break>", "no content"),
    ("a<break><p/></break>", "no content"),
    ("a" + '<break time="10s"/>' * 6 + '<break time="1s"/>b', "60 s"),
    ('<say-as interpret-as="vxml:phone">1</say-as>', "interpret-as"),
    ("<say-as>1</say-as>", "interpret-as"),
    ('<say-as interpret-as="digits" format="x">1</say-as>', "format"),
    ('<say-as interpret-as="digits">abc</say-as>', "only digits"),
    ('<say-as interpret-as="ordinal">first</say-as>', "whole number"),
    ('<say-as interpret-as="ordinal">-1</say-as>', "from 0 on"),
    ('<say-as interpret-as="cardinal">1234567890123456</say-as>', "at most 15 digits"),
    ('<say-as interpret-as="date" format="dd">1</say-as>', "format"),
    ('<say-as interpret-as="date" format="dmy">1/2</say-as>', "parts of the format"),
    ('<say-as interpret-as="date" format="dmy">31/31/2026</say-as>', "no such day"),
    ('<say-as interpret-as="digits"><break/></say-as>', "contains only text"),
    ("<sub>W3C</sub>", "alias"),
    ("<speak>a</speak>", "cannot stand inside"),
    ("<p>" * 20 + "a" + "</p>" * 20, "20 deep"),
    ("<p>a</s>", "mismatched tag"),
    ("a & b", "well-formed"),
    ("&nbsp;", "undefined entity"),
    ("<?php echo 1 ?>a", "processing instruction"),
    ("a" * 20_001, "longer than"),
    ("half \ud800", "valid Unicode"),
]


@pytest.mark.parametrize(("body", "reason"), REFUSED)
def test_what_is_not_in_the_subset_is_refused_by_name(body: str, reason: str) -> None:
    with pytest.raises(SsmlError, match=reason.replace("(", r"\(")) as refused:
        speak(body)

    assert isinstance(refused.value, SpeechError)


@pytest.mark.parametrize(
    "document",
    [
        "<speak>a</speak><speak>b</speak>",
        '<speak xml:lang="fr">Bonjour</speak>',
        '<speak onload="x">a</speak>',
        '<!DOCTYPE speak [<!ENTITY a "b">]><speak>&a;</speak>',
        '<!DOCTYPE speak SYSTEM "file:///etc/passwd"><speak>a</speak>',
        "<!DOCTYPE l [<!ENTITY a '1'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><speak>&b;</speak>",
    ],
)
def test_documents_of_another_kind_are_refused(document: str) -> None:
    with pytest.raises(SsmlError):
        parse(document, True, "en-gb")


def test_twenty_levels_and_sixty_seconds_are_still_accepted() -> None:
    assert speak("<p>" * 19 + "a" + "</p>" * 19)[0] == Say("a")
    assert speak("a" + '<break time="10s"/>' * 6 + "b") == (Say("a"), Silence(60_000), Say("b"))


def test_an_error_never_repeats_the_text() -> None:
    with pytest.raises(SsmlError) as refused:
        speak('your code is 4821 <say-as interpret-as="digits">secret</say-as>')

    assert "4821" not in str(refused.value)
    assert "secret" not in str(refused.value)


_TAGS = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<s>",
        "</s>",
        "<break/>",
        '<prosody rate="80%">',
        "</prosody>",
        "&amp;",
        "&x;",
        "<!--",
        "-->",
        "5",
        " a ",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_TAGS, st.text(max_size=5)), max_size=12).map("".join), st.booleans())
def test_any_input_gives_pieces_or_a_speech_error(body: str, ssml: bool) -> None:
    try:
        pieces = parse(f"<speak>{body}</speak>" if ssml else body, ssml, "en-gb")
    except SpeechError:
        return

    assert any(isinstance(piece, Say) for piece in pieces)
    assert all(piece.text.strip() for piece in pieces if isinstance(piece, Say))
    assert all(0 < piece.ms <= 60_000 for piece in pieces if isinstance(piece, Silence))


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("Hello", (Say("Hello"),)),
        ("<p>Hello</p>", (Say("Hello"),)),
        ("One moment<break time='500ms'/>please", (Say("One moment"), Silence(500), Say("please"))),
    ],
)
def test_markup_without_its_root_is_read_as_if_it_had_one(fragment: str, expected: tuple[Piece, ...]) -> None:
    assert parse(fragment, True, "en-gb") == parse(f"<speak>{fragment}</speak>", True, "en-gb") == expected
