"""The twin in memory of what accept.lua and apply.lua count for the limits of a key."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from voice.call_object import spent_by
from voice.calls import Call
from voice.caps import NUMBER_WINDOW_S, Over, Overrun, Reservation, Used, first_over


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

    def take(self, owner: str, due_s: float, calls: tuple[Call, ...], asked: Reservation) -> Overrun | None:
        """All of it or nothing."""
        if overrun := self._objection(owner, due_s, calls, asked):
            return overrun
        key = (owner, asked.key_id, asked.day)
        used = self._used[key]
        self._used[key] = replace(
            used,
            calls=used.calls + len(calls),
            held_s=used.held_s + sum(one.seconds for one in asked.each),
            held_millionths=used.held_millionths + sum(one.millionths for one in asked.each),
        )
        if pace := asked.caps.calls_per_second:
            at = max(self._now_s(), self._next.get(key[:2], 0.0))
            self._next[key[:2]] = at + len(calls) / pace
        for call, one in zip(calls, asked.each, strict=True):
            self._held[call.call_id] = _Held(key, one.seconds, one.millionths)
            self._open[key[:2]].add(call.call_id)
            self._rang[(owner, call.to_number)].append(due_s)
        return None

    def _objection(self, owner: str, due_s: float, calls: tuple[Call, ...], asked: Reservation) -> Overrun | None:
        used = replace(self._used[(owner, asked.key_id, asked.day)], open_calls=len(self._open[(owner, asked.key_id)]))
        if overrun := first_over(used, asked.caps, asked.each):
            return overrun
        pace = asked.caps.calls_per_second
        if pace is not None:
            ahead = max(0.0, self._next.get((owner, asked.key_id), 0.0) - self._now_s())
            if ahead * pace + len(calls) > pace + 1e-6:
                return Overrun(Over.PACE, 0, pace, wait_s=1)
        most = asked.caps.calls_per_number_per_hour
        if most is None:
            return None
        near = [
            sorted(at for at in self._rang[(owner, call.to_number)] if abs(at - due_s) < NUMBER_WINDOW_S)
            for call in calls
        ]
        often = tuple(index for index, times in enumerate(near) if len(times) >= most)
        if not often:
            return None
        waits = [near[index][-most] + NUMBER_WINDOW_S - due_s if most else NUMBER_WINDOW_S for index in often]
        return Overrun(Over.NUMBER, most, most, max(1, int(-(-max(waits) // 1))), often)

    def used(self, owner: str, key_id: str, day: str) -> Used:
        return replace(self._used[(owner, key_id, day)], open_calls=len(self._open[(owner, key_id)]))

    def settle(self, call: Call) -> None:
        """It has ended: what it took in place of what it might have taken."""
        held = self._held.pop(call.call_id, None)
        if held is None:
            return
        seconds, millionths = spent_by(call)
        used = self._used[held.key]
        self._used[held.key] = replace(
            used,
            held_s=used.held_s - held.seconds,
            held_millionths=used.held_millionths - held.millionths,
            seconds=used.seconds + seconds,
            millionths=used.millionths + millionths,
        )
        self._open[held.key[:2]].discard(call.call_id)

    def move(self, ended: Call, following: Call) -> None:
        """The next hop takes over what was reserved."""
        held = self._held.pop(ended.call_id, None)
        if held is not None:
            self._held[following.call_id] = held
            self._open[held.key[:2]].discard(ended.call_id)
            self._open[held.key[:2]].add(following.call_id)
