"""Announcement tones of the network: told by pitch and length, out of tune and in noise too; nothing else is one."""

import math
import random
import shutil
import struct
import subprocess
from array import array
from pathlib import Path

import pytest

from sip.causes import Sit
from sip.sandbox import g711
from sip.sit import SitEar

LOW, HIGH = (913.8, 1370.6), (985.2, 1428.5)
THIRD_HZ = 1776.7
MS = {"S": 274.0, "L": 380.0}

# pitch of the first two tones, their lengths, meaning: all eight of the table
SIGNALS = [
    ("HL", "LS", Sit.VACANT),
    ("LL", "SS", Sit.INTERCEPT),
    ("HH", "LL", Sit.NO_CIRCUIT),
    ("LL", "LL", Sit.NO_CIRCUIT),
    ("LH", "SL", Sit.REORDER),
    ("HL", "SL", Sit.REORDER),
    ("LH", "LS", None),  # "ineffective other": reserved
    ("HH", "SS", None),  # reserved
]
NAMED = [signal for signal in SIGNALS if signal[2] is not None]


def tone(hz: float, ms: float, level: float = 1500) -> list[float]:
    return [level * math.sin(2 * math.pi * hz * n / 8000 + 0.4) for n in range(round(8 * ms))]


def silence(ms: float) -> list[float]:
    return [0.0] * round(8 * ms)


def signal(
    pitches: str, lengths: str, *, level: float = 1500, off: float = 1.0, stretch: float = 1.0, gap_ms: float = 0.0
) -> list[float]:
    """`level`: the peak; 1500 is the -24 dBm0 of E.180."""
    hz = [(HIGH if pitch == "H" else LOW)[n] for n, pitch in enumerate(pitches)] + [THIRD_HZ]
    parts = [tone(one * off, MS[length] * stretch, level) for one, length in zip(hz, lengths + "L", strict=True)]
    return [sample for part in parts for sample in [*part, *silence(gap_ms)]]


def pcm(samples: list[float]) -> bytes:
    return array("h", (max(-32768, min(32767, round(one))) for one in samples)).tobytes()


def heard(sound: bytes | list[float], portion: int = 160) -> list[Sit]:
    said = sound if isinstance(sound, bytes) else pcm(sound)
    ear = SitEar()
    return [found for n in range(0, len(said), 2 * portion) for found in ear.hear(said[n : n + 2 * portion])]


def around(samples: list[float]) -> list[float]:
    return silence(203) + samples + silence(200)


def meant(found: Sit | None) -> list[Sit]:
    return [] if found is None else [found]


@pytest.mark.parametrize("portion", [160, 37, 1000])
@pytest.mark.parametrize(("pitches", "lengths", "means"), SIGNALS)
def test_each_signal_says_what_the_table_says(pitches: str, lengths: str, means: Sit | None, portion: int) -> None:
    assert heard(around(signal(pitches, lengths)), portion) == meant(means)


@pytest.mark.parametrize("stretch", [0.8, 1.2])
@pytest.mark.parametrize("off", [0.985, 1.015])
@pytest.mark.parametrize(("pitches", "lengths", "means"), SIGNALS)
def test_a_little_out_of_tune_and_of_time(
    pitches: str, lengths: str, means: Sit | None, off: float, stretch: float
) -> None:
    assert heard(around(signal(pitches, lengths, off=off, stretch=stretch))) == meant(means)


@pytest.mark.parametrize("gap_ms", [4, 30])
@pytest.mark.parametrize("level", [250, 12000])
@pytest.mark.parametrize(("pitches", "lengths", "means"), NAMED)
def test_loud_and_quiet_with_a_gap_between_the_tones(
    pitches: str, lengths: str, means: Sit, level: float, gap_ms: float
) -> None:
    assert heard(around(signal(pitches, lengths, level=level, gap_ms=gap_ms))) == [means]


@pytest.mark.parametrize("law", [g711.PCMA, g711.PCMU])
@pytest.mark.parametrize("level", [300, 1500])
@pytest.mark.parametrize(("pitches", "lengths", "means"), NAMED)
def test_as_g711_carries_it(pitches: str, lengths: str, means: Sit, level: float, law: g711.Law) -> None:
    carried = law.decode(law.encode(pcm(around(signal(pitches, lengths, level=level)))))

    assert heard(bytes(carried)) == [means]


@pytest.mark.parametrize(("pitches", "lengths", "means"), NAMED)
def test_noise_at_twenty_decibels_below_does_no_harm(pitches: str, lengths: str, means: Sit) -> None:
    for seed in range(10):
        dice = random.Random(seed)
        assert heard([one + dice.gauss(0, 106) for one in around(signal(pitches, lengths))]) == [means]


@pytest.mark.parametrize(("pitches", "lengths", "means"), NAMED)
def test_two_lost_packets_in_each_tone_do_no_harm(pitches: str, lengths: str, means: Sit) -> None:
    samples = around(signal(pitches, lengths))
    for at_ms in (203 + 120, 203 + 450, 203 + 850):
        samples[8 * at_ms : 8 * at_ms + 320] = silence(40)
    assert heard(samples) == [means]


def test_where_only_lengths_tell_a_dead_number_from_a_full_network_both_tones_have_to() -> None:
    assert heard(around(signal("LL", "SL"))) == heard(around(signal("LL", "LS"))) == []


@pytest.mark.parametrize(("pitches", "lengths", "means"), [one for one in NAMED if one[:2] != ("LL", "LL")])
def test_the_first_tone_may_have_begun_before_anybody_listened(pitches: str, lengths: str, means: Sit) -> None:
    assert heard(around(signal(pitches, lengths)[8 * 130 :])) == [means]


def test_a_signal_is_heard_each_time_it_comes() -> None:
    once = around(signal("HL", "LS"))

    assert heard(once + once) == [Sit.VACANT, Sit.VACANT]


def test_the_plain_tones_of_the_recommendation_say_none_of_it() -> None:
    plain = [*tone(950, 330), *silence(10), *tone(1400, 330), *silence(10), *tone(1800, 330)]

    assert heard(around(plain)) == []


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (2, 1, 0), (0, 1), (1, 2), (0, 2), (0, 1, 1)])
def test_three_tones_in_another_order_or_fewer_are_no_signal(order: tuple[int, ...]) -> None:
    parts = [tone(985.2, 380), tone(1370.6, 274), tone(THIRD_HZ, 380)]

    assert heard(around([sample for n in order for sample in parts[n]])) == []


@pytest.mark.parametrize("gap_ms", [80, 500])
def test_tones_too_far_apart_are_no_signal(gap_ms: float) -> None:
    assert heard(around(signal("HL", "LS", gap_ms=gap_ms))) == []


@pytest.mark.parametrize("stretch", [0.5, 1.5])
def test_tones_much_too_short_or_long_are_no_signal(stretch: float) -> None:
    assert heard(around(signal("HL", "LS", stretch=stretch))) == []


@pytest.mark.parametrize("off", [0.96, 1.04])
def test_tones_far_out_of_tune_are_no_signal(off: float) -> None:
    assert heard(around(signal("LL", "SS", off=off) + silence(100) + signal("HH", "LL", off=off))) == []


def test_noise_ringing_busy_tones_keys_and_sweeps_are_no_signal() -> None:
    dice = random.Random(5)
    noise = [dice.gauss(0, 3000) for _ in range(8000 * 20)]
    ringing = both(tone(440, 2000), tone(480, 2000)) + silence(4000)
    european = tone(425, 1000) + silence(4000)
    busy = (both(tone(480, 500), tone(620, 500)) + silence(500)) * 4
    keys = [s for low in (697, 770, 852, 941) for s in both(tone(low, 300), tone(1336, 300)) + silence(50)]
    sweep = [1500 * math.sin(2 * math.pi * (300 * n / 8000 + 250 * (n / 8000) ** 2)) for n in range(8000 * 6)]
    fax = tone(1100, 500) + silence(3000) + tone(2100, 3000)

    for sound in (noise, ringing, european, busy, keys, sweep, fax):
        assert heard(sound) == []


def both(one: list[float], other: list[float]) -> list[float]:
    return [a + b for a, b in zip(one, other, strict=True)]


# -- speech

SENTENCES = [
    f"{start} {end}"
    for start in (
        "The number you have dialled is not in service.",
        "Please hold the line while we try to reach the person you are calling.",
        "You you you, why oh why, see the sea, whee, a loooong vowel.",
        "Le numero que vous demandez n'est pas attribue.",
        "Ooooh aaaah eeeeh uuuuh.",
    )
    for end in (
        "One two three four five.",
        "All circuits are busy now; please try again later.",
        "Thank you for calling, good bye.",
        "Your delivery arrives tomorrow at nine.",
        "Please check the number and dial again.",
    )
]


@pytest.mark.parametrize("voice", ["flite", "espeak-ng"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_no_sentence_is_a_signal(sentence: str, voice: str, tmp_path: Path) -> None:
    if shutil.which(voice) is None:
        pytest.skip(f"{voice} is missing")
    assert heard(spoken(voice, sentence, tmp_path / "said.wav")) == []


def spoken(voice: str, sentence: str, path: Path) -> bytes:
    """As PCM16 at 8 kHz; aliases of the plain decimation only add tones to it."""
    way = ["-voice", "kal", "-t", sentence, "-o"] if voice == "flite" else [sentence, "-w"]
    subprocess.run([voice, *way, str(path)], check=True, capture_output=True, timeout=30)
    data = path.read_bytes()
    rate = struct.unpack_from("<I", data, 24)[0]
    samples = array("h", data[44 : 44 + (len(data) - 44) // 2 * 2])
    step = rate / 8000
    return array("h", (samples[int(n * step)] for n in range(int(len(samples) / step)))).tobytes()
