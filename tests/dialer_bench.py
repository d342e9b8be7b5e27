"""A dialer at work in a test: a store, simulated lines, prompts that are there, and ways to watch calls end."""

import asyncio
import contextlib
import wave
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from media.prompt import Prompt
from media.speech import SpeechError
from messaging.clock import Clock, SystemClock
from messaging.errors import Unavailable
from messaging.numbers import NumberError
from sip.commands import Dial
from sip.line import Line, NoFreeLine
from sip.simulated import SimulatedLeg, SimulatedLine
from sip.trunk import Trunk, TrunkUri
from tests.until import until
from tests.voice_values import an_intake
from voice.calls import Call
from voice.desk import Desk
from voice.dialer import Dialer
from voice.journal import Journal
from voice.routing import TrunkState
from voice.store import CallStore, Intake

SANDBOX = Trunk("sandbox", "Sandbox", (TrunkUri("127.0.0.1", 5070),), sandbox=True, channels=50, cps=200.0)
UNSPEAKABLE = "unspeakable"


@dataclass(frozen=True)
class Wav:
    path: Path
    duration_ms: int = 400
    warnings: tuple[str, ...] = ()


class Spied(SimulatedLine):
    """Simulated lines that remember what they were asked, and may refuse the first dials as if all were taken."""

    def __init__(self, *, most: int = 20, speed: float = 20.0, refuse: int = 0) -> None:
        super().__init__(most=most, speed=speed)
        self.dials: list[Dial] = []
        self.at: list[float] = []
        self.refuse = refuse

    async def dial(self, command: Dial) -> SimulatedLeg:
        if self.refuse:
            self.refuse -= 1
            raise NoFreeLine("taken, for a test")
        self.dials.append(command)
        self.at.append(asyncio.get_running_loop().time())
        return await super().dial(command)


class Faulty:
    """A store in front of a store: it can be away, and it can carry a write out and then lose the answer."""

    WRITES = frozenset({"accept", "apply", "lease", "extend", "release", "intend", "overdue", "save_trace"})

    def __init__(self, store: CallStore) -> None:
        self._store = store
        self.away = False
        self.deaf: frozenset[str] = frozenset()  # these are answered without being asked
        self.lose: Callable[[str], bool | None] = lambda _: False
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name in ("follow", "seats", "scores"):
            return real

        async def asked(*args: Any) -> Any:
            if self.away:
                raise Unavailable
            if name in self.deaf:
                return ()
            answer = await real(*args)
            if name in self.WRITES and self.lose(name):
                self.lost += 1
                raise Unavailable
            return answer

        return asked


class Prompts:
    """Every prompt is 400 ms of WAV, but one. `gate` holds the rendering back while it is not set."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "prompt.wav"
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0
        self.warnings: tuple[str, ...] = ()
        with wave.open(str(self.path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(b"\1\1" * 3200)

    async def audio(self, prompt: Prompt) -> Wav:
        self.asked += 1
        await self.gate.wait()
        if prompt.text == UNSPEAKABLE:
            raise SpeechError("no engine speaks that")
        return Wav(self.path, warnings=self.warnings)


class Bench:
    """One dialer with its journal; `run()` for the time of a test."""

    def __init__(
        self,
        store: CallStore | Faulty,
        directory: Path,
        lines: dict[str, tuple[Trunk, Line]],
        clock: Clock | None = None,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.store = cast(CallStore, store)
        self.prompts = Prompts(directory)
        self.clock = clock or SystemClock()
        self.journal = Journal(directory / "journal", self.clock)
        self.suspended: set[str] = set()  # key ids
        self.refused: dict[str, NumberError] = {}  # number -> why it is not called
        self.desk = Desk(
            self.store, self.prompts, self.journal, self.clock,
            heard_pct=80, recordings=directory / "rec", refusal=self._refusal,
            is_suspended=lambda _, key_id: key_id in self.suspended,
        )  # fmt: skip
        self.lines = lines
        self.idle: tuple[TrunkState, ...] = ()

    async def _refusal(self, _: str, number: str) -> NumberError | None:
        return self.refused.get(number)

    def dialer(self, *, lease_s: float = 15.0, drain_s: float = 10.0) -> Dialer:
        return Dialer(self.desk, self.lines, idle=self.idle, holder="bench", lease_s=lease_s, drain_s=drain_s)

    @contextlib.asynccontextmanager
    async def run(self, **settings: float) -> AsyncIterator[Dialer]:
        dialer = self.dialer(**settings)
        task = asyncio.create_task(dialer.run(), name="dialer")
        try:
            yield dialer
        finally:
            dialer.stop()
            await asyncio.wait_for(task, 40.0)
            self.journal.close()

    async def call(self, to: str = "12025550100", **changes: Any) -> Intake:
        """One accepted call to that number."""
        return await self.calls([to], **changes)

    async def calls(self, to: list[str], **changes: Any) -> Intake:
        intake = an_intake(len(to), **changes)
        calls = tuple(replace(call, to_number=number) for call, number in zip(intake.calls, to, strict=True))
        intake = replace(intake, calls=calls)
        await self.store.accept(intake)
        return intake

    async def final(self, intake: Intake, index: int = 0) -> Call:
        """The call when it is final, by following its events as the API does."""
        return await self.final_call(intake.calls[index].call_id)

    async def final_call(self, call_id: str) -> Call:
        async with asyncio.timeout(30.0):
            async for _ in self.store.follow(call_id, 0):
                pass
        call = await self.store.call(None, call_id)
        assert call is not None
        assert call.status.is_final
        return call

    async def until_rendering(self) -> None:
        """Somebody waits for audio."""
        await until(lambda: self.prompts.asked > 0)

    async def reaches(self, intake: Intake, event_type: str) -> None:
        async with asyncio.timeout(20.0):
            async for event in self.store.follow(intake.calls[0].call_id, 0):
                if event.type == event_type:
                    return
        raise AssertionError(f"the call ended without {event_type}")
