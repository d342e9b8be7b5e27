"""The Seats port: a channel and a place in the pace of a trunk. Its twins are in limits.py."""

from dataclasses import dataclass
from typing import Protocol

from sip.trunk import Trunk
from voice.trunk_budget import Budget


@dataclass(frozen=True, slots=True)
class Seat:
    """`taken` False: every channel is in use, or the day's amount. `used`: by all dialers, ours included.

    `wait_s`: for our place. `spent_s`: of a day whose amount is spent, so long it still lasts; else 0.
    """

    taken: bool
    used: int
    wait_s: float = 0.0
    spent_s: float = 0.0


class Seats(Protocol):
    async def take(
        self, trunk: Trunk, call_id: str, lease_s: float, *, campaign: bool = False, budget: Budget | None = None
    ) -> Seat:
        """A call of a campaign leaves free what the trunk keeps for alerts.

        Raises Unavailable: then nobody knows, and the call is not dialled."""
        ...

    async def leave(self, trunk_id: str, call_id: str) -> None:
        """Of a call that does not leave after all. Harmless when repeated."""
        ...
