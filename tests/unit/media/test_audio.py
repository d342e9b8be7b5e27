import io
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from media import decoder
from media.audio import (
    _REFUSED,
    AudioError,
    Limits,
    decode_file,
    decode_parts,
    finish,
    is_silent,
    join,
    level_dbfs,
    plausible,
    read_wav,
    resample,
    silence,
    trim,
    write_wav,
)
from media.loudness import loudest_dbfs
from media.speech import Sound, SpeechError
from tests.unit.media.sounds import babble, encoded, file_of, nothing, tone

KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAV", "ALAW"),
    ("WAVEX", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", None),
    ("AIFF", "PCM_16"),
]


def power_at(sound: Sound, hertz: float) -> float:
    """dBFS of one frequency, a full sine being 0."""
    moments = np.arange(len(sound.samples)) / sound.rate_hz
    return float(20 * np.log10(2 * abs(np.mean(sound.samples * np.exp(-2j * np.pi * hertz * moments))) + 1e-9))


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
async def test_what_people_record_in_is_read(tmp_path, kind, subtype):
    path = file_of(tmp_path / "any.name", tone(2.0, 48_000, 440), kind, subtype)

    sound = await decode_file(path)

    assert sound.rate_hz == 16_000
    assert sound.seconds == pytest.approx(2.0, abs=0.1)
    assert power_at(sound, 440) == pytest.approx(-10.5, abs=0.5)
    assert sound.samples.dtype == np.float32


async def test_an_mp3_is_read_as_one_stream_without_seams(tmp_path):
    content = encoded(babble(5.0), "MP3")
    (tmp_path / "a.mp3").write_bytes(content)
    at_once, _ = soundfile.read(io.BytesIO(content), dtype="float32")

    sound = await decode_file(tmp_path / "a.mp3")

    assert np.abs(sound.samples - at_once).max() < 1e-6


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
async def test_channels_are_mixed_to_one(tmp_path, channels):
    path = file_of(tmp_path / "a.flac", tone(1.0, 16_000, 440), "FLAC", channels=channels)

    sound = await decode_file(path)

    assert len(sound.samples) == 16_000
    assert power_at(sound, 440) == pytest.approx(-10.5, abs=0.2)


async def test_one_channel_alone_is_heard(tmp_path):
    left = np.stack([tone(1.0, 16_000, 440).samples, np.zeros(16_000, np.float32)], axis=1)
    soundfile.write(tmp_path / "left.wav", left, 16_000)

    sound = await decode_file(tmp_path / "left.wav")

    assert power_at(sound, 440) == pytest.approx(-16.5, abs=0.2)


async def test_a_low_rate_is_kept(tmp_path):
    sound = await decode_file(file_of(tmp_path / "a.wav", babble(1.0, 8_000), "WAV"))

    assert sound.rate_hz == 8_000


async def test_parts_become_one_sound_whatever_their_rates_and_headers():
    parts = [encoded(tone(1.0, 24_000, 440), "MP3"), encoded(tone(1.5, 48_000, 440), "MP3")]

    sound = await decode_parts(parts)

    assert sound.seconds == pytest.approx(2.5, abs=0.15)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\xf1\x50\x80\x02\x1f\xfc" * 50, "ADTS"),
        (b"\xff\xf9\x50\x80\x02\x1f\xfc" * 50, "MPEG-2 ADTS"),
        (
            b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + b"\xff\xf1\x50\x80\x02\x1f\xfc" * 50,
            "ADTS with an ID3 tag",
        ),
        (b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00" * 50, "M4A"),
    ],
)
async def test_aac_is_refused_with_words_that_help(tmp_path, head, name):
    (tmp_path / "a").write_bytes(head)

    with pytest.raises(AudioError, match=r"AAC .* convert it to MP3, WAV, OGG or FLAC"):
        await decode_file(tmp_path / "a")


async def test_a_file_that_is_only_a_tag_is_an_error(tmp_path):
    (tmp_path / "a").write_bytes(b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(100))

    with pytest.raises(AudioError, match="refused"):
        await decode_file(tmp_path / "a")


@pytest.mark.parametrize(
    "sound", [nothing(3.0), Sound(np.full(48_000, 0.4, np.float32), 16_000)], ids=["zero", "offset"]
)
async def test_a_silent_file_is_an_error(tmp_path, sound):
    with pytest.raises(AudioError, match="silent"):
        await decode_file(file_of(tmp_path / "a.wav", sound, "WAV"))


async def test_a_file_without_samples_or_shorter_than_a_word_is_an_error(tmp_path):
    with pytest.raises(AudioError, match="empty"):
        await decode_file(file_of(tmp_path / "a.wav", nothing(0.0), "WAV"))
    with pytest.raises(AudioError, match="shorter"):
        await decode_file(file_of(tmp_path / "b.wav", babble(0.05), "WAV"))


async def test_a_missing_file_is_an_error_in_words(tmp_path):
    with pytest.raises(AudioError, match="cannot be opened"):
        await decode_file(tmp_path / "nowhere.wav")


async def test_samples_that_are_no_numbers_do_no_harm(tmp_path):
    samples = babble(1.0).samples.copy()
    samples[100:200] = np.nan
    samples[300:310] = np.inf
    samples[400:410] = 1e30
    path = file_of(tmp_path / "a.wav", Sound(samples, 16_000), "WAV", "FLOAT")

    sound = finish(await decode_file(path), 8_000, -20.0)

    assert np.isfinite(sound.samples).all()
    assert np.abs(sound.samples).max() <= 0.9


def test_the_decoder_and_we_agree_on_how_it_refuses():
    assert decoder.REFUSED == _REFUSED


async def test_the_longest_allowed_is_read_and_one_second_more_is_not(tmp_path):
    limits = Limits(seconds_most=5.0)
    fits = file_of(tmp_path / "fits.flac", babble(5.0), "FLAC")
    too_long = file_of(tmp_path / "long.flac", babble(6.0), "FLAC")

    assert (await decode_file(fits, limits)).seconds == 5.0
    with pytest.raises(AudioError, match="6 s long, more than 5 s"):
        await decode_file(too_long, limits)


# ---- pure ----


def test_resampling_leaves_nothing_above_the_line():
    """5 kHz at 24 kHz would come out as 3 kHz at 8 kHz."""
    sound = resample(tone(1.0, 24_000, 5_000, level=1.0), 8_000)

    assert sound.rate_hz == 8_000
    assert loudest_dbfs(sound.samples[800:-800], 8_000) < -55


@pytest.mark.parametrize("level", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_every_voice_comes_out_equally_loud_and_without_peaks(level, rate_hz):
    sound = finish(babble(3.0, 22_050, level), rate_hz, -20.0)

    assert sound.rate_hz == rate_hz
    assert level_dbfs(sound) == pytest.approx(-20.0, abs=1.0)
    assert np.abs(sound.samples).max() <= 0.89


def test_a_click_does_not_decide_how_loud_the_words_are():
    samples = babble(3.0, 8_000, 0.05).samples.copy()
    samples[4_000] = 1.0

    sound = finish(Sound(samples, 8_000), 8_000, -20.0)

    assert level_dbfs(sound) == pytest.approx(-20.0, abs=2.5)  # by peaks alone it would have been -41
    assert np.abs(sound.samples).max() <= 0.89


def test_pauses_do_not_make_the_words_louder():
    words = babble(2.0, 8_000)
    with_pauses = join([words, silence(10.0, 8_000), words])

    assert level_dbfs(with_pauses) == pytest.approx(level_dbfs(words), abs=0.3)


@pytest.mark.parametrize("sound", [nothing(2.0), nothing(0.0), babble(0.02), babble(2.0, level=0.002)])
def test_nothing_that_cannot_be_heard_is_finished(sound):
    with pytest.raises(SpeechError):
        finish(sound, 8_000, -20.0)


def test_trimming_leaves_the_words_and_a_small_margin():
    words = babble(1.0, 8_000)

    trimmed = trim(join([silence(2.0, 8_000), words, silence(3.0, 8_000)]))

    assert trimmed.seconds == pytest.approx(1.12, abs=0.03)


def test_trimming_keeps_a_soft_beginning():
    """An f before a loud vowel: 35 dB below it."""
    soft, loud = babble(0.2, 8_000, 10 ** (-35 / 20)), babble(1.0, 8_000, level=1.0)

    trimmed = trim(join([silence(1.0, 8_000), soft, loud]))

    assert trimmed.seconds == pytest.approx(1.26, abs=0.04)


def test_trimming_silence_leaves_nothing():
    assert trim(nothing(2.0)).seconds == 0


def test_pieces_are_joined_in_order_at_the_best_rate_without_a_click():
    first, second = tone(0.5, 8_000, 440), tone(0.5, 16_000, 880)

    whole = join([first, silence(0.25, 8_000), second])

    assert whole.rate_hz == 16_000
    assert whole.seconds == pytest.approx(1.25, abs=0.01)
    assert power_at(Sound(whole.samples[800:7200], 16_000), 440) == pytest.approx(-10.5, abs=0.5)
    assert power_at(Sound(whole.samples[12_800:19_200], 16_000), 880) == pytest.approx(-10.5, abs=0.5)
    assert is_silent(Sound(whole.samples[8_160:11_840], 16_000))
    assert np.abs(np.diff(whole.samples[7_990:8_010])).max() < 0.02


def test_joining_nothing_is_an_error_and_one_piece_stays_as_it_is():
    with pytest.raises(AudioError):
        join([])
    only = babble(1.0)
    assert join([only]) is only


@pytest.mark.parametrize(
    ("text", "seconds", "wanted"),
    [
        ("hello there, this is a message", 2.0, True),
        ("hello there, this is a message", 0.1, False),
        ("hello there, this is a message", 0.0, False),
        ("hello there, this is a message", 60.0, False),
        ("7", 0.4, True),
        ("天気", 0.6, True),
        ("word " * 200, 57.0, True),
        ("word " * 200, 28.0, True),
        ("word " * 200, 5.0, False),
    ],
)
def test_the_length_of_speech_fits_its_text(text, seconds, wanted):
    assert plausible(text, babble(seconds)) is wanted


@given(
    samples=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200),
    rate_hz=st.sampled_from([8_000, 16_000]),
)
@settings(max_examples=50, deadline=None)
def test_what_is_written_can_be_read_back(tmp_path_factory, samples, rate_hz):
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    sound = Sound(np.array(samples, np.float32), rate_hz)

    write_wav(path, sound)

    again = read_wav(path)
    assert again.rate_hz == rate_hz
    assert np.abs(again.samples - sound.samples).max() < 1 / 32_000


def test_a_written_file_is_what_a_sip_player_reads(tmp_path):
    write_wav(tmp_path / "a.wav", babble(1.0, 8_000))

    content = (tmp_path / "a.wav").read_bytes()
    assert len(content) == 44 + 16_000
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 8_000, 8_000)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wave file at all", encoded(babble(0.5), "WAV", "PCM_24")])
def test_a_wav_that_is_none_of_ours_is_an_error(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)

    with pytest.raises(AudioError):
        read_wav(tmp_path / "a.wav")
