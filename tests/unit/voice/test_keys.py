"""Ranges of call ids by time: any moment a caller may name."""

from datetime import UTC, datetime

import pytest

from voice.keys import id_range
from voice.store import CallFilter

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("moment", [FIRST, datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC), LAST])
def test_any_moment_bounds_a_range(moment: datetime) -> None:
    low, _ = id_range(CallFilter(created_gte=moment), None)
    _, high = id_range(CallFilter(created_lt=moment), None)

    assert low.startswith("[call_")
    assert high.startswith("(call_")


def test_later_moments_give_later_ids() -> None:
    moments = [FIRST, datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC), LAST]

    lows = [id_range(CallFilter(created_gte=moment), None)[0] for moment in moments]

    assert lows == sorted(lows)
    assert len(set(lows)) == len(lows)
