"""The judge of spoken words is itself judged: voices behind G.711, one word of difference."""

import pytest

from tests import recognise
from tests.unit.media_words.line import Line, sound, voiced

pytestmark = [pytest.mark.peer, pytest.mark.skipif(not recognise.available(), reason=recognise.MISSING)]

PAIRS = (
    ("Your code is four eight two one", "Your code is four eight two nine"),
    ("Your code is seven two five", "Your code is nine two five"),
    ("The meeting is on Monday", "The meeting is on Friday"),
    ("The server in Frankfurt is down", "The server in Paris is down"),
    ("Press one to confirm your appointment", "Press nine to confirm your appointment"),
)


@pytest.mark.parametrize("voice", ["flite rms", "flite slt", "flite awb", "flite kal16"])
def test_the_recogniser_tells_sentences_apart_that_differ_in_one_word(voice: str) -> None:
    for sentence, decoy in PAIRS:
        for said, other in ((sentence, decoy), (decoy, sentence)):
            heard = Line().carry(voiced(voice, said))

            assert recognise.recognise(heard, said, [other]) == said
            assert recognise.recognise(heard, other, [said]) == said


def test_silence_is_no_sentence() -> None:
    assert recognise.recognise(sound([0.0] * 16000), PAIRS[0][0], [PAIRS[0][1]]) == ""


def test_words_that_the_recogniser_does_not_know_are_named() -> None:
    with pytest.raises(ValueError, match="tocsinify"):
        recognise.recognise(sound([0.0] * 16000), "Please tocsinify", [])
