"""Calls that are over for PJSIP and not yet for us: the answer to our BYE, the recording, a line that is still taken.

One owner, the `Exchange` of the process.
"""

import time
import wave
from collections.abc import Callable
from pathlib import Path

from sip.commands import Why
from sip.engine import Engine
from sip.events import Ended, Event, Phase
from sip.legs import SILENT_SLOT_S, Close, Leg
from sip.recording import discard, join
from sip.setup import LineSetup
from sip.trunk import Srtp

PUBLISH_WITHIN_S = 0.5


class Ends:
    """`say` is told each `Ended`, once."""

    def __init__(self, setup: LineSetup, engine: Engine, say: Callable[[Event], None]) -> None:
        self._setup, self._engine, self._say = setup, engine, say
        self.closing: dict[str, Leg] = {}  # over for PJSIP, not yet told
        self._reserved: dict[str, tuple[float, Leg]] = {}  # by SIP Call-ID: told, but the line is still taken
        self._by_sip_id: dict[str, Leg] = {}
        self._recording: set[str] = set()  # the file is not published yet
        self._publishing: dict[str, tuple[float, Path]] = {}

    @property
    def lines_taken(self) -> int:
        return len(self.closing) + len(self._reserved)

    @property
    def recording(self) -> bool:
        """A file is still written."""
        return bool(self._recording)

    def know(self, leg: Leg, sip_call_id: str) -> None:
        leg.sip_call_id = sip_call_id
        self._by_sip_id[sip_call_id] = leg

    def leg_of(self, sip_call_id: str) -> Leg | None:
        return self._by_sip_id.get(sip_call_id)

    def told(self, sip_call_id: str) -> bool:
        """Its `Ended` was said; only the line is still taken."""
        return sip_call_id in self._reserved

    def record(self, call_id: str) -> None:
        self._recording.add(call_id)

    def failed(self, leg: Leg, close: Close) -> None:
        """It never was a call for PJSIP."""
        leg.close = close
        self.closing[leg.dial.call_id] = leg

    def over(self, leg: Leg, close: Close) -> None:
        now = time.monotonic()
        if not leg.sip_call_id:
            self.know(leg, close.sip_call_id)
        played = leg.stopped(close.at)
        if played is not None:
            self._say(played)
        leg.close = close
        leg.settle_by = now if leg.phase is Phase.SILENT else now + self._setup.settle_s
        self.closing[leg.dial.call_id] = leg

    def publish(self, now: float) -> None:
        """The library closes a recorder on its clock's next tick, and writes the header only then: try until it did."""
        for call_id, target in self._engine.tidy(now):
            self._publishing[call_id] = (now + PUBLISH_WITHIN_S, target)
        for call_id, (give_up_at, target) in list(self._publishing.items()):
            try:
                join(target)
            except (OSError, EOFError, wave.Error) as error:
                if now < give_up_at:
                    continue
                discard(target)
                leg = self.closing.get(call_id)
                if leg is not None:
                    leg.error = f"no recording: {type(error).__name__}"
            del self._publishing[call_id]
            self._recording.discard(call_id)

    def tell(self, now: float) -> None:
        for call_id, leg in list(self.closing.items()):
            self._look_back(leg)
            if call_id in self._recording or (now < leg.settle_by and not leg.settled):
                continue
            del self.closing[call_id]
            self._say(self.facts(leg))
            if leg.settled:
                self._by_sip_id.pop(leg.sip_call_id, None)
            else:
                self._reserved[leg.sip_call_id] = (now + SILENT_SLOT_S, leg)
        for sip_call_id, (until, leg) in list(self._reserved.items()):
            if leg.settled or now >= until:
                del self._reserved[sip_call_id]
                self._by_sip_id.pop(sip_call_id, None)

    def facts(self, leg: Leg) -> Ended:
        target = leg.dial.record if leg.confirmed else None
        made = target is not None and (leg.dial.call_id in self._recording or Path(target).exists())
        return leg.ended(target if made else None)

    def _look_back(self, leg: Leg) -> None:
        """What PJSIP did by itself, in its own order of callbacks."""
        if leg.failed_to_leave and self._engine.never_left(leg.mark):
            leg.unsent, leg.error = True, leg.error or self._engine.streams.why
        if self._setup.trunk.srtp is Srtp.REQUIRED and leg.never_heard and not leg.encrypted:
            leg.why, leg.error = Why.INSECURE, "answered without SRTP, which this trunk has to use"
        elif leg.is_incompatible:
            leg.reached(Phase.ANSWERED)
            leg.why, leg.error = Why.INCOMPATIBLE, "answered without media that was offered"
