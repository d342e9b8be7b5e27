import asyncio
import os
import sys
import time
from pathlib import Path

import httpx2
import numpy as np
import pytest

from media.audio import level_dbfs, read_wav
from media.fetch import MediaFetcher
from media.library import PromptLibrary
from media.prompt import Prompt
from media.shelf import IN_USE_S, KEEP_S
from media.speech import EngineDown, SpeechError, first_that_speaks
from tests.unit.media.engines import GatedEngine, HangingEngine, Scripted, SilentEngine, fails, well
from tests.unit.media.sounds import babble, encoded, nothing, tone

HELLO = Prompt(text="hello there")
MB = 1024 * 1024


class Clock:
    """Unix seconds that a test moves; files get their times from it."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def shelves(tmp_path):
    """Makes libraries over one folder, and closes them."""
    made: list[PromptLibrary] = []

    def make(*engines, clock=None, fetcher=None, budget_bytes=100 * MB, **settings) -> PromptLibrary:
        chain = first_that_speaks(engines, 5.0, pause_s=0.0, monotonic=clock or time.monotonic)
        library = PromptLibrary(tmp_path, chain, fetcher, budget_bytes=budget_bytes, now=clock or time.time, **settings)
        made.append(library)
        return library

    yield make
    for library in made:
        await library.aclose()


def web(content: bytes | None = None, seen: list[str] | None = None) -> MediaFetcher:
    """A fetcher whose web has one file."""

    def answer(request):
        if seen is not None:
            seen.append(str(request.url))
        return httpx2.Response(200, content=content) if content is not None else httpx2.Response(404)

    return MediaFetcher(httpx2.AsyncClient(transport=httpx2.MockTransport(answer)), 10 * MB, 5.0)


async def test_a_prompt_becomes_a_file_that_a_line_can_play(shelves):
    audio = await shelves(Scripted("flite")).audio(HELLO)

    sound = read_wav(audio.path)
    assert sound.rate_hz == 8_000
    assert level_dbfs(sound) == pytest.approx(-20.0, abs=1.0)
    assert audio.duration_ms == pytest.approx(sound.seconds * 1000, abs=1)
    assert audio.engine == "flite"
    assert audio.warnings == ()


async def test_wideband_is_made_for_lines_that_have_it(shelves):
    audio = await shelves(Scripted("flite")).audio(Prompt(text="hello there", rate_hz=16_000))

    assert read_wav(audio.path).rate_hz == 16_000


async def test_the_second_time_nothing_is_rendered(shelves):
    engine = Scripted("flite")
    library = shelves(engine)

    first, second = await library.audio(HELLO), await library.audio(HELLO)

    assert first == second
    assert len(engine.asked) == 1


async def test_another_process_finds_what_was_rendered_with_its_warnings(shelves):
    broken = Scripted("gtts", fails(EngineDown("down")))
    audio = await shelves(broken, Scripted("flite")).audio(HELLO)
    silent = Scripted("flite", fails(SpeechError("must not be asked")))

    again = await shelves(broken, silent).audio(HELLO)

    assert again == audio
    assert again.warnings == ("gtts could not speak (down)",)


async def test_a_prompt_that_differs_in_anything_is_another_file(shelves):
    library = shelves(Scripted("flite"))
    prompts = [HELLO, Prompt(text="hello there", speed=0.5), Prompt(text="hello there", voice="slt")]
    prompts += [Prompt(text="hello there", language="en"), Prompt(text="hello  there", rate_hz=16_000)]

    keys = {(await library.audio(prompt)).key for prompt in prompts}

    assert len(keys) == len(prompts)


async def test_fifty_who_ask_at_once_share_one_render(shelves):
    engine = GatedEngine("flite")
    library = shelves(engine)
    tasks = [asyncio.create_task(library.audio(HELLO)) for _ in range(50)]
    await engine.reached.wait()

    engine.gate.set()
    audios = await asyncio.gather(*tasks)

    assert len(engine.asked) == 1
    assert len(set(audios)) == 1


async def test_who_gives_up_does_not_take_the_render_from_the_others(shelves):
    engine = GatedEngine("flite")
    library = shelves(engine)
    impatient, patient = (asyncio.create_task(library.audio(HELLO)) for _ in range(2))
    await engine.reached.wait()

    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    engine.gate.set()

    assert (await patient).engine == "flite"


async def test_a_failed_render_is_tried_anew_by_the_next_who_asks(shelves):
    engine = Scripted("flite", fails(SpeechError("not now")), well)
    library = shelves(engine)

    with pytest.raises(SpeechError):
        await library.audio(HELLO)

    assert (await library.audio(HELLO)).engine == "flite"


async def test_closing_ends_a_render_and_tells_who_waits(shelves):
    engine = HangingEngine("flite")
    library = shelves(engine)
    waiting = asyncio.create_task(library.audio(HELLO))
    await engine.reached.wait()

    await library.aclose()

    with pytest.raises(SpeechError, match="closing"):
        await waiting


# ---- sabotage ----


async def test_silence_of_any_engine_is_no_prompt(shelves, tmp_path):
    with pytest.raises(SpeechError, match="silence"):
        await shelves(SilentEngine()).audio(HELLO)

    assert not list(tmp_path.glob("*.wav"))


async def test_silence_is_refused_even_from_a_chain_that_lets_it_pass(shelves, tmp_path):
    from media.speech import Spoken

    class Careless:
        engines = ()

        def order(self, language, voice):
            return ()

        async def speak_all(self, utterances):
            return tuple(Spoken(nothing(2.0), "careless") for _ in utterances)

    library = PromptLibrary(tmp_path / "other", Careless(), None, budget_bytes=MB)

    with pytest.raises(SpeechError, match="silence"):
        await library.audio(HELLO)

    await library.aclose()


# ---- a fallback never passes for the wanted voice ----


async def test_what_a_fallback_said_serves_for_a_while_and_then_the_wanted_engine_is_asked(shelves):
    clock = Clock()
    wanted, fallback = Scripted("gtts", fails(EngineDown("down")), well), Scripted("flite")
    library = shelves(wanted, fallback, clock=clock)
    assert (await library.audio(HELLO)).engine == "flite"

    clock.now += 200
    assert (await library.audio(HELLO)).engine == "flite"
    assert len(fallback.asked) == 1
    clock.now += 200
    better = await library.audio(HELLO)

    assert better.engine == "gtts"
    assert better.warnings == ()
    assert await library.audio(HELLO) == better


async def test_the_same_words_in_two_voices_are_two_files(shelves):
    library = shelves(Scripted("gtts"), Scripted("flite"))

    one, other = await library.audio(HELLO), await library.audio(Prompt(text="hello there", voice="flite:rms"))

    assert (one.engine, other.engine) == ("gtts", "flite")
    assert one.path != other.path


async def test_without_the_engine_that_made_it_a_file_is_not_used(shelves):
    await shelves(Scripted("gtts")).audio(HELLO)

    audio = await shelves(Scripted("flite")).audio(HELLO)

    assert audio.engine == "flite"


async def test_a_new_level_makes_new_files(shelves):
    await shelves(Scripted("flite")).audio(HELLO)
    engine = Scripted("flite")

    audio = await shelves(engine, level_dbfs=-26.0).audio(HELLO)

    assert len(engine.asked) == 1
    assert level_dbfs(read_wav(audio.path)) == pytest.approx(-26.0, abs=1.0)


# ---- what may be asked ----


async def test_a_text_that_is_too_long_is_refused_before_it_is_spoken(shelves):
    engine = Scripted("flite")

    with pytest.raises(SpeechError, match="1001 characters, more than 1000"):
        await shelves(engine).audio(Prompt(text="a" * 1001))

    assert not engine.asked


async def test_pauses_stand_where_they_were_asked_for(shelves):
    engine = Scripted("flite", lambda utterance: babble(1.0, 8_000))
    text = '<speak>The gate is open.<break time="700ms"/>The water is rising.</speak>'

    audio = await shelves(engine).audio(Prompt(text=text, ssml=True))

    sound = read_wav(audio.path)
    assert sound.seconds == pytest.approx(2.7, abs=0.05)
    assert np.abs(sound.samples[8_100:13_400]).max() < 0.001
    assert len(engine.asked) == 2


async def test_speed_and_voice_reach_the_engine(shelves):
    engine = Scripted("flite")

    await shelves(engine).audio(Prompt(text="hello there", voice="flite:slt", speed=1.5, language="EN-GB"))

    (asked,) = engine.asked
    assert (asked.voice, asked.speed, asked.language) == ("slt", 1.5, "en-gb")


async def test_a_message_longer_than_allowed_is_refused(shelves):
    engine = Scripted("flite", lambda utterance: babble(12.0, 8_000))

    with pytest.raises(SpeechError, match="longer than 10 s"):
        await shelves(engine, media_max_s=10.0).audio(Prompt(text="hello there, this is a message"))


# ---- a caller's file ----

MEDIA = Prompt(media_url="https://files.example/alarm.mp3")


async def test_a_callers_file_is_fetched_and_made_ready_for_a_line(shelves):
    seen: list[str] = []

    audio = await shelves(fetcher=web(encoded(babble(3.0, 44_100), "MP3"), seen)).audio(MEDIA)

    sound = read_wav(audio.path)
    assert (sound.rate_hz, audio.engine) == (8_000, "media")
    assert sound.seconds == pytest.approx(3.0, abs=0.1)
    assert level_dbfs(sound) == pytest.approx(-20.0, abs=1.0)
    assert seen == [MEDIA.media_url]


async def test_the_pauses_in_a_callers_file_are_theirs(shelves):
    samples = np.concatenate([nothing(2.0, 8_000).samples, tone(1.0, 8_000, 440).samples, nothing(2.0, 8_000).samples])
    from media.speech import Sound

    audio = await shelves(fetcher=web(encoded(Sound(samples, 8_000), "WAV"))).audio(MEDIA)

    assert audio.duration_ms == 5_000


async def test_a_campaign_fetches_its_file_once_and_tomorrow_anew(shelves):
    clock, seen = Clock(), []
    library = shelves(fetcher=web(encoded(babble(1.0), "WAV"), seen), clock=clock)

    for _ in range(20):
        await library.audio(MEDIA)
    assert len(seen) == 1
    clock.now += 24 * 3600
    await library.audio(MEDIA)

    assert len(seen) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "answered 404"),
        (encoded(nothing(3.0), "WAV"), "silent"),
        (b"this is no sound" * 100, "cannot be read"),
        (encoded(babble(11.0), "FLAC"), "11 s long, more than 10 s"),
    ],
)
async def test_a_file_that_cannot_be_played_is_said_before_anybody_is_called(shelves, tmp_path, content, words):
    library = shelves(fetcher=web(content), media_max_s=10.0)

    with pytest.raises(SpeechError, match=words):
        await library.audio(MEDIA)

    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("lock", "alive")]


async def test_without_a_fetcher_media_is_refused(shelves):
    with pytest.raises(SpeechError, match="switched off"):
        await shelves(Scripted("flite")).audio(MEDIA)


# ---- the shelf ----


async def test_a_file_is_found_by_its_key_and_no_other_path_is(shelves):
    library = shelves(Scripted("flite"))
    audio = await library.audio(HELLO)

    assert library.path(audio.key) == audio.path
    for key in ["", "nothing", "../../etc/passwd", audio.key + "/../x", audio.key.upper(), "0" * 64 + "-flite", "\x00"]:
        assert library.path(key) is None


async def fill(library: PromptLibrary, count: int, clock: Clock, seconds_apart: float = 1.0) -> list[Path]:
    paths = []
    for index in range(count):
        clock.now += seconds_apart
        paths.append((await library.audio(Prompt(text=f"message number {index} of many"))).path)
    return paths


async def test_over_budget_the_longest_unused_go_first(shelves):
    clock = Clock()
    library = shelves(Scripted("flite", lambda utterance: babble(3.0, 8_000)), clock=clock, budget_bytes=10 * 48_044)
    paths = await fill(library, 8, clock)
    clock.now += IN_USE_S
    await library.audio(Prompt(text="message number 0 of many"))

    later = [await library.audio(Prompt(text=f"later message {index}")) for index in range(3)]

    assert [path.exists() for path in paths] == [True, False, False, True, True, True, True, True]
    assert all(audio.path.exists() for audio in later)


async def test_what_may_be_playing_is_kept_even_over_budget(shelves):
    clock = Clock()
    library = shelves(Scripted("flite", lambda utterance: babble(3.0, 8_000)), clock=clock, budget_bytes=100_000)

    paths = await fill(library, 10, clock)

    assert all(path.exists() for path in paths)


async def test_what_nobody_asked_for_in_a_day_goes(shelves, tmp_path):
    clock = Clock()
    audio = await shelves(Scripted("flite"), clock=clock).audio(HELLO)
    clock.now += KEEP_S + 1

    shelves(Scripted("flite"), clock=clock)

    assert not audio.path.exists()
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("harm", ["cut the sound", "empty the sidecar", "remove the sidecar", "remove the sound"])
async def test_half_a_file_is_rendered_anew(shelves, harm):
    engine = Scripted("flite")
    library = shelves(engine)
    audio = await library.audio(HELLO)
    card = audio.path.with_suffix(".json")
    match harm:
        case "cut the sound":
            audio.path.write_bytes(audio.path.read_bytes()[:1000])
        case "empty the sidecar":
            card.write_bytes(b"")
        case "remove the sidecar":
            card.unlink()
        case "remove the sound":
            audio.path.unlink()

    again = await library.audio(HELLO)

    assert len(engine.asked) == 2
    assert again == audio
    assert read_wav(again.path).seconds > 0.5


async def test_a_disk_that_takes_nothing_is_an_error_in_words(shelves, monkeypatch):
    library = shelves(Scripted("flite"))

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)

    with pytest.raises(SpeechError, match="cannot be stored: No space left on device"):
        await library.audio(HELLO)


RENDER_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from media.library import PromptLibrary
from media.prompt import Prompt
from media.speech import first_that_speaks
from tests.unit.media.engines import Scripted

async def main():
    library = PromptLibrary(Path(sys.argv[1]), first_that_speaks([Scripted("flite")]), None, budget_bytes=10**9)
    (library._shelf.scratch / "fetched-half").write_bytes(b"half a file")
    print("ready", flush=True)
    index = 0
    while True:
        await asyncio.gather(*(library.audio(Prompt(text=f"message {index + i}")) for i in range(4)))
        index += 4
        print(index, flush=True)

asyncio.run(main())
"""


async def test_after_kill_9_at_any_moment_every_file_is_whole_and_the_scratch_is_clean(tmp_path, shelves):
    scratch = tmp_path / ".scratch"
    for batches in (0, 2, 9):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RENDER_FOR_EVER, tmp_path, stdout=asyncio.subprocess.PIPE
        )
        try:
            for _ in range(1 + batches):
                assert await asyncio.wait_for(child.stdout.readline(), 20)
        finally:
            child.kill()
            await child.communicate()
        assert len([path for path in scratch.iterdir() if path.is_dir()]) == 1

        library = shelves(Scripted("flite"))
        for index in range(40):
            assert read_wav((await library.audio(Prompt(text=f"message {index}"))).path).seconds > 0.5
        await library.aclose()

        assert [path.name for path in scratch.iterdir()] == ["lock"]


async def test_the_scratch_of_a_process_that_lives_is_left_alone(shelves):
    first = shelves(Scripted("flite"))
    (first._shelf.scratch / "fetched-half").write_bytes(b"under way")

    shelves(Scripted("flite"))

    assert (first._shelf.scratch / "fetched-half").exists()


async def test_a_hit_costs_little(shelves):
    library = shelves(Scripted("flite"))
    await library.audio(HELLO)

    began = time.process_time()
    for _ in range(500):
        await library.audio(HELLO)

    assert (time.process_time() - began) / 500 < 0.005


async def test_no_descriptor_is_left_open(shelves):
    library = shelves(Scripted("flite"), fetcher=web(encoded(babble(1.0), "WAV")))
    await library.audio(HELLO)
    await library.audio(MEDIA)
    before = len(os.listdir("/proc/self/fd"))

    for index in range(5):
        await library.audio(Prompt(text=f"message {index}"))
        await library.audio(Prompt(media_url=f"https://files.example/{index}.wav"))

    assert len(os.listdir("/proc/self/fd")) <= before
