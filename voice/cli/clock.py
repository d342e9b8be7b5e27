"""Is this machine's clock right? Leases and schedules go by the store's clock, what people are told goes by ours."""

import ctypes
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from voice.cli.finding import Finding

# A process that is 5 s behind the others seems absent to them between two of its words (presence.py).
OFFSET_MOST_S = 2.0
STEP_MOST_S = 0.5  # NTP slews 0.5 ms a second: more within the seconds that the doctor takes is a clock that was set
ASKED = 3  # the quickest of so many answers is the one that waited least on its way
_TIME_ERROR = 5  # of adjtimex(2): the kernel's clock is not synchronised


@dataclass(frozen=True, slots=True)
class Reading:
    """`offset_s`: the store's clock less ours; None: it is ours. `synchronised`: as far as the kernel knows."""

    offset_s: float | None
    step_s: float
    older_than_us: bool
    synchronised: bool


@dataclass(frozen=True, slots=True)
class Instant:
    """Both clocks at one moment."""

    wall_s: float
    monotonic_s: float

    @classmethod
    def now(cls) -> "Instant":
        return cls(time.time(), time.monotonic())

    def step_since(self, before: "Instant") -> float:
        """How far the wall clock was moved meanwhile."""
        return (self.wall_s - before.wall_s) - (self.monotonic_s - before.monotonic_s)


async def read(began: Instant, store_time_s: Callable[[], Awaitable[float]] | None) -> Reading:
    offset = None if store_time_s is None else await _offset(store_time_s)
    return Reading(offset, Instant.now().step_since(began), _is_older_than_us(), synchronised())


def judge(reading: Reading) -> Finding:
    told = ["the store's clock is this machine's"]
    if reading.offset_s is not None:
        told = [f"{abs(reading.offset_s):.2f} s {'behind' if reading.offset_s > 0 else 'ahead of'} the store's clock"]
    told.append(
        "synchronised" if reading.synchronised else "whether NTP keeps it right is unknown: the kernel was told of none"
    )
    wrong = []
    if reading.offset_s is not None and abs(reading.offset_s) > OFFSET_MOST_S:
        wrong.append("let NTP (chrony, systemd-timesyncd) set the clocks of this machine and of the store's")
    if abs(reading.step_s) > STEP_MOST_S:
        told.append(f"it was moved by {reading.step_s:+.1f} s while we looked")
        wrong.append("let one program alone set the clock, and have it slew instead of step")
    if reading.older_than_us:
        told.append("it says that this program was not yet installed")
        wrong.append("set the clock: certificates and signatures are judged by it")
    return Finding("clock", not wrong, "; ".join(told), "; ".join(wrong))


def _is_older_than_us() -> bool:
    return time.time() < Path(__file__).stat().st_mtime


async def _offset(store_time_s: Callable[[], Awaitable[float]]) -> float:
    answers: list[tuple[float, float]] = []
    for _ in range(ASKED):
        before = Instant.now()
        theirs = await store_time_s()
        took = time.monotonic() - before.monotonic_s
        answers.append((took, theirs - (before.wall_s + took / 2)))
    return min(answers)[1]


def synchronised() -> bool:
    """What the kernel was told by whoever disciplines its clock. A host that keeps a guest's clock does not tell it."""
    unchanged = ctypes.create_string_buffer(512)  # struct timex with modes 0: only asks, and needs no privilege
    state: int = ctypes.CDLL(None, use_errno=True).adjtimex(unchanged)
    return 0 <= state < _TIME_ERROR
