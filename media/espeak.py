"""A child's whole program: text in, speech out through libespeak-ng.

`python -I -S espeak.py LIBRARY DATA`; stdin: {"voice", "words_per_minute", "text"} as JSON; stdout: a line of JSON,
{"rate_hz": …}, and PCM16; status 3 and words on stderr when it cannot. A child, because the library keeps its state in
globals, cannot be interrupted, and is C that reads what strangers wrote. Only the standard library: 15 ms to start.
"""

import ctypes
import json
import sys
from typing import NoReturn

REFUSED = 3  # exit status

# speak_lib.h of espeak-ng 1.52
_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_PARAMETER_RATE = 1
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)  # noqa: T201 - stderr is how a child speaks
    sys.exit(REFUSED)


def main() -> None:
    library, data = sys.argv[1:3]
    asked = json.load(sys.stdin)
    espeak = ctypes.CDLL(library)
    rate_hz = espeak.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data.encode(), _INITIALIZE_DONT_EXIT)
    if rate_hz <= 0:
        refuse("espeak-ng does not start: its data files are missing or damaged")
    out = sys.stdout.buffer
    out.write(json.dumps({"rate_hz": rate_hz}).encode() + b"\n")

    broken: list[OSError] = []

    def write(samples: int | None, count: int, events: int | None) -> int:
        try:
            if samples and count > 0:
                out.write(ctypes.string_at(samples, count * 2))
        except OSError as error:  # an exception cannot cross C: it would be printed, and the speech cut
            broken.append(error)
        return len(broken)

    callback = _CALLBACK(write)  # must outlive the calls below
    espeak.espeak_SetSynthCallback(callback)
    if espeak.espeak_SetVoiceByName(asked["voice"].encode()):
        refuse(f"espeak-ng has no voice {asked['voice']!r}")
    espeak.espeak_SetParameter(_PARAMETER_RATE, asked["words_per_minute"], 0)
    text = asked["text"].encode() + b"\0"
    if espeak.espeak_Synth(text, len(text), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None):
        refuse("espeak-ng refused the text")
    if broken:
        refuse("the speech is longer than a prompt may be")
    out.flush()


if __name__ == "__main__":
    main()
