import asyncio
import logging

import numpy as np
import pytest

from media.speech import EngineDown, Sound, SpeechChain, SpeechError, Unspeakable, Utterance, first_that_speaks
from tests.unit.media.engines import CandidScripted, GatedEngine, HangingEngine, Scripted, SilentEngine, fails, well
from tests.unit.media.sounds import babble, nothing

HELLO = Utterance("hello there")
DOWN = EngineDown("the service answered 404")
PASSING = EngineDown("the service answered 500", again=True)


class Ticks:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def chain(*engines: Scripted, clock: Ticks | None = None, deadline_s: float = 5.0) -> SpeechChain:
    return first_that_speaks(engines, deadline_s, pause_s=0.0, rest_s=30.0, monotonic=clock or Ticks())


async def test_the_first_engine_speaks_and_the_second_is_not_asked():
    first, second = Scripted("gtts"), Scripted("flite")

    spoken = await chain(first, second).speak(HELLO)

    assert (spoken.engine, spoken.warnings) == ("gtts", ())
    assert not second.asked


async def test_an_engine_that_does_not_speak_the_language_is_passed_by_without_a_warning():
    first, second = Scripted("flite", languages=("en-gb",)), Scripted("espeak-ng")

    spoken = await chain(first, second).speak(Utterance("bonjour", "fr"))

    assert (spoken.engine, spoken.warnings) == ("espeak-ng", ())
    assert not first.asked


async def test_a_language_that_nobody_speaks_is_an_error_that_names_the_engines():
    with pytest.raises(SpeechError, match=r"'xx' \(engines: gtts, flite\)"):
        await chain(Scripted("gtts"), Scripted("flite")).speak(Utterance("hello", "xx"))


@pytest.mark.parametrize("text", ["", "   ", "…!?", "\u200b\u202e"])
async def test_a_text_without_a_word_is_an_error_and_nobody_is_asked(text):
    only = Scripted("gtts")

    with pytest.raises(SpeechError, match="nothing to speak"):
        await chain(only).speak(Utterance(text))

    assert not only.asked


async def test_the_next_engine_speaks_and_the_warning_says_why():
    spoken = await chain(Scripted("gtts", fails(DOWN)), Scripted("flite")).speak(HELLO)

    assert spoken.engine == "flite"
    assert spoken.warnings == ("gtts could not speak (the service answered 404)",)


async def test_when_nobody_can_each_engine_and_its_reason_are_named_and_the_text_is_not():
    engines = (
        Scripted("gtts", fails(DOWN)),
        SilentEngine("flite"),
        Scripted("espeak-ng", fails(SpeechError("no voice"))),
    )

    with pytest.raises(SpeechError) as caught:
        await chain(*engines).speak(Utterance("canary words"))

    words = str(caught.value)
    assert "gtts: the service answered 404" in words
    assert "flite: it gave silence" in words
    assert "espeak-ng: no voice" in words
    assert "canary" not in words


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (nothing(2.0), "silence"),
        (nothing(0.0), "no audio"),
        (babble(0.05), "0.1 s of audio|0.0 s of audio"),
        (babble(500.0, 4_000), "500.0 s of audio"),
        (Sound(np.full(32_000, np.nan, np.float32), 16_000), "broken audio"),
        (Sound(np.full(32_000, 0.5, np.float32), 16_000), "silence"),
    ],
    ids=["silence", "nothing", "too short", "too long", "not a number", "an offset"],
)
async def test_sound_that_nobody_could_hear_the_text_in_is_refused_from_any_engine(sound, words):
    saboteur = Scripted("gtts", lambda utterance: sound)

    with pytest.raises(SpeechError, match=words):
        await chain(saboteur).speak(HELLO)

    assert (await chain(saboteur, Scripted("flite")).speak(HELLO)).engine == "flite"


async def test_a_passing_fault_is_tried_three_times():
    flaky = Scripted("gtts", fails(PASSING), fails(PASSING), well)

    spoken = await chain(flaky, Scripted("flite")).speak(HELLO)

    assert (spoken.engine, len(flaky.asked)) == ("gtts", 3)


async def test_after_three_tries_the_next_engine_speaks():
    broken = Scripted("gtts", fails(PASSING))

    spoken = await chain(broken, Scripted("flite")).speak(HELLO)

    assert (spoken.engine, len(broken.asked)) == ("flite", 3)


async def test_a_fault_that_stays_is_tried_once():
    broken = Scripted("gtts", fails(DOWN))

    await chain(broken, Scripted("flite")).speak(HELLO)

    assert len(broken.asked) == 1


async def test_one_engine_has_one_deadline_for_all_its_tries():
    began = asyncio.get_running_loop().time()
    hanging = HangingEngine("gtts")

    spoken = await chain(hanging, Scripted("flite"), deadline_s=0.2).speak(HELLO)

    assert spoken.engine == "flite"
    assert spoken.warnings == ("gtts could not speak (no audio within 0.2 s)",)
    assert asyncio.get_running_loop().time() - began < 2.0


async def test_an_outage_costs_the_deadline_once_and_then_nothing():
    clock, hanging = Ticks(), HangingEngine("gtts")
    both = chain(hanging, Scripted("flite"), clock=clock, deadline_s=0.1)
    await both.speak(HELLO)

    for _ in range(20):
        spoken = await both.speak(HELLO)

    assert len(hanging.asked) == 1
    assert spoken.warnings == ("gtts could not speak (resting after: no audio within 0.1 s)",)


async def test_after_its_rest_an_engine_is_asked_again_and_speaks():
    clock, broken = Ticks(), Scripted("gtts", fails(DOWN), well)
    both = chain(broken, Scripted("flite"), clock=clock)
    await both.speak(HELLO)

    clock.now = 29.9
    assert (await both.speak(HELLO)).engine == "flite"
    clock.now = 30.1
    assert (await both.speak(HELLO)).engine == "gtts"


async def test_each_further_failure_makes_the_rest_longer_up_to_ten_minutes():
    clock, asked_at = Ticks(), []

    def down(utterance: Utterance) -> Sound:
        asked_at.append(clock.now)
        raise DOWN

    both = chain(Scripted("gtts", down), Scripted("flite"), clock=clock)
    while len(asked_at) < 8:
        await both.speak(HELLO)
        clock.now += 10.0

    assert np.diff(asked_at).tolist() == [30, 60, 120, 240, 480, 600, 600]


async def test_an_engine_that_asked_to_be_left_alone_is():
    clock, broken = Ticks(), Scripted("gtts", fails(EngineDown("429", rest_s=300.0)), well)
    both = chain(broken, Scripted("flite"), clock=clock)
    await both.speak(HELLO)

    clock.now = 299.0
    assert (await both.speak(HELLO)).engine == "flite"
    clock.now = 301.0
    assert (await both.speak(HELLO)).engine == "gtts"


async def test_only_one_message_tries_whether_a_resting_engine_works_again():
    clock = Ticks()
    probed = GatedEngine("gtts", fails(DOWN), well)
    both = chain(probed, Scripted("flite"), clock=clock)
    probed.gate.set()
    await both.speak(HELLO)
    probed.gate.clear()
    probed.reached.clear()
    clock.now = 31.0

    probe = asyncio.create_task(both.speak(HELLO))
    await probed.reached.wait()
    others = [await both.speak(HELLO) for _ in range(5)]
    probed.gate.set()

    assert {spoken.engine for spoken in others} == {"flite"}
    assert (await probe).engine == "gtts"
    assert (await both.speak(HELLO)).engine == "gtts"


async def test_a_probe_that_is_cancelled_lets_the_next_one_try():
    clock, probed = Ticks(), GatedEngine("gtts", fails(DOWN), well)
    both = chain(probed, Scripted("flite"), clock=clock)
    probed.gate.set()
    await both.speak(HELLO)
    probed.gate.clear()
    probed.reached.clear()
    clock.now = 31.0

    probe = asyncio.create_task(both.speak(HELLO))
    await probed.reached.wait()
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    probed.gate.set()

    assert (await both.speak(HELLO)).engine == "gtts"


async def test_a_text_that_an_engine_cannot_speak_does_not_put_it_to_rest():
    picky = Scripted("flite", fails(SpeechError("flite reads only Latin letters")), well)
    both = chain(picky, Scripted("espeak-ng"))

    assert (await both.speak(HELLO)).engine == "espeak-ng"
    assert (await both.speak(HELLO)).engine == "flite"


async def test_engines_at_rest_are_asked_when_nobody_else_could_speak():
    only = Scripted("gtts", fails(DOWN), well)
    alone = chain(only)
    with pytest.raises(SpeechError):
        await alone.speak(HELLO)

    assert (await alone.speak(HELLO)).engine == "gtts"


async def test_an_engine_with_a_bug_does_not_silence_the_next(caplog):
    with caplog.at_level(logging.ERROR):
        spoken = await chain(Scripted("gtts", fails(ZeroDivisionError("canary"))), Scripted("flite")).speak(HELLO)

    assert spoken.engine == "flite"
    assert spoken.warnings == ("gtts could not speak (it broke (ZeroDivisionError))",)
    assert "speech engine broke" in caplog.text


async def test_the_pieces_of_one_message_are_spoken_by_one_engine():
    halfway = Scripted("gtts", well, fails(DOWN))
    second = Scripted("flite")

    spoken = await chain(halfway, second).speak_all([Utterance("one two"), Utterance("three four")])

    assert [piece.engine for piece in spoken] == ["flite", "flite"]
    assert [utterance.text for utterance in second.asked] == ["one two", "three four"]


async def test_a_second_try_does_not_repeat_the_pieces_that_are_done():
    flaky = Scripted("gtts", well, fails(PASSING), well)

    await chain(flaky).speak_all([Utterance("one two"), Utterance("three four")])

    assert [utterance.text for utterance in flaky.asked] == ["one two", "three four", "three four"]


# ---- voices ----


@pytest.mark.parametrize(
    ("voice", "engine", "inner", "warning"),
    [
        (None, "gtts", None, None),
        ("flite", "flite", None, None),
        ("flite:rms", "flite", "rms", None),
        ("gtts", "gtts", None, None),
        ("rms", "gtts", "rms", "voice 'rms' not used"),
        ("piper:amy", "gtts", None, "voice 'piper:amy' not used: spoken by gtts"),
    ],
)
async def test_a_voice_that_names_an_engine_is_asked_of_that_engine_first(voice, engine, inner, warning):
    first, second = CandidScripted("gtts"), Scripted("flite")

    spoken = await chain(first, second).speak(Utterance("hello there", voice=voice))

    assert spoken.engine == engine
    assert (first if engine == "gtts" else second).asked[0].voice == inner
    assert spoken.warnings == ((warning,) if warning else ())


async def test_a_voice_of_an_engine_that_fails_is_not_asked_of_another():
    first, second = Scripted("gtts"), Scripted("flite", fails(DOWN))

    spoken = await chain(first, second).speak(Utterance("hello there", voice="flite:rms"))

    assert first.asked[0].voice is None
    assert spoken.warnings == (
        "flite could not speak (the service answered 404)",
        "voice 'flite:rms' not used: spoken by gtts",
    )


def test_the_order_of_asking_is_known_beforehand():
    both = chain(Scripted("gtts"), Scripted("flite", languages=("en-gb",)))

    assert [engine.name for engine in both.order("en-gb", "flite:rms")] == ["flite", "gtts"]
    assert [engine.name for engine in both.order("fr", "flite:rms")] == ["gtts"]


@pytest.mark.parametrize(
    ("first", "second", "is_texts"),
    [
        (SpeechError("it gave silence"), DOWN, False),
        (DOWN, DOWN, False),
        (RuntimeError("its library is broken"), SpeechError("it ended with signal 11"), False),
        (DOWN, Unspeakable("flite reads only Latin letters"), True),
    ],
)
async def test_only_an_engine_that_names_the_text_blames_the_text(first, second, is_texts):
    engines = Scripted("one", fails(first)), Scripted("two", fails(second))

    with pytest.raises(SpeechError) as caught:
        await chain(*engines).speak(HELLO)

    assert caught.value.of_request is is_texts
