"""The calls of a line process: commands in, events out; what is due, what is over, who still holds a line.

No object of PJSIP gets here. One owner, the loop of sip/child.py: `obey`, `pump`, `take`, and sleep for `patience_s`.
"""

import time
import wave
from collections import deque
from collections.abc import Callable

from sip.commands import (
    Answer,
    Command,
    Dial,
    Drain,
    HangUp,
    Ping,
    Play,
    Refuse,
    Register,
    SendDigits,
    Stop,
    StopPlaying,
    Unregister,
    Why,
)
from sip.ends import Ends
from sip.engine import Engine
from sip.events import Answered, Dialling, Ended, Event, NoFreeLine, Origin, Phase, Pong, Ready, Ringing, Trace
from sip.inband import InBand
from sip.legs import RINGS_MOST, TRACE_MOST, Close, Counters, Leg
from sip.messages import kept
from sip.overhearing import overhear
from sip.pjproblem import NO_RTP_PORT, NO_SOUND_CLOCK, TOO_MANY_CALLS
from sip.reception import NOBODY, Reception
from sip.recording import file_ms
from sip.registering import Registering
from sip.setup import DIALS_PER_S_CEILING, LineSetup
from sip.trunk import DtmfWay

PUMP_MS = 10  # while calls live: no timer of ours needs a finer grain
LISTEN_MS = 100  # idle in a process that takes calls: woken by a packet, and a command waits no longer
PATIENCE_S = 0.5  # asleep on the pipe; a stranger's OPTIONS waits no longer
SETTLING_S = 0.1  # no call, but an unanswered INVITE or BYE is to be sent again now and then
COUNT_S = 1.0  # how often streams are read
WAIT_FOR_SLOT_S = 1.0  # a dial is delayed so long by pace, or by a line about to be free; then it is refused
BURST = 4.0  # dials that may follow each other at once
STOP_S = 2.0  # for BYEs to be answered

_NOTHING_SENT = {
    TOO_MANY_CALLS: "every line is busy",
    NO_RTP_PORT: "no free RTP port",
    NO_SOUND_CLOCK: "no sound clock",
}


class Exchange:
    """Raises EngineRefused when PJSIP must not dial. It is the engine's `Watcher`."""

    def __init__(self, setup: LineSetup, make_engine: Callable[..., Engine] = Engine) -> None:
        self._setup = setup
        self._events: list[Event] = []
        self._legs: dict[str, Leg] = {}  # up, for PJSIP
        self._waiting: deque[tuple[Dial, float]] = deque()
        self._tokens, self._refilled = BURST, time.monotonic()
        self._draining = self._stopping = False
        self._stop_by = 0.0
        self._count_at = 0.0
        self._engine = make_engine(setup, self)
        self._ends = Ends(setup, self._engine, self._say)
        self._reception = Reception(setup, self._engine, self._legs, self._ends, self._say) if setup.listens else None
        self._registering = Registering(setup, self._engine, self._say) if setup.registers else None

    @property
    def ready(self) -> Ready:
        return self._engine.ready

    # -- the loop's side

    def patience_s(self) -> float:
        """How long the loop may sleep on its pipe before the next `pump`."""
        if self._busy or self._waiting or self._stopping or self._reception is not None:
            return 0.0
        return PATIENCE_S if self._engine.is_tidy and not self._ends.lines_taken else SETTLING_S

    @property
    def stopped(self) -> bool:
        """A Stop was obeyed to the end: every BYE is answered, or two seconds have passed."""
        over = not (self._busy or self._ends.recording or self._ends.lines_taken)
        return self._stopping and (over or time.monotonic() >= self._stop_by)

    def obey(self, command: Command) -> None:
        """Answered by events; see `take`."""
        match command:
            case Dial():
                self._waiting.append((command, time.monotonic() + WAIT_FOR_SLOT_S))
            case Play():
                self._play(command)
            case StopPlaying():
                self._stop_playing(command.call_id)
            case SendDigits():
                self._send_digits(command)
            case Answer() | Refuse() if self._reception is not None:
                self._reception.obey(command)
            case HangUp():
                self._hang_up_by_id(command)
            case Register() if self._registering is not None:
                self._registering.ask(command)
            case Unregister() if self._registering is not None:
                self._registering.take_back()
            case Ping():
                self._events.append(Pong(command.number))
            case Drain():
                self._draining = True
            case Stop():
                self._stop()

    def pump(self) -> None:
        """One turn."""
        self._place_waiting()
        if self._registering is not None and not self._stopping:
            self._registering.turn()
        heard_until = time.monotonic()  # what came since may lie unread, if this turn is held up
        self._engine.pump(PUMP_MS if self._busy else LISTEN_MS if self._reception is not None else 0)
        if self._reception is not None:
            leaving = self._draining or self._stopping
            self._reception.turn(free=self.ready.capacity - self._lines_taken, leaving=leaving)
        self._watch_messages()
        now = time.monotonic()
        for call_id in self._engine.played_out():
            self._count(self._legs[call_id], now)
            self._say(self._legs[call_id].finished(now, time.time()))
        self._tend_all(now, heard_until)
        self._ends.publish(now)
        self._watch_messages()  # what was sent in this turn too: an end is told after its BYE was answered
        self._ends.tell(now)
        if self._engine.is_tidy and not (self._legs or self._waiting or self._ends.recording):
            self._engine.sleep()

    def take(self) -> list[Event]:
        """Events since the last call."""
        events, self._events = self._events, []
        return events

    def give_up(self) -> list[Ended]:
        """End every call now, whoever hears of it; how those ended that `take` has not given out yet."""
        self._stop()
        self._watch_messages()
        told = [event for event in self._events if isinstance(event, Ended)]
        never = [_never_sent(dial, "the service stopped before it was dialled") for dial, _ in self._waiting]
        self._waiting.clear()
        return told + never + [self._ends.facts(leg) for leg in self._ends.closing.values()]

    def leave(self) -> None:
        """Let the last BYEs be answered, two seconds at most; then nothing of the library exists any more."""
        while not self.stopped:
            self.pump()
        self._engine.destroy()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping, self._stop_by = True, time.monotonic() + STOP_S
            if self._registering is not None:
                self._registering.take_back()
        for leg in list(self._legs.values()):
            self._hang_up(leg, Why.SHUTDOWN)

    @property
    def _busy(self) -> bool:
        """A call, or a registrar, may say something any moment."""
        registering = self._registering is not None and self._registering.busy
        return bool(self._legs or self._ends.closing) or registering

    # -- dialling

    def _place_waiting(self) -> None:
        now = time.monotonic()
        rate = min(self._setup.dials_per_s, DIALS_PER_S_CEILING)
        self._tokens = min(BURST, self._tokens + (now - self._refilled) * rate)
        self._refilled = now
        while self._waiting:
            dial, give_up_at = self._waiting[0]
            refusal = self._no_room() or self._place_in_pace(dial)
            if refusal and now < give_up_at and self._soon():
                return
            self._waiting.popleft()
            if refusal:
                self._events.append(NoFreeLine(dial.call_id, refusal))

    def _soon(self) -> bool:
        """Waiting a moment may help: a line is about to be free, or the pace allows another dial."""
        return not (self._draining or self._stopping) and (bool(self._ends.closing) or self._tokens < 1)

    def _no_room(self) -> str:
        if self._draining or self._stopping:
            return "no new calls"
        return "every line is busy" if self._lines_taken >= self.ready.capacity else ""

    @property
    def _lines_taken(self) -> int:
        return len(self._legs) + self._ends.lines_taken

    def _place_in_pace(self, dial: Dial) -> str:
        """Empty when it was dialled, whatever came of it; else why nothing was sent."""
        if self._tokens < 1:
            return "dialled too fast"
        if dial.call_id in self._legs or dial.call_id in self._ends.closing:
            return "this call is being dialled already"
        self._tokens -= 1
        try:
            leg = Leg(dial, file_ms(dial.audio), self._setup.silent_s, time.monotonic())
        except (OSError, EOFError, wave.Error) as error:
            self._events.append(Dialling(dial.call_id, time.time(), ""))
            self._events.append(_never_sent(dial, f"cannot read the audio: {type(error).__name__}"))
            return ""
        return self._place(leg)

    def _place(self, leg: Leg) -> str:
        call_id = leg.dial.call_id
        self._legs[call_id] = leg
        leg.mark = self._engine.mark()
        leg.ear = InBand() if self._setup.trunk.dtmf is DtmfWay.INBAND else None
        problem = self._engine.place(leg.dial)
        if leg.close is None and problem is None:
            self._ends.know(leg, self._engine.sip_call_id(call_id))
        elif leg.close is None and problem is not None:
            del self._legs[call_id]
            if problem.status in _NOTHING_SENT:
                return _NOTHING_SENT[problem.status]
            leg.error = str(problem)
            self._ends.failed(leg, Close(time.time(), 0, "", Origin.LOCAL))
        self._events.append(Dialling(call_id, time.time(), leg.sip_call_id))
        return ""

    # -- commands on a call

    def _play(self, command: Play) -> None:
        leg = self._legs.get(command.call_id)
        if leg is None or not leg.confirmed:
            return
        self._stop_playing(command.call_id)
        try:
            length_ms = file_ms(command.audio)
        except (OSError, EOFError, wave.Error) as error:
            leg.error = f"cannot read the audio: {type(error).__name__}"
            self._hang_up(leg, Why.PLAYED_OUT)
            return
        leg.replace_script(command, length_ms, time.monotonic())

    def _stop_playing(self, call_id: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None:
            self._engine.silence(call_id)
            self._count(leg, time.monotonic())
            self._say(leg.stopped(time.time()))

    def _send_digits(self, command: SendDigits) -> None:
        leg = self._legs.get(command.call_id)
        if leg is not None and leg.confirmed:
            problem = self._engine.press(command.call_id, command.digits)
            if problem is not None:
                leg.error = f"a key could not be sent: {problem}"

    def _hang_up_by_id(self, command: HangUp) -> None:
        leg = self._legs.get(command.call_id)
        if leg is not None:
            self._hang_up(leg, command.why)
        for waiting in list(self._waiting):
            if waiting[0].call_id == command.call_id:
                self._waiting.remove(waiting)
                self._events.append(NoFreeLine(command.call_id, "given up before it was dialled"))

    def _hang_up(self, leg: Leg, why: Why) -> None:
        """The end comes back inside `hang_up`; what PJSIP cannot end any more is ended here."""
        if leg.why is not None or leg.close is not None:
            return
        leg.why = why
        self._count(leg, time.monotonic())
        call_id, not_taken = leg.dial.call_id, leg.inbound and not leg.confirmed
        problem = self._engine.turn_away(call_id, NOBODY) if not_taken else self._engine.hang_up(call_id)
        if problem is not None and leg.close is None:
            leg.error = str(problem)
            self.over(leg.dial.call_id, Close(time.time(), 0, "", Origin.LOCAL))

    # -- what the engine tells: inside `pump`, or inside our own calls into it

    def rung(self, call_id: str, source: str, text: str) -> None:
        if self._reception is not None:
            self._reception.knock(call_id, source, text)

    def trying(self, call_id: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None:
            leg.reached(Phase.TRYING)

    def ringing(self, call_id: str, code: int, early_media: bool) -> None:
        leg = self._legs.get(call_id)
        if leg is not None and not leg.inbound:
            leg.reached(Phase.RINGING)
            leg.rings += 1
            if leg.rings <= RINGS_MOST:
                self._events.append(Ringing(call_id, time.time(), code, early_media))

    def answered(self, call_id: str, codec: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None:
            leg.codec = codec
            leg.answer(time.monotonic())
            self._events.append(Answered(call_id, time.time(), codec))

    def media(self, call_id: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None:
            leg.media = leg.rewire = True
            leg.rewire_early = not (leg.confirmed or leg.inbound)

    def pressed(self, call_id: str, digit: str, method: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None:
            self._say(leg.press(digit, method, time.time()))

    def stream_over(self, call_id: str, counters: Counters) -> None:
        leg = self._legs.get(call_id)
        if leg is not None:
            leg.bank(counters, time.monotonic())

    def over(self, call_id: str, close: Close) -> None:
        leg = self._legs.pop(call_id, None)
        if leg is not None:
            self._ends.over(leg, close)

    def fault(self, call_id: str, words: str) -> None:
        leg = self._legs.get(call_id)
        if leg is not None:
            leg.error = words

    def registration(self, code: int, reason: str, expires_s: int, retry_after_s: int | None) -> None:
        if self._registering is not None:
            # What went wrong with the connection says more than the library's own words for "no answer".
            words = reason if code else self._engine.streams.why or reason
            self._registering.heard(code, words, expires_s, retry_after_s)

    # -- each turn

    def _tend_all(self, now: float, heard_until: float) -> None:
        counting = now >= self._count_at
        if counting:
            self._count_at = now + COUNT_S
        for leg in list(self._legs.values()):
            if leg.confirmed and leg.media:
                self._wire(leg, now)
            if not overhear(self._engine, leg) and leg.ear is not None:
                self._listen(leg, leg.ear)
            if counting and leg.confirmed:
                self._count(leg, now)
            if leg.may_speak(now):
                self._speak(leg)
            why = leg.due_why(heard_until)
            if why is not None:
                self._hang_up(leg, why)

    def _listen(self, leg: Leg, ear: InBand) -> None:
        for pcm in self._engine.heard(leg.dial.call_id):
            for key in ear.hear(pcm):
                self.pressed(leg.dial.call_id, key, "inband")

    def _wire(self, leg: Leg, now: float) -> None:
        if leg.rewire:
            leg.rewire = False
            self._engine.shut_out(leg.dial.call_id, leg.peer)
            problem = self._engine.connect(leg.dial.call_id, leg.dial.record)
            if problem is not None:
                leg.error = str(problem)
            elif leg.dial.record:
                self._ends.record(leg.dial.call_id)
        leg.prepare(now)

    def _speak(self, leg: Leg) -> None:
        """A file that cannot be played ends this call and no other."""
        self._count(leg, time.monotonic())
        problem = self._engine.speak(leg.dial.call_id, leg.script.audio if leg.script else "")
        if problem is not None:
            leg.error = str(problem)
            self._hang_up(leg, Why.PLAYED_OUT)
            return
        self._events.append(leg.began(time.time()))

    def _count(self, leg: Leg, now: float) -> None:
        counters = self._engine.counters(leg.dial.call_id)
        if counters is not None:
            leg.count(counters, now)

    def _watch_messages(self) -> None:
        for at, seen in self._engine.messages():
            if seen.method == "REGISTER" and self._registering is not None:
                self._registering.watch(at, seen)
            leg = self._ends.leg_of(seen.sip_call_id)
            if leg is None:
                continue
            leg.watch(seen, at)
            if self._setup.ladder and leg.traced < TRACE_MOST and not self._ends.told(seen.sip_call_id):
                leg.traced += 1
                self._events.append(Trace(leg.dial.call_id, at, seen.sent, seen.peer, kept(seen.text)))

    def _say(self, event: Event | None) -> None:
        if event is not None:
            self._events.append(event)


def _never_sent(dial: Dial, error: str) -> Ended:
    return Ended(dial.call_id, time.time(), 0, "", Origin.LOCAL, Phase.SILENT, sent=False, error=error)
