"""What a self-test may take of the limits of its key, and what it took when it is over."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from messaging.errors import ServiceError
from voice.caps import Caps, DurationCap, Need, UnpricedNumber
from voice.selftest import Step, StepName, TrunkTest, Verdict
from voice.selftest_toll import NOTHING, reservation, spent
from voice.tariffs import Tariff

NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
TARIFF = Tariff("234", "0.60", "EUR", 6, 6, "0.01")
TEST = TrunkTest("test_1", "lagos-1", "main.live", "key_1", False, NOW, "2348020000000", "2347080670000", tariff=TARIFF)
OK, FAILED, SKIPPED = Verdict.OK, Verdict.FAILED, Verdict.SKIPPED
MOST = Need(18, 190_000)  # 12 s, and 2 s until it has hung up, in steps of 6 s


def over(*steps: tuple[StepName, Verdict, int | None], trouble: str = "") -> TrunkTest:
    test = TEST
    for name, verdict, ms in steps:
        test = test.with_step(Step(name, verdict, "Seen.", ms=ms))
    return test.finished(NOW, trouble)


WAY = ((StepName.DNS, OK, 1), (StepName.CONNECT, SKIPPED, None), (StepName.OPTIONS, OK, 9))
UP = (*WAY, (StepName.INVITE, OK, 900))


@pytest.mark.parametrize(
    ("test", "took"),
    [
        (over(*UP, (StepName.RTP, OK, 3_300), (StepName.BYE, OK, 5)), Need(6, 70_000)),
        (over(*UP, (StepName.RTP, FAILED, 7_100)), Need(12, 130_000)),
        (over(*UP, (StepName.RTP, OK, 0), (StepName.DTMF, FAILED, None)), Need(6, 70_000)),
        (over(*WAY, (StepName.INVITE, FAILED, 15_000)), NOTHING),
        (over((StepName.DNS, FAILED, 1)), NOTHING),
        (over(trouble="There is no such trunk any more."), NOTHING),
        (over(*WAY, trouble="The dialer was stopped, try again."), MOST),  # perhaps in the middle of its call
        (over(*UP, trouble="The dialer was stopped, try again."), MOST),
    ],
)
def test_a_test_takes_the_time_that_its_call_was_up(test: TrunkTest, took: Need) -> None:
    assert spent(test) == took


def test_without_a_price_only_seconds_are_taken() -> None:
    free = replace(over(*UP, (StepName.RTP, OK, 3_300)), tariff=None)
    assert spent(free) == Need(4)


def test_it_is_reserved_on_the_day_of_the_account() -> None:
    caps = Caps(calls_per_day=3, max_duration_s=12)
    asked = reservation(TEST, caps, "Africa/Lagos")

    assert asked is not None
    assert (asked.key_id, asked.day, asked.caps, asked.each) == ("key_1", "20261125", caps, (MOST,))
    assert reservation(replace(TEST, to=""), Caps(calls_per_day=0), "UTC") is None


@pytest.mark.parametrize(
    ("tariff", "caps", "error"),
    [(None, Caps(amount_per_day="5"), UnpricedNumber), (TARIFF, Caps(max_duration_s=11), DurationCap)],
)
def test_what_no_limit_could_hold_is_refused(tariff: Tariff | None, caps: Caps, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        reservation(replace(TEST, tariff=tariff), caps, "UTC")
