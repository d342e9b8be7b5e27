"""Pace, room and the breaker of a trunk; and the gate that no call passes by mistake."""

from dataclasses import replace

import pytest

from sip.simulated import SimulatedLine
from sip.trunk import Trunk
from tests.dialer_bench import SANDBOX
from tests.voice_values import an_intake
from voice.routing import Admin, TrunkState
from voice.trunks import DOWN_S, FAILURES, OPEN_S, PREPARE_MOST, TrunkDoor, may_carry

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


def test_what_a_door_knows_is_what_routing_is_told() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())
    assert door.state(0.0) == TrunkState(LIVE, Admin.ENABLED, "", 5)

    door.close("no line", 0.0)
    assert door.state(1.0) == TrunkState(LIVE, Admin.ENABLED, "no line", 0)
    assert door.state(DOWN_S) == TrunkState(LIVE, Admin.ENABLED, "", 1)  # one call tries again

    assert TrunkDoor(LIVE, SimulatedLine(), Admin.DRAINING).state(0.0) == TrunkState(LIVE, Admin.DRAINING, "", 0)


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
