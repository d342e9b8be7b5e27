"""Which of a few sentences did the phone hear? Speech recognition with a closed grammar, for tests.

pocketsphinx is asked to choose between the sentence that was sent and decoys that differ in one word; free dictation
is useless behind G.711, the choice is reliable for English voices made of recorded speech (flite, gTTS). espeak-ng is
formant synthesis: the recogniser has never heard it, so do not judge espeak-ng by it.
"""

import importlib.util
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import soxr

from media.speech import Sound

MISSING = (
    "NOT HEARD BY A RECOGNISER: pocketsphinx is not installed (it has no wheel for Python 3.12 and is left out of the "
    "development dependencies there); run the suite on Python 3.11 to check spoken words"
)
_RATE_HZ = 16000  # what its English model was trained on
_LEAD_S = 0.3  # its noise estimate wants some silence around the words


def available() -> bool:
    return importlib.util.find_spec("pocketsphinx") is not None


def recognise(recorded: Sound, sentence: str, decoys: Sequence[str]) -> str:
    """The one of `sentence` and `decoys` that `recorded` sounds most like, as it was given; "" for none of them.

    Raises ValueError when a word is not in the dictionary of the recogniser (spell numbers out first).
    """
    given = {_words(candidate): candidate for candidate in (sentence, *decoys)}
    decoder = _decoder()
    unknown = sorted({word for words in given for word in words.split() if decoder.lookup_word(word) is None})
    if unknown:
        raise ValueError(f"not in the dictionary: {', '.join(unknown)}")
    choices = " | ".join(given)
    decoder.add_jsgf_string("choice", f"#JSGF V1.0; grammar choice; public <heard> = {choices} ;")
    decoder.activate_search("choice")
    decoder.start_utt()
    decoder.process_raw(_pcm(recorded), no_search=False, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return given.get(hypothesis.hypstr, "") if hypothesis is not None else ""


@lru_cache(maxsize=1)
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(lm=None, samprate=_RATE_HZ, loglevel="FATAL")


def _words(sentence: str) -> str:
    return " ".join(
        re.findall(r"[a-z']+", sentence.lower().replace("-", " ").replace("a.m.", "a m").replace("p.m.", "p m"))
    )


def _pcm(sound: Sound) -> bytes:
    samples = np.asarray(soxr.resample(sound.samples, sound.rate_hz, _RATE_HZ), dtype=np.float32)
    silence = np.random.default_rng(0).normal(0, 1e-4, round(_LEAD_S * _RATE_HZ)).astype(np.float32)
    peak = max(1e-6, float(np.abs(samples).max(initial=0.0)))
    whole = np.concatenate([silence, samples * (0.5 / peak), silence])
    return bytes((whole * 32767).astype("<i2").tobytes())
