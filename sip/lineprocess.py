"""One line process as its parent sees it: a pipe, the calls on it, and what is done when the pipe closes."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from sip.commands import Command, Dial, HangUp, Ping, Stop, Why
from sip.events import (
    Answered,
    Dialling,
    Digit,
    Ended,
    LineEvent,
    Phase,
    Played,
    Pong,
    Ready,
    Refused,
    RegistrationState,
    Ringing,
    Rung,
    Speaking,
    Trace,
    TurnedAway,
)
from sip.events import NoFreeLine as NoFreeLineEvent
from sip.legs import SILENT_SLOT_S
from sip.line import LineError, LinesDown
from sip.ports import PortBlock
from sip.prefork import Prefork, PreforkError
from sip.processleg import ProcessLeg, RungLeg, absolute
from sip.setup import LineSetup
from sip.wire import FrameReader, Value, WireError, encode

log = structlog.get_logger(__name__)

SILENT_BEATS = 4  # pings in a row without an answer: at 2.5 s each, ten seconds
GRACE_S = 1.0  # between ABRT, which prints a trace, and KILL
FULL_FOR_S = 1.0  # a process that said "no free line" is not asked again at once

Notice = Ready | RegistrationState | Trace  # what a process says that is about no call of it


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What an operator may see of one line process."""

    ready: Ready
    busy: int
    served: int


class LineProcess:
    """A child and its calls. `changed` is called when a call of it has ended and, once, when its pipe has closed.

    `told` hears what is about no call: that it is ready, and of its registration. `answer`: of each call that comes in.
    """

    def __init__(
        self,
        setup: LineSetup,
        ports: PortBlock,
        changed: Callable[["LineProcess"], None],
        told: Callable[["LineProcess", "Notice"], None],
        answer: Callable[[RungLeg], None] | None = None,
    ) -> None:
        self.setup = setup
        self._ports = ports
        self._changed, self._told, self._answer = changed, told, answer
        self._writer: asyncio.StreamWriter | None = None
        self._prefork: Prefork | None = None
        self._closed = asyncio.Event()
        self._started: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._silent_until: list[float] = []
        self.legs: dict[str, ProcessLeg] = {}
        self.pid = 0
        self.ready: Ready | None = None
        self.refused: str | None = None
        self.unborn: str | None = None  # it was never forked, and why
        self.leaving = False
        self.served = 0
        self.unanswered = 0
        self.idle_since = asyncio.get_running_loop().time()
        self.full_until = 0.0

    # -- its life

    async def live(self, prefork: Prefork) -> None:
        """From fork to death, as one task. Never raises but CancelledError."""
        try:
            self._prefork = prefork
            self.pid, pipe = await prefork.fork()
            reader, self._writer = await asyncio.open_unix_connection(sock=pipe)
            self.send(self.setup)
            await self._read(reader)
        except PreforkError as error:
            self.unborn = str(error)
        except OSError:
            pass  # it died with something of ours unread: the same as an end of file
        except WireError as error:
            log.warning("line process talks nonsense", pid=self.pid, error=str(error))
            self.kill(signal.SIGKILL)
        finally:
            self._settle()

    async def started(self) -> Ready:
        """Raises LinesDown with the reason that the process gave."""
        return await asyncio.shield(self._started)

    @property
    def why_not(self) -> str:
        """Why it never got ready."""
        return self.refused or self.unborn or "a line process died while it started"

    async def closed(self) -> None:
        await self._closed.wait()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def stop(self) -> None:
        """Ask it to end its calls and leave."""
        self.leaving = True
        self.send(Stop())

    def kill(self, signal_number: int) -> None:
        if self.pid and self._prefork is not None:
            self._prefork.kill(self.pid, signal_number)

    def beat(self, number: int) -> None:
        """Ask for a sign of life; a process that gave none for too long is ended, with a trace if it can print one."""
        if self.unanswered == SILENT_BEATS:
            log.error("line process is stuck", pid=self.pid, calls=len(self.legs))
            self.kill(signal.SIGABRT)
            loop = asyncio.get_running_loop()
            loop.call_later(GRACE_S, self.kill, signal.SIGKILL)
            loop.call_later(2 * GRACE_S, self._cut)
        self.unanswered += 1
        self.send(Ping(number))

    def _cut(self) -> None:
        """Even a process that cannot be killed must not keep its calls waiting."""
        if self._writer is not None:
            self._writer.transport.abort()

    def send(self, value: Command | LineSetup) -> None:
        """Harmless when the process is gone."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode(value))

    # -- its calls

    @property
    def taken(self) -> int:
        """Lines in use, and lines on which a silent INVITE is still sent again."""
        now = asyncio.get_running_loop().time()
        self._silent_until = [until for until in self._silent_until if until > now]
        return len(self.legs) + len(self._silent_until)

    @property
    def capacity(self) -> int:
        return self.ready.capacity if self.ready else self.setup.capacity

    def has_room(self) -> bool:
        full = asyncio.get_running_loop().time() < self.full_until
        return not (self.leaving or full or self._closed.is_set()) and self.taken < self.capacity

    async def dial(self, command: Dial) -> ProcessLeg | None:
        """None: no free line, nothing was sent. The line is taken from the first moment. Raises LinesDown."""
        command = replace(command, audio=absolute(command.audio), record=absolute(command.record or "") or None)
        leg = self.legs[command.call_id] = ProcessLeg(self.send, command)
        try:
            await self.started()
            self.send(command)
            dialled = await leg.answer
        except LinesDown:
            self.legs.pop(command.call_id, None)
            raise
        except WireError as error:
            self.legs.pop(command.call_id, None)
            raise LineError(str(error)) from None
        except asyncio.CancelledError:
            # Nobody will follow this call. It stays on our list until it has ended.
            if self.ready is None:
                self.legs.pop(command.call_id, None)
            self.send(HangUp(command.call_id, Why.API))
            raise
        if dialled:
            self.served += 1
            return leg
        self.full_until = asyncio.get_running_loop().time() + FULL_FOR_S
        return None

    # -- its words

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = FrameReader()
        while data := await reader.read(65536):
            for value in frames.feed(data):
                self._take(value)

    def _take(self, value: Value) -> None:
        match value:
            case Ready():
                self.ready = value
                if not self._started.done():
                    self._started.set_result(value)
                self._told(self, value)
            case RegistrationState() if self.setup.registers:
                self._told(self, value)
            case Trace() if self.setup.registers and value.call_id == self.setup.trunk.id:
                self._told(self, value)
            case Refused():
                self.refused = value.reason
            case Pong():
                self.unanswered = 0
            case NoFreeLineEvent() | Dialling():
                self._decide(value)
            case Rung() | TurnedAway() if self.setup.listens:
                self._come_in(value)
            case Ringing() | Answered() | Speaking() | Played() | Digit() | Trace() | Ended():
                self._pass_on(value)
            case _:
                raise WireError(f"a line process does not say {type(value).__name__}")

    def _decide(self, value: NoFreeLineEvent | Dialling) -> None:
        dialled = isinstance(value, Dialling)
        leg = self.legs.get(value.call_id) if dialled else self.legs.pop(value.call_id, None)
        if leg is not None and not leg.answer.done():
            leg.answer.set_result(dialled)

    def _come_in(self, value: Rung | TurnedAway) -> None:
        if isinstance(value, TurnedAway):
            who, why = {"sip": value.code, "last_from": value.source}, value.why
            log.warning("inbound calls refused", trunk_id=self.setup.trunk.id, calls=value.count, why=why, **who)
        elif value.call_id not in self.legs and len(self.legs) < self.setup.capacity:
            leg = self.legs[value.call_id] = RungLeg(self.send, value)
            self.served += 1
            if self._answer is not None:
                self._answer(leg)

    def _pass_on(self, event: LineEvent) -> None:
        leg = self.legs.get(event.call_id)
        if leg is None:
            return
        leg.take(event)
        if isinstance(event, Ended):
            del self.legs[event.call_id]
            loop = asyncio.get_running_loop()
            self.idle_since = loop.time()
            if event.phase is Phase.SILENT and event.sent and event.by_us:
                self._silent_until.append(loop.time() + SILENT_SLOT_S)
            self._changed(self)

    def _settle(self) -> None:
        """The pipe is closed: everybody who waits for this process is told now."""
        self._closed.set()
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        if not self._started.done():
            self._started.set_exception(LinesDown(self.why_not))
            self._started.exception()  # it may be that nobody waits
        for leg in self.legs.values():
            if self.ready is None:
                continue
            leg.take(leg.lost())
            if not leg.answer.done():
                leg.answer.set_result(True)
        self.legs.clear()
        self._ports.release()
        self._changed(self)
