"""A trunk's status: the worst that is true for all dialers, the targets that each pings, and the score."""

from dataclasses import replace

import pytest

from sip.trunk import TrunkUri
from tests.unit.voice.test_routing import trunk
from voice.health import Target
from voice.routing import Admin, TrunkState
from voice.simulating import NOBODY, said
from voice.trunk_status import said_of_targets, trunk_status

UP = Target(code=200, rtt_ms=12, answers=3)
GONE = Target(up=False, misses=5, why="It has expired.")


def word(why: str = "", admin: Admin = Admin.ENABLED, *targets: Target, spent: str = "") -> dict[str, object]:
    pinged = said_of_targets({TrunkUri(f"192.0.2.{n}"): one for n, one in enumerate(targets)})
    return {
        "routes": {"a": said(TrunkState(trunk(), admin, why, spent=spent))},
        "targets": {"a": pinged},
        "busy_lines": {"a": 2},
    }


@pytest.mark.parametrize(
    ("words", "state", "why"),
    [
        ([], "down", NOBODY),
        ([word()], "up", None),
        ([word(), word("trunk_timeout")], "degraded", "trunk_timeout"),
        ([word("trunk_timeout"), word("trunk_timeout")], "down", "trunk_timeout"),
        ([word("", Admin.ENABLED, UP, GONE)], "degraded", None),
        ([word(spent="10 is spent"), word()], "degraded", "10 is spent"),
        ([word("", Admin.DRAINING)], "draining", None),
        ([word("", Admin.DISABLED)], "disabled", None),
    ],
)
def test_the_state_is_what_is_true_for_the_service(words: list[dict[str, object]], state: str, why: str | None) -> None:
    found = trunk_status(trunk(), words, {})

    assert (found["state"], found["why"]) == (state, why)


def test_channels_targets_and_scores_are_put_together() -> None:
    marks = {"*:calls": 4, "*:answered": 3, "*:reached": 4, "234:calls": 4, "234:answered": 3}

    found = trunk_status(replace(trunk(), channels=30), [word("", Admin.ENABLED, UP, GONE), word()], marks)

    assert found["channels"] == {"used": 4, "limit": 30}
    assert (found["options"]["up"], found["options"]["rtt_ms"]) == (True, 12)
    assert [row["target"] for row in found["options"]["per_target"]] == ["192.0.2.0:5060;udp", "192.0.2.1:5060;udp"]
    assert [row["why"] for row in found["options"]["per_target"]] == [None, "It has expired."]
    assert (found["asr"], found["ner"], found["pdd_ms"]) == (0.75, 1.0, None)
    assert found["prefixes"]["234"]["asr"] == 0.75
