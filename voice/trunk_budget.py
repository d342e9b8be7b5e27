"""What a call may cost on a trunk that has a `daily_amount`: it is held of the day from its seat to its end. Pure.

A call takes its seat only when the day's calls, those in flight at their most, stay within the amount. So the
sum cannot pass it, however many dialers ask at once. limits.py and lua/budget.lua count.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from sip.trunk import Trunk
from voice.calls import Call
from voice.caps import need
from voice.messages import Script
from voice.tariffs import millionths_of

HELD_BEYOND_S = 60.0  # after the longest that a call can last: its end is written, or nobody will write it


@dataclass(frozen=True, slots=True)
class Budget:
    """Money in millionths. `day`: as in 20261124, the one on which the call leaves, whenever it ends."""

    day: str
    day_left_s: float
    most: int  # of all calls of the day
    need: int  # of this call
    price: int  # a minute; 0: the price that the call was accepted under
    hold_s: float


def budget_for(trunk: Trunk, call: Call, script: Script, now: datetime, zone: tzinfo) -> Budget | None:
    """None: the trunk may cost what it will. `zone`: the account's, whose midnight ends the day."""
    if not trunk.daily_amount:
        return None
    price, longest = millionths_of(trunk.price), need(script.max_duration_s, call.tariff)
    local = now.astimezone(zone)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Budget(
        local.strftime("%Y%m%d"),
        (midnight - now).total_seconds(),
        millionths_of(trunk.daily_amount),
        cost(price, longest.seconds) if price else longest.millionths,
        price,
        script.ring_timeout_s + script.max_duration_s + HELD_BEYOND_S,
    )


def cost(price: int, billed_s: int) -> int:
    """A part of a millionth counts whole."""
    return -(-price * billed_s // 60)
