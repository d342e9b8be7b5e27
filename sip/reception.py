"""Calls that come into a line process: rung, answered or refused from its loop, never inside the library's callback.

A rejection inside that callback ends the process when the INVITE had no SDP. One owner, the `Exchange`.
"""

import time
import wave
from collections import deque
from collections.abc import Callable

from sip.commands import Answer, Dial, Refuse, Why
from sip.ends import Ends
from sip.engine import Engine
from sip.events import Event, Phase, Rung, TurnedAway
from sip.inbound import Doorway, Knock, TurnAway, Welcome
from sip.legs import Leg
from sip.messages import header_of
from sip.recording import file_ms
from sip.setup import LineSetup

DECIDE_WITHIN_S = 10.0  # the parent says by then what the caller hears; it renders speech meanwhile
NOBODY = 480  # Temporarily Unavailable: we never came to the phone
TELL_EVERY_S = 1.0


class Reception:
    """`legs`: the exchange's own, where a call that may ring is put."""

    def __init__(
        self, setup: LineSetup, engine: Engine, legs: dict[str, Leg], ends: Ends, say: Callable[[Event], None]
    ) -> None:
        self._setup, self._engine, self._legs, self._ends, self._say = setup, engine, legs, ends, say
        self._door = Doorway.of(setup.trunk.inbound.acl)
        self._knocks: deque[Knock] = deque()
        self._turned = 0
        self._last = TurnAway(0, "")
        self._last_source = ""
        self._tell_at = 0.0

    def knock(self, call_id: str, source: str, text: str) -> None:
        """Inside the library's callback: noted, and nothing else."""
        self._knocks.append(Knock(call_id, source, text))

    def turn(self, *, free: int, leaving: bool) -> None:
        """Once in each turn of the loop."""
        now = time.monotonic()
        while self._knocks:
            knock = self._knocks.popleft()
            verdict = self._door.judge(knock, free=free, leaving=leaving, now=now)
            if isinstance(verdict, Welcome) and self._ring(knock, verdict, now):
                free -= 1
            elif isinstance(verdict, TurnAway):
                self._engine.turn_away(knock.call_id, verdict.code)
                self._turned, self._last, self._last_source = self._turned + 1, verdict, knock.source
        if self._turned and now >= self._tell_at:
            self._tell_at = now + TELL_EVERY_S
            self._say(TurnedAway(time.time(), self._turned, self._last.code, self._last_source, self._last.why))
            self._turned = 0

    def obey(self, command: Answer | Refuse) -> None:
        if isinstance(command, Answer):
            self._answer(command)
        else:
            self._refuse(command)

    def _answer(self, command: Answer) -> None:
        leg = self._legs.get(command.call_id)
        if leg is None or not leg.inbound or leg.dial.audio:
            return
        try:
            length_ms = file_ms(command.audio)
        except (OSError, EOFError, wave.Error) as error:
            leg.error = f"cannot read the audio: {type(error).__name__}"
            self._engine.turn_away(command.call_id, NOBODY)
            return
        leg.picked_up(_as_dial(leg.dial, command), length_ms)
        problem = self._engine.pick_up(command.call_id)
        if problem is not None:
            leg.error = str(problem)
            self._engine.turn_away(command.call_id, NOBODY)

    def _refuse(self, command: Refuse) -> None:
        leg = self._legs.get(command.call_id)
        if leg is not None and leg.inbound and not leg.confirmed:
            leg.why = leg.why or Why.API
            self._engine.turn_away(command.call_id, command.code)

    def _ring(self, knock: Knock, welcome: Welcome, now: float) -> bool:
        dial = Dial(knock.call_id, welcome.caller, welcome.called, "", ring_timeout_s=DECIDE_WITHIN_S)
        leg = Leg(dial, 0, DECIDE_WITHIN_S, now, inbound=True)
        leg.reached(Phase.RINGING)
        self._legs[knock.call_id] = leg
        sip_call_id = header_of(knock.text, "call-id")
        self._ends.know(leg, sip_call_id)
        problem = self._engine.ring(knock.call_id)
        if problem is not None or leg.close is not None:  # the caller is gone already
            self._engine.turn_away(knock.call_id, NOBODY)
            return False
        self._say(Rung(knock.call_id, time.time(), sip_call_id, knock.source, welcome.caller, welcome.called))
        return True


def _as_dial(rung: Dial, command: Answer) -> Dial:
    """What is said on a call does not depend on who began it."""
    return Dial(
        call_id=rung.call_id,
        uri=rung.uri,
        from_uri=rung.from_uri,
        audio=command.audio,
        pause_ms=command.pause_ms,
        repeat=command.repeat,
        repeat_gap_ms=command.repeat_gap_ms,
        then=command.then,
        max_duration_s=command.max_duration_s,
        rtp_timeout_s=command.rtp_timeout_s,
        ring_timeout_s=rung.ring_timeout_s,
    )
