"""A line process keeps its trunk's registration: commands and answers in, `RegistrationState` and ladder rows out.

One owner, the `Exchange` of the process. When a REGISTER is due is decided in sip/registration.py.
"""

import time
from collections.abc import Callable

from sip.commands import Register
from sip.engine import Engine
from sip.events import Event, RegistrationState, Trace
from sip.messages import Seen, kept
from sip.registration import Registration
from sip.setup import LineSetup


class Registering:
    """Idle until a `Register`."""

    def __init__(self, setup: LineSetup, engine: Engine, say: Callable[[Event], None]) -> None:
        self._setup, self._engine, self._say = setup, engine, say
        self._life = Registration(setup.trunk.register, time.time())
        self._told: RegistrationState | None = None
        self._route: str | None = None
        self._sip_call_id = ""
        self._cuts = engine.streams.cuts
        self._leaving = False

    @property
    def busy(self) -> bool:
        """An answer may come any moment."""
        return self._life.under_way or self._leaving

    def ask(self, command: Register) -> None:
        self._route = command.route
        self._life.ask(time.monotonic())

    def take_back(self) -> None:
        """Harmless when there is nothing to take back."""
        if self._life.held or self._life.under_way:
            self._leaving = self._engine.unregister() is None
        self._life.take_back(time.time())
        self._tell()

    def heard(self, code: int, reason: str, expires_s: int, retry_after_s: int | None) -> None:
        now, at = time.monotonic(), time.time()
        if code == 200 and expires_s and not self._life.wanted:
            self._leaving = self._engine.unregister() is None  # the grant crossed our taking back
        elif self._leaving:
            self._leaving = False
        elif code == 200:
            self._life.granted(expires_s, now, at)
        else:
            self._life.refused(code, reason, retry_after_s, now, at)
        self._tell()

    def turn(self) -> None:
        """Once in each turn of the loop."""
        now = time.monotonic()
        if self._engine.streams.cuts != self._cuts:
            self._cuts = self._engine.streams.cuts
            self._life.cut_off(now, time.time())
        if self._life.due(now) and not self._leaving:
            self._life.sent(time.time())
            problem = self._engine.register(self._route)
            if problem is not None:
                self._life.refused(0, str(problem), None, now, time.time())
        self._tell()

    def watch(self, at: float, seen: Seen) -> None:
        """A REGISTER on the wire, or an answer to one. Those of strangers are not ours to keep."""
        if seen.sent and not seen.code:
            self._sip_call_id = seen.sip_call_id
        if self._setup.ladder and seen.sip_call_id == self._sip_call_id:
            self._say(Trace(self._setup.trunk.id, at, seen.sent, seen.peer, kept(seen.text)))

    def _tell(self) -> None:
        if self._life.state != self._told:
            self._told = self._life.state
            self._say(self._told)
