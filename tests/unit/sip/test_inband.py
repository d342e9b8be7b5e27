"""Keys in the sound: each one heard, short and quiet and twisted ones too; speech, music and noise are none."""

import math
import random
from array import array

import pytest

from sip.inband import InBand

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")


def tones(parts: list[tuple[float, float]], ms: float, offset: int = 0) -> list[float]:
    """Sines of (Hz, amplitude)."""
    return [
        sum(level * math.sin(2 * math.pi * hz * (n + offset) / 8000) for hz, level in parts) for n in range(int(8 * ms))
    ]


def key(name: str, ms: float = 60, level: float = 4000, twist_db: float = 0.0, off: float = 1.0) -> list[float]:
    row = next(n for n, line in enumerate(KEYS) if name in line)
    weaker = level * 10 ** (-abs(twist_db) / 20)
    low, high = (level, weaker) if twist_db >= 0 else (weaker, level)
    return tones([(ROWS[row] * off, low), (COLUMNS[KEYS[row].index(name)] * off, high)], ms)


def silence(ms: float) -> list[float]:
    return [0.0] * int(8 * ms)


def heard(samples: list[float], portion: int = 160) -> str:
    pcm = array("h", (max(-32768, min(32767, round(one))) for one in samples)).tobytes()
    ear = InBand()
    return "".join("".join(ear.hear(pcm[n : n + 2 * portion])) for n in range(0, len(pcm), 2 * portion))


@pytest.mark.parametrize("portion", [160, 37, 1000])
def test_every_key_is_heard_once(portion: int) -> None:
    said = "123A456B789C*0#D"

    assert heard([sample for name in said for sample in key(name) + silence(60)], portion) == said


@pytest.mark.parametrize("begin", range(0, 160, 17))
def test_forty_milliseconds_are_enough_wherever_they_begin(begin: int) -> None:
    assert heard([0.0] * begin + key("5", 42) + silence(60) + key("5", 42) + silence(60)) == "55"


def test_a_long_press_is_one_key() -> None:
    assert heard(silence(30) + key("7", 3000) + silence(100)) == "7"


@pytest.mark.parametrize("twist_db", [-8, -4, 4, 8])
def test_one_tone_may_be_stronger(twist_db: float) -> None:
    assert heard(key("9", twist_db=twist_db) + silence(60)) == "9"


@pytest.mark.parametrize("level", [300, 12000])
@pytest.mark.parametrize("off", [0.985, 1.015])
def test_loud_quiet_and_a_little_out_of_tune(level: float, off: float) -> None:
    assert heard(key("0", level=level, off=off) + silence(60)) == "0"


def test_noise_at_twenty_decibels_below_does_no_harm() -> None:
    dice = random.Random(3)
    said = "159#*0"
    samples = [sample + dice.gauss(0, 400) for name in said for sample in key(name, 80) + silence(60)]

    assert heard(samples) == said


def test_too_short_a_blip_is_no_key() -> None:
    assert heard(silence(50) + key("5", 18) + silence(50)) == ""


def test_noise_dial_tones_and_music_are_no_keys() -> None:
    dice = random.Random(5)
    noise = [dice.gauss(0, 3000) for _ in range(8000 * 20)]
    dial = tones([(350, 4000), (440, 4000)], 2000)
    busy = tones([(480, 4000), (620, 4000)], 2000)
    one = tones([(941, 6000)], 1000)
    chord = [s for hz in range(300, 3000, 20) for s in tones([(hz, 3000), (hz * 1.26, 3000), (hz * 1.5, 3000)], 60)]

    assert heard(noise) == heard(dial) == heard(busy) == heard(one) == heard(chord) == ""
