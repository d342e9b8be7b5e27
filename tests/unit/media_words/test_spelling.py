"""Text spelled in tones is read back exactly, or refused; never misread."""

import asyncio

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from media.speech import Sound, SpeechEngine, SpeechError, Utterance
from media.spelling import Garbled, ToneEngine, decode, messages, spell
from media.tones import Floats, beeps_in, digits_in, progress_in
from tests.unit.media_words.line import PACKET, RATE_HZ, Line, after, babble, silence, sound

TEXT = "Your code is 4821. Ẹ káàbọ̀, привет, 你好 😀 0000 ffff"


def test_the_engine_is_a_speech_engine_for_every_language() -> None:
    engine: SpeechEngine = ToneEngine()

    said = asyncio.run(engine.speak(Utterance("Disk full", language="yo")))

    assert engine.name == "tones"
    assert engine.speaks("xx")
    assert decode(said) == "Disk full"


@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
@pytest.mark.parametrize("gain", [0.03, 0.3, 1.0, 1.9])
def test_a_telephone_line_at_any_level_carries_every_character(law: str, gain: float) -> None:
    for seed in range(5):
        assert decode(Line(law=law, gain=gain, seed=seed).carry(spell(TEXT))) == TEXT


@pytest.mark.parametrize("rate_hz", [16000, 22050, 44100, 48000])
def test_other_rates_are_read_too(rate_hz: int) -> None:
    assert decode(sound(soxr.resample(spell(TEXT).samples, RATE_HZ, rate_hz), rate_hz)) == TEXT


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda text: bool(text.strip()))
)
def test_any_text_survives(text: str) -> None:
    assert decode(spell(text)) == text


@pytest.mark.parametrize("trimmed_ms", [0, 5, 15, 30])
def test_trimming_the_ends_does_no_harm(trimmed_ms: int) -> None:
    cut = trimmed_ms * RATE_HZ // 1000

    assert decode(sound(spell(TEXT).samples[cut : len(spell(TEXT).samples) - cut or None])) == TEXT


def test_fifteen_characters_are_spelled_per_second() -> None:
    text = "The server in Frankfurt has run out of disk, please look at it now."

    assert len(text) / spell(text).seconds >= 15


@pytest.mark.parametrize("text", ["", "  \n", "x" * 10_001, "half \ud800"])
def test_what_cannot_be_spelled_is_refused(text: str) -> None:
    with pytest.raises(SpeechError):
        spell(text)


def test_several_messages_are_read_one_by_one() -> None:
    heard = after(0.3, spell("One"), 0.5, spell("Two"), spell("Two"))

    assert messages(heard) == ("One", "Two", "Two")
    assert decode(heard) == "One Two Two"


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.97])
def test_a_message_that_was_cut_is_refused(kept: float) -> None:
    whole = spell(TEXT).samples
    start, end = sound(whole[: int(len(whole) * kept)]), sound(whole[int(len(whole) * (1 - kept)) :])

    for heard in (start, end):
        with pytest.raises(Garbled) as refused:
            decode(heard)
        assert refused.value.parts == (None,)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_lost_packets_are_noticed_and_never_misread(loss: float) -> None:
    intact = 0
    for seed in range(60):
        parts = messages(Line(loss=loss, seed=seed).carry(spell(TEXT)))
        assert set(parts) <= {TEXT, None}
        intact += parts == (TEXT,)

    assert intact < 60  # else nothing was lost and this test says nothing


@pytest.mark.parametrize(("jump_ms", "survives"), [(-20, 0), (-3, 10), (-1, 36), (1, 36), (4, 30), (20, 0), (60, 0)])
def test_a_slip_of_the_jitter_buffer_is_survived_or_noticed(jump_ms: int, survives: int) -> None:
    samples, jump = spell(TEXT).samples, jump_ms * RATE_HZ // 1000
    intact = 0
    for at in np.linspace(PACKET * 4, len(samples) - PACKET * 4, 40).astype(int):
        parts = messages(sound(np.concatenate([samples[:at], samples[at - jump :]])))
        assert set(parts) <= {TEXT, None}
        intact += parts == (TEXT,)

    assert intact >= survives  # of 40: a stretched symbol is still one symbol


@pytest.mark.parametrize(
    "samples", [[], silence(1), np.full(800, 0.5), np.random.default_rng(0).normal(0, 0.1, 16000), babble(3).samples]
)
def test_what_is_not_spelled_reads_as_nothing_or_is_refused(samples: Floats) -> None:
    assert set(messages(Sound(np.asarray(samples, dtype=np.float32), RATE_HZ))) <= {None}


def test_no_other_receiver_takes_it_for_keys_beeps_or_ringing() -> None:
    said = spell("".join(map(chr, range(32, 127))) * 3)

    assert digits_in(said) == ""
    assert beeps_in(said) == ()
    assert progress_in(said) is None
