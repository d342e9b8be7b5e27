"""A registration's life: what is due, and how it stands. Pure; `now` is the monotonic clock's seconds, `at` the wall's.

The retries are ours, not the library's: a refused login stops (H5: a loop of 401s looks like an attack, and is one),
everything else is tried again, each time later and never in step with others.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from sip.events import Registered, RegistrationState
from sip.trunk import OnForbidden, Register

REFRESH_AT = 0.8  # of the time granted: a refresh that fails leaves room for another
REFRESH_LEAST_S = 1.0
LOGIN_REFUSED = frozenset({401, 403, 404, 407})  # 404: no such user, as some registrars say it
REASON_MAX = 200


class Registration:
    """Ask `due`, send when it says so, tell it what was `heard`."""

    def __init__(self, rules: Register, at: float, chance: Callable[[], float] = random.random) -> None:
        self._rules, self._chance = rules, chance
        self._due: float | None = None
        self.wanted = False
        self.under_way = False  # a REGISTER of ours has no answer yet
        self.state = RegistrationState(Registered.STOPPED, at)

    @property
    def held(self) -> bool:
        """The registrar may believe that we are there."""
        return self.state.expires_at is not None

    def due(self, now: float) -> bool:
        return self._due is not None and self._due <= now

    def ask(self, now: float) -> None:
        """Somebody wants it, from now on; also after a refused login."""
        self.wanted, self._due = True, now

    def take_back(self, at: float) -> None:
        """Nobody wants it any more."""
        self.wanted, self.under_way, self._due = False, False, None
        self.state = RegistrationState(Registered.STOPPED, at, self.state.last_code, self.state.last_reason)

    def sent(self, at: float) -> None:
        """A refresh changes nothing until it fails."""
        self._due, self.under_way = None, True
        if self.state.state is not Registered.YES:
            self.state = replace(self.state, state=Registered.TRYING, at=at, next_action_at=None)

    def granted(self, expires_s: int, now: float, at: float) -> None:
        """200, with the time that the registrar gave."""
        self.under_way = False
        if not self.wanted:
            return
        wait_s = max(REFRESH_LEAST_S, expires_s * REFRESH_AT)
        self._due = now + wait_s
        self.state = RegistrationState(Registered.YES, at, 200, "OK", at + expires_s, 0, at + wait_s)

    def refused(self, code: int, reason: str, retry_after_s: int | None, now: float, at: float) -> None:
        """Any other answer, or none."""
        self.under_way = False
        if not self.wanted:
            return
        login = code in LOGIN_REFUSED
        failures = self.state.failures + 1
        wait_s: float | None = max(self._backoff_s(failures), retry_after_s or 0)
        if login and self._rules.forbidden is OnForbidden.STOP:
            wait_s = None
        self._due = None if wait_s is None else now + wait_s
        self.state = RegistrationState(
            Registered.AUTH_REJECTED if login else Registered.UNREACHABLE,
            at,
            code,
            reason[:REASON_MAX],
            None,
            failures,
            None if wait_s is None else at + wait_s,
        )

    def cut_off(self, now: float, at: float) -> None:
        """The connection that the registrar would ring us over is gone: it is opened again soon, not at once."""
        if self.state.state is Registered.YES:
            wait_s = self._backoff_s(1)
            self._due = now + wait_s
            self.state = replace(self.state, next_action_at=at + wait_s)

    def _backoff_s(self, failures: int) -> float:
        """Base, doubled each time, at most the most; between the half of that and all of it."""
        most = min(self._rules.retry_max_s, self._rules.retry_base_s * 2.0 ** min(failures - 1, 30))
        return most * (0.5 + 0.5 * self._chance())
