"""The registration of a trunk, seen from its owner's side: how it stands, what changes, and its ladder.

`one`: a process that does nothing else holds it, of one dialer; the others are told how it stands there. `every_line`:
each line process has its own, and the worst of them is how the trunk stands. `Lines` makes the processes and tells what
they say.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sip.events import Registered, RegistrationState, Trace

LADDER_ROWS = 64  # about eight refreshes with their challenges
WORST_FIRST = (
    Registered.AUTH_REJECTED,
    Registered.UNREACHABLE,
    Registered.TRYING,
    Registered.YES,
    Registered.STOPPED,
)


@dataclass(frozen=True, slots=True)
class Holding:
    """The one registration of a trunk, as its holder says it. `holder` empty: nobody has it."""

    holder: str
    state: RegistrationState
    why_not: str = ""


class Registrar:
    """One for each trunk that registers; `Lines.registrar`."""

    def __init__(self) -> None:
        self.wanted = True  # what was asked of our processes last
        self.holder = ""  # who has it, when one has it for all
        self._elsewhere: Holding | None = None
        self._states: dict[int, RegistrationState] = {}  # by process
        self._rows: deque[Trace] = deque(maxlen=LADDER_ROWS)
        self._gone = RegistrationState(Registered.STOPPED, time.time())
        self._wakers: set[asyncio.Event] = set()

    def state(self) -> RegistrationState:
        """How it stands now; of several, the worst."""
        if self._elsewhere is not None:
            return self._elsewhere.state
        return min(self._states.values(), key=lambda one: WORST_FIRST.index(one.state), default=self._gone)

    def why_not(self) -> str:
        """Why nobody is registered; empty: somebody is."""
        if self._elsewhere is not None:
            return self._elsewhere.why_not
        if any(one.state is Registered.YES for one in self._states.values()):
            return ""
        if not self.wanted:
            return "its registration was taken back"
        now = self.state()
        said = f"{now.last_code} {now.last_reason}".strip() if now.last_code else now.last_reason
        if now.state is Registered.AUTH_REJECTED:
            return f"its login was refused: {said}"
        return f"not registered: {said}" if said else "not registered yet"

    async def watch(self) -> AsyncIterator[RegistrationState]:
        """How it stands, then each change of it; a slow reader misses what was over meanwhile. Ends never."""
        changed = asyncio.Event()
        self._wakers.add(changed)
        told: RegistrationState | None = None
        try:
            while True:
                changed.clear()
                now = self.state()
                if now != told:
                    told = now
                    yield now
                else:
                    await changed.wait()
        finally:
            self._wakers.discard(changed)

    def ladder(self) -> tuple[Trace, ...]:
        """The last SIP messages of it, oldest first, credentials hidden; their `call_id` is the trunk's id."""
        return tuple(self._rows)

    def news(self) -> asyncio.Event:
        """Set whenever something is told of it, for as long as it lives; whoever waits clears it."""
        heard = asyncio.Event()
        self._wakers.add(heard)
        return heard

    # -- told by whoever settles which dialer has it

    @property
    def able(self) -> bool:
        """Is there a process that could register? On a machine where another dialer has the port, there is none."""
        return bool(self._states)

    @property
    def is_here(self) -> bool:
        """Do our own processes say how it stands?"""
        return self._elsewhere is None

    def here(self, holder: str) -> None:
        """We have it, and are called so."""
        self.holder, self._elsewhere = holder, None
        self._wake()

    def elsewhere(self, holding: Holding) -> None:
        """Somebody else has it, or nobody."""
        if holding != self._elsewhere:
            self.holder, self._elsewhere = holding.holder, holding
            self._wake()

    # -- told by Lines

    def note(self, pid: int, state: RegistrationState) -> None:
        self._states[pid] = state
        self._wake()

    def trace(self, row: Trace) -> None:
        self._rows.append(row)

    def gone(self, pid: int, why: str) -> None:
        """That process holds nothing any more."""
        last = self._states.pop(pid, None)
        if last is not None:
            state = Registered.UNREACHABLE if self.wanted else Registered.STOPPED
            self._gone = RegistrationState(state, time.time(), last.last_code, why or last.last_reason)
            self._wake()

    def _wake(self) -> None:
        for changed in self._wakers:
            changed.set()
