"""Decode, resample, level, trim, join and write: every sound that a phone hears passes here; silence does not.

A stranger's file is decoded in a bounded child process (`media.decoder`), never in ours. What we made ourselves is
plain PCM and is handled here.
"""

import json
import os
import sys
import warnings
import wave
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from media.bounded import Bounds, ChildError, memory_file, run
from media.loudness import gated_dbfs, heard_span
from media.speech import Sound, SpeechError, is_silent, plausible

with warnings.catch_warnings():
    # pydub looks for ffmpeg, which we do not use, and its audioop is deprecated in an interpreter we do not support.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

__all__ = [
    "AudioError",
    "Limits",
    "decode_file",
    "decode_parts",
    "finish",
    "from_pcm16",
    "is_silent",
    "join",
    "level_dbfs",
    "plausible",
    "read_wav",
    "resample",
    "silence",
    "to_pcm16",
    "trim",
    "write_wav",
]

PEAK = 0.89  # -1 dBFS: the codec of the phone network needs room for its own overshoot
KNEE = 0.6  # from here on peaks are bent, not cut
BOOST_MOST_DB = 30.0  # more would lift the noise of a nearly empty recording to the level of speech
MARGIN_S = 0.06  # kept before the first and after the last sound when trimming
SHORTEST_S = 0.1
FADE_MS = 4  # at each joint, or it clicks

_REFUSED = 3  # decoder.REFUSED, not imported: it would load libsndfile into this process

_TAGS_MOST = 4  # of ID3 at the start of a file; encoders write one

_AAC = "AAC and MP4 audio is not read here: convert it to MP3, WAV, OGG or FLAC"


class AudioError(SpeechError):
    """The audio cannot be used: not readable, too long, silent or empty. Whoever made it is at fault."""

    of_request = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What decoding one file may cost. The sound comes out at `rate_most_hz` or, if it was less, at its own rate."""

    seconds_most: float = 600.0
    rate_most_hz: int = 16_000
    wall_s: float = 15.0
    cpu_s: int = 10
    memory_bytes: int = 256 * 1024 * 1024  # address space: the libraries alone map 110 MB


async def decode_file(path: Path, limits: Limits = Limits()) -> Sound:
    """Any MP3, WAV, OGG (Vorbis, Opus), FLAC or AIFF as mono. Raises AudioError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise AudioError(f"the audio file cannot be opened: {error.strerror}") from error
    try:
        return await _decode([descriptor], limits)
    finally:
        os.close(descriptor)


async def decode_parts(parts: Sequence[bytes], limits: Limits = Limits()) -> Sound:
    """Several files as one sound. Not one file of their bytes: an MP3's first header may tell where it ends."""
    with ExitStack() as stack:
        return await _decode([stack.enter_context(memory_file(part)) for part in parts], limits)


async def _decode(descriptors: Sequence[int], limits: Limits) -> Sound:
    for descriptor in descriptors:
        head = _head(descriptor)
        if not head and not os.fstat(descriptor).st_size:
            raise AudioError("the audio file is empty")
        if _is_aac(head):
            raise AudioError(_AAC)
    program = [sys.executable, "-I", str(Path(__file__).with_name("decoder.py")), *map(str, descriptors)]
    asked = {"seconds_most": limits.seconds_most, "rate_most_hz": limits.rate_most_hz}
    # The header line and half a second for the resampler's tail, besides the samples.
    output = 200 + round((limits.seconds_most + 0.5 * len(descriptors)) * limits.rate_most_hz) * 4
    bounds = Bounds(limits.wall_s, limits.cpu_s, limits.memory_bytes, output)
    try:
        finished = await run(program, json.dumps(asked).encode(), bounds, open_files=descriptors)
    except ChildError as error:
        raise AudioError(f"the audio file could not be decoded: {error}") from error
    if finished.status == _REFUSED:
        raise AudioError(f"the audio file was refused: {finished.words}")
    if finished.status:
        raise AudioError("the audio file could not be decoded: it broke the decoder or its bounds")
    head, _, samples = finished.output.partition(b"\n")
    return _usable(Sound(np.frombuffer(samples, np.float32), int(json.loads(head)["rate_hz"])))


def _head(descriptor: int) -> bytes:
    """The first bytes of audio: ID3 tags may stand before them in AAC as in MP3 (ID3v2.4 section 3.1)."""
    at = 0
    for _ in range(_TAGS_MOST):
        head = os.pread(descriptor, 16, at)
        if head[:3] != b"ID3" or len(head) < 10:
            return head
        footer = 10 if head[5] & 0x10 else 0
        at += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + footer
    return head


def _is_aac(head: bytes) -> bool:
    """An ADTS sync word with layer 0 (ISO/IEC 13818-7), or an ISO base media file. MPEG-1 audio never has layer 0."""
    return (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0) or head[4:8] == b"ftyp"


def _usable(sound: Sound) -> Sound:
    if sound.seconds < SHORTEST_S:
        raise AudioError("the audio is empty" if not len(sound.samples) else "the audio is shorter than 0.1 s")
    if is_silent(sound):
        raise AudioError("the audio is silent")
    return sound


# ---- pure ----


def level_dbfs(sound: Sound) -> float:
    """How loud what is heard in it is, pauses left out; full scale is a square wave."""
    return gated_dbfs(sound.samples, sound.rate_hz)


def resample(sound: Sound, rate_hz: int) -> Sound:
    if sound.rate_hz == rate_hz:
        return sound
    return Sound(soxr.resample(sound.samples, sound.rate_hz, rate_hz).astype(np.float32), rate_hz)


def trim(sound: Sound) -> Sound:
    """Without the silence around it, but for 60 ms. All silence: empty."""
    return Sound(sound.samples[heard_span(sound.samples, sound.rate_hz, MARGIN_S)], sound.rate_hz)


def silence(seconds: float, rate_hz: int) -> Sound:
    return Sound(np.zeros(round(seconds * rate_hz), np.float32), rate_hz)


def finish(sound: Sound, rate_hz: int, level: float) -> Sound:
    """Ready for a line: at its rate, what is heard at `level` dBFS, no peak above -1 dBFS. Raises AudioError."""
    at_rate = resample(_usable(sound), rate_hz)
    gain_db = min(level - level_dbfs(at_rate), BOOST_MOST_DB)
    return Sound(_bent(at_rate.samples * np.float32(10 ** (gain_db / 20))), rate_hz)


def _bent(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """A soft limiter: a click must not decide how loud the words around it are."""
    size = np.abs(samples)
    bent = KNEE + (PEAK - KNEE) * np.tanh((size - KNEE) / (PEAK - KNEE))
    return np.where(size > KNEE, np.sign(samples) * bent, samples).astype(np.float32)


def join(pieces: Sequence[Sound]) -> Sound:
    """One after the other, at the highest of their rates. Raises AudioError when there is none."""
    if not pieces:
        raise AudioError("there is no audio")
    rate_hz = max(piece.rate_hz for piece in pieces)
    if len(pieces) == 1:
        return pieces[0]
    first, *rest = (_segment(resample(piece, rate_hz)) for piece in pieces)
    whole = sum(rest, first)
    return Sound(from_pcm16(whole.raw_data), rate_hz)


def _segment(sound: Sound) -> AudioSegment:
    segment = AudioSegment(data=to_pcm16(sound.samples), sample_width=2, frame_rate=sound.rate_hz, channels=1)
    fade = min(FADE_MS, len(segment) // 2)
    return segment.fade_in(fade).fade_out(fade) if fade else segment


def to_pcm16(samples: NDArray[np.float32]) -> bytes:
    """Little-endian, as WAV has it."""
    return (np.clip(samples, -1.0, 1.0) * 32767).round().astype("<i2").tobytes()


def from_pcm16(pcm: bytes) -> NDArray[np.float32]:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32767)


# ---- our own files ----


def write_wav(path: Path, sound: Sound) -> None:
    """PCM16, mono: what PJSIP's player reads."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate_hz)
        file.writeframes(to_pcm16(sound.samples))


def read_wav(path: Path) -> Sound:
    """A WAV that we or PJSIP wrote: PCM16, channels mixed. Raises AudioError."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise AudioError(f"{path.name} is not a PCM16 WAV")
            samples = from_pcm16(file.readframes(file.getnframes()))
            channels, rate_hz = file.getnchannels(), file.getframerate()
    except (OSError, EOFError, wave.Error, ValueError) as error:
        raise AudioError(f"{path.name} cannot be read as a WAV: {error}") from error
    whole_frames = samples[: len(samples) // channels * channels]
    return Sound(whole_frames.reshape(-1, channels).mean(axis=1, dtype=np.float32), rate_hz)
