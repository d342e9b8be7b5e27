"""N misses take a target down, M answers bring it back; a trunk is down when no target is left."""

from dataclasses import replace

import pytest

from sip.options import Answered
from sip.simulated import SimulatedLine
from sip.trunk import OptionsPing, TrunkUri
from tests.dialer_bench import SANDBOX
from voice.health import Target, heard, reachable, why_down
from voice.trunks import TrunkDoor

RULES = OptionsPing(fail_after=3, recover_after=2)
ONE, TWO = TrunkUri("192.0.2.1"), TrunkUri("192.0.2.2", priority=2)
DOWN = Target(up=False, misses=5)


def after(pings: str, rules: OptionsPing = RULES, target: Target = Target()) -> bool:  # noqa: B008 - frozen
    """`.` answered, `x` missed."""
    for one in pings:
        target = heard(target, Answered(200, 3) if one == "." else "Nothing comes back", rules)
    return target.up


@pytest.mark.parametrize(
    ("pings", "up"),
    [
        ("", True),
        ("xx", True),
        ("xxx", False),
        ("xx.xx", True),  # in a row
        ("xxx.", False),
        ("xxx.x.", False),
        ("xxx..", True),
        ("xxx..xx", True),
        ("xxx..xxx", False),
    ],
)
def test_misses_and_answers_count_in_a_row(pings: str, up: bool) -> None:
    assert after(pings) is up


@pytest.mark.parametrize(
    ("code", "ok_codes", "counts"),
    [
        *((code, (), True) for code in (200, 404, 405, 483)),
        *((code, (), False) for code in (503, 408)),
        (200, (200,), True),
        (404, (200,), False),
        (503, (200, 503), True),
    ],
)
def test_any_answer_counts_but_those_that_say_nobody_is_there(
    code: int, ok_codes: tuple[int, ...], counts: bool
) -> None:
    target = heard(Target(), Answered(code, 5), replace(RULES, ok_codes=ok_codes))

    assert (target.misses, target.answers) == ((0, 1) if counts else (1, 0))
    assert (target.code, target.rtt_ms) == (code, 5)


def test_why_nothing_came_back_is_kept_until_something_does() -> None:
    missed = heard(Target(), "It has expired.", RULES)
    refused = heard(missed, Answered(503, 5), RULES)

    assert [(one.why, one.code) for one in (missed, refused)] == [("It has expired.", None), ("", 503)]


def test_a_trunk_is_down_when_no_target_is_left_and_says_why() -> None:
    assert why_down({}, RULES) == ""
    assert why_down({ONE: DOWN, TWO: Target()}, RULES) == ""
    assert why_down({ONE: DOWN, TWO: DOWN}, RULES) == "OPTIONS unanswered, 5 times in a row"
    assert why_down({ONE: DOWN, TWO: replace(DOWN, why="It has expired.")}, RULES) == (
        "OPTIONS unanswered, 5 times in a row: It has expired."
    )
    assert why_down({ONE: replace(DOWN, code=503)}, RULES) == "OPTIONS answered 503, 5 times in a row"
    assert why_down({ONE: DOWN}, None) == ""


def test_calls_go_to_a_target_that_is_up() -> None:
    trunk = replace(SANDBOX, uris=(ONE, TWO))

    assert [uri.enabled for uri in reachable(trunk, {ONE: DOWN, TWO: Target()}).uris] == [False, True]
    assert reachable(trunk, {ONE: DOWN, TWO: DOWN}) == trunk
    assert reachable(trunk, {}) == trunk


def test_a_door_without_a_target_takes_no_calls_until_one_is_back() -> None:
    door = TrunkDoor(replace(SANDBOX, uris=(ONE,), options_ping=RULES), SimulatedLine())

    door.pinged({ONE: DOWN})
    assert (door.room(0.0), "OPTIONS" in door.state(0.0).why_down) == (0, True)
    door.pinged({ONE: Target()})
    assert door.room(0.0) > 0
