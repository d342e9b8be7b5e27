"""Files that want to cost us: what the decoder's process may use is bounded, so each must end, soon, and in words.

Its address space is limited to 256 MB and its processor time to 10 s by the kernel (`Limits`); a child that needed more
would be seen here as "broke its bounds" where another reason is expected.
"""

import asyncio
import inspect
import io
import random
import struct
import zipfile

import numpy as np
import pytest
import soundfile

from media import decoder
from media.audio import AudioError, Limits, decode_file
from tests.unit.media.sounds import babble, encoded

MUTANTS = 40


def test_the_bounds_are_the_ones_we_promise():
    limits = Limits()

    assert limits.memory_bytes <= 256 * 1024 * 1024
    assert limits.cpu_s <= 10
    assert limits.seconds_most <= 600


def wav_declaring(*, channels: int = 1, rate_hz: int = 8_000, data_bytes: int = 0, bits: int = 16) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, (rate_hz * block) & 0xFFFFFFFF, block & 0xFFFF, bits)
    sound = np.random.default_rng(1).integers(-9000, 9000, 20_000, np.int16).tobytes()
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", data_bytes) + sound
    return b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + chunks


def flac_declaring(content: bytes, frames: int, rate_hz: int | None = None) -> bytes:
    """The same file with another promise in its STREAMINFO (RFC 9639, section 8.2)."""
    packed = int.from_bytes(content[18:26], "big")
    packed = packed >> 36 << 36 | frames
    if rate_hz is not None:
        packed = packed & ((1 << 44) - 1) | rate_hz << 44
    return content[:18] + packed.to_bytes(8, "big") + content[26:]


def flac_of_silence(seconds: int, rate_hz: int, channels: int) -> bytes:
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate_hz, channels, format="FLAC", subtype="PCM_16") as file:
        block = np.zeros((rate_hz, channels), np.int16)
        for _ in range(seconds):
            file.write(block)
    return buffer.getvalue()


def zip_with(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.wav", content)
    return buffer.getvalue()


SOUND = babble(1.0)
FLAC = encoded(SOUND, "FLAC")
TEN_HOURS = 36_000

HOSTILE = {
    "empty": (b"", "empty"),
    "one byte": (b"R", "cannot be read"),
    "text": (b"Dear sir, please play this. " * 200, "cannot be read"),
    "web page": (b"<!doctype html><html><body>" + b"x" * 5000, "cannot be read"),
    "zeros": (bytes(100_000), "cannot be read"),
    "header alone": (encoded(SOUND, "WAV")[:44], "empty"),
    "half a header": (encoded(SOUND, "WAV")[:20], "cannot be read"),
    "64 channels": (wav_declaring(channels=64, data_bytes=40_000), "64 channels"),
    "1024 channels": (wav_declaring(channels=1024, data_bytes=40_000), "refused"),
    "no channel": (wav_declaring(channels=0, data_bytes=40_000), "refused"),
    "192 kHz": (wav_declaring(rate_hz=192_000, data_bytes=40_000), "192000 Hz"),
    "4 GHz": (wav_declaring(rate_hz=4_000_000_000, data_bytes=40_000), "refused"),
    "1 Hz": (wav_declaring(rate_hz=1, data_bytes=40_000), "refused"),
    "ten hours declared, one second there": (flac_declaring(FLAC, TEN_HOURS * 16_000), "36000 s long"),
    "ten hours of silence": (flac_of_silence(TEN_HOURS // 60, 8_000, 1) * 1, "longer|long|silent"),
    "most frames a header can say": (flac_declaring(FLAC, (1 << 36) - 1), "long"),
    "rate changed under way": (flac_declaring(FLAC, 16_000, 655_350), "refused"),
    "bomb that says nothing": (flac_declaring(flac_of_silence(700, 8_000, 1), 0), "longer than 600 s"),
    "bomb that says one second": (
        flac_declaring(flac_of_silence(700, 8_000, 1), 8_000),
        "longer|silent|could not|cannot",
    ),
    "wide bomb": (flac_of_silence(60, 96_000, 8), "silent"),
    "zip": (zip_with(encoded(SOUND, "WAV")), "cannot be read"),
    "raw headerless PCM": (np.random.default_rng(2).bytes(200_000), "refused|cannot be read|silent|could not"),
    "a format nobody sends": (encoded(SOUND, "W64"), "W64 files are not read here"),
    "voc": (encoded(SOUND, "VOC"), "VOC files"),
    "RIFF of something else": (b"RIFF\x10\x00\x00\x00AVI LIST" + bytes(500), "cannot be read"),
    "m3u with a local path": (b"#EXTM3U\n/etc/passwd\n", "cannot be read"),
    "playlist with an address": (b"[playlist]\nFile1=http://127.0.0.1/\n", "cannot be read"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_is_refused_in_words(tmp_path, name):
    content, words = HOSTILE[name]
    (tmp_path / "a").write_bytes(content)

    with pytest.raises(AudioError, match=words) as caught:
        await decode_file(tmp_path / "a")

    assert "Traceback" not in str(caught.value)
    assert "broke the decoder" not in str(caught.value)


async def test_a_file_cut_short_gives_what_is_there_or_an_error(tmp_path):
    for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF"):
        whole = encoded(babble(3.0), kind)
        (tmp_path / kind).write_bytes(whole[: len(whole) // 2])
        try:
            sound = await decode_file(tmp_path / kind)
        except AudioError:
            continue
        assert 0.1 <= sound.seconds <= 3.2


async def test_a_sound_with_a_page_behind_it_is_the_sound(tmp_path):
    (tmp_path / "a").write_bytes(encoded(babble(2.0), "WAV") + b"<script>alert(1)</script>" * 100)

    assert (await decode_file(tmp_path / "a")).seconds == pytest.approx(2.0, abs=0.2)


async def test_a_zip_behind_a_sound_is_not_opened(tmp_path):
    (tmp_path / "a").write_bytes(encoded(babble(2.0), "FLAC") + zip_with(bytes(1000)))

    assert (await decode_file(tmp_path / "a")).seconds == pytest.approx(2.0, abs=0.2)


async def test_a_file_that_costs_too_much_time_is_given_up(tmp_path):
    (tmp_path / "a").write_bytes(flac_of_silence(60, 96_000, 8))

    with pytest.raises(AudioError, match="could not be decoded"):
        await decode_file(tmp_path / "a", Limits(wall_s=0.05))


async def test_the_decoder_can_open_no_file_and_no_socket(tmp_path, monkeypatch):
    """The same program, made to try it after it has taken its bounds."""
    original = inspect.getsource(decoder)
    marker = "    try:\n        decode("
    assert marker in original
    tries = "    try: socket.socket(); refuse('socket')\n    except OSError: pass\n"
    tries += "    try: open('/etc/passwd'); refuse('file')\n    except OSError: refuse('neither')\n"
    (tmp_path / "decoder.py").write_text("import socket\n" + original.replace(marker, tries + marker))
    monkeypatch.setattr("media.audio.__file__", str(tmp_path / "audio.py"))
    (tmp_path / "a").write_bytes(encoded(SOUND, "WAV"))

    with pytest.raises(AudioError, match="neither"):
        await decode_file(tmp_path / "a")


async def test_damaged_files_never_do_more_than_fail(tmp_path):
    dice = random.Random(20)
    seeds = [encoded(babble(1.0), kind) for kind in ("WAV", "FLAC", "OGG", "MP3", "AIFF")]
    files = []
    for index in range(MUTANTS):
        content = bytearray(dice.choice(seeds))
        for _ in range(dice.choice([1, 5, 50])):
            content[dice.randrange(dice.choice([64, len(content)]))] = dice.randrange(256)
        files.append(tmp_path / str(index))
        files[-1].write_bytes(content)

    turns = asyncio.Semaphore(4)

    async def outcome(path) -> str:
        async with turns:
            try:
                sound = await decode_file(path, Limits(wall_s=10.0))
            except AudioError as error:
                return "broke" if "broke" in str(error) else "refused"
            assert np.isfinite(sound.samples).all()
            assert sound.seconds <= 600
            return "heard"

    found = await asyncio.gather(*map(outcome, files))

    assert set(found) <= {"heard", "refused", "broke"}
    assert found.count("heard") >= 5
    assert found.count("refused") >= 3
