"""The E-model, against figures of ITU-T G.107 and G.113."""

import pytest

from sip.quality import loss_pct, milliseconds, mos


def test_a_perfect_g711_call_scores_as_the_model_says() -> None:
    score = mos(0.0, 0.0, 0.0)

    assert score is not None
    assert 4.38 <= score <= 4.41  # R 93.2 gives 4.41; 20 ms of packet cost a little


@pytest.mark.parametrize(
    ("better", "worse"),
    [((0, 0, 0), (1, 0, 0)), ((1, 0, 0), (5, 0, 0)), ((0, 100, 0), (0, 600, 0)), ((0, 0, 1), (0, 0, 100))],
)
def test_loss_delay_and_jitter_each_lower_the_score(better: tuple[float, ...], worse: tuple[float, ...]) -> None:
    good, bad = mos(*better), mos(*worse)

    assert good is not None
    assert bad is not None
    assert bad < good


def test_the_score_stays_within_the_scale() -> None:
    assert mos(100.0, 10_000.0, 10_000.0) == 1.0
    assert mos(100.0, 0.0, 0.0, "G722") is not None


def test_no_report_means_no_score() -> None:
    assert mos(None, 20.0, 1.0) is None


def test_loss_is_a_share_of_what_should_have_come() -> None:
    assert loss_pct(5, 95) == 5.0
    assert loss_pct(0, 0) is None
    assert loss_pct(3, 0) == 100.0


def test_zero_microseconds_means_never_measured() -> None:
    assert milliseconds(0.0) is None
    assert milliseconds(1500.0) == 1.5
