"""Pace, room and the breaker of a trunk; and the gate that no call passes by mistake."""

from dataclasses import replace

import pytest

from sip.simulated import SimulatedLine
from sip.trunk import Trunk
from tests.dialer_bench import SANDBOX
from tests.voice_values import an_intake
from voice.trunks import FAILURES, OPEN_S, PREPARE_MOST, TrunkDoor, choose, may_carry, none_may_show

LIVE = Trunk("live", "Live", SANDBOX.uris, cps=5.0)
CALL = an_intake(1).calls[0]


def test_places_in_the_pace_are_evenly_spaced() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())

    waits = [door.turn(100.0) for _ in range(6)]

    assert waits == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert door.turn(200.0) == 0.0


def test_room_is_bounded_by_lines_channels_pace_and_what_is_being_prepared() -> None:
    line = SimulatedLine(most=30)

    assert TrunkDoor(replace(LIVE, cps=100.0), line).room(0.0) == PREPARE_MOST
    assert TrunkDoor(replace(LIVE, cps=100.0, channels=3), line).room(0.0) == 3
    assert TrunkDoor(LIVE, line).room(0.0) == 5
    assert TrunkDoor(LIVE, line, preparing=4).room(0.0) == 1
    assert TrunkDoor(replace(LIVE, cps=0.1), line).room(0.0) == 1
    assert TrunkDoor(LIVE, SimulatedLine(most=0)).room(0.0) == 0
    assert TrunkDoor(replace(LIVE, enabled=False), line).room(0.0) == 0


def test_a_trunk_that_does_not_answer_rests_and_is_then_tried_with_one_call() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())

    for at in range(FAILURES):
        assert door.room(float(at)) > 0
        door.went("trunk_timeout", float(at))

    assert door.room(FAILURES) == 0
    assert door.room(FAILURES + OPEN_S) == 1
    door.went("trunk_unreachable", FAILURES + OPEN_S)
    assert door.room(FAILURES + OPEN_S + 1) == 0
    door.went("user_busy", FAILURES + 2 * OPEN_S)
    assert door.room(FAILURES + 3 * OPEN_S) == 5


def test_failures_of_people_do_not_close_a_trunk() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())

    for at in range(50):
        door.went("user_busy", at / 10)

    assert door.room(6.0) > 0


def test_the_first_by_priority_with_room_is_chosen() -> None:
    first = TrunkDoor(replace(SANDBOX, id="a", priority=1), SimulatedLine())
    second = TrunkDoor(replace(SANDBOX, id="b", priority=2), SimulatedLine())

    assert choose((second, first), CALL, None, 0.0) is first
    assert choose((second, first), CALL, "b", 0.0) is second
    assert choose((second, first), CALL, "c", 0.0) is None
    first.close("no line", 0.0)
    assert choose((second, first), CALL, None, 0.0) is second


def test_a_trunk_is_not_chosen_for_a_caller_id_that_it_does_not_list() -> None:
    a = TrunkDoor(replace(SANDBOX, id="a", priority=1, caller_ids=("2347080670000",)), SimulatedLine())
    b = TrunkDoor(replace(SANDBOX, id="b", priority=2, caller_ids=("2347080670009",)), SimulatedLine())
    of_a, of_b, of_none = (replace(CALL, from_number=one) for one in ("2347080670000", "2347080670009", "12025550199"))

    assert choose((a, b), of_a, None, 0.0) is a
    assert choose((a, b), of_b, None, 0.0) is b
    assert choose((a, b), of_none, None, 0.0) is None
    a.close("no line", 0.0)
    assert choose((a, b), of_a, None, 0.0) is None


def test_only_a_call_that_every_trunk_refuses_for_its_caller_id_is_beyond_hope() -> None:
    a = TrunkDoor(replace(SANDBOX, id="a", caller_ids=("2347080670000",)), SimulatedLine())
    b = TrunkDoor(replace(SANDBOX, id="b", caller_ids=("2347080670009",)), SimulatedLine())
    anybodys = TrunkDoor(replace(SANDBOX, id="c"), SimulatedLine())
    of_b = replace(CALL, from_number="2347080670009")

    assert none_may_show((a,), of_b, None)
    assert none_may_show((a, b), of_b, "a")
    b.close("no line", 0.0)
    assert not none_may_show((a, b), of_b, None)
    assert not none_may_show((a, anybodys), of_b, None)
    assert not none_may_show((a,), of_b, "not a trunk")
    assert not none_may_show((), of_b, None)


@pytest.mark.parametrize(
    ("owner", "sandbox", "number", "on_sandbox", "on_live"),
    [
        ("main.test", True, "12025550100", True, False),
        ("main.test", True, "2348020000000", True, False),
        ("main.live", False, "2348020000000", False, True),
        ("main.live", False, "12025550100", False, False),
        ("main.test", False, "2348020000000", False, False),
        ("main.live", True, "2348020000000", False, False),
        ("odd", False, "2348020000000", False, True),
        ("odd", True, "2348020000000", False, False),
    ],
)
def test_the_last_gate(owner: str, sandbox: bool, number: str, on_sandbox: bool, on_live: bool) -> None:
    call = replace(CALL, owner=owner, sandbox=sandbox, to_number=number)

    assert (may_carry(SANDBOX, call), may_carry(LIVE, call)) == (on_sandbox, on_live)
