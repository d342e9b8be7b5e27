"""A trunk as this dialer sees it: pace, free lines, a breaker for one that does not answer. Who goes where: routing."""

from collections import deque
from dataclasses import dataclass, field

from messaging.accounts import Mode, owner_mode
from messaging.numbers import is_magic
from sip.causes import Cause
from sip.line import Line
from sip.trunk import Trunk
from voice.calls import Call
from voice.routing import Admin, TrunkState

PREPARE_MOST = 8  # calls per trunk between lease and INVITE: enough to hide the rendering, few enough to give back
PREPARE_S = 1.0  # and never more than leave within so long
FAILURES = 5  # of the trunk itself, within FAILURES_S, open the breaker
FAILURES_S = 10.0
OPEN_S = 10.0  # then one call tries again
DOWN_S = 5.0  # no line process could start

_TRUNK_FAILED = frozenset({Cause.TRUNK_TIMEOUT, Cause.TRUNK_UNREACHABLE, Cause.NETWORK_OUT_OF_ORDER})


@dataclass(slots=True)
class TrunkDoor:
    """One trunk of this dialer. Times are monotonic seconds; whoever calls passes them."""

    trunk: Trunk
    line: Line
    admin: Admin = Admin.ENABLED
    preparing: int = 0
    next_at: float = 0.0  # pace: the next INVITE leaves then
    down_until: float = 0.0
    why_down: str = ""
    failures: deque[float] = field(default_factory=lambda: deque(maxlen=FAILURES))

    def room(self, now: float) -> int:
        """How many calls may be leased for it now."""
        if not self.trunk.enabled or self.admin is not Admin.ENABLED or now < self.down_until:
            return 0
        capacity = self.line.capacity()
        free = min(capacity.free, self.trunk.channels - capacity.busy) - self.preparing
        paced = max(1, int((PREPARE_S - max(0.0, self.next_at - now)) * self.trunk.cps)) - self.preparing
        trial = 1 - self.preparing if self.why_down else free
        return max(0, min(free, paced, trial, PREPARE_MOST - self.preparing))

    def state(self, now: float) -> TrunkState:
        """As routing wants to know it."""
        return TrunkState(self.trunk, self.admin, self.why_down if now < self.down_until else "", self.room(now))

    def turn(self, now: float) -> float:
        """Take the next place in the pace; seconds to wait for it. Even spacing: never two in one interval."""
        at = max(now, self.next_at)
        self.next_at = at + 1.0 / self.trunk.cps
        return at - now

    def went(self, cause: str, now: float) -> None:
        """How a call over it ended."""
        if cause not in _TRUNK_FAILED:
            self.failures.clear()
            self.why_down = ""
            return
        self.failures.append(now)
        if self.why_down or (len(self.failures) == FAILURES and now - self.failures[0] <= FAILURES_S):
            self.close(cause, now, OPEN_S)

    def close(self, why: str, now: float, for_s: float = DOWN_S) -> None:
        self.why_down, self.down_until = why, now + for_s


def may_carry(trunk: Trunk, call: Call) -> bool:
    """The last gate: test calls reach the sandbox alone, live calls and magic numbers never meet."""
    test_key = owner_mode(call.owner) is Mode.TEST
    if not (trunk.sandbox is call.sandbox is test_key):
        return False
    return call.sandbox or not is_magic(call.to_number)
