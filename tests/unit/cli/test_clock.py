"""The doctor's look at the clock."""

from collections.abc import Iterator

import pytest

from voice.cli.clock import Instant, Reading, judge, read

GOOD = Reading(offset_s=0.01, step_s=0.0, older_than_us=False, synchronised=True)


@pytest.mark.parametrize(
    ("reading", "is_good", "words"),
    [
        (GOOD, True, "0.01 s behind the store's clock; synchronised"),
        (Reading(None, 0.0, False, True), True, "the store's clock is this machine's; synchronised"),
        (
            Reading(-1.9, 0.4, False, False),
            True,
            "1.90 s ahead of the store's clock; whether NTP keeps it right is unknown",
        ),
        (Reading(2.1, 0.0, False, True), False, "2.10 s behind"),
        (Reading(-2.1, 0.0, False, True), False, "2.10 s ahead of"),
        (Reading(0.0, -0.6, False, True), False, "moved by -0.6 s while we looked"),
        (Reading(0.0, 0.0, True, True), False, "not yet installed"),
    ],
)
def test_a_clock_is_judged_by_the_stores_by_its_steps_and_by_its_year(
    reading: Reading, is_good: bool, words: str
) -> None:
    found = judge(reading)

    assert found.ok is is_good
    assert words in found.detail
    assert bool(found.fix) is not is_good


def test_a_step_is_what_the_wall_clock_moved_more_than_the_monotonic_one() -> None:
    assert Instant(wall_s=110.0, monotonic_s=7.0).step_since(Instant(wall_s=100.0, monotonic_s=2.0)) == 5.0


@pytest.mark.parametrize("off_s", [-30.0, 0.0, 30.0])
async def test_the_offset_is_how_far_the_store_is_ahead_of_us(off_s: float) -> None:
    began = Instant.now()

    async def store_time_s() -> float:
        return Instant.now().wall_s + off_s

    reading = await read(began, store_time_s)

    assert reading.offset_s == pytest.approx(off_s, abs=0.2)
    assert reading.step_s == pytest.approx(0.0, abs=0.2)
    assert not reading.older_than_us


async def test_of_several_answers_the_quickest_one_counts() -> None:
    """One that was held up on its way seems to come from a clock that is behind."""
    ahead: Iterator[float] = iter((9.0, 3.0, 9.0))
    slow = iter((0.05, 0.0, 0.05))

    async def store_time_s() -> float:
        until = Instant.now().monotonic_s + next(slow)
        while Instant.now().monotonic_s < until:
            pass
        return Instant.now().wall_s + next(ahead)

    reading = await read(Instant.now(), store_time_s)

    assert reading.offset_s == pytest.approx(3.0, abs=0.02)
