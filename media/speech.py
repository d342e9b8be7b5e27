"""The SpeechEngine port, its errors, and the chain that asks one engine after the other.

Engines render; they do not cache, level or trim (`media.library`, `media.audio` do). Every engine and ToneEngine, the
twin, pass `tests/contract/test_speech.py`: audio of plausible length or SpeechError; never silence; bounded time.
"""

import asyncio
import logging
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from media.loudness import SILENT_DBFS, loudest_dbfs

log = logging.getLogger(__name__)


class SpeechError(Exception):
    """No audio could be made. The text says why, in words an operator understands; it never contains the message.

    `of_request`: what was asked is at fault, so the one who asked can mend it and nobody else.
    """

    of_request = False


class Unspeakable(SpeechError):
    """The text's fault: trying again, or another engine, will not help."""

    of_request = True


class EngineDown(SpeechError):
    """The engine is to blame, not the text, so it will rest.

    `again`: another try at once may help. `rest_s`: how long it asked to be left alone.
    """

    def __init__(self, words: str, *, again: bool = False, rest_s: float | None = None) -> None:
        super().__init__(words)
        self.again = again
        self.rest_s = rest_s


@dataclass(frozen=True, slots=True)
class Utterance:
    """One piece of plain text for an engine: already normalised to words, no markup."""

    text: str
    language: str = "en-gb"  # BCP 47, lower case
    voice: str | None = None
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono audio: float32 samples in -1..1."""

    samples: NDArray[np.float32]
    rate_hz: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz


class SpeechEngine(Protocol):
    @property
    def name(self) -> str:
        """Short and stable: "gtts", "flite", "espeak-ng", "tones"."""
        ...

    def speaks(self, language: str) -> bool: ...

    async def speak(self, utterance: Utterance) -> Sound:
        """Raises SpeechError. Never returns silence or implausibly short audio."""
        ...


@runtime_checkable
class CandidEngine(Protocol):
    """An engine may also say beforehand what it will not honour; one that honours everything need not."""

    def ignored(self, utterance: Utterance) -> tuple[str, ...]:
        """Warnings, one sentence each."""
        ...


@dataclass(frozen=True, slots=True)
class Spoken:
    sound: Sound
    engine: str
    warnings: tuple[str, ...] = ()


class SpeechChain(Protocol):
    """What `first_that_speaks(engines)` returns."""

    @property
    def engines(self) -> Sequence[SpeechEngine]: ...

    def order(self, language: str, voice: str | None) -> tuple[SpeechEngine, ...]:
        """Who is asked, in turn: those that speak the language, the one that the voice names first."""
        ...

    async def speak(self, utterance: Utterance) -> Spoken: ...

    async def speak_all(self, utterances: Sequence[Utterance]) -> tuple[Spoken, ...]:
        """The pieces of one message, all by the same engine within one deadline. Raises SpeechError."""
        ...


# ---- what an engine's answer must be ----

# Characters per second: people read about 15, the fastest engine at double speed 40. Doubled, then halved again for
# scripts that write a syllable or a word in one character.
_SECONDS_PER_CHARACTER_LEAST = 0.012
_SECONDS_PER_CHARACTER_MOST = 1.2
_SECONDS_LEAST = 0.1
_SECONDS_SPARE = 3.0  # pauses around a very short text


def has_words(text: str) -> bool:
    """Is there a letter or digit, so that anything can be spoken?"""
    return any(character.isalnum() for character in text)


def speakable(text: str) -> str:
    """Without control, format, surrogate and private characters: they cannot be spoken, and upset C code.

    Raises SpeechError when nothing is left.
    """
    kept = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    if not has_words(kept):
        raise Unspeakable("there is nothing to speak: no letter and no digit")
    return kept


def plausible(text: str, sound: Sound) -> bool:
    """Can `sound` be `text`, by its length? Wide on purpose: it finds the empty, the cut and the runaway render."""
    characters = sum(character.isalnum() for character in text)
    least = max(_SECONDS_LEAST, characters * _SECONDS_PER_CHARACTER_LEAST)
    return least <= sound.seconds <= characters * _SECONDS_PER_CHARACTER_MOST + _SECONDS_SPARE


def is_silent(sound: Sound) -> bool:
    return loudest_dbfs(sound.samples, sound.rate_hz) < SILENT_DBFS


def refuse_unheard(text: str, sound: Sound) -> Sound:
    """`sound` as it is; SpeechError when nobody could hear `text` in it."""
    if not len(sound.samples):
        raise SpeechError("it gave no audio")
    if not np.isfinite(sound.samples).all():
        raise SpeechError("it gave broken audio")
    if is_silent(sound):
        raise SpeechError("it gave silence")
    if not plausible(text, sound):
        raise SpeechError(f"it gave {sound.seconds:.1f} s of audio for {len(text)} characters")
    return sound


# ---- the chain ----


def first_that_speaks(
    engines: Sequence[SpeechEngine],
    deadline_s: float = 10.0,
    *,
    tries: int = 3,
    pause_s: float = 0.25,
    rest_s: float = 30.0,
    monotonic: Callable[[], float] = time.monotonic,
) -> SpeechChain:
    """Asks each engine that speaks the language, in order, until one gives audio.

    One engine has `deadline_s` for the whole message, and in it `tries` when it says that another may help. An engine
    that is down rests (`rest_s`, doubled each time, ten minutes at most); then one message tries it while the others
    pass it by. Engines at rest are still asked when nobody else could speak: a rest saves time, it never costs a call.
    """
    return _Chain(tuple(engines), deadline_s, tries, pause_s, rest_s, monotonic)


class _Rest:
    """When one engine may be asked: a breaker with one probe at a time."""

    MOST_S = 600.0

    def __init__(self, first_s: float) -> None:
        self.first_s = first_s
        self.why = ""
        self._failures = 0
        self._until: float | None = None
        self._probing = False

    def admits(self, now: float) -> bool:
        return self._until is None or (now >= self._until and not self._probing)

    def begin(self) -> None:
        self._probing = self._until is not None

    def end(self) -> None:
        self._probing = False

    def works(self) -> None:
        self._failures, self._until = 0, None

    def down(self, now: float, error: EngineDown) -> None:
        wanted = error.rest_s if error.rest_s is not None else self.first_s * 2.0 ** min(self._failures, 10)
        self._failures += 1
        self._until = now + min(wanted, self.MOST_S)
        self.why = str(error)


class _Chain:
    def __init__(
        self,
        engines: tuple[SpeechEngine, ...],
        deadline_s: float,
        tries: int,
        pause_s: float,
        rest_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._engines = engines
        self._deadline_s = deadline_s
        self._tries = tries
        self._pause_s = pause_s
        self._monotonic = monotonic
        self._rests = {engine.name: _Rest(rest_s) for engine in engines}

    @property
    def engines(self) -> Sequence[SpeechEngine]:
        return self._engines

    def order(self, language: str, voice: str | None) -> tuple[SpeechEngine, ...]:
        named, _ = self._named(voice)
        able = [engine for engine in self._engines if engine.speaks(language)]
        return tuple(sorted(able, key=lambda engine: engine.name != named))

    async def speak(self, utterance: Utterance) -> Spoken:
        (spoken,) = await self.speak_all([utterance])
        return spoken

    async def speak_all(self, utterances: Sequence[Utterance]) -> tuple[Spoken, ...]:
        if not utterances or not any(has_words(utterance.text) for utterance in utterances):
            raise Unspeakable("there is nothing to speak: no letter and no digit")
        language, voice = utterances[0].language, utterances[0].voice
        order = self.order(language, voice)
        if not order:
            here = ", ".join(engine.name for engine in self._engines) or "none"
            raise Unspeakable(f"no speech engine here speaks {language!r} (engines: {here})")
        reasons: dict[str, str] = {}
        blamed_text = False
        for engine in [*self._awake(order, reasons), *(e for e in order if e.name in reasons)]:
            try:
                sounds = await self._ask(engine, utterances)
            except SpeechError as error:
                reasons[engine.name] = str(error)
                blamed_text |= isinstance(error, Unspeakable)
            else:
                warnings = self._warnings(engine, order, utterances, reasons)
                return tuple(Spoken(sound, engine.name, warnings) for sound in sounds)
        kind = Unspeakable if blamed_text else SpeechError
        raise kind("no engine could speak: " + "; ".join(f"{name}: {why}" for name, why in reasons.items()))

    def _awake(self, order: Sequence[SpeechEngine], reasons: dict[str, str]) -> list[SpeechEngine]:
        """Those that may be asked now; why the others rest goes into `reasons`."""
        now = self._monotonic()
        awake = []
        for engine in order:
            rest = self._rests[engine.name]
            if rest.admits(now):
                awake.append(engine)
            else:
                reasons[engine.name] = f"resting after: {rest.why}"
        return awake

    async def _ask(self, engine: SpeechEngine, utterances: Sequence[Utterance]) -> list[Sound]:
        rest = self._rests[engine.name]
        rest.begin()
        try:
            async with asyncio.timeout(self._deadline_s):
                sounds = await self._try(engine, utterances)
            rest.works()
            return sounds
        except TimeoutError:
            error = EngineDown(f"no audio within {self._deadline_s:g} s")
            rest.down(self._monotonic(), error)
            raise error from None
        except EngineDown as error:
            rest.down(self._monotonic(), error)
            raise
        finally:
            rest.end()

    async def _try(self, engine: SpeechEngine, utterances: Sequence[Utterance]) -> list[Sound]:
        sounds: list[Sound] = []
        failures = 0
        while True:
            try:
                for utterance in utterances[len(sounds) :]:
                    sounds.append(await self._render(engine, utterance))
                return sounds
            except EngineDown as error:
                failures += 1
                if not error.again or failures >= self._tries:
                    raise
            await asyncio.sleep(self._pause_s * 2**failures)

    async def _render(self, engine: SpeechEngine, utterance: Utterance) -> Sound:
        if not has_words(utterance.text):
            return Sound(np.zeros(0, np.float32), 8000)  # a lone full stop between two pieces of markup
        _, voice = self._for(engine, utterance.voice)
        try:
            sound = await engine.speak(replace(utterance, voice=voice))
        except (SpeechError, TimeoutError):
            raise
        except Exception as error:
            log.exception("speech engine broke", extra={"engine": engine.name})
            raise EngineDown(f"it broke ({type(error).__name__})") from error
        return refuse_unheard(utterance.text, sound)

    # ---- voices: "rms", "flite:rms" or "flite" ----

    def _named(self, voice: str | None) -> tuple[str | None, str | None]:
        """The engine a voice names, if it is one of ours, and the voice in it."""
        engine, colon, inner = (voice or "").partition(":")
        if engine in self._rests:
            return engine, inner or None
        return None, inner if colon else voice

    def _for(self, engine: SpeechEngine, voice: str | None) -> tuple[bool, str | None]:
        """Is `voice` meant for `engine`, and what it is called there."""
        named, inner = self._named(voice)
        if voice is not None and (":" in voice or named is not None) and named != engine.name:
            return False, None
        return True, inner

    def _warnings(
        self,
        engine: SpeechEngine,
        order: Sequence[SpeechEngine],
        utterances: Sequence[Utterance],
        reasons: dict[str, str],
    ) -> tuple[str, ...]:
        voice = utterances[0].voice
        meant, inner = self._for(engine, voice)
        before = order[: order.index(engine)]
        found = [f"{other.name} could not speak ({reasons[other.name]})" for other in before if other.name in reasons]
        if not meant:
            found.append(f"voice {voice!r} not used: spoken by {engine.name}")
        if isinstance(engine, CandidEngine):
            for utterance in utterances:
                found += engine.ignored(replace(utterance, voice=inner if meant else None))
        return tuple(dict.fromkeys(found))
