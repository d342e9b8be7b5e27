"""A bad path: loses and delays packets on purpose, in the measure a script asks for."""

import asyncio
import random
from collections.abc import Callable

# Loss is exact in every run of so many packets, at a random place in it: "5 %" is true for a call of two seconds too,
# and tests can count.
_RUN = 20
# Each packet waits a time of its own between 0 and this many times the wanted jitter, so packets overtake each other.
# The mean difference of two such times, which is what RFC 3550 calls jitter, is a third of the range. (Kept in order,
# packets 20 ms apart could not show more than about 27 ms, whatever the range.)
_SPREAD = 3.0


class Road:
    """One direction of a path. `loss` is a share (0 to 1), `jitter_ms` what RFC 3550's estimator should read."""

    def __init__(self, loss: float, jitter_ms: float, seed: str) -> None:
        self._loss = loss
        self._spread_s = _SPREAD * jitter_ms / 1000
        self._random = random.Random(seed)
        self._doomed: list[bool] = []
        self._owed = 0.0  # losses that did not fit into whole packets of the runs so far

    def loses(self) -> bool:
        """Whether the next packet is lost."""
        if not self._doomed:
            self._owed += self._loss * _RUN
            lost = min(_RUN, int(self._owed + 1e-9))
            self._owed -= lost
            self._doomed = [True] * lost + [False] * (_RUN - lost)
            self._random.shuffle(self._doomed)
        return self._doomed.pop()

    def delay_s(self) -> float:
        """How long the next packet is under way."""
        return self._random.uniform(0.0, self._spread_s)

    def carry(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[float], None]) -> None:
        """Calls `deliver(arrival)` later, or never."""
        if self.loses():
            return
        at = loop.time() + self.delay_s()
        loop.call_at(at, deliver, at)
