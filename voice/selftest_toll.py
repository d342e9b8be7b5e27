"""What the call of a self-test takes of the limits of its key: as every call does. Pure.

Who asks for a test with a call takes one call for good, and the longest it may talk and the most that may cost until
the test is over; then it counts as long as it was up. A test whose end nobody tells (its dialer died, or none took it)
stays counted at its most, on its day: somebody may have talked. It is open no longer than a test can last.
"""

from math import ceil

from voice.calls import FREE
from voice.caps import Caps, DurationCap, Need, Reservation, UnpricedNumber, day_of, need
from voice.selftest import NOT_REACHED, TALK_MOST_S, StepName, TrunkTest

NOTHING = Need(0)


def most(test: TrunkTest) -> Need:
    """What its call takes at most."""
    return need(ceil(TALK_MOST_S), test.tariff)


def reservation(test: TrunkTest, caps: Caps, zone: str) -> Reservation | None:
    """None: no phone is rung. Raises UnpricedNumber, and DurationCap."""
    if not test.to:
        return None
    if caps.amount_per_day is not None and test.tariff is None:
        raise UnpricedNumber
    if caps.max_duration_s is not None and caps.max_duration_s < TALK_MOST_S:
        raise DurationCap(
            f"A test call may last {TALK_MOST_S:g} s; this key may let a call last {caps.max_duration_s} s."
        )
    return Reservation(test.key_id, day_of(test.asked_at, zone), caps, (most(test),))


def spent(test: TrunkTest) -> Need:
    """What its call took, when the test is over."""
    made = {step.name: step for step in test.steps if step.what != NOT_REACHED}
    sound = made.get(StepName.RTP)
    if sound is not None and sound.ms is not None:  # it was answered, and is over
        seconds = (test.tariff or FREE).billed_s(sound.ms / 1000)
        return Need(seconds, test.tariff.millionths(seconds) if test.tariff else 0)
    if not made or test.failed:  # nobody was rung, or nobody answered
        return NOTHING
    return most(test)  # it was cut short, nobody knows where
