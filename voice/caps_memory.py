"""The twin in memory of what caps.lua counts for the limits of a key: of calls, and of self-tests that ring."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from voice.caps import NUMBER_WINDOW_S, Over, Overrun, Reservation, Used, first_over

Ring = tuple[str, str]  # id of what rings, the number


@dataclass(frozen=True, slots=True)
class _Held:
    key: tuple[str, str, str]  # owner, key, day
    seconds: int
    millionths: int


class MemoryCaps:
    """`now_s`: Unix seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._used: defaultdict[tuple[str, str, str], Used] = defaultdict(Used)
        self._held: dict[str, _Held] = {}  # by call
        self._open: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._next: dict[tuple[str, str], float] = {}
        self._rang: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def take(self, owner: str, due_s: float, rings: Sequence[Ring], asked: Reservation) -> Overrun | None:
        """All of it or nothing."""
        if overrun := self._objection(owner, due_s, rings, asked):
            return overrun
        key = (owner, asked.key_id, asked.day)
        used = self._used[key]
        self._used[key] = replace(
            used,
            calls=used.calls + len(rings),
            held_s=used.held_s + sum(one.seconds for one in asked.each),
            held_millionths=used.held_millionths + sum(one.millionths for one in asked.each),
        )
        if pace := asked.caps.calls_per_second:
            at = max(self._now_s(), self._next.get(key[:2], 0.0))
            self._next[key[:2]] = at + len(rings) / pace
        for (an_id, number), one in zip(rings, asked.each, strict=True):
            self._held[an_id] = _Held(key, one.seconds, one.millionths)
            self._open[key[:2]].add(an_id)
            self._rang[(owner, number)].append(due_s)
        return None

    def _objection(self, owner: str, due_s: float, rings: Sequence[Ring], asked: Reservation) -> Overrun | None:
        used = replace(self._used[(owner, asked.key_id, asked.day)], open_calls=len(self._open[(owner, asked.key_id)]))
        if overrun := first_over(used, asked.caps, asked.each):
            return overrun
        pace = asked.caps.calls_per_second
        if pace is not None:
            ahead = max(0.0, self._next.get((owner, asked.key_id), 0.0) - self._now_s())
            if ahead * pace + len(rings) > pace + 1e-6:
                return Overrun(Over.PACE, 0, pace, wait_s=1)
        most = asked.caps.calls_per_number_per_hour
        if most is None:
            return None
        near = [
            sorted(at for at in self._rang[(owner, number)] if abs(at - due_s) < NUMBER_WINDOW_S) for _, number in rings
        ]
        often = tuple(index for index, times in enumerate(near) if len(times) >= most)
        if not often:
            return None
        waits = [near[index][-most] + NUMBER_WINDOW_S - due_s if most else NUMBER_WINDOW_S for index in often]
        return Overrun(Over.NUMBER, most, most, max(1, int(-(-max(waits) // 1))), often)

    def used(self, owner: str, key_id: str, day: str) -> Used:
        return replace(self._used[(owner, key_id, day)], open_calls=len(self._open[(owner, key_id)]))

    def settle(self, an_id: str, seconds: int, millionths: int) -> None:
        """It has ended: what it took in place of what it might have taken."""
        held = self._held.pop(an_id, None)
        if held is None:
            return
        used = self._used[held.key]
        self._used[held.key] = replace(
            used,
            held_s=used.held_s - held.seconds,
            held_millionths=used.held_millionths - held.millionths,
            seconds=used.seconds + seconds,
            millionths=used.millionths + millionths,
        )
        self._open[held.key[:2]].discard(an_id)

    def lapse(self, an_id: str) -> None:
        """Nobody tells its end: it stays counted at its most, and is open no longer."""
        held = self._held.pop(an_id, None)
        if held is not None:
            self._open[held.key[:2]].discard(an_id)

    def move(self, ended_id: str, following_id: str) -> None:
        """The next hop takes over what was reserved."""
        held = self._held.pop(ended_id, None)
        if held is not None:
            self._held[following_id] = held
            self._open[held.key[:2]].discard(ended_id)
            self._open[held.key[:2]].add(following_id)
