"""The far end of a simulated call: what the catch-all phone's table says of a number, as moments in time.

One table (sip/sandbox/scripts.py) decides for the phone and for the simulation, so a magic number means the same with
and without SIP.
"""

from collections import Counter
from dataclasses import dataclass

from sip.messages import Answer
from sip.sandbox.scripts import BadOverride, Final, PhoneScript, Press, script_for

RING_S = 0.02  # of network: nothing comes back at once
THINK_S = 0.5  # from the last word to the key
BETWEEN_KEYS_S = 0.25


@dataclass(frozen=True, slots=True)
class Callee:
    """What the far end does. Times in seconds: ringing and a refusal from the INVITE, the rest from the answer.

    `rings_after_s` None: nothing before the final answer. Neither rings, answers nor refuses: a trunk that is silent.
    """

    rings_after_s: float | None = RING_S
    answers_after_s: float | None = 0.3  # after ringing began; None: never
    refusal: Answer | None = None
    refuses_after_s: float = RING_S
    hangs_up_after_s: float | None = None
    presses: tuple[tuple[float, str], ...] = ()  # seconds after the end of the first playing, key
    presses_at: tuple[tuple[float, str], ...] = ()  # seconds after the answer, key
    sends_audio: bool = True


class Directory:
    """Who answers at which number. Some answer on a later try only, so it remembers how often each was called."""

    def __init__(self) -> None:
        self._tries: Counter[str] = Counter()

    def callee(self, number: str, override: str | None = None) -> Callee:
        """`override`: the value of X-Tocsin-Sandbox; one that cannot be read changes nothing."""
        self._tries[number] += 1
        try:
            script = script_for(number, override)
        except BadOverride:
            script = script_for(number)
        return callee_of(script, self._tries[number])


def callee_of(script: PhoneScript, tries: int = 1) -> Callee:
    """Pure. `tries`: how often the number was called by now, this call included."""
    rings = None if script.ring_after_s is None else script.ring_after_s + RING_S
    final = script.login or script.final  # no login is known here, so whoever asks for one refuses
    if tries < script.answers_on_try:
        rings, final = None, script.until_then
    if final is not None:
        return Callee(rings, None, _answer(final), (rings or RING_S) + final.after_s)
    return Callee(
        rings_after_s=rings,
        answers_after_s=sum(script.answer_after_s) / 2 if script.answer_after_s else None,
        hangs_up_after_s=script.hangup_after_s,
        presses=_after_the_prompt(script.presses),
        presses_at=tuple(
            (press.at_s + n * BETWEEN_KEYS_S, key)
            for press in script.presses
            if press.at_s is not None
            for n, key in enumerate(press.keys)
        ),
        sends_audio=not script.silent,
    )


def _after_the_prompt(presses: tuple[Press, ...]) -> tuple[tuple[float, str], ...]:
    """The first after the prompt; each later one when its patience is over, because no further prompt comes."""
    at = 0.0
    found: list[tuple[float, str]] = []
    for press in presses:
        if press.at_s is not None:
            continue
        at += (press.patience_s or THINK_S) if found else THINK_S
        for key in press.keys:
            found.append((at, key))
            at += BETWEEN_KEYS_S
        at -= BETWEEN_KEYS_S
    return tuple(found)


def _answer(final: Final) -> Answer:
    headers = dict(final.headers)
    reason, wait = headers.get("Reason"), headers.get("Retry-After")
    q850 = reason.partition("cause=")[2].partition(";")[0] if reason else ""
    return Answer(final.code, final.reason, reason, int(q850) if q850 else None, int(wait) if wait else None)
