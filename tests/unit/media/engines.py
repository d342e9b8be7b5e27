"""Speech engines that do what a test tells them. They are engines like any other: the port is all they have."""

import asyncio
from collections.abc import Callable

from media.speech import Sound, Utterance
from tests.unit.media.sounds import babble, nothing

Turn = Callable[[Utterance], Sound]


def well(utterance: Utterance) -> Sound:
    return babble(0.3 + 0.06 * len(utterance.text))


def fails(error: Exception) -> Turn:
    def turn(utterance: Utterance) -> Sound:
        raise error

    return turn


class Scripted:
    """Each time it is asked the next turn is taken; the last one stays."""

    def __init__(self, name: str, *turns: Turn, languages: tuple[str, ...] = ("en-gb", "en", "fr")) -> None:
        self.name = name
        self.asked: list[Utterance] = []
        self._turns = turns or (well,)
        self._languages = languages

    def speaks(self, language: str) -> bool:
        return language in self._languages

    async def speak(self, utterance: Utterance) -> Sound:
        self.asked.append(utterance)
        await asyncio.sleep(0)
        return self._turns[min(len(self.asked), len(self._turns)) - 1](utterance)


class SilentEngine(Scripted):
    """Sabotage: everything is well, but for the sound."""

    def __init__(self, name: str = "silent") -> None:
        super().__init__(name, lambda utterance: nothing(0.3 + 0.06 * len(utterance.text)))


class HangingEngine(Scripted):
    """Its turns never end."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.reached = asyncio.Event()

    async def speak(self, utterance: Utterance) -> Sound:
        self.asked.append(utterance)
        self.reached.set()
        await asyncio.Event().wait()
        raise AssertionError


class GatedEngine(Scripted):
    """Answers when the gate is opened."""

    def __init__(self, name: str, *turns: Turn) -> None:
        super().__init__(name, *turns)
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    async def speak(self, utterance: Utterance) -> Sound:
        self.reached.set()
        await self.gate.wait()
        return await super().speak(utterance)


class CandidScripted(Scripted):
    def ignored(self, utterance: Utterance) -> tuple[str, ...]:
        return (f"voice {utterance.voice!r} not used",) if utterance.voice else ()
