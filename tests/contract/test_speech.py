"""What every speech engine promises, the twin included.

Audio of plausible length or SpeechError; never silence; and soon.
"""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from media.google import GoogleEngine
from media.offline import EspeakEngine, FliteEngine
from media.speech import SpeechEngine, SpeechError, Utterance, is_silent, plausible
from tests.unit.media.google_stub import AUTHORITY, google

SOON_S = 20.0  # an engine's own deadline is 10; the rest is for a loaded machine
SENTENCE = "The northern gate is open and the water is rising."


@pytest.fixture(params=["gtts", "espeak-ng", "flite", "tones"])
async def engine(request, monkeypatch) -> AsyncIterator[SpeechEngine]:
    match request.param:
        case "gtts":
            async with google(monkeypatch):
                yield GoogleEngine(tls=AUTHORITY.trusted())
        case "espeak-ng":
            yield EspeakEngine()
        case "flite":
            flite = FliteEngine()
            if not flite.installed:
                pytest.skip("flite is not installed (make peers)")
            yield flite
        case "tones":
            yield pytest.importorskip("media.spelling").ToneEngine()


def test_its_name_is_short_and_may_be_part_of_a_file_name(engine):
    assert re.fullmatch(r"[a-z0-9-]{1,20}", engine.name)
    assert engine.name == engine.name


async def test_it_speaks_a_sentence(engine):
    sound = await asyncio.wait_for(engine.speak(Utterance(SENTENCE)), SOON_S)

    assert plausible(SENTENCE, sound)
    assert not is_silent(sound)
    assert abs(sound.samples).max() <= 1.0
    assert sound.rate_hz >= 8_000


async def test_more_words_take_longer(engine):
    short = await engine.speak(Utterance("one two"))
    long = await engine.speak(Utterance("one two " * 20))

    assert long.seconds > 5 * short.seconds


TEXTS = {
    "one digit": "7",
    "one letter": "a",
    "a thousand characters": "the water is rising " * 50,
    "one long word": "a" * 300,
    "markup that is text": '<speak>one <break time="2s"/> two</speak>',
    "an option": "-o /tmp/never --help",
    "shell": "`id` $(id) ; id | id & \\ ' \"",
    "control characters": "one\x00two\x07three\x1b[31m\r\n\tfour",
    "a lone surrogate": "one \ud800 two",
    "right to left": "\u202eone two\u202c",
    "other scripts": "天気 Москва नमस्ते مرحبا",
    "symbols": "☎ ✓ 😀 one",
    "phonemes of espeak": "[[h@l'oU]] one",
    "percent signs": "%s %n %d one",
    "letters no engine knows": "\U00010400\U00012000 \u0b83",
}


@pytest.mark.parametrize("kind", TEXTS)
async def test_any_text_is_audio_or_an_error_and_soon(engine, kind):
    text = TEXTS[kind]

    try:
        sound = await asyncio.wait_for(engine.speak(Utterance(text)), SOON_S)
    except SpeechError as error:
        words = str(error)
    else:
        assert plausible(text, sound)
        assert not is_silent(sound)
        return

    assert words
    assert text not in words or len(text) == 1


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
async def test_nothing_to_speak_is_an_error(engine, text):
    with pytest.raises(SpeechError):
        await asyncio.wait_for(engine.speak(Utterance(text)), SOON_S)


@pytest.mark.parametrize("language", ["xx-none", "", "../etc", "en\x00"])
async def test_a_language_it_does_not_speak_is_said_and_refused(engine, language):
    if engine.speaks(language):
        assert engine.name == "tones"
        return

    with pytest.raises(SpeechError):
        await engine.speak(Utterance(SENTENCE, language))


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("voice", [None, "nobody", "../../etc/passwd", "-x"])
async def test_a_speed_or_voice_it_does_not_have_is_no_reason_to_be_silent(engine, speed, voice):
    sound = await asyncio.wait_for(engine.speak(Utterance(SENTENCE, voice=voice, speed=speed)), SOON_S)

    assert plausible(SENTENCE, sound)
    assert not is_silent(sound)


async def test_many_at_once_all_speak(engine):
    texts = [f"message {word}" for word in ("one", "two", "three", "four", "five", "six", "seven", "eight")]

    async with asyncio.timeout(SOON_S):
        sounds = await asyncio.gather(*(engine.speak(Utterance(text)) for text in texts))

    assert all(plausible(text, sound) for text, sound in zip(texts, sounds, strict=True))


async def test_who_gives_up_is_free_at_once_and_the_engine_speaks_on(engine):
    task = asyncio.create_task(engine.speak(Utterance("the water is rising " * 50)))
    await asyncio.sleep(0.01)  # somewhere in the middle

    task.cancel()
    async with asyncio.timeout(2.0):
        await asyncio.gather(task, return_exceptions=True)

    assert plausible(SENTENCE, await engine.speak(Utterance(SENTENCE)))
