"""The person (or mailbox) who answered: what to press, say and when to hang up, decided 50 times a second."""

from collections.abc import Callable
from dataclasses import dataclass

from sip.sandbox import tones
from sip.sandbox.ear import Ear
from sip.sandbox.g711 import RATE_HZ
from sip.sandbox.mouth import Mouth
from sip.sandbox.scripts import PhoneScript, Press


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The sound of a mailbox, ready to play: greeting, silence up to the beep, beep."""

    pcm: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / RATE_HZ


def mailbox(greeting: bytes, beep_at_s: float) -> Mailbox:
    """`greeting` is PCM16 at 8 kHz; the beep comes at `beep_at_s` or right after a longer greeting."""
    wait = tones.silence(max(0.0, beep_at_s - len(greeting) / 2 / RATE_HZ))
    return Mailbox(greeting + wait + tones.beep())


class Person:
    """Follows the script of one answered call. `hang_up` is called at most once."""

    def __init__(
        self,
        script: PhoneScript,
        *,
        answered: float,
        mouth: Mouth,
        ear: Ear,
        greeting: bytes,
        hang_up: Callable[[], None],
    ) -> None:
        self._mouth = mouth
        self._ear = ear
        self._answered = answered
        self._timed = sorted((p for p in script.presses if p.at_s is not None), key=lambda p: p.at_s or 0.0)
        self._prompted = [press for press in script.presses if press.at_s is None]
        self._waiting_since = answered
        self._hang_up_at = None if script.hangup_after_s is None else answered + script.hangup_after_s
        self._hang_up = hang_up
        if script.silent:
            ear.recording = None
        elif script.voicemail is not None:
            box = mailbox(greeting, script.voicemail.beep_at_s)
            mouth.say(box.pcm)
            ear.record_from(answered + box.seconds)

    def live(self, now: float) -> None:
        """What is due now."""
        while self._timed and now >= self._answered + (self._timed[0].at_s or 0.0):
            self._mouth.press(self._timed.pop(0).keys)
        if self._prompted and self._mouth.quiet and self._is_time_for(self._prompted[0], now):
            self._mouth.press(self._prompted.pop(0).keys)
            self._waiting_since = now
            self._ear.await_prompt()
        if self._hang_up_at is not None and now >= self._hang_up_at:
            self._hang_up_at = None
            self._hang_up()

    def _is_time_for(self, press: Press, now: float) -> bool:
        out_of_patience = press.patience_s is not None and now >= self._waiting_since + press.patience_s
        return out_of_patience or self._ear.prompt_over(now)
