"""When the next trunk may be tried: a table of ends, and the call that follows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sip.causes import Cause
from sip.commands import Why
from sip.events import Ended, Origin, Phase
from sip.outcomes import NEVER_NEXT_TRUNK, SIP_CODES
from sip.trunk import Failover
from tests.voice_values import HOOK, a_message, an_intake, dialed, now
from voice.call_object import UTC_ZONE
from voice.calls import Call, Rang, Refusal, Status, WasAnswered, advance
from voice.endings import not_taken, of_leg
from voice.failover import dial_by, may_go_on, next_hop

STANDARD = Failover()
MESSAGE = a_message()


def dialing() -> Call:
    return advance(an_intake(1).calls[0], dialed())


def answer(code: int, phase: Phase = Phase.TRYING, **facts: object) -> Ended:
    end = Ended("call_1", now().timestamp(), code, "", Origin.REMOTE, phase)
    return replace(end, **facts)


def goes_on(ended: Ended, policy: Failover = STANDARD, call: Call | None = None) -> bool:
    before = call or dialing()
    return may_go_on(before, ended, of_leg(before, MESSAGE, ended, None, 80), policy, now())


SILENCE = answer(408, Phase.SILENT, origin=Origin.LOCAL)
ABANDONED = answer(0, Phase.SILENT, origin=Origin.LOCAL, by_us=True, why=Why.TRUNK_SILENT)
REFUSED = of_leg(dialing(), MESSAGE, answer(503), None, 80)
DEAD = of_leg(dialing(), MESSAGE, answer(404), None, 80)
NEXT = {403, 500, 502, 503, 504, 580}


@pytest.mark.parametrize("code", [*SIP_CODES, 499, 599, 699])
def test_without_a_policy_only_what_the_outcome_table_calls_next_trunk_goes_on(code: int) -> None:
    slow_480 = replace(dialing(), start_at=now() - timedelta(seconds=5))

    assert goes_on(answer(code), call=slow_480) is (code in NEXT or code == 599)


@pytest.mark.parametrize("code", sorted(NEVER_NEXT_TRUNK))
def test_what_a_person_said_is_never_another_trunks_business(code: int) -> None:
    everything = Failover(on=(str(code), *(cause.value for cause in Cause)))

    assert not goes_on(answer(code), everything)


@pytest.mark.parametrize(
    ("ended", "policy", "expected"),
    [
        (answer(503), Failover(never_on=("503",)), False),
        (answer(503), Failover(never_on=("trunk_failure",)), False),
        (answer(503), Failover(on=("503",), never_on=("503",)), False),
        (answer(404), Failover(on=("404",)), True),
        (answer(404), Failover(on=("unallocated_number",)), True),
        (answer(503), Failover(on=("404",)), True),
        (answer(480, q850=34), STANDARD, True),  # no channel, and it says so
        (answer(503, Phase.RINGING), STANDARD, False),
        (answer(503, Phase.RINGING), Failover(on=("503", "trunk_failure")), False),
        (answer(503, Phase.SILENT, origin=Origin.LOCAL, sent=False), STANDARD, True),  # nothing left
        (SILENCE, STANDARD, False),
        (SILENCE, Failover(on=("408",)), False),  # a code is an answer, and there was none
        (SILENCE, Failover(on=("trunk_timeout",)), True),
        (ABANDONED, STANDARD, False),
        (ABANDONED, Failover(on=("trunk_timeout",)), True),
        (ABANDONED, Failover(on=("trunk_timeout",), never_on=("trunk_timeout",)), False),
        (answer(487, by_us=True, why=Why.API), Failover(on=("487", "canceled_by_api")), False),
        (answer(503), Failover(max_hops=1), False),
        (answer(503), Failover(total_budget_ms=0), False),
    ],
)
def test_a_policy_widens_and_narrows_but_never_rings_twice(ended: Ended, policy: Failover, expected: bool) -> None:
    assert goes_on(ended, policy) is expected


def test_a_call_that_rang_or_was_answered_does_not_go_on() -> None:
    rang = advance(dialing(), Rang(now()))
    answered = advance(dialing(), WasAnswered(now()))

    for call in (rang, answered):
        assert not goes_on(answer(503), Failover(on=("503", "trunk_failure", "signalling_lost")), call)


def test_the_call_that_follows_is_the_same_attempt_with_one_more_hop_and_the_same_budget() -> None:
    message = a_message(callbacks=(HOOK,))
    first = replace(dialing(), client_reference="order-7", recipient=3)

    second = next_hop(first, REFUSED, message, STANDARD, now(), UTC_ZONE)
    longer = replace(STANDARD, total_budget_ms=900_000)
    third = next_hop(replace(second.call, trunk_id="b"), DEAD, message, longer, now(), UTC_ZONE)

    assert first.start_at is not None
    assert second.call.call_id != first.call_id
    assert (second.call.hop, second.call.tried, second.call.attempt, second.call.recipient) == (2, ("sandbox",), 1, 3)
    assert (second.call.client_reference, second.call.trunk_id, second.call.sequence) == ("order-7", None, 1)
    assert second.call.dial_by == first.start_at + timedelta(seconds=30) == dial_by(first, STANDARD)
    assert (third.call.hop, third.call.tried, third.call.dial_by) == (3, ("sandbox", "b"), second.call.dial_by)
    assert second.call.refused == third.call.refused == Refusal("trunk_failure", "next_trunk")  # the first one's
    assert [second.event.type] == ["call.queued"]
    assert len(second.deliveries) == 1


def test_no_hop_leaves_after_the_message_is_over() -> None:
    soon = now() + timedelta(seconds=1)

    assert next_hop(dialing(), REFUSED, a_message(valid_until=soon), STANDARD, now(), UTC_ZONE).call.dial_by == soon


@pytest.mark.parametrize(
    ("ended", "cause", "again", "permanent", "may_have_rung"),
    [
        (answer(503), "trunk_failure", "later", False, False),
        (answer(404), "unallocated_number", "dead_number", True, False),
        (answer(480), "congestion", "later", False, False),
        (SILENCE, "trunk_timeout", "uncertain", False, True),
    ],
)
def test_a_later_hop_that_no_trunk_took_ends_as_the_first_one_did(
    ended: Ended, cause: str, again: str, permanent: bool, may_have_rung: bool
) -> None:
    first = of_leg(dialing(), MESSAGE, ended, None, 80)
    second = next_hop(dialing(), first, MESSAGE, STANDARD, now(), UTC_ZONE).call

    ending = not_taken(second, Cause.VALIDITY_EXPIRED, now())

    assert (ending.status, ending.cause, ending.again) == (Status.FAILED, cause, again)
    assert (ending.permanent, ending.may_have_rung, ending.sent) == (permanent, may_have_rung, False)
    assert advance(second, ending).start_at is None
    assert not_taken(an_intake(1).calls[0], Cause.VALIDITY_EXPIRED, now()).status is Status.EXPIRED
