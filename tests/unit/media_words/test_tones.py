"""Tones of the network are made, and told apart from each other and from speech."""

import numpy as np
import pytest

from media.speech import Sound
from media.tones import (
    CADENCES,
    Cadence,
    beep,
    beeps_in,
    busy,
    digits_in,
    dtmf,
    dtmf_keys,
    progress_in,
    progress_tone,
    ringback,
    tone,
)
from tests.unit.media_words.line import SENTENCES, Line, after, babble, silence, sound, voiced

ALL_KEYS = "1234567890*#ABCD"


@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
@pytest.mark.parametrize(("ms", "gap_ms"), [(40, 40), (60, 50), (100, 80), (400, 100)])
def test_digits_are_read_behind_g711(law: str, ms: int, gap_ms: int) -> None:
    for seed in range(4):
        assert digits_in(Line(law=law, seed=seed).carry(dtmf_keys(ALL_KEYS, ms, gap_ms))) == ALL_KEYS


def test_the_same_key_pressed_twice_counts_twice() -> None:
    assert digits_in(Line().carry(dtmf_keys("1199##", 60, 50))) == "1199##"


def test_digits_are_read_in_noise() -> None:
    assert digits_in(Line(noise=0.02).carry(dtmf_keys("109#", 80, 60))) == "109#"


@pytest.mark.parametrize("gone", range(3, 12))
def test_one_lost_packet_inside_a_long_tone_does_not_make_two_digits_of_it(gone: int) -> None:
    samples = after(0.1, dtmf("5", 300), 0.1).samples.copy()
    samples[gone * 160 : (gone + 1) * 160] = 0

    assert digits_in(sound(samples)) == "5"


@pytest.mark.parametrize("ms", [5, 15])
def test_a_click_is_no_digit(ms: int) -> None:
    assert digits_in(after(0.2, dtmf("5", ms), 0.2)) == ""


@pytest.mark.parametrize("twist_db", [-7, -3, 3, 7])
def test_digits_with_unequal_tones_are_read(twist_db: int) -> None:
    low, high = tone((770,), 80, level=0.2), tone((1336,), 80, level=0.2 * 10 ** (twist_db / 20))

    assert digits_in(after(0.1, sound(low.samples + high.samples), 0.1)) == "5"


@pytest.mark.parametrize("key", ["", "E", "12", "é"])
def test_there_are_sixteen_keys(key: str) -> None:
    with pytest.raises(ValueError, match="not a telephone key"):
        dtmf(key)


def test_speech_presses_no_keys() -> None:
    for seed in range(20):
        assert digits_in(babble(seed)) == ""


@pytest.mark.peer
@pytest.mark.parametrize("voice", ["flite rms", "flite slt", "flite kal16"])
def test_voices_press_no_keys_and_do_not_beep_or_ring(voice: str) -> None:
    for text in SENTENCES:
        heard = Line().carry(voiced(voice, text))

        assert digits_in(heard) == ""
        assert beeps_in(heard) == ()
        assert progress_in(heard) is None


@pytest.mark.parametrize("hz", [400, 440, 850, 1000, 1400, 2000, 2500])
@pytest.mark.parametrize("ms", [200, 400, 1000])
def test_a_beep_is_found_with_its_place_length_and_pitch(hz: int, ms: int) -> None:
    (found,) = beeps_in(Line(lead_s=0.7).carry(beep(hz, ms)))

    assert found.at_ms == pytest.approx(700, abs=40)
    assert found.ms == pytest.approx(ms, abs=50)
    assert found.hz == pytest.approx(hz, abs=10)


def test_a_beep_is_found_behind_speech() -> None:
    (found,) = beeps_in(Line(lead_s=0.1).carry(after(babble(1), 0.3, beep(1000, 500), 1.0)))

    assert found.at_ms == pytest.approx(4400, abs=40)


@pytest.mark.parametrize(
    "heard",
    [
        ringback(7),
        busy(4),
        dtmf_keys("123", 300),
        silence(2),
        [],
        babble(4),
        np.random.default_rng(0).normal(0, 0.1, 16000),
    ],
    ids=["ringback", "busy", "keys", "silence", "nothing", "speech", "noise"],
)
def test_what_is_not_one_steady_frequency_is_no_beep(heard: Sound | list[float]) -> None:
    assert beeps_in(heard if isinstance(heard, Sound) else sound(heard)) == ()


@pytest.mark.parametrize("cadence", CADENCES, ids=lambda cadence: f"{cadence.progress} {cadence.frequencies}")
@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
def test_ringing_and_busy_are_told_by_frequency_and_rhythm(cadence: Cadence, law: str) -> None:
    assert progress_in(Line(law=law).carry(progress_tone(cadence, 13))) is cadence.progress


@pytest.mark.parametrize("heard", [babble(2), dtmf_keys("123456"), beep(425, 3000), sound([])])
def test_nothing_else_rings(heard: Sound) -> None:
    assert progress_in(heard) is None
