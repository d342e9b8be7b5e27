"""A trunk as this dialer sees it: pace, free lines, a breaker for one that does not answer. Who goes where: routing."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from messaging.accounts import Mode, owner_mode
from messaging.numbers import is_magic
from sip.causes import Cause
from sip.line import TrunkLine
from sip.trunk import Trunk, TrunkUri
from voice.calls import Call
from voice.health import Target, why_down
from voice.routing import Admin, TrunkState
from voice.seats import Seat

PREPARE_MOST = 8  # calls per trunk between lease and INVITE: enough to hide the rendering, few enough to give back
PREPARE_S = 1.0  # and never more than leave within so long
FAILURES = 5  # of the trunk itself, within FAILURES_S, open the breaker
FAILURES_S = 10.0
OPEN_S = 10.0  # then one call tries again
FULL_S = 0.25  # between two questions whether another dialer left a channel
SPENT_S = 10.0  # between two tries whether calls in flight left something of the day's amount
DOWN_S = 5.0  # no line process could start
RETRY_AFTER_MOST_S = 300.0  # a trunk may ask for longer; nobody checks what it says, so it is not believed
STOPPED_S = 300.0  # after a refused login, or no credit: then one call tries again, unless the operator was sooner
DIALLED_MOST = 1000  # no trunk may have more new calls a second
LATELY = 20  # calls over which the share of 403 is counted
BARRED_FROM = 10  # of them, and more than half: then it is the trunk that refuses us, and not one destination

_STOPS: dict[str, str] = {Cause.AUTH_FAILED: "auth_rejected", Cause.CARRIER_CREDIT: "no credit at the carrier"}
_TRUNK_FAILED = frozenset({Cause.TRUNK_TIMEOUT, Cause.TRUNK_UNREACHABLE, Cause.NETWORK_OUT_OF_ORDER})


@dataclass(slots=True)
class TrunkDoor:
    """One trunk of this dialer. Times are monotonic seconds; whoever calls passes them."""

    trunk: Trunk
    line: TrunkLine
    admin: Admin = Admin.ENABLED
    preparing: int = 0  # alerts between lease and INVITE
    preparing_campaigns: int = 0  # the same, of calls that let every alert go first
    next_at: float = 0.0  # pace: the next INVITE leaves then
    open: int | None = None  # seats that nobody holds; None: not heard yet
    ask_at: float = 0.0
    down_until: float = 0.0
    why_down: str = ""
    spent_until: float = 0.0  # the end of a day whose amount is spent
    spent_ask_at: float = 0.0
    targets: Mapping[TrunkUri, Target] = field(default_factory=dict)  # as the pings found them
    dialled: deque[float] = field(default_factory=lambda: deque(maxlen=DIALLED_MOST))  # when the latest INVITEs left
    failures: deque[float] = field(default_factory=lambda: deque(maxlen=FAILURES))
    forbidden: deque[bool] = field(default_factory=lambda: deque(maxlen=LATELY))  # was it a 403: the latest calls

    def room(self, now: float, *, campaign: bool = False) -> int:
        """How many calls may be leased for it now. Alerts do not count what campaigns prepare: they overtake them."""
        if not self.trunk.enabled or self.admin is not Admin.ENABLED or self.down(now):
            return 0
        spent = self.spent(now) != ""
        if spent and now < self.spent_ask_at:
            return 0
        capacity, channels = self.line.capacity(), self.trunk.channels_for(campaign=campaign)
        preparing = self.preparing + (self.preparing_campaigns if campaign else 0)
        free = min(capacity.free, channels - capacity.busy) - preparing
        paced = max(1, int((PREPARE_S - max(0.0, self.next_at - now)) * self.trunk.cps)) - preparing
        trial = 1 - self.preparing - self.preparing_campaigns if self.why_down or spent else free
        shared = self._shared(now, self.trunk.channels - channels, preparing)
        return max(0, min(free, paced, trial, shared, PREPARE_MOST - preparing))

    def _shared(self, now: float, kept: int, preparing: int) -> int:
        """What the other dialers left, as we last heard; when it was nothing, one call asks again now and then."""
        if self.open is None:
            return PREPARE_MOST
        asking = 1 - preparing if now >= self.ask_at else 0
        return max(self.open - kept - preparing, asking)

    def prepares(self, by: int, *, campaign: bool) -> None:
        """One call more (1) or less (-1) is on its way to an INVITE."""
        if campaign:
            self.preparing_campaigns += by
        else:
            self.preparing += by

    def state(self, now: float) -> TrunkState:
        """As routing wants to know it."""
        return TrunkState(
            self.trunk,
            self.admin,
            self.down(now),
            self.room(now),
            campaign_free=self.room(now, campaign=True),
            spent=self.spent(now),
        )

    def spent(self, now: float) -> str:
        """What is said of a trunk that may cost no more today; empty: it may, as far as we know."""
        if now >= self.spent_until:
            return ""
        return f"its daily amount of {self.trunk.daily_amount} is spent, calls in flight counted at their most"

    def down(self, now: float) -> str:
        """Why no call leaves by it now; empty: nothing is known against it."""
        if now < self.down_until:
            return self.why_down
        registrar = self.line.registrar
        unknown_there = registrar.why_not() if registrar is not None else ""
        return unknown_there or why_down(self.targets, self.trunk.options_ping)

    def pinged(self, targets: Mapping[TrunkUri, Target]) -> None:
        self.targets = targets

    def seated(self, seat: Seat, now: float) -> None:
        """What the store said of the trunk's channels and pace, all dialers together."""
        self.open = self.trunk.channels - seat.used
        self.spent_until = now + seat.spent_s
        if seat.spent_s:
            self.spent_ask_at = now + SPENT_S
        elif seat.taken:
            self.dialled.append(now + seat.wait_s)
            self.next_at = now + seat.wait_s + 1.0 / self.trunk.cps
        else:
            self.ask_at = now + FULL_S

    def dialled_lately(self, now: float) -> int:
        """INVITEs of ours in the second that ends now."""
        return sum(now - 1.0 < at <= now for at in self.dialled)

    def freed(self) -> None:
        """A seat of ours is free again."""
        if self.open is not None:
            self.open += 1

    @property
    def barred(self) -> bool:
        """Its share of 403 has passed the limit."""
        refused = sum(self.forbidden)
        return refused >= BARRED_FROM and refused * 2 > len(self.forbidden)

    def went(self, cause: str, now: float, *, code: int = 0, retry_after_s: int | None = None) -> None:
        """How a call over it ended. `code`, `retry_after_s`: of the trunk's own answer."""
        self.forbidden.append(cause == Cause.FORBIDDEN)
        if not self.trunk.sandbox and self._stops(cause, now, code, retry_after_s):
            return
        if cause not in _TRUNK_FAILED:
            self.failures.clear()
            if now >= self.down_until:  # else: a call that was on its way when the trunk was closed
                self.why_down = ""
            return
        self.failures.append(now)
        if self.why_down or (len(self.failures) == FAILURES and now - self.failures[0] <= FAILURES_S):
            self.close(cause, now, OPEN_S)

    def _stops(self, cause: str, now: float, code: int, retry_after_s: int | None) -> bool:
        """One answer is enough: it says so itself. The catch-all phone says all of these on request."""
        if code == 503 and retry_after_s:
            self.close(
                f"asked for {retry_after_s} s of rest (Retry-After)", now, min(retry_after_s, RETRY_AFTER_MOST_S)
            )
        elif cause in _STOPS:
            self.close(_STOPS[cause], now, STOPPED_S)
        elif cause == Cause.FORBIDDEN and self.barred:
            self.close("most calls are forbidden (403)", now, STOPPED_S)
        else:
            return False
        return True

    def close(self, why: str, now: float, for_s: float = DOWN_S) -> None:
        """No calls for so long; a longer rest that was ordered before goes on."""
        self.why_down, self.down_until = why, max(self.down_until, now + for_s)

    def forgive(self) -> None:
        """The operator says that it is mended."""
        self.why_down, self.down_until = "", 0.0
        self.failures.clear()
        self.forbidden.clear()


def may_carry(trunk: Trunk, call: Call) -> bool:
    """The last gate: test calls reach the sandbox alone, live calls and magic numbers never meet."""
    test_key = owner_mode(call.owner) is Mode.TEST
    if not (trunk.sandbox is call.sandbox is test_key):
        return False
    return call.sandbox or not is_magic(call.to_number)
