"""Pace, room and the breaker of a trunk; and the gate that no call passes by mistake."""

from dataclasses import replace

import pytest

from sip.events import Registered, RegistrationState
from sip.registrar import Registrar
from sip.simulated import SimulatedLine
from sip.trunk import Trunk
from tests.dialer_bench import SANDBOX
from tests.voice_values import an_intake
from voice.routing import Admin, TrunkState
from voice.seats import Seat
from voice.trunks import (
    DOWN_S,
    FAILURES,
    FULL_S,
    LATELY,
    OPEN_S,
    PREPARE_MOST,
    RETRY_AFTER_MOST_S,
    SPENT_S,
    STOPPED_S,
    TrunkDoor,
    may_carry,
)

LIVE = Trunk("live", "Live", SANDBOX.uris, cps=5.0)
CALL = an_intake(1).calls[0]


def test_what_other_dialers_hold_is_no_room_and_one_call_asks_now_and_then() -> None:
    door = TrunkDoor(replace(LIVE, cps=100.0, channels=10), SimulatedLine())

    door.seated(Seat(True, 7), 0.0)
    assert door.room(0.0) == 3
    door.seated(Seat(False, 10), 0.0)
    assert (door.room(FULL_S / 2), door.room(FULL_S)) == (0, 1)
    door.freed()
    door.freed()
    assert door.room(0.0) == 2


def test_a_trunk_whose_day_is_spent_is_tried_by_one_call_now_and_then_until_midnight() -> None:
    door = TrunkDoor(replace(LIVE, cps=100.0, channels=10, daily_amount="5"), SimulatedLine())

    door.seated(Seat(False, 2, spent_s=100.0), 0.0)
    assert (door.room(SPENT_S / 2), door.room(SPENT_S), door.room(100.0)) == (0, 1, 8)
    assert "5 is spent" in door.state(SPENT_S).spent
    assert door.state(100.0).spent == ""
    door.seated(Seat(True, 3), SPENT_S)  # calls in flight cost less than they might have
    assert (door.room(SPENT_S), door.state(SPENT_S).spent) == (7, "")


def test_a_pace_that_is_spent_by_others_leaves_room_for_few() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())

    door.seated(Seat(True, 1, wait_s=0.3), 0.0)

    assert door.room(0.0) == 2


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


@pytest.mark.parametrize(("asked_s", "rests_s"), [(7, 7), (86_400, RETRY_AFTER_MOST_S)])
def test_a_trunk_that_asks_for_rest_gets_it_within_reason(asked_s: int, rests_s: float) -> None:
    door = TrunkDoor(LIVE, SimulatedLine())

    door.went("trunk_failure", 0.0, code=503, retry_after_s=asked_s)
    door.went("user_busy", 1.0)  # was on its way; the trunk's word holds

    assert "Retry-After" in door.state(rests_s - 0.1).why_down
    assert door.room(rests_s - 0.1) == 0
    assert door.room(rests_s) == 1
    door.went("user_busy", rests_s)
    assert door.room(rests_s) == 5


@pytest.mark.parametrize(
    ("cause", "code", "why"),
    [("auth_failed", 401, "auth_rejected"), ("carrier_credit", 402, "no credit at the carrier")],
)
def test_a_trunk_that_refuses_our_login_stops_until_the_operator_or_five_minutes(
    cause: str, code: int, why: str
) -> None:
    door = TrunkDoor(LIVE, SimulatedLine())

    door.went(cause, 0.0, code=code)

    assert door.state(STOPPED_S - 1).why_down == why
    assert door.room(STOPPED_S) == 1
    door.went(cause, STOPPED_S, code=code)
    assert door.room(STOPPED_S + 1) == 0
    door.forgive()
    assert door.room(STOPPED_S + 1) == 5


def test_one_forbidden_destination_stops_nothing_and_forbidden_calls_one_after_the_other_do() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())
    for at in range(LATELY):
        door.went("forbidden" if at % 2 else "user_busy", float(at), code=403)
    assert (door.barred, door.room(float(LATELY)) > 0) == (False, True)

    for at in range(LATELY, LATELY + 2):
        door.went("forbidden", float(at), code=403)

    assert door.barred
    assert door.state(LATELY + 2.0).why_down == "most calls are forbidden (403)"


def test_the_catch_all_phone_may_say_all_of_that_on_request() -> None:
    door = TrunkDoor(replace(SANDBOX, cps=5.0), SimulatedLine())

    door.went("auth_failed", 0.0, code=401)
    door.went("trunk_failure", 0.0, code=503, retry_after_s=60)

    assert door.room(0.0) > 0


def test_failures_of_people_do_not_close_a_trunk() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())

    for at in range(50):
        door.went("user_busy", at / 10)

    assert door.room(6.0) > 0


def test_what_a_door_knows_is_what_routing_is_told() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())
    assert door.state(0.0) == TrunkState(LIVE, Admin.ENABLED, "", 5, 5)

    door.close("no line", 0.0)
    assert door.state(1.0) == TrunkState(LIVE, Admin.ENABLED, "no line", 0, 0)
    assert door.state(DOWN_S) == TrunkState(LIVE, Admin.ENABLED, "", 1, 1)  # one call tries again

    assert TrunkDoor(LIVE, SimulatedLine(), Admin.DRAINING).state(0.0) == TrunkState(LIVE, Admin.DRAINING, "", 0, 0)


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


def test_what_a_campaign_prepares_and_takes_does_not_keep_an_alert_waiting() -> None:
    door = TrunkDoor(replace(LIVE, channels=10, cps=1.0), SimulatedLine(most=10))

    door.prepares(1, campaign=True)
    assert (door.room(0.0, campaign=True), door.room(0.0)) == (0, 1)  # one a second, and it may be rendering for ten

    door.prepares(-1, campaign=True)
    door.seated(Seat(True, 9), 0.0)  # all but the tenth
    assert (door.room(5.0, campaign=True), door.room(5.0)) == (1, 1)  # it may ask whether one is free …
    door.seated(Seat(False, 9), 5.0)
    assert (door.room(5.0, campaign=True), door.room(5.0)) == (0, 1)


def test_a_trunk_keeps_a_tenth_for_alerts_unless_said_otherwise() -> None:
    kept = [
        trunk.channels - trunk.channels_for(campaign=True)
        for trunk in (replace(LIVE, channels=n) for n in (1, 2, 10, 11, 48))
    ]

    assert kept == [0, 1, 1, 2, 5]
    assert replace(LIVE, channels=5, alert_channels=0).channels_for(campaign=True) == 5
    assert replace(LIVE, channels=5, alert_channels=9).channels_for(campaign=True) == 1


# -- trunks that register


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "not registered yet"),
        ([RegistrationState(Registered.TRYING, 1.0)], "not registered yet"),
        ([RegistrationState(Registered.YES, 1.0, 200, "OK")], ""),
        (
            [RegistrationState(Registered.AUTH_REJECTED, 1.0, 403, "Forbidden")],
            "its login was refused: 403 Forbidden",
        ),
        ([RegistrationState(Registered.UNREACHABLE, 1.0, 0, "refused")], "not registered: refused"),
        (
            [RegistrationState(Registered.UNREACHABLE, 1.0, 503, "Not now"), RegistrationState(Registered.YES, 1.0)],
            "",
        ),
    ],
)
def test_a_trunk_that_registers_takes_calls_while_somebody_is_registered(
    said: list[RegistrationState], why: str
) -> None:
    line = SimulatedLine()
    line.registrar = Registrar()
    for pid, state in enumerate(said):
        line.registrar.note(pid, state)
    door = TrunkDoor(LIVE, line)

    assert door.down(0.0) == why
    assert (door.room(0.0) > 0) is (why == "")


def test_a_registration_that_was_taken_back_says_so() -> None:
    line = SimulatedLine()
    line.registrar = Registrar()
    line.registrar.wanted = False

    assert TrunkDoor(LIVE, line).down(0.0) == "its registration was taken back"


def test_the_pace_that_was_used_is_that_of_the_last_second() -> None:
    door = TrunkDoor(LIVE, SimulatedLine())
    for wait_s in (0.0, 0.2, 0.4):
        door.seated(Seat(True, 1, wait_s=wait_s), 10.0)

    assert [door.dialled_lately(at) for at in (10.0, 10.3, 10.5, 11.1, 11.5)] == [1, 2, 3, 2, 0]
