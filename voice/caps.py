"""What a key may do in a day, a second, at a time; what a request takes of it; and which limit said no. Pure.

A request reserves at acceptance: its calls for good, and for each call the longest it may talk and the most that may
cost, until the call has ended and what it really took is known. So the sum can never pass a limit, however many come at
once. `ValkeyCallStore.accept` does it in its one script; MemoryCaps is the twin.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from messaging.errors import Fault, FieldError, OverLimit, ServiceError
from messaging.numbers import NumberError
from voice.tariffs import Tariff, decimal_text, millionths_of

HANG_UP_S = 2  # a call that is ended by us at its limit talks a little longer
NUMBER_WINDOW_S = 3600  # the repeat limit of one number counts over so long


class Over(StrEnum):
    """Which limit a request would pass."""

    CALLS = "calls_per_day"
    MINUTES = "minutes_per_day"
    AMOUNT = "amount_per_day"
    OPEN = "open_calls"
    PACE = "calls_per_second"
    NUMBER = "calls_per_number_per_hour"

    @property
    def suspends(self) -> bool:
        """A day's limit: the key is suspended until somebody resumes it."""
        return self in (Over.CALLS, Over.MINUTES, Over.AMOUNT)


@dataclass(frozen=True, slots=True)
class Caps:
    """None: no limit. Each holds for one key; that of a number for the whole account."""

    calls_per_day: int | None = None
    minutes_per_day: int | None = None
    amount_per_day: str | None = None  # decimal, in the currency of the price list
    calls_per_second: int | None = None
    open_calls: int | None = None  # accepted and not ended yet
    calls_per_number_per_hour: int | None = None
    max_duration_s: int | None = None

    def or_else(self, other: "Caps") -> "Caps":
        """Where nothing is said here, what the other says."""
        return Caps(**{
            one.name: mine if (mine := getattr(self, one.name)) is not None else getattr(other, one.name)
            for one in fields(Caps)
        })  # fmt: skip

    def most(self, over: Over) -> int | None:
        """In the unit that is counted: calls, seconds, millionths."""
        if over is Over.MINUTES:
            return None if self.minutes_per_day is None else self.minutes_per_day * 60
        if over is Over.AMOUNT:
            return None if self.amount_per_day is None else millionths_of(self.amount_per_day)
        found: int | None = getattr(self, over.value)
        return found


@dataclass(frozen=True, slots=True)
class Need:
    """What one call takes at most."""

    seconds: int
    millionths: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """`day`: as in 20261124, of the account's zone, the day on which the calls are due. `each`: per call."""

    key_id: str
    day: str
    caps: Caps
    each: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Overrun:
    """`used`, `most`: in the unit that is counted. `indices`: of the calls that are too many for their number."""

    over: Over
    used: int
    most: int
    wait_s: int = 0
    indices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Used:
    """Of one key on one day: ended calls, and those in flight at their most."""

    calls: int = 0
    seconds: int = 0
    held_s: int = 0
    millionths: int = 0
    held_millionths: int = 0
    open_calls: int = 0


def need(max_duration_s: int, tariff: Tariff | None) -> Need:
    if tariff is None:
        return Need(max_duration_s + HANG_UP_S)
    billed = tariff.billed_s(max_duration_s + HANG_UP_S)
    return Need(billed, tariff.millionths(billed))


def day_of(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y%m%d")


def first_over(used: Used, caps: Caps, each: Sequence[Need]) -> Overrun | None:
    """The first of the day's and the open limits that these calls would pass. accept.lua says the same."""
    rows = (
        (Over.CALLS, used.calls, len(each)),
        (Over.MINUTES, used.seconds + used.held_s, sum(one.seconds for one in each)),
        (Over.AMOUNT, used.millionths + used.held_millionths, sum(one.millionths for one in each)),
        (Over.OPEN, used.open_calls, len(each)),
    )
    for over, so_far, more in rows:
        most = caps.most(over)
        if most is not None and so_far + more > most:
            return Overrun(over, so_far, most)
    return None


class SpendCap(ServiceError):
    """This request would pass a limit of the day; the key is suspended."""

    code, status, title, retryable, fault = "SPEND_CAP", 403, "Daily limit", False, Fault.ACCOUNT
    hint = "Look at GET /v1/limits; raise the limit if it is meant, and resume the key: tocsin keys resume KEY_ID."


class KeySuspended(ServiceError):
    """This key is suspended, because it would have passed a limit of its day."""

    code, status, title, retryable, fault = "KEY_SUSPENDED", 403, "Key suspended", False, Fault.ACCOUNT
    hint = "If the calls were meant, raise the limit and resume the key: tocsin keys resume KEY_ID. If not, revoke it."


class DurationCap(ServiceError):
    """This key may not let a call last so long."""

    code, status, title, retryable, fault = "DURATION_CAP", 403, "Call too long", False, Fault.ACCOUNT
    hint = "Ask for a shorter max_duration; GET /v1/limits says how long."


class FrequencyCap(NumberError):
    """That number was called too often within an hour."""

    code, status, title, retryable, fault = "FREQUENCY_CAP", 429, "Called too often", True, Fault.REQUEST
    hint = "Wait for Retry-After seconds; GET /v1/limits shows calls_per_number_per_hour."


class UnpricedNumber(NumberError):
    """The price list has no rate for that number, so no limit of money can hold for it."""

    code, status, title, fault = "NO_RATE", 403, "No rate", Fault.ACCOUNT
    hint = "Add its prefix to the price list, or take the limit of money away."


_LIMIT_WORDS = {Over.PACE: "cps", Over.OPEN: "channels"}


def rung_too_often(overrun: Overrun) -> str:
    """Of one number, in a sentence."""
    return f"The number was called {overrun.most} times within an hour, which is the most."


def error_of(overrun: Overrun) -> ServiceError:
    """For the whole request; for the limit of a number, one that rings no other."""
    over, used, most = overrun.over, overrun.used, overrun.most
    if over is Over.NUMBER:
        detail = rung_too_often(overrun)
        errors = (FieldError("#/to", FrequencyCap.code.lower(), detail),)
        return FrequencyCap(detail, errors=errors, retry_after_s=overrun.wait_s)
    if over.suspends:
        said = {
            Over.CALLS: f"{used} calls of at most {most} today",
            Over.MINUTES: f"{used // 60} minutes of at most {most // 60} today",
            Over.AMOUNT: f"{decimal_text(used)} of at most {decimal_text(most)} today",
        }[over]
        detail = f"This request would pass {over}: {said} are taken, calls in flight counted at their most."
        return SpendCap(detail, extra={"limit": "daily", "cap": over.value})
    if over is Over.OPEN:
        detail = f"This key has {used} calls that have not ended; at most {most} may be open."
    else:
        detail = f"This key may have at most {most} calls accepted in one second."
    wait_s = max(1, overrun.wait_s)
    return OverLimit(detail, retry_after_s=wait_s, extra={"limit": _LIMIT_WORDS[over], "cap": over.value})
