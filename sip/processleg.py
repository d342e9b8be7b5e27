"""One call on a line process, as its parent sees it: what is asked of it, and what it tells."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from sip.commands import AfterScript, Answer, Command, Dial, HangUp, Play, Refuse, SendDigits, StopPlaying, Why
from sip.events import Answered, Digit, Ended, LineEvent, Origin, Phase, Played, Ringing, Rung, Trace

EVENTS_MOST = 1000  # of one call; a process gone mad must not fill the parent's memory

_PHASES = {Ringing: Phase.RINGING, Answered: Phase.ANSWERED}


class ProcessLeg:
    """One call on a line process."""

    def __init__(self, send: Callable[[Command], None], dial: Dial) -> None:
        self._send = send
        self.dial = dial
        self._events: asyncio.Queue[LineEvent] = asyncio.Queue()
        self._count = 0
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()  # was it dialled?
        self.phase = Phase.SILENT
        self.digits = ""
        self.played_ms = 0

    @property
    def call_id(self) -> str:
        return self.dial.call_id

    async def events(self) -> AsyncIterator[LineEvent]:
        """Everything after `Dialling`; the last one is `Ended`."""
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, Ended):
                return

    async def play(self, audio: str, then: AfterScript) -> None:
        self._send(Play(self.call_id, absolute(audio), then))

    async def stop_playing(self) -> None:
        self._send(StopPlaying(self.call_id))

    async def send_digits(self, digits: str) -> None:
        self._send(SendDigits(self.call_id, digits))

    async def hang_up(self, why: Why) -> None:
        self._send(HangUp(self.call_id, why))

    def take(self, event: LineEvent) -> None:
        self._note(event)
        if isinstance(event, Ended):
            # The name of the file is ours: a process gone bad must not make us publish another one.
            made = self.dial.record if event.recording else None
            self._events.put_nowait(replace(event, recording=made))
        elif self._count < EVENTS_MOST:
            self._count += 1
            self._events.put_nowait(event)

    def lost(self) -> Ended:
        """What is known of a call whose process died under it."""
        answered = self.phase is Phase.ANSWERED
        return Ended(
            call_id=self.call_id,
            at=time.time(),
            code=200 if answered else 0,
            reason="OK" if answered else "",
            origin=Origin.LOCAL,
            phase=self.phase,
            lost=True,
            played_ms=self.played_ms,
            digits=self.digits,
            error="the line process died",
        )

    def _note(self, event: LineEvent) -> None:
        if isinstance(event, Digit):
            self.digits += event.digit
        elif isinstance(event, Played):
            self.played_ms += event.played_ms
        elif type(event) in _PHASES:
            self.phase = _PHASES[type(event)]
        elif isinstance(event, Trace) and not event.sent and self.phase is Phase.SILENT:
            self.phase = Phase.TRYING


class RungLeg(ProcessLeg):
    """A call that came in. It rings until it is answered or refused, for ten seconds at most."""

    def __init__(self, send: Callable[[Command], None], rung: Rung) -> None:
        super().__init__(send, Dial(rung.call_id, rung.caller, rung.called, ""))
        self.rung = rung
        self.phase = Phase.RINGING

    async def pick_up(self, command: Answer) -> None:
        """The `call_id` of the command is of no account."""
        self._send(replace(command, call_id=self.call_id, audio=absolute(command.audio)))

    async def refuse(self, code: int) -> None:
        self._send(Refuse(self.call_id, code))


class StillbornLeg:
    """A call that ended before any line was needed; nothing was sent."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended

    @property
    def call_id(self) -> str:
        return self._ended.call_id

    async def events(self) -> AsyncIterator[LineEvent]:
        yield self._ended

    async def play(self, audio: str, then: AfterScript) -> None: ...

    async def stop_playing(self) -> None: ...

    async def send_digits(self, digits: str) -> None: ...

    async def hang_up(self, why: Why) -> None: ...


def absolute(path: str) -> str:
    """A line process has another working directory."""
    return os.path.abspath(path) if path else ""
