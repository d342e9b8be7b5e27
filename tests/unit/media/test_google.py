import asyncio
import base64
import inspect
import logging

import pytest
from gtts import gTTS, version

from media.google import GoogleEngine, parts
from media.speech import EngineDown, SpeechError, Utterance
from tests.unit.media.certificates import issue
from tests.unit.media.google_stub import AUTHORITY, TRUSTED, asked_for, google, line_of, speaks
from tests.unit.media.sounds import babble, encoded, nothing
from tests.unit.media.web import cut, drip, hang, head, in_turn, reply

LONG = "The water level at the northern gate is rising quickly. " * 12  # 671 characters


def engine(**settings: object) -> GoogleEngine:
    return GoogleEngine(tls=AUTHORITY.trusted(), **settings)


def test_the_private_method_we_rely_on_is_there_and_prepares_one_post_a_part():
    assert version.__version__ == "2.5.4"
    assert list(inspect.signature(gTTS._prepare_requests).parameters) == ["self"]

    (prepared,) = gTTS("Hello there", lang="en", lang_check=False)._prepare_requests()

    assert prepared.method == "POST"
    assert prepared.url.startswith("https://translate.google.com/")
    assert "Hello+there" in prepared.body or "Hello%20there" in prepared.body


async def test_it_speaks_what_the_service_spoke(monkeypatch):
    async with google(monkeypatch, speaks(babble(2.0, 24_000))) as web:
        sound = await engine().speak(Utterance("The gate is open."))

    assert sound.seconds == pytest.approx(2.0, abs=0.1)
    assert sound.rate_hz == 24_000
    assert asked_for(web.asked[0])[:3] == ["The gate is open.", "en", None]
    assert "/co.uk/" in web.asked[0].head.splitlines()[0]


@pytest.mark.parametrize(
    ("language", "speed", "wanted", "host"),
    [
        ("fr-ca", 1.0, ["fr-CA", None], "ca"),
        ("pt-pt", 0.5, ["pt-PT", True], "pt"),
        ("he", 1.0, ["iw", None], "com"),
        ("sw-ke", 1.0, ["sw", None], "com"),
        ("zh-tw", 1.0, ["zh-TW", None], "com"),
        ("nb-no", 1.5, ["no", None], "com"),
    ],
)
async def test_language_accent_and_speed_reach_the_service(monkeypatch, language, speed, wanted, host):
    async with google(monkeypatch) as web:
        await engine().speak(Utterance("words enough", language, speed=speed))

    assert asked_for(web.asked[0])[1:3] == wanted
    assert f"/{host}/" in web.asked[0].head.splitlines()[0]


async def test_a_long_text_is_one_sound_from_few_requests(monkeypatch):
    async with google(monkeypatch) as web:
        sound = await engine().speak(Utterance(LONG))

    texts = [str(asked_for(asked)[0]) for asked in web.asked]
    assert " ".join(texts) == LONG.strip()
    assert len(texts) <= 12  # gTTS' own tokenizer makes 12 to 24 of it
    assert max(map(len, texts)) <= 100
    assert sound.seconds > 30


async def test_a_certificate_that_vouches_for_itself_is_refused_and_nothing_is_sent(monkeypatch):
    async with google(monkeypatch, certificate=issue("localhost")) as web:
        with pytest.raises(EngineDown, match="certificate") as caught:
            await engine().speak(Utterance("a secret text"))

    assert not web.asked
    assert not caught.value.again


async def test_the_default_engine_does_not_believe_the_authority_of_a_stranger(monkeypatch):
    async with google(monkeypatch, certificate=TRUSTED) as web:
        with pytest.raises(EngineDown, match="certificate"):
            await GoogleEngine().speak(Utterance("a secret text"))

    assert not web.asked


async def test_an_expired_certificate_is_refused(monkeypatch):
    async with google(monkeypatch, certificate=issue("old", AUTHORITY, days=-1)) as web:
        with pytest.raises(EngineDown, match="certificate"):
            await engine().speak(Utterance("a secret text"))

    assert not web.asked


MP3 = encoded(babble(2.0, 24_000), "MP3")
FAULTS = {
    "429": (reply(429), "too often", False),
    "500": (reply(500), "answered 500", True),
    "503": (reply(503), "answered 503", True),
    "404": (reply(404), "answered 404", False),
    "redirect": (reply(302, b"", "Location: https://localhost/sorry"), "answered 302", False),
    "page without marker": (reply(200, b"<html>are you a robot?</html>"), "captcha", False),
    "empty page": (reply(200), "captcha", False),
    "marker with empty audio": (reply(200, line_of(b"")), "no audio", False),
    "marker with damaged audio": (reply(200, line_of(MP3).replace(b'[\\"', b'[\\"%')), "damaged", False),
    "audio that is none": (reply(200, line_of(b"not an mp3 at all" * 40)), "no usable audio", False),
    "silence": (reply(200, line_of(encoded(nothing(3.0, 24_000), "MP3"))), "silent", False),
    "far too much": (reply(200, b"x" * 3_000_000), "far too much", False),
    "cut in the middle": (cut, "cannot be reached", True),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_service_is_an_error_of_the_engine(monkeypatch, fault):
    answer, words, again = FAULTS[fault]

    async with google(monkeypatch, answer):
        with pytest.raises(EngineDown, match=words) as caught:
            await engine().speak(Utterance("The gate is open."))

    assert caught.value.again is again


async def test_a_reply_without_audio_for_this_text_does_not_put_the_engine_to_rest(monkeypatch):
    async with google(monkeypatch, reply(200, b'[["wrb.fr","jQ1olc",null,null]]')):
        with pytest.raises(SpeechError, match="no audio for this text") as caught:
            await engine().speak(Utterance("The gate is open."))

    assert not isinstance(caught.value, EngineDown)


async def test_audio_far_too_short_for_its_text_is_refused(monkeypatch):
    async with google(monkeypatch, speaks(babble(0.3, 24_000))):
        with pytest.raises(SpeechError, match="s of audio for"):
            await engine().speak(Utterance("word " * 19))


async def test_half_the_parts_are_no_message(monkeypatch):
    async with google(monkeypatch, in_turn(speaks(), speaks(), reply(500))) as web:
        with pytest.raises(EngineDown):
            await engine().speak(Utterance(LONG))

    assert len(web.asked) == 3


async def test_how_long_the_service_wants_to_be_left_alone_is_kept(monkeypatch):
    async with google(monkeypatch, reply(429, b"", "Retry-After: 120")):
        with pytest.raises(EngineDown) as caught:
            await engine().speak(Utterance("hello"))

    assert caught.value.rest_s == 120.0


@pytest.mark.parametrize(
    "answer",
    [hang, drip(b""), drip(head(200, "Content-Length: 100000")), drip(head(200, "Transfer-Encoding: chunked"))],
    ids=["hang", "drip before the head", "drip in the body", "drip in a chunk"],
)
async def test_one_deadline_holds_for_the_whole_render(monkeypatch, answer):
    began = asyncio.get_running_loop().time()

    async with google(monkeypatch, answer):
        with pytest.raises(EngineDown):
            await engine(deadline_s=0.4).speak(Utterance("The gate is open."))

    assert asyncio.get_running_loop().time() - began < 3.0


async def test_no_network_is_a_passing_fault(monkeypatch):
    async with google(monkeypatch) as web:
        port = web.port
    monkeypatch.setattr("gtts.tts._translate_url", lambda tld="com", path="": f"https://localhost:{port}/{path}")

    with pytest.raises(EngineDown, match="cannot be reached") as caught:
        await engine().speak(Utterance("hello"))

    assert caught.value.again


async def test_the_budget_of_requests_is_kept_and_grows_back(monkeypatch):
    now = 1000.0
    spender = engine(requests_per_minute=2, monotonic=lambda: now)

    async with google(monkeypatch) as web:
        await spender.speak(Utterance("one"))
        await spender.speak(Utterance("two"))
        with pytest.raises(SpeechError, match="budget"):
            await spender.speak(Utterance("three"))
        assert len(web.asked) == 2
        now += 61.0
        await spender.speak(Utterance("three"))

    assert len(web.asked) == 3


async def test_the_text_is_in_no_log(monkeypatch, caplog):
    with caplog.at_level(logging.DEBUG):
        async with google(monkeypatch):
            await engine().speak(Utterance("canary words"))

    assert "canary" not in caplog.text
    assert base64.b64encode(b"canary").decode() not in caplog.text


def test_what_it_cannot_honour_is_said():
    assert engine().ignored(Utterance("x")) == ()
    assert engine().ignored(Utterance("x", speed=0.5)) == ()
    assert "voice 'slt' not used" in engine().ignored(Utterance("x", voice="slt"))[0]
    assert "speed 1.5 not used" in engine().ignored(Utterance("x", speed=1.5))[0]


def test_it_speaks_the_languages_that_gtts_has():
    speaks_it = engine().speaks

    assert all(map(speaks_it, ["en", "en-GB", "en-ng", "fr-be", "he", "zh", "yue", "ha"]))
    assert not any(map(speaks_it, ["yo", "ig", "xx", ""]))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("short", ["short"]),
        ("One two. " * 20, ["One two. " * 10 + "One two.", "One two. " * 8 + "One two."]),
        ("a" * 250, ["a" * 100, "a" * 100, "a" * 50]),
        ("。".join(["天" * 30] * 4), [("天" * 30 + "。") * 3, "天" * 30]),
    ],
)
def test_a_text_is_cut_where_a_speaker_would_breathe(text, wanted):
    assert parts(text) == [part.strip() for part in wanted]
