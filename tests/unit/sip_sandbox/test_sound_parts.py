"""Companding, mouth, ear, recording, road, tones, shelf: the parts of the sound that need no socket."""

import itertools
import os
import random
import struct
import wave
from pathlib import Path

import pytest

from sip.sandbox import rtp, tones
from sip.sandbox.ear import LONGEST_RECORDING_S, Ear, Recording, info_key
from sip.sandbox.g711 import LAWS, PCMA, PCMU, Law, transcoder
from sip.sandbox.mouth import Mouth
from sip.sandbox.road import Road
from sip.sandbox.shelf import Shelf

LOUD = PCMA.encode(struct.pack("<h", 9000) * 160)
QUIET = bytes([PCMA.silence]) * 160


def _pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def _samples(pcm: bytes | bytearray) -> list[int]:
    return list(memoryview(bytes(pcm)).cast("h"))


# --- G.711

# ITU-T G.711 tables 1 and 2: the decoder output of some codes, scaled to 16 bits.
KNOWN = {
    PCMA: {0xD5: 8, 0x55: -8, 0xAA: 32256, 0x2A: -32256, 0x80: 5504, 0x00: -5504},
    PCMU: {0xFF: 0, 0x7F: 0, 0x80: 32124, 0x00: -32124, 0xFE: 8, 0xEF: 132},
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_known_codes_have_the_values_of_the_standard(law: Law) -> None:
    assert {code: _samples(law.decode(bytes([code])))[0] for code in KNOWN[law]} == KNOWN[law]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_a_sample_comes_back_as_its_nearest_level(law: Law) -> None:
    levels = sorted(set(_samples(law.decode(bytes(range(256))))))
    for value in [*range(-32768, 32768, 97), 32767, 0, -1]:
        back = _samples(law.decode(law.encode(_pcm(value))))[0]
        assert abs(back - value) == min(abs(level - value) for level in levels)


def test_one_law_is_turned_into_the_other_without_much_loss() -> None:
    codes = PCMU.encode(_pcm(*range(-30000, 30000, 500)))
    turned = codes.translate(transcoder(PCMU, PCMA))

    assert _samples(PCMA.decode(turned)) == pytest.approx(_samples(PCMU.decode(codes)), rel=0.07, abs=16)


def test_loud_and_quiet_samples_are_told_apart() -> None:
    assert PCMA.loud_share(LOUD) == 1.0
    assert PCMA.loud_share(QUIET) == 0.0
    assert PCMA.loud_share(LOUD[:40] + QUIET[:120]) == 0.25
    assert PCMA.loud_share(b"") == 0.0


# --- mouth


def _mouth(event_type: int | None = 101) -> Mouth:
    return Mouth(PCMA, 8, event_type, ssrc=1, sequence=0xFFFE, timestamp=0xFFFFFFFF)


def test_a_clip_is_sent_from_the_next_packet_on_and_its_rest_is_padded() -> None:
    mouth = _mouth()
    mouth.packet()
    mouth.say(_pcm(*[9000] * 200))
    packets = [rtp.parse(mouth.packet()) for _ in range(3)]

    assert packets[0].payload == LOUD
    assert packets[1].payload == LOUD[:40] + QUIET[:120]
    assert packets[2].payload == QUIET
    assert mouth.quiet


def test_sequence_and_timestamp_wrap() -> None:
    mouth = _mouth()
    packets = [rtp.parse(mouth.packet()) for _ in range(3)]

    assert [packet.sequence for packet in packets] == [0xFFFE, 0xFFFF, 0]
    assert [packet.timestamp for packet in packets] == [0xFFFFFFFF, 159, 319]
    assert (mouth.sent_packets, mouth.sent_octets) == (3, 480)


def test_two_keys_are_apart_by_100_ms_of_sound() -> None:
    mouth = _mouth()
    mouth.press("12")
    kinds = "".join("k" if rtp.parse(mouth.packet()).payload_type == 101 else "s" for _ in range(40))

    assert kinds == "k" * 10 + "s" * 5 + "k" * 10 + "s" * 15
    assert mouth.digits == "12"


# --- ear


def _ear() -> Ear:
    return Ear(PCMA, 8, 101, answered=0.0)


def _hear(ear: Ear, number: int, payload: bytes) -> float:
    at = number * 0.02
    ear.hear(rtp.build(8, False, number, number * 160, 5, payload), at)
    return at


def test_the_prompt_is_over_after_speech_and_700_ms_of_silence() -> None:
    ear, over_at = _ear(), None
    for n in range(200):
        at = _hear(ear, n, LOUD if 50 <= n < 70 or 100 <= n < 130 else QUIET)
        if over_at is None and ear.prompt_over(at):
            over_at = at

    assert over_at == pytest.approx(129 * 0.02 + 0.7, abs=0.03)  # not in the pause of 600 ms between the two


def test_silence_alone_and_a_click_are_no_prompt() -> None:
    ear = _ear()
    for n in range(200):
        at = _hear(ear, n, LOUD if n in (10, 11, 12) else QUIET)
        assert not ear.prompt_over(at)


def test_a_prompt_ends_too_when_the_caller_stops_sending() -> None:
    ear = _ear()
    for n in range(20):
        _hear(ear, n, LOUD)

    assert not ear.prompt_over(19 * 0.02 + 0.6)
    assert ear.prompt_over(19 * 0.02 + 0.8)


def test_sound_in_the_other_law_is_understood(tmp_path: Path) -> None:
    ear = _ear()
    ear.hear(rtp.build(0, False, 1, 0, 5, PCMU.encode(_pcm(*[9000] * 160))), 0.0)

    assert ear.recording is not None
    assert ear.recording.publish(tmp_path / "a.wav")
    assert _read(tmp_path / "a.wav")[80] == pytest.approx(9000, rel=0.06)


def test_comfort_noise_and_unknown_payloads_are_counted_but_not_recorded() -> None:
    ear = _ear()
    ear.hear(rtp.build(13, False, 1, 0, 5, b"\x40"), 0.0)

    assert ear.heard_packets == 1
    assert ear.recording is not None
    assert ear.recording.seconds == 0


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160", "5"),
        ("application/dtmf-relay", b"Signal= #\r\n", "#"),
        ("application/dtmf", b"a", "A"),
        ("application/dtmf", b"", ""),
        ("application/dtmf-relay", b"Duration=1", ""),
        ("application/dtmf", b"\xff", ""),
        ("text/plain", b"5", ""),
    ],
)
def test_a_key_in_an_info_is_read(kind: str, body: bytes, key: str) -> None:
    assert info_key(kind, body) == key


# --- recording


def _read(path: Path) -> list[int]:
    with wave.open(str(path)) as file:
        return _samples(file.readframes(file.getnframes()))


def _place(recording: Recording, timestamp: int, arrival: float, ssrc: int = 5) -> None:
    recording.place(rtp.Packet(8, False, 0, timestamp & 0xFFFFFFFF, ssrc, LOUD), LOUD, arrival)


@pytest.mark.parametrize(
    ("packets", "seconds"),
    [
        ([(0, 0.0, 5)], 0.02),
        ([(0, 0.5, 5)], 0.52),  # the first sound half a second after the answer
        ([(2**32 - 80, 0.0, 5), (80, 0.02, 5)], 0.04),  # over the wrap
        ([(0, 0.0, 5), (800_000_000, 1.0, 5)], 1.02),  # timestamps jump: the clock decides
        ([(0, 0.0, 5), (77, 1.0, 6)], 1.02),  # another sender: likewise
        ([(0, 0.5, 5), (2**32 - 160, 0.51, 5)], 0.52),  # late, but in its place
        ([(0, 0.0, 5), (2**32 - 400, 0.01, 5)], 0.02),  # from before the answer: dropped
    ],
)
def test_sound_takes_its_place_by_timestamp(packets: list[tuple[int, float, int]], seconds: float) -> None:
    recording = Recording(PCMA, begin=0.0)
    for timestamp, arrival, ssrc in packets:
        _place(recording, timestamp, arrival, ssrc)

    assert recording.seconds == pytest.approx(seconds)


def test_a_recording_has_a_longest_length() -> None:
    recording = Recording(PCMA, begin=0.0)
    for at in (LONGEST_RECORDING_S - 0.01, LONGEST_RECORDING_S + 5):
        _place(recording, round(at * 8000), at)

    assert recording.seconds == LONGEST_RECORDING_S


def test_what_was_said_before_the_recording_began_is_not_in_it() -> None:
    recording = Recording(PCMA, begin=3.0)
    for n in range(160):
        _place(recording, n * 160, n * 0.02)

    assert recording.seconds == pytest.approx(0.2)


def test_an_empty_recording_is_not_published(tmp_path: Path) -> None:
    assert not Recording(PCMA, 0.0).publish(tmp_path / "a.wav")
    assert list(tmp_path.iterdir()) == []


# --- road


@pytest.mark.parametrize(("loss", "packets", "lost"), [(0.05, 100, 5), (0.05, 40, 2), (0.01, 1000, 10), (0.0, 500, 0)])
def test_a_road_loses_exactly_its_share(loss: float, packets: int, lost: int) -> None:
    road = Road(loss, 0.0, seed="any")

    assert sum(road.loses() for _ in range(packets)) == lost


def test_a_road_delays_so_that_the_rfc_reads_the_jitter_it_was_asked_for() -> None:
    road, receiver, readings = Road(0.0, 40.0, seed="any"), rtp.Receiver(), []
    arrivals = sorted((n * 0.02 + road.delay_s(), n) for n in range(3000))
    for arrival, n in arrivals:
        receiver.count(rtp.Packet(8, False, n & 0xFFFF, n * 160, 5, b""), arrival)
        readings.append(receiver.jitter / 8)

    assert sum(readings[200:]) / len(readings[200:]) == pytest.approx(40, abs=4)


# --- tones


@pytest.mark.parametrize("digit", rtp.KEYS)
def test_every_key_has_a_tone_and_a_gap(digit: str) -> None:
    pcm = tones.key(digit)

    assert len(pcm) / 2 / 8000 == pytest.approx(tones.KEY_S + tones.KEY_GAP_S)
    assert max(map(abs, _samples(pcm))) > 4000
    assert _samples(pcm)[-1] == 0


def test_the_tones_of_the_keys_differ() -> None:
    assert len({tones.key(digit) for digit in rtp.KEYS}) == 16


def test_the_greeting_sounds_for_its_length_with_pauses_between_syllables() -> None:
    samples = _samples(tones.greeting(2.0))
    levels = [max(map(abs, samples[n : n + 160])) for n in range(0, len(samples), 160)]

    assert len(samples) == 16000
    assert max(levels) > 4000
    assert sum(level < 1000 for level in levels) >= 8


def test_a_greeting_that_is_no_wav_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(random.Random(1).randbytes(500))

    with pytest.raises(tones.BadGreeting):
        tones.from_wav(tmp_path / "a.wav")


# --- shelf


def test_the_oldest_recordings_go_also_those_of_an_earlier_start(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "oldest")):
        (tmp_path / f"{name}.wav").touch()
        os.utime(tmp_path / f"{name}.wav", (1000 - age, 1000 - age))
    shelf = Shelf(tmp_path, keep=3)

    shelf.path_for("next").touch()

    assert sorted(path.stem for path in tmp_path.iterdir()) == ["new", "next", "old"]


@pytest.mark.parametrize("wanted", ["../x", "a/b", "a\x00b", "", "...", "x" * 500, "名", "con:"])
def test_a_name_stays_in_the_directory(tmp_path: Path, wanted: str) -> None:
    path = Shelf(tmp_path, keep=5).path_for(wanted)

    path.touch()
    assert path.parent == tmp_path
    assert path.suffix == ".wav"


def test_names_do_not_collide(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, keep=10)
    names = [shelf.path_for("call").name for _ in range(3)]

    assert names == ["call.wav", "call-2.wav", "call-3.wav"]
    assert all(a != b for a, b in itertools.pairwise(names))
