"""PromptLibrary: the WAV for a prompt, rendered once and kept.

A file is named by what was asked and by who spoke it, so what a fallback engine said never passes for what the wanted
engine would have said: it serves for a few minutes, then the wanted one is asked again.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from media.audio import AudioError, Limits, decode_file, finish, join, silence, trim
from media.fetch import MediaError, MediaFetcher
from media.prompt import Prompt
from media.shelf import Audio, Shelf
from media.speech import Sound, SpeechChain, SpeechError, Spoken, Unspeakable, Utterance, has_words, refuse_unheard
from media.ssml import Piece, Say, parse

__all__ = ["Audio", "PromptLibrary"]

FALLBACK_LIFE_S = 300.0  # as long as the wanted engine may rest without anybody noticing
MEDIA_LIFE_S = 600.0  # an address may hold another file tomorrow; one campaign must not fetch it a thousand times
RENDERS_AT_ONCE = 4  # of one process; each is a child process or a conversation with a service
SPEED = (0.5, 2.0)

_MEDIA = "media"  # stands for the engine of audio that was not spoken


class PromptLibrary:
    def __init__(
        self,
        root: Path,
        chain: SpeechChain,
        fetcher: MediaFetcher | None,
        *,
        budget_bytes: int,
        level_dbfs: float = -20.0,
        text_max: int = 1000,
        media_max_s: float = 600.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`fetcher` None: media_url is refused. `now`: Unix seconds, for the age of files."""
        self._chain = chain
        self._fetcher = fetcher
        self._level_dbfs = level_dbfs
        self._text_max = text_max
        self._media_max_s = media_max_s
        self._now = now
        self._shelf = Shelf(root, budget_bytes, f"{level_dbfs:g} dBFS", now)
        self._turns = asyncio.Semaphore(RENDERS_AT_ONCE)
        self._renders: dict[str, asyncio.Task[Audio]] = {}

    async def audio(self, prompt: Prompt) -> Audio:
        """Its audio on disk, usable for at least 15 minutes. Raises SpeechError.

        Equal prompts that are asked at the same time share one render, which goes on when one who waits gives up.
        """
        found = self.kept(prompt)
        if found is not None:
            return found
        render = self._renders.get(prompt.key)
        if render is None:
            render = asyncio.create_task(self._render(prompt), name=f"render {prompt.key[:8]}")
            self._renders[prompt.key] = render
            render.add_done_callback(lambda done: self._rendered(prompt.key, done))
        try:
            return await asyncio.shield(render)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if render.cancelled() and (task is None or not task.cancelling()):
                raise SpeechError("the prompt library is closing") from None
            raise

    def path(self, key: str) -> Path | None:
        """The file of an `Audio.key`, when it still lies there."""
        found = self._shelf.find(key)
        return found.path if found else None

    def sweep(self) -> None:
        """Removes what nobody asked for in a day. Blocks: for a thread."""
        self._shelf.sweep()

    async def aclose(self) -> None:
        renders = list(self._renders.values())
        for render in renders:
            render.cancel()
        await asyncio.gather(*renders, return_exceptions=True)
        self._shelf.close()

    def _rendered(self, key: str, done: asyncio.Task[Audio]) -> None:
        del self._renders[key]
        if not done.cancelled():
            done.exception()  # looked at: everybody who waited may have gone

    def kept(self, prompt: Prompt) -> Audio | None:
        """What `audio` would give without rendering anything, or None."""
        if prompt.text is None:
            return self._shelf.find(f"{prompt.key}-{_MEDIA}", self._now() - MEDIA_LIFE_S)
        order = self._chain.order(prompt.language.casefold(), prompt.voice)
        ages = [0.0, *[self._now() - FALLBACK_LIFE_S] * len(order)]
        kept = (self._shelf.find(f"{prompt.key}-{engine.name}", age) for engine, age in zip(order, ages, strict=False))
        return next((audio for audio in kept if audio is not None), None)

    async def _render(self, prompt: Prompt) -> Audio:
        async with self._turns:
            try:
                if prompt.text is None:
                    return await self._fetched(prompt, prompt.media_url or "")
                return await self._spoken(prompt, prompt.text)
            except OSError as error:
                raise SpeechError(f"the audio cannot be stored: {error.strerror}") from error

    # ---- text ----

    async def _spoken(self, prompt: Prompt, text: str) -> Audio:
        if len(text) > self._text_max:
            raise Unspeakable(f"the text has {len(text)} characters, more than {self._text_max}")
        pieces = [piece for piece in parse(text, prompt.ssml, prompt.language.casefold()) if _counts(piece)]
        says = [piece for piece in pieces if isinstance(piece, Say)]
        spoken = await self._chain.speak_all([_utterance(prompt, say) for say in says])
        return await asyncio.to_thread(self._assembled, prompt, pieces, spoken)

    def _assembled(self, prompt: Prompt, pieces: Sequence[Piece], spoken: Sequence[Spoken]) -> Audio:
        sounds: list[Sound] = []
        left = list(spoken)
        for piece in pieces:
            if isinstance(piece, Say):
                # The chain has looked too; whatever chain this is, no silence leaves here.
                sounds.append(trim(refuse_unheard(piece.text, left.pop(0).sound)))
            else:
                sounds.append(silence(min(piece.ms / 1000, self._media_max_s), prompt.rate_hz))
        if sum(sound.seconds for sound in sounds) > self._media_max_s:
            raise Unspeakable(f"the message is longer than {self._media_max_s:g} s")
        try:
            sound = finish(join(sounds), prompt.rate_hz, self._level_dbfs)
        except AudioError as error:  # of what our own engines made: not the fault of the one who asked
            raise SpeechError(str(error)) from error
        first = spoken[0]
        return self._shelf.put(f"{prompt.key}-{first.engine}", sound, first.engine, first.warnings)

    # ---- a caller's file ----

    async def _fetched(self, prompt: Prompt, url: str) -> Audio:
        if self._fetcher is None:
            raise MediaError("media_url is switched off here")
        limits = Limits(seconds_most=self._media_max_s, rate_most_hz=prompt.rate_hz)
        path = await self._fetcher.fetch(url, self._shelf.scratch)
        try:
            sound = await decode_file(path, limits)
        finally:
            path.unlink(missing_ok=True)
        return await asyncio.to_thread(self._levelled, prompt, sound)

    def _levelled(self, prompt: Prompt, sound: Sound) -> Audio:
        """Not trimmed: a pause in somebody's recording is theirs."""
        finished = finish(sound, prompt.rate_hz, self._level_dbfs)
        return self._shelf.put(f"{prompt.key}-{_MEDIA}", finished, _MEDIA, ())


def _counts(piece: Piece) -> bool:
    return has_words(piece.text) if isinstance(piece, Say) else piece.ms > 0


def _utterance(prompt: Prompt, say: Say) -> Utterance:
    speed = min(max(prompt.speed * say.rate, SPEED[0]), SPEED[1])
    return Utterance(say.text, prompt.language.casefold(), prompt.voice, speed)
