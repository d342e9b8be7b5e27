"""Was it heard, all of it, and was it the right thing?"""

import time
from itertools import permutations

import numpy as np
import pytest
import soxr

from media.heard import SILENCE_DBFS, compare
from media.speech import Sound
from media.spelling import spell
from media.tones import beep, busy, dtmf_keys, ringback
from tests.unit.media_words.line import (
    RATE_HZ,
    VOICES,
    Line,
    after,
    babble,
    sentences,
    silence,
    sound,
    voiced,
    wideband,
)

RIGHT, WRONG = 0.9, 0.3
A, B = babble(1), babble(2)


def half(sent: Sound, *, first: bool) -> Sound:
    cut = len(sent.samples) // 2
    return Sound(sent.samples[:cut] if first else sent.samples[cut:], sent.rate_hz)


# --- voices -----------------------------------------------------------------------------------------------------------


@pytest.mark.peer
@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("law", ["ULAW", "ALAW"])
def test_a_voice_is_recognised_behind_g711(voice: str, law: str) -> None:
    for seed, text in enumerate(sentences(voice)):
        sent = voiced(voice, text)

        found = compare(sent, Line(law=law, seed=seed).carry(sent))

        assert found.match is not None
        assert found.match >= RIGHT
        assert found.coverage is not None
        assert found.coverage >= 0.95


@pytest.mark.peer
@pytest.mark.parametrize("voice", VOICES)
def test_another_sentence_of_the_same_voice_is_not_taken_for_it(voice: str) -> None:
    for seed, (asked, said) in enumerate(permutations(sentences(voice), 2)):
        found = compare(voiced(voice, asked), Line(seed=seed).carry(voiced(voice, said)))

        assert found.match is not None
        assert found.match <= WRONG, (asked, said)
        assert found.coverage is not None
        assert found.coverage <= 0.5


@pytest.mark.peer
@pytest.mark.parametrize("voice", VOICES)
def test_loss_and_slips_lower_the_match_but_do_not_end_it(voice: str) -> None:
    for seed, text in enumerate(sentences(voice)):
        sent = voiced(voice, text)

        lossy = compare(sent, Line(loss=0.05, seed=seed).carry(sent))
        slipping = compare(sent, Line(slips=1, seed=seed).carry(sent))

        assert lossy.match is not None
        assert lossy.match >= 0.85
        assert slipping.match is not None
        assert slipping.match >= 0.6


@pytest.mark.peer
@pytest.mark.parametrize("voice", VOICES)
def test_a_call_cut_in_the_middle_covers_half(voice: str) -> None:
    sent = voiced(voice, sentences(voice)[0])

    found = compare(sent, Line().carry(half(sent, first=True)))

    assert found.match is not None
    assert found.match >= RIGHT
    assert found.coverage == pytest.approx(0.5, abs=0.1)


@pytest.mark.peer
def test_two_sentences_that_begin_alike_are_half_found() -> None:
    monday = voiced("flite slt", "Your appointment with Doctor Miller is on Monday at nine in the morning.")
    tuesday = voiced("flite slt", "Your appointment with Doctor Miller is on Tuesday at four in the evening.")

    found = compare(monday, Line().carry(tuesday))

    assert found.match is not None
    assert WRONG < found.match < RIGHT


# --- any sound --------------------------------------------------------------------------------------------------------


def test_the_same_sound_matches_wholly_at_offset_zero() -> None:
    found = compare(A, A)

    assert (found.match, found.offset_ms, found.coverage) == (1.0, 0, 1.0)


def test_the_offset_is_where_the_sound_begins() -> None:
    found = compare(A, Line(lead_s=1.235).carry(A))

    assert found.offset_ms == pytest.approx(1235, abs=10)


def test_another_sound_does_not_match() -> None:
    for seed in range(10, 30):
        found = compare(A, Line(seed=seed).carry(babble(seed)))

        assert found.match is not None
        assert found.match <= WRONG


@pytest.mark.parametrize("gain", [0.02, 0.1, 1.0])
def test_the_level_does_not_matter(gain: float) -> None:
    found = compare(A, Line(gain=gain, noise=0.0).carry(A))

    assert found.match is not None
    assert found.match >= RIGHT


def test_another_rate_and_a_wideband_codec_do_not_matter() -> None:
    up = sound(soxr.resample(A.samples, RATE_HZ, 16000), 16000)

    for found in (compare(up, Line().carry(A)), compare(A, up), compare(up, up), compare(A, wideband(A))):
        assert found.match is not None
        assert found.match >= 0.95


@pytest.mark.parametrize(
    "sent",
    [
        spell("Your code is 4821, and nobody else should know."),
        beep(1000, 900),
        beep(440, 200),
        dtmf_keys("12345"),
        ringback(5),
    ],
    ids=["spelled", "beep", "short beep", "keys", "ringback"],
)
def test_tones_are_recognised(sent: Sound) -> None:
    found = compare(sent, Line().carry(sent))

    assert found.match is not None
    assert found.match >= RIGHT
    assert found.coverage is not None
    assert found.coverage >= 0.95


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (
            spell("Your code is 4821, and nobody else should know."),
            spell("The server in Frankfurt has run out of disk."),
        ),
        (beep(1000, 900), beep(1400, 900)),
        (ringback(5), busy(5)),
        (dtmf_keys("12345"), dtmf_keys("96807")),
        (beep(1000, 900), A),
        (A, beep(1000, 4000)),
    ],
    ids=["spelled", "beeps", "ringback and busy", "keys", "speech for beep", "beep for speech"],
)
def test_other_tones_are_not_taken_for_them(sent: Sound, said: Sound) -> None:
    found = compare(sent, Line().carry(said))

    assert found.match is not None
    assert found.match <= WRONG


@pytest.mark.parametrize(
    "recorded",
    [sound([]), sound(silence(3)), sound(np.full(8000, 0.1)), sound(np.full(8000, np.nan)), sound([0.0] * 100)],
    ids=["nothing", "silence", "direct current", "no numbers", "shorter than a frame"],
)
def test_silence_is_heard_as_silence(recorded: Sound) -> None:
    found = compare(A, recorded)

    assert (found.heard_s, found.level_dbfs) == (0.0, SILENCE_DBFS)
    assert (found.match, found.offset_ms, found.coverage) == (0.0, None, 0.0)


def test_line_noise_is_not_sound() -> None:
    found = compare(A, sound(np.random.default_rng(0).normal(0, 0.0003, 16000)))

    assert found.heard_s == 0.0
    assert found.match == 0.0


def test_without_anything_to_compare_only_the_sound_is_measured() -> None:
    for nothing in (None, sound(silence(1)), sound([])):
        found = compare(nothing, A)

        assert found.heard_s == pytest.approx(4.0, abs=0.4)
        assert -30 < found.level_dbfs < -5
        assert (found.match, found.offset_ms, found.coverage) == (None, None, None)


def test_heard_seconds_and_level_are_those_of_the_sound_alone() -> None:
    found = compare(None, after(2.0, beep(1000, 1500), 3.0))

    assert found.heard_s == pytest.approx(1.5, abs=0.05)
    assert found.level_dbfs == pytest.approx(-9.0, abs=0.3)


@pytest.mark.parametrize(("first", "offset"), [(True, 500), (False, None)])
def test_half_of_it_covers_half_and_still_matches(first: bool, offset: int | None) -> None:
    found = compare(A, Line(lead_s=0.5).carry(half(A, first=first)))

    assert found.match is not None
    assert found.match >= RIGHT
    assert found.coverage == pytest.approx(0.5, abs=0.1)
    assert found.offset_ms == pytest.approx(500 if offset else 500 - 2000, abs=20)


def test_it_is_found_behind_a_greeting_and_a_beep() -> None:
    found = compare(A, Line(lead_s=0.1).carry(after(B, 0.5, beep(1000, 400), 0.3, A)))

    assert found.match is not None
    assert found.match >= RIGHT
    assert found.offset_ms == pytest.approx(100 + 4000 + 500 + 400 + 300, abs=20)


# --- repetitions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause_s", [0.6, 1.0, 1.6])
def test_repetitions_are_followed_though_the_pause_differs(pause_s: float) -> None:
    found = compare(A, Line().carry(after(A, pause_s, A, pause_s, A)), repeat=3, pause_ms=1000)

    assert found.match is not None
    assert found.match >= RIGHT
    assert found.coverage == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("heard", "coverage"),
    [
        (after(A), 0.5),
        (after(A, 1.0, half(A, first=True)), 0.75),
        (after(half(A, first=True)), 0.25),
    ],
    ids=["one of two", "one and a half of two", "a half of two"],
)
def test_coverage_counts_the_repetitions_that_are_missing(heard: Sound, coverage: float) -> None:
    found = compare(A, Line().carry(heard), repeat=2, pause_ms=1000)

    assert found.match is not None
    assert found.match >= RIGHT
    assert found.coverage == pytest.approx(coverage, abs=0.06)


def test_a_wrong_repetition_spoils_the_match() -> None:
    found = compare(A, Line().carry(after(A, 1.0, B)), repeat=2, pause_ms=1000)

    assert found.match is not None
    assert found.match < RIGHT


# --- cost -------------------------------------------------------------------------------------------------------------


def test_ten_seconds_take_at_most_fifty_milliseconds() -> None:
    sent = babble(5, 10.0)
    recorded = Line().carry(sent)
    spent = []
    for _ in range(5):
        before = time.process_time()
        compare(sent, recorded)
        spent.append(time.process_time() - before)

    assert min(spent) <= 0.05
