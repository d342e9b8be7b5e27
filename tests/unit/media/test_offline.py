import asyncio
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.offline import EspeakEngine, FliteEngine
from media.speech import EngineDown, SpeechError, Utterance

FLITE = shutil.which("flite")
needs_flite = pytest.mark.skipif(FLITE is None, reason="flite is not installed (make peers)")
TEXT = "the northern gate is open and the water is rising"


def test_espeak_speaks_what_it_has_data_for_and_nothing_else():
    espeak = EspeakEngine()

    assert all(
        map(espeak.speaks, ["en-gb", "en-us", "EN-NG", "sw", "sw-ke", "pt-br", "zh", "zh-tw", "am", "ar", "hi", "no"])
    )
    assert not any(map(espeak.speaks, ["yo", "ha", "ig", "xx", "", "../../etc/passwd"]))


def test_without_its_library_espeak_speaks_nothing(tmp_path):
    assert not EspeakEngine(library=tmp_path / "none.so", data=tmp_path).speaks("en")


def test_each_language_has_the_voice_made_for_it():
    espeak = EspeakEngine()

    assert espeak._language("en-us") == "gmw/en-US"
    assert espeak._language("en-gb") == "gmw/en"
    assert espeak._language("en-ng") == "gmw/en"
    assert espeak._language("pt-br") == "roa/pt-BR"
    assert espeak._language("zh-hk") == "sit/yue"


@pytest.mark.parametrize(
    "engine", [EspeakEngine(), pytest.param(FliteEngine(), marks=needs_flite)], ids=["espeak", "flite"]
)
async def test_speed_is_honoured(engine):
    slow, normal, fast = [(await engine.speak(Utterance(TEXT, speed=speed))).seconds for speed in (0.5, 1.0, 2.0)]

    assert 1.6 < slow / normal < 2.4
    assert 1.6 < normal / fast < 2.4


@pytest.mark.parametrize(
    ("engine", "voices"),
    [(EspeakEngine(), ("f2", "m3", "Annie")), pytest.param(FliteEngine(), ("slt", "rms", "awb"), marks=needs_flite)],
    ids=["espeak", "flite"],
)
async def test_voices_differ_and_an_unknown_one_is_warned_of(engine, voices):
    sounds = [(await engine.speak(Utterance(TEXT, voice=voice))).samples.tobytes() for voice in voices]

    assert len(set(sounds)) == len(voices)
    assert [engine.ignored(Utterance(TEXT, voice=voice)) for voice in voices] == [()] * len(voices)
    assert "not used" in engine.ignored(Utterance(TEXT, voice="nobody"))[0]
    assert (await engine.speak(Utterance(TEXT, voice="nobody"))).seconds > 1


async def test_the_same_words_sound_different_in_another_language():
    espeak = EspeakEngine()

    sounds = {
        (await espeak.speak(Utterance("radio taxi", tag))).samples.tobytes() for tag in ("en-gb", "fr", "sw", "de")
    }

    assert len(sounds) == 4


async def test_espeak_is_ended_when_its_caller_gives_up():
    task = asyncio.create_task(EspeakEngine().speak(Utterance("word " * 2000)))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_damaged_data_is_an_error_and_not_an_exit(tmp_path):
    real = EspeakEngine()
    shutil.copytree(real._data / "lang", tmp_path / "lang")

    with pytest.raises(SpeechError):
        await EspeakEngine(data=tmp_path).speak(Utterance(TEXT))


@given(st.text(min_size=1, max_size=80))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_does_more_than_fail(text):
    for engine in (EspeakEngine(), FliteEngine()):
        try:
            sound = asyncio.run(engine.speak(Utterance(text)))
        except EngineDown:
            raise  # it would put the engine to rest for everybody
        except SpeechError:
            continue
        assert sound.seconds > 0.1


@needs_flite
@pytest.mark.parametrize(
    "text", ["-o /tmp/never", "--help me", "-voice kal hello", "`id` $(id) ; id", "<speak>one</speak>"]
)
async def test_flite_reads_a_text_and_never_takes_it_for_an_option(text):
    plain, odd = await FliteEngine().speak(Utterance("hello")), await FliteEngine().speak(Utterance(text))

    assert odd.seconds > plain.seconds


@needs_flite
async def test_flite_refuses_what_it_would_leave_out():
    with pytest.raises(SpeechError, match="Latin"):
        await FliteEngine().speak(Utterance("call 天気 now"))

    assert (await FliteEngine().speak(Utterance("naïve café – “Łódź”"))).seconds > 1


def test_flite_speaks_english_only():
    flite = FliteEngine("/usr/bin/flite")

    assert all(map(flite.speaks, ["en", "en-gb", "EN-us"]))
    assert not any(map(flite.speaks, ["fr", "eng", "", "enx"]))


async def test_without_the_program_flite_speaks_nothing(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    absent = FliteEngine()

    assert not absent.installed
    assert not absent.speaks("en")
    with pytest.raises(SpeechError):
        await absent.speak(Utterance(TEXT))


async def test_a_program_that_is_no_flite_is_an_error():
    with pytest.raises(SpeechError):
        await FliteEngine(shutil.which("false")).speak(Utterance(TEXT))
    with pytest.raises(EngineDown):
        await FliteEngine("/nowhere/flite").speak(Utterance(TEXT))


@needs_flite
async def test_nothing_is_left_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    await FliteEngine().speak(Utterance(TEXT))
    await EspeakEngine().speak(Utterance(TEXT))

    assert not os.listdir(tmp_path)
