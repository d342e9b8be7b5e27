"""A child's whole program: a stranger's audio file in, plain mono samples out, within bounds.

`python -I decoder.py FD…`, limits as JSON on stdin. It answers with a line of JSON, {"rate_hz": …}, and float32 samples
on stdout (of all files, one after the other), or ends with status 3 and the reason in words on stderr. It stands alone:
it imports nothing of ours, so it starts in 0.1 s. What a file declares is checked before anything is decoded, and the
decoded is counted all the same.
"""

import json
import resource
import sys
from typing import Any, NoReturn

import numpy as np
import soundfile
import soxr

REFUSED = 3  # exit status

BLOCK_FRAMES = 16_384
FORMATS = ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "AIFF")
RATE_HZ = (4_000, 96_000)
CHANNELS_MOST = 8
UNKNOWN_FRAMES = 1 << 60  # libsndfile's "the header does not say"


class Onward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is not typed
    """A file that is only read from its beginning to its end.

    After each read of a seekable file soundfile seeks to where it already is. An MP3 decoder then forgets the frames
    that the next one builds on: one sixth of all samples came out wrong when read in blocks.
    """

    def seekable(self) -> bool:
        return False


def refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)  # noqa: T201 - stderr is how a child speaks
    sys.exit(REFUSED)


def declared(file: Any, seconds_most: float) -> None:
    """Refuses by what the header says."""
    if file.format not in FORMATS:
        refuse(f"{file.format} files are not read here: convert it to MP3, WAV, OGG or FLAC")
    if not RATE_HZ[0] <= file.samplerate <= RATE_HZ[1]:
        refuse(f"a sample rate of {file.samplerate} Hz is not read here: {RATE_HZ[0]} to {RATE_HZ[1]}")
    if not 1 <= file.channels <= CHANNELS_MOST:
        refuse(f"{file.channels} channels are not read here: at most {CHANNELS_MOST}")
    if 0 <= file.frames < UNKNOWN_FRAMES and file.frames > seconds_most * file.samplerate:
        refuse(f"it is {file.frames / file.samplerate:.0f} s long, more than {seconds_most:g} s")


def convert(file: Any, seconds_most: float, rate_hz: int) -> float:
    """Writes its samples; how many seconds it was."""
    stream = soxr.ResampleStream(file.samplerate, rate_hz, 1, dtype="float32") if rate_hz != file.samplerate else None
    out = sys.stdout.buffer
    decoded = 0
    while True:
        # Not beyond what is declared: there may lie anything, and it is not sound.
        block = file.read(min(BLOCK_FRAMES, file.frames - decoded), dtype="float32", always_2d=True)
        decoded += len(block)
        if decoded > seconds_most * file.samplerate:
            refuse(f"it is longer than {seconds_most:g} s")
        # A float file may hold anything: NaN, infinity, 1e30.
        mono = np.clip(np.nan_to_num(block, posinf=0.0, neginf=0.0), -4.0, 4.0).mean(axis=1, dtype=np.float32)
        last = not len(block)  # a short block is not the end: MP3 gives some on the way
        out.write((stream.resample_chunk(mono, last=last) if stream else mono).tobytes())
        if last:
            return decoded / float(file.samplerate)


def decode(descriptors: list[int], seconds_most: float, rate_most_hz: int) -> None:
    rate_hz = 0
    for descriptor in descriptors:
        with Onward(descriptor, closefd=False) as file:
            declared(file, seconds_most)
            if not rate_hz:
                rate_hz = min(file.samplerate, rate_most_hz)
                sys.stdout.buffer.write(json.dumps({"rate_hz": rate_hz}).encode() + b"\n")
            seconds_most -= convert(file, seconds_most, rate_hz)
    sys.stdout.buffer.flush()


def main() -> None:
    limits = json.load(sys.stdin)
    # No further file and no socket from here on: there is no network for whoever takes this process over.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    try:
        decode([int(number) for number in sys.argv[1:]], limits["seconds_most"], limits["rate_most_hz"])
    except soundfile.LibsndfileError as error:
        refuse(f"it cannot be read as audio ({error.error_string.strip(' .')})")
    except MemoryError:
        refuse("it needs more memory than a prompt may")


if __name__ == "__main__":
    main()
