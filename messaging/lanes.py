"""Which delivery goes next (in memory, no I/O): a lane per endpoint, so that a slow one delays only itself.

A lane sends few at a time. What an endpoint shows changes how many: each success allows one more, each failure halves
them (as TCP does), so one that is down or says 429 soon costs one connection. What does not fit in a lane is put off
for about as long as the lane needs to get there. One call's deliveries never overlap, so they arrive in order.
"""

from collections import deque
from dataclasses import dataclass, field

FIRST_AT_ONCE = 4  # of a lane that nothing is known about
WAITING_S = 1.0  # so much work of a lane is held in memory, by its own pace …
WAITING_MIN_PER_SLOT, WAITING_MOST = 2, 256  # … and never fewer or more jobs than this
TOOK_FIRST_S = 0.05  # a guess, until there are answers
TOOK_WEIGHT = 0.3  # of the newest answer in the running mean
KNOWN_AFTER = 8  # answers; until then the pace is a guess, and nothing is put off for long
PUT_OFF_MIN_S, PUT_OFF_UNKNOWN_S, PUT_OFF_MOST_S = 0.1, 1.0, 60.0
FORGET_AFTER_S = 600.0  # a lane that nothing went through
FORGET_EVERY = 500  # offers between two looks for such lanes


@dataclass(frozen=True, slots=True)
class Job:
    """`endpoint`: what shares a lane. `order`: jobs of the same are sent one after the other."""

    job_id: str
    endpoint: str
    order: str


@dataclass(slots=True)
class _Lane:
    at_once: float = FIRST_AT_ONCE
    took_s: float = TOOK_FIRST_S
    sending: dict[str, Job] = field(default_factory=dict)  # by order
    waiting: deque[Job] = field(default_factory=deque)
    answers: int = 0
    tail: float = 0.0  # when whatever was put off so far should have been sent
    used: float = 0.0

    def pace_s(self) -> float:
        return self.took_s / self.at_once

    def room(self) -> int:
        by_pace = min(WAITING_S / max(self.pace_s(), 0.001), WAITING_MOST)
        return int(max(by_pace, WAITING_MIN_PER_SLOT * int(self.at_once))) - len(self.waiting)

    def put_off(self, now: float) -> float:
        """Seconds until it should be this job's turn, behind all that wait and all that were put off before."""
        self.tail = max(self.tail, now + len(self.waiting) * self.pace_s()) + self.pace_s()
        most = PUT_OFF_MOST_S if self.answers >= KNOWN_AFTER else PUT_OFF_UNKNOWN_S
        return min(max(self.tail - now, PUT_OFF_MIN_S), most)

    def next(self) -> Job | None:
        if len(self.sending) >= int(self.at_once):
            return None
        for index, job in enumerate(self.waiting):
            if job.order not in self.sending:
                del self.waiting[index]
                return job
        return None


class Lanes:
    """`now` is monotonic time in seconds throughout."""

    def __init__(self, most: int, most_per_endpoint: int) -> None:
        self._most = most
        self._per_endpoint = most_per_endpoint
        self._lanes: dict[str, _Lane] = {}
        self._sending = 0
        self._offers = 0

    def offer(self, job: Job, now: float) -> float | None:
        """None: taken, `next` will hand it out. Else the seconds to put it off."""
        self._forget(now)
        lane = self._lanes.setdefault(job.endpoint, _Lane(at_once=min(FIRST_AT_ONCE, self._per_endpoint)))
        lane.used = now
        if lane.room() <= 0:
            return lane.put_off(now)
        lane.waiting.append(job)
        return None

    def next(self) -> Job | None:
        """The next one that may be sent now, endpoints taking turns; it counts as being sent until `finished`."""
        if self._sending >= self._most:
            return None
        for endpoint in list(self._lanes):
            lane = self._lanes[endpoint]
            if lane.waiting and (job := lane.next()):
                lane.sending[job.order] = job
                self._sending += 1
                self._lanes[endpoint] = self._lanes.pop(endpoint)  # to the back of the turns
                return job
        return None

    def finished(self, job: Job, *, well: bool, took_s: float, now: float) -> None:
        lane = self._lanes[job.endpoint]
        if lane.sending.pop(job.order, None) is not None:
            self._sending -= 1
        lane.at_once = min(lane.at_once + 1, self._per_endpoint) if well else max(lane.at_once / 2, 1)
        lane.took_s += TOOK_WEIGHT * (took_s - lane.took_s)
        lane.answers += 1
        lane.used = now
        if not lane.waiting:
            lane.tail = now  # it was quicker than thought

    def drop_waiting(self) -> list[Job]:
        """Those not being sent yet; they are forgotten here."""
        dropped = [job for lane in self._lanes.values() for job in lane.waiting]
        for lane in self._lanes.values():
            lane.waiting.clear()
        return dropped

    def _forget(self, now: float) -> None:
        self._offers += 1
        if self._offers % FORGET_EVERY:
            return
        for endpoint, lane in list(self._lanes.items()):
            if not lane.sending and not lane.waiting and now - lane.used > FORGET_AFTER_S:
                del self._lanes[endpoint]
