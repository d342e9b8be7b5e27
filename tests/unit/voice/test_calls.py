"""Whatever facts come, in whatever order and with whatever clocks: the invariants of a call hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voice_values import an_intake
from voice.calls import (
    Call,
    CameIn,
    Dialed,
    Direction,
    Ending,
    Fact,
    IllegalMove,
    KeyPressed,
    NotDialed,
    Rang,
    Status,
    WasAnswered,
    advance,
)
from voice.codec import from_json, to_json
from voice.tariffs import Tariff

MINUTES = Tariff("1", "0.5", "EUR", 60, 60)
BEGIN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ORDER = {Status.QUEUED: 0, Status.DIALING: 1, Status.RINGING: 2, Status.ANSWERED: 3}

# Clocks jump: an hour back or forth.
moments = st.integers(-3_600_000, 3_600_000).map(lambda ms: BEGIN + timedelta(milliseconds=ms))
endings = st.builds(
    Ending,
    at=moments,
    status=st.sampled_from([status for status in Status if status.is_final]),
    cause=st.sampled_from(["normal_clearing", "worker_lost", "user_busy"]),
    cause_code=st.just(4000),
    source=st.just("callee"),
    fault=st.none(),
    again=st.just("ok"),
    sent=st.booleans(),
)
facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(Dialed, moments, st.just("t"), st.just("1"), st.just("2")),
    st.builds(NotDialed, moments),
    st.builds(Rang, moments, st.booleans()),
    st.builds(WasAnswered, moments, st.just("PCMA")),
    st.builds(KeyPressed, moments, st.sampled_from("0123456789*#")),
    endings,
)


def a_call() -> Call:
    return an_intake(1, created_at=BEGIN).calls[0]


def story(many: list[Fact]) -> list[Call]:
    """The call after each fact that fitted."""
    told = [a_call()]
    for fact in many:
        try:
            told.append(advance(told[-1], fact))
        except IllegalMove:
            continue
    return told


@given(st.lists(facts, max_size=12))
def test_a_call_never_moves_backwards_except_to_the_queue_it_came_from(many: list[Fact]) -> None:
    for before, after in zip(told := story(many), told[1:], strict=False):
        assert not before.status.is_final
        if after.status is Status.QUEUED:
            assert before.status is Status.DIALING
        elif not after.status.is_final:
            assert ORDER[after.status] >= ORDER[before.status]


@given(st.lists(facts, max_size=12))
def test_the_sequence_has_no_gaps(many: list[Fact]) -> None:
    told = story(many)

    assert [call.sequence for call in told] == list(range(1, len(told) + 1))


@given(st.lists(facts, max_size=12))
def test_times_are_in_order_whatever_the_clocks_did(many: list[Fact]) -> None:
    for call in story(many):
        times = [at for at in (call.start_at, call.ring_at, call.answer_at, call.end_at) if at]
        assert times == sorted(times)
        assert call.total_duration >= 0


@given(st.lists(facts, max_size=12), facts)
def test_a_final_call_takes_no_fact(many: list[Fact], late: Fact) -> None:
    call = story(many)[-1]
    if not call.status.is_final:
        return
    try:
        advance(call, late)
    except IllegalMove:
        return
    raise AssertionError("a final call moved")


@given(st.lists(facts, max_size=12))
def test_an_answer_and_a_billed_duration_come_together(many: list[Fact]) -> None:
    call = story(many)[-1]
    if call.status.is_final:
        assert (call.answer_at is None) == (call.call_duration() == 0)


@given(st.lists(facts, max_size=12))
def test_what_is_kept_is_what_is_read(many: list[Fact]) -> None:
    call = story(many)[-1]

    assert from_json(Call, to_json(call)) == call


def test_a_call_of_which_nothing_left_was_never_dialled() -> None:
    dialing = advance(a_call(), Dialed(BEGIN, "t", "1", "2"))

    unsent = advance(
        dialing, Ending(BEGIN, Status.FAILED, "dispatch_timeout", 9003, "platform", "us", "later", sent=False)
    )

    assert (unsent.start_at, unsent.total_duration) == (None, 0)


def test_the_sample_of_9bits_lasts_100_and_90_seconds() -> None:
    call = a_call()
    for fact in (
        Dialed(BEGIN, "t", "1", "2"),
        WasAnswered(BEGIN + timedelta(seconds=10)),
        Ending(BEGIN + timedelta(seconds=100), Status.COMPLETED, "normal_clearing", 4000, "callee", None, "ok"),
    ):
        call = advance(call, fact)

    assert (call.total_duration, call.call_duration(), replace(call, tariff=MINUTES).call_duration()) == (100, 90, 120)
    assert call.pdd_ms == 10_000


def test_only_a_call_that_came_in_rings_without_having_been_dialled() -> None:
    came = CameIn(BEGIN, "t", "1", "2", "rings back")
    inbound = replace(a_call(), direction=Direction.INBOUND)

    ringing = advance(inbound, came)

    assert (ringing.status, ringing.start_at, ringing.ring_at) == (Status.RINGING, BEGIN, BEGIN)
    assert advance(ringing, WasAnswered(BEGIN)).status is Status.ANSWERED
    for call, fact in ((a_call(), came), (ringing, came), (inbound, Rang(BEGIN))):
        with pytest.raises(IllegalMove):
            advance(call, fact)
