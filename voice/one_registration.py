"""The one registration of a trunk, held by one dialer of all: this dialer's part in it.

Each dialer with lines that could register asks for the lease. Whoever has it registers, and says how that stands with
each renewal; the others show it as theirs, and dial. A holder that cannot renew takes its registration back before the
lease can be another's: by its own clock, counted from before it asked, so that no other clock has to agree with it.
A holder that does not reach the registrar stands back for a moment: the network of another machine may be whole.
"""

import asyncio
import contextlib
from dataclasses import dataclass

import structlog

from messaging import ids
from messaging.errors import Unavailable
from sip.events import Registered
from sip.line import TrunkLine
from sip.registrar import Holding, Registrar
from voice.registration_lease import LEASE_S, NOBODY, RegistrationLeases

log = structlog.get_logger(__name__)

EVERY_S = 2.0  # renewed, and asked for, so often: after a death another dialer has it within LEASE_S + EVERY_S
SURE_S = LEASE_S - 3.0  # the rest is for taking it back: a registrar with one contact must not hear of that later
PATIENCE_S = 30.0  # the registrar may be away for so long before another dialer shall try it; then twice as long, …
PATIENCE_MOST_S = 960.0  # each try of another dialer begins anew, and a registrar in trouble must not get many
AGAIN_S = 0.5  # while the store does not answer


class OneRegistration:
    """`holder`: how this dialer is called. Made in a running event loop; `aclose` after the lines were closed."""

    def __init__(
        self,
        leases: RegistrationLeases,
        holder: str,
        *,
        every_s: float = EVERY_S,
        sure_s: float = SURE_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._leases, self._holder, self._times = leases, holder, _Times(every_s, sure_s, patience_s)
        self._tenures: dict[TrunkLine, _Tenure] = {}
        self._leaving = False

    def heed(self, trunk_id: str, line: TrunkLine, registrar: Registrar, *, registers: bool) -> None:
        """These lines may register for the trunk, or shall not; also after a refused login."""
        if self._leaving:
            return
        if line not in self._tenures:
            self._tenures[line] = _Tenure(self._leases, self._holder, trunk_id, line, registrar, self._times)
        self._tenures[line].heed(registers)

    async def sign_off(self, line: TrunkLine) -> None:
        """Take its registration back for good. Another dialer may register as soon as the registrar knows."""
        tenure = self._tenures.get(line)
        if tenure is not None:
            tenure.leave()
        await line.sign_off()
        if tenure is not None:
            await tenure.over()
            self._tenures.pop(line, None)

    def leave(self) -> None:
        """Take none any more; what we have is renewed until `aclose`."""
        self._leaving = True
        for tenure in self._tenures.values():
            tenure.leave()

    async def aclose(self) -> None:
        await asyncio.gather(*(tenure.over() for tenure in self._tenures.values()))
        self._tenures.clear()


@dataclass(frozen=True, slots=True)
class _Times:
    every_s: float
    sure_s: float
    patience_s: float


class _Tenure:
    """What these lines have to do with the lease, from the first wish to the end."""

    def __init__(
        self,
        leases: RegistrationLeases,
        holder: str,
        trunk_id: str,
        line: TrunkLine,
        registrar: Registrar,
        times: _Times,
    ) -> None:
        self._leases, self._holder, self._trunk_id = leases, holder, trunk_id
        self._line, self._registrar = line, registrar
        self._times, self._patience_s = times, times.patience_s
        self._token = ids.ulid()
        self._wished = self._holds = self._leaving = False
        # By the clock of the event loop:
        self._sure_until = self._back_at = 0.0
        self._in_vain_since: float | None = None
        self._news = registrar.news()
        registrar.elsewhere(NOBODY)
        self._asking = asyncio.create_task(self._ask_for_ever(), name=f"registration of {trunk_id}")

    def heed(self, registers: bool) -> None:
        self._wished = registers
        if self._holds:
            self._line.register() if registers else self._line.unregister()

    def leave(self) -> None:
        """It is not taken any more; what we have, we keep until it is `over`."""
        self._leaving = True
        if not self._holds:
            self._asking.cancel()

    async def over(self) -> None:
        self._asking.cancel()
        await asyncio.gather(self._asking, return_exceptions=True)
        self._registrar.elsewhere(NOBODY)
        with contextlib.suppress(Unavailable):  # then it lapses
            await self._leases.give_up(self._trunk_id, self._token)

    async def _ask_for_ever(self) -> None:
        while True:
            try:
                async with asyncio.timeout_at(self._sure_until if self._holds else None):
                    await self._ask()
            except TimeoutError:
                self._lose(NOBODY)

    async def _ask(self) -> None:
        """Once, and wait until it is time for the next."""
        self._news.clear()
        asked_at = asyncio.get_running_loop().time()
        try:
            theirs = await self._leases.hold(self._trunk_id, self._token, self._says(), take=self._may_take)
        except Exception as error:
            if not isinstance(error, Unavailable):
                log.exception("registration lease not read", trunk_id=self._trunk_id)
            await asyncio.sleep(AGAIN_S)
            return
        if theirs is None:
            self._sure_until = asked_at + self._times.sure_s
            if not self._holds:
                self._win()
            elif self._tried_in_vain(asked_at):
                await self._stand_back()
        elif not self._holds or theirs.holder:
            self._lose(theirs)
        await self._nap()

    @property
    def _may_take(self) -> bool:
        """A holder whose process is gone has SURE_S for the next one; then another dialer may do better."""
        stands_back = not self._holds and (self._leaving or asyncio.get_running_loop().time() < self._back_at)
        return self._registrar.able and not stands_back

    def _tried_in_vain(self, now: float) -> bool:
        """For longer than we are patient? A login that was refused would be refused to anybody."""
        state = self._registrar.state().state
        if state is Registered.YES:
            self._patience_s = self._times.patience_s
        if state not in (Registered.UNREACHABLE, Registered.TRYING) or not self._wished or self._leaving:
            self._in_vain_since = None
        elif self._in_vain_since is None:
            self._in_vain_since = now
        return self._in_vain_since is not None and now - self._in_vain_since >= self._patience_s

    async def _stand_back(self) -> None:
        """Long enough for every other dialer to ask once. If none takes it, it is ours again."""
        log.warning("registration handed on: the registrar is not reached", trunk_id=self._trunk_id)
        self._patience_s = min(PATIENCE_MOST_S, 2 * self._patience_s)
        self._back_at = asyncio.get_running_loop().time() + 2 * self._times.every_s
        self._lose(NOBODY)
        with contextlib.suppress(Unavailable):  # then it lapses
            await self._leases.give_up(self._trunk_id, self._token)

    def _says(self) -> Holding:
        return Holding(self._holder, self._registrar.state(), self._registrar.why_not())

    def _win(self) -> None:
        self._holds, self._in_vain_since = True, None
        self._registrar.here(self._holder)
        log.info("registration is ours", trunk_id=self._trunk_id)
        self.heed(self._wished and not self._leaving)

    def _lose(self, theirs: Holding) -> None:
        if self._holds:
            log.warning("registration is not ours any more", trunk_id=self._trunk_id, holder=theirs.holder)
            self._holds = False
            self._line.unregister()
            if self._leaving:
                self._asking.cancel()
        self._registrar.elsewhere(theirs)

    async def _nap(self) -> None:
        """A holder tells what changed at once, and a process that came may register."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._times.every_s):
                await self._news.wait()
