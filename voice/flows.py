"""What happens on an answered call: the message, and the one key it may ask for. Pure."""

from dataclasses import dataclass, replace

from sip.commands import AfterScript
from sip.events import Digit, LineEvent, Played
from voice.messages import Gather, Script

GRACE_S = 0.3  # between a valid key and our BYE: the tone ends, the thumb lifts, the line is not cut off mid-beep


@dataclass(frozen=True, slots=True)
class Decision:
    """`hang_up_in_s` replaces an earlier one; None leaves it as it is."""

    stop_playing: bool = False
    hang_up_in_s: float | None = None


NOTHING = Decision()


@dataclass(frozen=True, slots=True)
class Flow:
    """Where the conversation stands. `key`: the valid key that was pressed."""

    gather: Gather | None = None
    key: str | None = None

    @property
    def then(self) -> AfterScript:
        """Without a question the line hangs up by itself, to the sample; with one it waits for us."""
        return AfterScript.HANG_UP if self.gather is None else AfterScript.WAIT


def begin(script: Script) -> Flow:
    return Flow(script.gather)


def step(flow: Flow, event: LineEvent) -> tuple[Flow, Decision]:
    """A valid key ends the call at once, also while we speak; another key changes nothing; silence is waited out."""
    if flow.gather is None or flow.key is not None:
        return flow, NOTHING
    match event:
        case Digit() if event.digit in flow.gather.valid:
            return replace(flow, key=event.digit), Decision(stop_playing=True, hang_up_in_s=GRACE_S)
        case Played(to_end=True):
            return flow, Decision(hang_up_in_s=flow.gather.timeout_ms / 1000)
    return flow, NOTHING
