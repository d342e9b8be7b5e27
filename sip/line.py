"""The Line port: something that can place calls. `Lines` (PJSIP in child processes) and `SimulatedLine` are its twins.

Both pass `tests/contract/test_line.py`: exactly one `Ended` per dial and nothing after it; `NoFreeLine` sends nothing;
hanging up twice is harmless; a lost child ends its calls and only its calls.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from sip.commands import AfterScript, Dial, Why
from sip.events import LineEvent
from sip.registrar import Registrar


class LineError(Exception):
    """The line could not do what it was asked."""


class NoFreeLine(LineError):
    """Every line is busy: nothing was sent, the call may be queued again."""


class LinesDown(LineError):
    """No line process can start; the message is the reason it gave. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Concurrent calls. `total` is what the pool may grow to, `free` what could be dialled now."""

    total: int
    busy: int

    @property
    def free(self) -> int:
        return max(0, self.total - self.busy)


class Leg(Protocol):
    """One call in progress."""

    @property
    def call_id(self) -> str: ...

    def events(self) -> AsyncIterator[LineEvent]:
        """Everything after `Dialling`, ending with the one `Ended`. One reader."""
        ...

    async def play(self, audio: str, then: AfterScript) -> None: ...

    async def stop_playing(self) -> None: ...

    async def send_digits(self, digits: str) -> None:
        """Press keys, the way that the trunk says. Harmless before the answer and after the end."""
        ...

    async def hang_up(self, why: Why) -> None:
        """Ask for the end; the end itself arrives as `Ended`. Harmless when repeated."""
        ...


class Line(Protocol):
    def capacity(self) -> Capacity: ...

    async def dial(self, command: Dial) -> Leg:
        """Returns once the INVITE is on its way. Raises NoFreeLine or LinesDown: then nothing was sent."""
        ...

    async def drain(self) -> None:
        """No new dials; returns when the last call has ended."""
        ...

    async def aclose(self) -> None:
        """BYE to every call, bounded (a few seconds); each leg still gets its `Ended`."""
        ...


class TrunkLine(Line, Protocol):
    """The lines of one trunk, as its keeper sees them: started once, and registered while that is wanted."""

    @property
    def registrar(self) -> Registrar | None:
        """None: this trunk does not register."""
        ...

    async def start(self) -> None:
        """Raises LinesDown, and leaves nothing behind."""
        ...

    def register(self) -> None:
        """Register, and keep it so; also after a refused login."""
        ...

    def unregister(self) -> None:
        """Take the registration back until `register`."""
        ...

    async def sign_off(self) -> None:
        """Take it back for good; returns when the registrar knows, or has not answered in time."""
        ...
