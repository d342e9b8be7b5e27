"""SimulatedLine, the twin of `Lines`: calls without SIP, told by the same state machine as real ones (sip/legs.py).

What happens to a call is read from the number that is dialled, as with the catch-all phone. `speed` 10 makes ten
simulated seconds of one real one.
"""

import asyncio
import re
import time
import wave
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from sip.callee import Callee, Directory
from sip.commands import AfterScript, Dial, HangUp, Play, StopPlaying, Why
from sip.events import Answered, Ended, LineEvent, Origin, Phase, Ringing
from sip.legs import Close, Counters, Leg
from sip.line import Capacity, LineError, NoFreeLine
from sip.messages import Answer
from sip.registrar import Registrar
from sip.sandbox.scripts import OVERRIDE_HEADER
from sip.setup import SILENT_S

PACKETS_PER_S = 50
CALLS_PER_PROCESS = 4  # as many calls are lost together as with the real library
_USER = re.compile(r"sips?:\+?(\d+)@")


class SimulatedLine:
    """`Line` without a telephone."""

    def __init__(
        self, *, most: int = 20, speed: float = 1.0, callee: Callable[[str, str | None], Callee] | None = None
    ) -> None:
        """`callee`: who is at a number, given an override of the sandbox; by default those of the catch-all phone."""
        self._most, self._speed = most, speed
        self._callee = callee or Directory().callee
        self._legs: dict[str, SimulatedLeg] = {}
        self._draining = False

    def capacity(self) -> Capacity:
        return Capacity(self._most, len(self._legs))

    async def dial(self, command: Dial) -> "SimulatedLeg":
        """Raises NoFreeLine: then nothing was sent."""
        if self._draining or len(self._legs) >= self._most:
            raise NoFreeLine("every line is busy" if not self._draining else "no new calls: the service is stopping")
        if command.call_id in self._legs:
            raise LineError("this call is being dialled already")
        user = _USER.search(command.uri)
        callee = self._callee(user[1] if user else "", dict(command.headers).get(OVERRIDE_HEADER))
        leg = SimulatedLeg(command, callee, self._speed, over=lambda: self._legs.pop(command.call_id, None))
        leg.process = self._process_with_room()
        self._legs[command.call_id] = leg
        return leg

    async def drain(self) -> None:
        self._draining = True
        while self._legs:
            await asyncio.wait([leg.task for leg in self._legs.values()])

    async def aclose(self) -> None:
        for leg in list(self._legs.values()):
            await leg.hang_up(Why.SHUTDOWN)
        await self.drain()

    # -- as Lines, where there is nothing to start and nobody to register with

    registrar: Registrar | None = None

    async def start(self) -> None: ...

    def register(self) -> None: ...

    def unregister(self) -> None: ...

    async def sign_off(self) -> None: ...

    def lose(self, call_id: str) -> None:
        """The line process that carries this call dies: every call on it ends lost, and no other."""
        dead = self._legs[call_id].process
        for leg in list(self._legs.values()):
            if leg.process == dead:
                leg.wishes.put_nowait(None)

    def _process_with_room(self) -> int:
        taken = [leg.process for leg in self._legs.values()]
        return next(n for n in range(len(taken) + 1) if taken.count(n) < CALLS_PER_PROCESS)


@dataclass(slots=True)
class _Course:
    """What is still to come from the far end: moments in simulated seconds."""

    rings_at: float | None
    answers_at: float | None
    refuses_at: float | None
    hangs_up_at: float | None = None
    presses: list[tuple[float, str]] = field(default_factory=list)
    plays_until: float | None = None

    def next(self) -> float | None:
        moments = [self.rings_at, self.answers_at, self.refuses_at, self.hangs_up_at, self.plays_until]
        return min([at for at in moments if at is not None] + [at for at, _ in self.presses], default=None)


class SimulatedLeg:
    """One simulated call: a task that lives until `Ended`."""

    def __init__(self, dial: Dial, callee: Callee, speed: float, over: Callable[[], object]) -> None:
        self._dial, self._callee, self._speed = dial, callee, speed
        self._over = over
        self.process = 0
        self._events: asyncio.Queue[LineEvent] = asyncio.Queue()
        self.wishes: asyncio.Queue[Play | StopPlaying | HangUp | None] = asyncio.Queue()
        self._began = asyncio.get_running_loop().time()
        self._answered_at = 0.0
        self._leg = Leg(dial, 0, SILENT_S, 0.0, invited=True)
        rings, answers = callee.rings_after_s, callee.answers_after_s
        self._course = _Course(
            rings_at=rings,
            answers_at=(rings or 0.0) + answers if answers is not None else None,
            refuses_at=callee.refuses_after_s if callee.refusal else None,
        )
        if rings is not None or answers is not None or callee.refusal is not None:
            self._leg.reached(Phase.TRYING)  # 100 at once, however long the rest takes; else: a trunk that is silent
        self.task = asyncio.create_task(self._live(), name=f"simulated call {dial.call_id}")

    @property
    def call_id(self) -> str:
        return self._dial.call_id

    async def events(self) -> AsyncIterator[LineEvent]:
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, Ended):
                return

    async def play(self, audio: str, then: AfterScript) -> None:
        self.wishes.put_nowait(Play(self.call_id, audio, then))

    async def stop_playing(self) -> None:
        self.wishes.put_nowait(StopPlaying(self.call_id))

    async def send_digits(self, digits: str) -> None:
        """Nobody at the other end listens for keys."""

    async def hang_up(self, why: Why) -> None:
        self.wishes.put_nowait(HangUp(self.call_id, why))

    # -- the life of a call

    def _now(self) -> float:
        return (asyncio.get_running_loop().time() - self._began) * self._speed

    async def _live(self) -> None:
        try:
            self._leg.file_ms = _file_ms(self._dial.audio)
        except (OSError, EOFError, wave.Error) as error:
            self._leg.invited, self._leg.error = False, f"cannot read the audio: {type(error).__name__}"
            self._close(0, "", Origin.LOCAL)
        self._leg.audio_ms = self._leg.file_ms * self._dial.repeat
        while self._leg.close is None:
            self._turn(self._now())
            if self._leg.close is None:
                await self._pause()

    async def _pause(self) -> None:
        """Until something is due, or somebody wishes something."""
        leg, now = self._leg, self._now()
        speak_at = leg.script.speak_at if leg.script else None
        moments = [self._course.next(), speak_at, min(leg.due.values(), default=None)]
        until = min((at for at in moments if at is not None), default=now + 1.0)
        try:
            async with asyncio.timeout(max(0.0, until - now) / self._speed):
                wish = await self.wishes.get()
        except TimeoutError:
            return
        self._count()
        if wish is None:
            self._lost()
        elif isinstance(wish, HangUp):
            self._hang_up(wish.why)
        elif leg.confirmed:
            self._say(leg.stopped(time.time()))
            self._course.plays_until = None
            if isinstance(wish, Play):
                leg.replace_script(wish, _file_ms(wish.audio), self._now())

    def _turn(self, now: float) -> None:
        """What is due by now, in the order in which a line would see it."""
        leg, course = self._leg, self._course
        self._count()
        if course.rings_at is not None and course.rings_at <= now:
            course.rings_at = None
            leg.reached(Phase.RINGING)
            self._say(Ringing(self.call_id, time.time(), 180))
        refusal = self._callee.refusal
        if refusal is not None and course.refuses_at is not None and course.refuses_at <= now:
            leg.reached(Phase.TRYING)
            self._close(refusal.code, refusal.reason, Origin.REMOTE, refusal)
            return
        if course.answers_at is not None and course.answers_at <= now:
            self._answer(now)
        self._speech(now)
        self._far_end(now)
        why = leg.due_why(now)
        if why is not None:
            self._hang_up(why)

    def _answer(self, now: float) -> None:
        leg, course = self._leg, self._course
        course.answers_at = None
        self._answered_at = now
        leg.codec = "PCMA"
        leg.answer(now)
        leg.prepare(now)
        self._say(Answered(self.call_id, time.time(), "PCMA"))
        course.presses = [(now + after, key) for after, key in self._callee.presses_at]
        if self._callee.hangs_up_after_s is not None:
            course.hangs_up_at = now + self._callee.hangs_up_after_s

    def _speech(self, now: float) -> None:
        leg, course = self._leg, self._course
        if course.plays_until is not None and course.plays_until <= now:
            course.plays_until = None
            played = leg.finished(now, time.time())
            self._say(played)
            if played is not None and not leg.digits:
                course.presses += [(now + after, key) for after, key in self._callee.presses]
                course.presses.sort()
        if leg.may_speak(now) and leg.script is not None:
            file_ms = leg.script.file_ms
            self._say(leg.began(time.time()))
            course.plays_until = now + file_ms / 1000

    def _far_end(self, now: float) -> None:
        course = self._course
        while course.presses and course.presses[0][0] <= now:
            self._say(self._leg.press(course.presses.pop(0)[1], "rfc4733", time.time()))
        if course.hangs_up_at is not None and course.hangs_up_at <= now:
            self._close(200, "OK", Origin.REMOTE)

    def _count(self) -> None:
        if self._leg.confirmed:
            packets = int((self._now() - self._answered_at) * PACKETS_PER_S) + 1
            heard = packets if self._callee.sends_audio else 0
            self._leg.count(Counters(sent=packets, received=heard), self._now())

    def _hang_up(self, why: Why) -> None:
        if self._leg.close is None:
            self._leg.why = why
            if self._leg.phase is Phase.RINGING:
                self._leg.final = Answer(487, "Request Terminated")
            self._close(0, "", Origin.LOCAL)

    def _close(self, code: int, reason: str, origin: Origin, answer: Answer | None = None) -> None:
        self._say(self._leg.stopped(time.time()))
        self._leg.close = Close(time.time(), code, reason, origin, answer=answer)
        self._say(self._leg.ended())

    def _lost(self) -> None:
        leg = self._leg
        leg.close = Close(time.time(), 0, "", Origin.LOCAL)
        answered = leg.phase is Phase.ANSWERED
        self._say(
            Ended(
                self.call_id,
                time.time(),
                200 if answered else 0,
                "OK" if answered else "",
                Origin.LOCAL,
                leg.phase,
                lost=True,
                digits=leg.digits,
                error="the line process died",
            )
        )

    def _say(self, event: LineEvent | None) -> None:
        if event is not None:
            self._events.put_nowait(event)
        if isinstance(event, Ended):
            self._over()


def _file_ms(path: str) -> int:
    with wave.open(path, "rb") as file:
        return round(1000 * file.getnframes() / file.getframerate())
