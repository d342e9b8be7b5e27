"""How a registration stands and what it does next, by the clock."""

import pytest

from sip.events import Registered
from sip.registration import Registration
from sip.trunk import OnForbidden, Register

AT = 1_000_000.0


def asked(rules: Register | None = None, chance: float = 1.0) -> Registration:
    one = Registration(rules or Register(), AT, lambda: chance)
    one.ask(0.0)
    return one


def test_nothing_is_due_until_somebody_asks() -> None:
    one = Registration(Register(), AT)

    assert not one.due(1e9)
    assert one.state.state is Registered.STOPPED


def test_it_is_refreshed_well_before_it_expires() -> None:
    one = asked()
    assert one.due(0.0)
    one.sent(AT)
    assert one.under_way
    assert not one.due(10.0)

    one.granted(300, 1.0, AT + 1)

    assert (one.state.state, one.state.expires_at, one.state.next_action_at) == (Registered.YES, AT + 301, AT + 241)
    assert not one.due(240.9)
    assert one.due(241.0)
    one.sent(AT + 241)
    assert one.state.state is Registered.YES  # a refresh under way changes nothing


@pytest.mark.parametrize("code", [401, 403, 404, 407])
def test_a_refused_login_stops_and_is_never_a_loop(code: int) -> None:
    one = asked()
    one.sent(AT)
    one.refused(code, "No", 7, 1.0, AT + 1)

    assert (one.state.state, one.state.last_code, one.state.next_action_at) == (Registered.AUTH_REJECTED, code, None)
    assert not one.due(1e9)
    one.ask(2.0)  # the operator has set another password
    assert one.due(2.0)


def test_the_operator_may_want_a_refused_login_tried_again() -> None:
    one = asked(Register(forbidden=OnForbidden.RETRY))
    one.sent(AT)
    one.refused(403, "No", None, 0.0, AT)

    assert one.state.state is Registered.AUTH_REJECTED
    assert one.due(5.0)


@pytest.mark.parametrize("code", [0, 408, 423, 439, 500, 503])
def test_a_registrar_that_is_not_there_is_tried_later_each_time(code: int) -> None:
    one = asked(Register(retry_base_s=5, retry_max_s=60))
    waits = []
    for _ in range(7):
        one.sent(AT)
        one.refused(code, "", None, 0.0, AT)
        waits.append((one.state.next_action_at or 0) - AT)

    assert one.state.state is Registered.UNREACHABLE
    assert one.state.failures == 7
    assert waits == [5, 10, 20, 40, 60, 60, 60]


def test_trunks_that_fail_together_do_not_come_back_together() -> None:
    waits = []
    for chance in (0.0, 0.5, 1.0):
        one = asked(Register(retry_base_s=8), chance)
        one.refused(503, "", None, 0.0, AT)
        waits.append((one.state.next_action_at or 0) - AT)

    assert waits == [4, 6, 8]


def test_retry_after_is_obeyed_when_it_is_longer() -> None:
    one = asked()
    one.refused(503, "Later", 120, 0.0, AT)

    assert not one.due(119.0)
    assert one.due(120.0)


def test_a_grant_forgets_the_failures() -> None:
    one = asked()
    one.refused(503, "", None, 0.0, AT)
    one.granted(60, 1.0, AT)

    assert one.state.failures == 0


def test_a_lost_connection_is_opened_again_soon() -> None:
    one = asked(Register(retry_base_s=5))
    one.granted(300, 0.0, AT)
    one.cut_off(10.0, AT + 10)

    assert one.state.state is Registered.YES
    assert one.due(15.0)


def test_what_was_taken_back_stays_so() -> None:
    one = asked()
    one.granted(300, 0.0, AT)
    one.take_back(AT + 1)
    one.granted(300, 2.0, AT + 2)  # an answer that crossed it
    one.refused(503, "", None, 3.0, AT + 3)

    assert one.state.state is Registered.STOPPED
    assert not one.due(1e9)
    assert not one.held
