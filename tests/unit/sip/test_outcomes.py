"""The outcome table, row by row, and the rules that stand above it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.errors import Fault as ErrorFault
from sip.commands import Why
from sip.events import Ended, Origin, Phase, RtpStats
from sip.outcomes import (
    CAUSE_CODES,
    NEVER_NEXT_TRUNK,
    SIP_CODES,
    Again,
    Cause,
    Ending,
    Fault,
    Outcome,
    Sit,
    Source,
    judge,
    never_dialled,
    of_answer,
    worker_lost,
)
from voice.calls import Status

GOOD_RTP = RtpStats(sent_packets=500, received_packets=500)


def leg(code: int = 200, phase: Phase = Phase.TRYING, origin: Origin = Origin.REMOTE, **more: Any) -> Ended:
    facts: dict[str, Any] = {"call_id": "call_1", "at": 100.0, "reason": "", "rtp": GOOD_RTP}
    facts.update(more)
    return Ended(code=code, phase=phase, origin=origin, **facts)


def talked(**more: Any) -> Ended:
    facts: dict[str, Any] = {"code": 200, "played_ms": 5000, "audio_ms": 5000, "played_to_end": True}
    return leg(phase=Phase.ANSWERED, **{**facts, **more})


def judged(ended: Ended, **more: Any) -> Outcome:
    facts: dict[str, Any] = {
        "rang": ended.phase in (Phase.RINGING, Phase.ANSWERED),
        "answered": ended.phase is Phase.ANSWERED,
        "elapsed_s": 3.0,
        "talk_s": 6.0 if ended.phase is Phase.ANSWERED else None,
    }
    return judge(ended, **{**facts, **more})


def words(outcome: Outcome) -> tuple[str, str, int | None, str]:
    return outcome.ending.value, outcome.cause.value, outcome.q850, outcome.again.value


# SIP answer of the peer before any 18x -> status, cause, Q.850, class.
ANSWERS = [
    *[(code, "failed", "redirected", 23, "dead_number") for code in (300, 301, 302, 305, 380, 399)],
    (400, "failed", "protocol_error", 41, "config"),
    *[(code, "failed", "protocol_error", 127, "config") for code in (413, 414, 416, 420, 421, 423, 505, 513)],
    (401, "failed", "auth_failed", 21, "config"),
    (407, "failed", "auth_failed", 21, "config"),
    (402, "failed", "carrier_credit", 21, "config"),
    (403, "failed", "forbidden", 21, "next_trunk"),
    (404, "failed", "unallocated_number", 1, "dead_number"),
    (604, "failed", "unallocated_number", 1, "dead_number"),
    (405, "failed", "not_supported", 63, "config"),
    (406, "failed", "not_supported", 79, "config"),
    (501, "failed", "not_supported", 79, "config"),
    (408, "no_answer", "no_user_responding", 18, "later"),
    (410, "failed", "number_changed", 22, "dead_number"),
    (415, "failed", "media_incompatible", 79, "config"),
    (488, "failed", "media_incompatible", 31, "config"),
    (606, "failed", "media_incompatible", 31, "config"),
    *[(code, "failed", "identity_rejected", None, "config") for code in (428, 436, 437, 438)],
    (433, "failed", "anonymity_disallowed", None, "config"),
    (480, "no_answer", "temporarily_unavailable", 18, "later"),
    (481, "failed", "signalling_lost", 41, "later"),
    (482, "failed", "routing_loop", 25, "config"),
    (483, "failed", "routing_loop", 25, "config"),
    (484, "failed", "incomplete_number", 28, "dead_number"),
    (485, "failed", "ambiguous_number", 1, "dead_number"),
    (486, "busy", "user_busy", 17, "later"),
    (600, "busy", "user_busy", 17, "later"),
    (487, "failed", "remote_cancel", None, "later"),
    (491, "failed", "glare", None, "later"),
    (493, "failed", "security_required", None, "config"),
    (494, "failed", "security_required", None, "config"),
    (500, "failed", "trunk_failure", 41, "next_trunk"),
    (503, "failed", "trunk_failure", 41, "next_trunk"),
    (502, "failed", "network_out_of_order", 38, "next_trunk"),
    (580, "failed", "network_out_of_order", 47, "next_trunk"),
    (504, "failed", "gateway_timeout", 102, "next_trunk"),
    (603, "rejected", "call_declined", 21, "refused"),
    (607, "rejected", "unwanted", 21, "refused"),
    (608, "rejected", "analytics_blocked", 21, "refused"),
    # RFC 3261 section 8.1.3.2: an answer we do not know is x00 of its class
    (499, "failed", "protocol_error", 41, "config"),
    (599, "failed", "trunk_failure", 41, "next_trunk"),
    (699, "busy", "user_busy", 17, "later"),
]


@pytest.mark.parametrize(("code", "ending", "cause", "q850", "again"), ANSWERS)
def test_an_answer_of_the_peer_has_its_row(code: int, ending: str, cause: str, q850: int | None, again: str) -> None:
    outcome = judged(leg(code))

    assert words(outcome) == (ending, cause, q850, again)
    assert outcome.permanent is (again in ("dead_number", "refused"))
    assert outcome.may_have_rung is False


@pytest.mark.parametrize(("code", "ending", "cause", "q850", "again"), ANSWERS)
def test_an_18x_lowers_next_trunk_to_later(code: int, ending: str, cause: str, q850: int | None, again: str) -> None:
    outcome = judged(leg(code, Phase.RINGING))

    expected = "later" if again == "next_trunk" else again
    assert words(outcome) == (ending, cause, q850, expected)


def test_the_table_of_answers_is_whole() -> None:
    assert set(SIP_CODES) <= {row[0] for row in ANSWERS}


SILENT, TRYING, RINGING, ANSWERED = Phase.SILENT, Phase.TRYING, Phase.RINGING, Phase.ANSWERED
LOCAL = Origin.LOCAL
UNSURE = ("failed", "trunk_timeout", 102, "uncertain")
RING_TIMEOUT = ("no_answer", "ring_timeout", 19, "later")

# Everything that is not simply an answer of the peer: leg, what it becomes, may it have rung.
OTHER = [
    # our own stack's 408, 502, 503
    (leg(408, SILENT, LOCAL), UNSURE, True),
    (leg(408, TRYING, LOCAL), UNSURE, True),
    (leg(408, RINGING, LOCAL), ("no_answer", "no_user_responding", 18, "later"), False),
    (leg(502, SILENT, LOCAL), ("failed", "network_out_of_order", 38, "next_trunk"), False),
    (leg(503, SILENT, LOCAL, sent=False), ("failed", "trunk_unreachable", 38, "next_trunk"), False),
    (leg(503, SILENT, LOCAL, sent=True), UNSURE, True),
    (leg(503, RINGING, LOCAL, sent=True), ("failed", "trunk_unreachable", 38, "later"), False),
    (leg(0, SILENT, LOCAL), UNSURE, True),
    (leg(0, RINGING, LOCAL), ("failed", "signalling_lost", 41, "later"), False),
    (leg(488, TRYING, LOCAL), ("failed", "media_incompatible", 31, "config"), False),
    (leg(500, TRYING, LOCAL, sent=False), ("failed", "line_error", None, "later"), False),
    (leg(500, TRYING, LOCAL, sent=True), ("failed", "line_error", None, "uncertain"), True),
    (leg(0, SILENT, LOCAL, sent=False, error="bad URI"), ("failed", "line_error", None, "later"), False),
    # we gave up
    (leg(487, RINGING, by_us=True, why=Why.RING_TIMEOUT), RING_TIMEOUT, False),
    (leg(487, TRYING, by_us=True, why=Why.RING_TIMEOUT), RING_TIMEOUT, False),
    (leg(487, SILENT, LOCAL, by_us=True, why=Why.RING_TIMEOUT), UNSURE, True),
    (leg(408, SILENT, LOCAL, by_us=True, why=Why.TRUNK_SILENT), UNSURE, True),
    (leg(487, SILENT, LOCAL, by_us=True, why=Why.TRUNK_SILENT), UNSURE, True),
    (leg(487, RINGING, by_us=True, why=Why.API), ("canceled", "canceled_by_api", None, "ours"), False),
    (leg(487, SILENT, LOCAL, by_us=True, why=Why.API), ("canceled", "canceled_by_api", None, "ours"), True),
    (leg(0, SILENT, LOCAL, sent=False, why=Why.API), ("canceled", "canceled_by_api", None, "ours"), False),
    (leg(487, RINGING, by_us=True, why=Why.SHUTDOWN), ("canceled", "platform_shutdown", None, "later"), False),
    (
        leg(487, SILENT, LOCAL, by_us=True, why=Why.SHUTDOWN),
        ("canceled", "platform_shutdown", None, "uncertain"),
        True,
    ),
    # our CANCEL crossed an answer: the answer is the truth, but a cancel that somebody asked for stays one
    (leg(486, RINGING, by_us=True, why=Why.RING_TIMEOUT), ("busy", "user_busy", 17, "later"), False),
    (leg(603, RINGING, by_us=True, why=Why.SHUTDOWN), ("rejected", "call_declined", 21, "refused"), False),
    (leg(603, RINGING, by_us=True, why=Why.API), ("canceled", "canceled_by_api", None, "ours"), False),
    # 480: the person, or no channel
    (leg(480, TRYING, q850=34), ("failed", "congestion", 34, "next_trunk"), False),
    (leg(480, TRYING, q850=42), ("failed", "congestion", 42, "next_trunk"), False),
    (leg(480, TRYING, q850=44), ("failed", "congestion", 44, "next_trunk"), False),
    (leg(480, TRYING, q850=47), ("failed", "congestion", 47, "next_trunk"), False),
    (leg(480, RINGING, q850=34), ("failed", "congestion", 34, "later"), False),
    (leg(480, TRYING, q850=20), ("no_answer", "temporarily_unavailable", 20, "later"), False),
    # the process died
    (leg(0, TRYING, LOCAL, lost=True), ("failed", "worker_lost", None, "uncertain"), True),
    (leg(0, ANSWERED, LOCAL, lost=True), ("failed", "worker_lost", None, "uncertain"), True),
    (leg(0, SILENT, LOCAL, lost=True, sent=False), ("failed", "worker_lost", None, "later"), False),
]


@pytest.mark.parametrize(("ended", "expected", "may_have_rung"), OTHER)
def test_origin_phase_and_reason_of_ours_decide(
    ended: Ended, expected: tuple[str, str, int | None, str], may_have_rung: bool
) -> None:
    outcome = judged(ended)

    assert words(outcome) == expected
    assert outcome.may_have_rung is may_have_rung


# After the answer: leg, cause, class, source.
COMPLETED = [
    (talked(), "normal_clearing", "ok", "callee"),
    (talked(by_us=True, why=Why.PLAYED_OUT), "normal_clearing", "ok", "platform"),
    (talked(by_us=True, why=Why.API), "normal_clearing", "ok", "api"),
    (talked(by_us=True, why=Why.MEDIA_TIMEOUT), "media_timeout", "later", "platform"),
    (talked(by_us=True, why=Why.SHUTDOWN), "platform_shutdown", "later", "platform"),
    (talked(by_us=True, why=Why.MAX_DURATION), "max_duration", "ok", "platform"),
    (
        talked(by_us=True, why=Why.MAX_DURATION, played_ms=3900, played_to_end=False),
        "max_duration",
        "later",
        "platform",
    ),
    (talked(by_us=True, why=Why.MAX_DURATION, played_ms=4000, played_to_end=False), "max_duration", "ok", "platform"),
    (talked(by_us=True, why=Why.INSECURE, played_ms=0), "security_required", "config", "trunk"),
    (talked(by_us=True, why=Why.INCOMPATIBLE, played_ms=0), "media_incompatible", "config", "trunk"),
    (talked(by_us=True), "signalling_lost", "later", "trunk"),
    (talked(code=481), "signalling_lost", "later", "trunk"),
    (talked(code=408), "signalling_lost", "later", "trunk"),
    (talked(by_us=True), "signalling_lost", "later", "trunk"),  # the stack ended it by itself: session timer
    (talked(origin=LOCAL), "signalling_lost", "later", "trunk"),
]


@pytest.mark.parametrize(("ended", "cause", "again", "source"), COMPLETED)
def test_an_answered_call_is_completed_and_its_cause_says_how(
    ended: Ended, cause: str, again: str, source: str
) -> None:
    outcome = judged(ended)

    assert (outcome.ending, outcome.cause, outcome.again, outcome.source) == ("completed", cause, again, source)


def test_the_q850_of_a_normal_end_is_16_and_of_lost_signalling_41() -> None:
    assert judged(talked()).q850 == 16
    assert judged(talked(origin=LOCAL)).q850 == 41


@pytest.mark.parametrize("why", [Why.API, Why.RING_TIMEOUT, Why.SHUTDOWN])
def test_a_200_that_crosses_our_cancel_does_not_make_the_call_answered(why: Why) -> None:
    outcome = judged(leg(200, ANSWERED, by_us=True, why=why), answered=False)

    expected = {Why.API: Ending.CANCELED, Why.RING_TIMEOUT: Ending.NO_ANSWER, Why.SHUTDOWN: Ending.CANCELED}
    assert outcome.ending is expected[why]


def test_a_200_nobody_told_us_of_is_still_an_answer() -> None:
    assert judged(talked(), answered=False).ending is Ending.COMPLETED


# -- completed in silence


def test_an_answered_call_without_a_packet_of_ours_says_no_audio_and_is_our_fault() -> None:
    outcome = judged(talked(rtp=RtpStats(sent_packets=0, received_packets=300), by_us=True, why=Why.PLAYED_OUT))

    assert (outcome.ending, outcome.cause, outcome.fault, outcome.again) == (
        "completed",
        "no_audio",
        "us",
        "later",
    )
    assert outcome.silent


def test_nothing_played_is_no_audio_although_packets_left() -> None:
    assert judged(talked(played_ms=0)).cause is Cause.NO_AUDIO


@pytest.mark.parametrize(("packets", "cause"), [(224, Cause.NO_AUDIO), (225, Cause.NORMAL_CLEARING)])
def test_less_than_nine_tenths_of_the_due_packets_is_a_failed_playback(packets: int, cause: Cause) -> None:
    ended = talked(rtp=RtpStats(sent_packets=packets, received_packets=300))  # 5 s are 250 packets

    assert judged(ended).cause is cause


def test_audio_that_stops_after_a_second_is_found_by_counting() -> None:
    ended = talked(rtp=RtpStats(sent_packets=49, received_packets=150), played_to_end=False, digits="1")

    assert judged(ended, talk_s=3.0).cause is Cause.NO_AUDIO


def test_a_person_who_hangs_up_before_the_first_word_is_not_a_silent_call() -> None:
    ended = talked(played_ms=0, played_to_end=False, rtp=RtpStats(sent_packets=30, received_packets=25))

    assert judged(ended, talk_s=0.6).cause is Cause.NORMAL_CLEARING
    assert judged(ended, talk_s=5.0).cause is Cause.NO_AUDIO


def test_a_key_before_the_first_word_is_not_a_silent_call() -> None:
    ended = talked(played_ms=0, played_to_end=False, digits="1")

    assert judged(ended, talk_s=2.0).cause is Cause.NORMAL_CLEARING


def test_a_person_who_hangs_up_halfway_heard_half() -> None:
    ended = talked(played_ms=2400, played_to_end=False, rtp=RtpStats(sent_packets=148, received_packets=148))

    assert judged(ended, talk_s=3.0).cause is Cause.NORMAL_CLEARING


def test_a_call_that_played_nothing_on_purpose_is_not_silent() -> None:
    assert judged(talked(audio_ms=0, played_ms=0, played_to_end=False)).cause is Cause.NORMAL_CLEARING


def test_a_peer_that_never_sent_a_packet_is_a_media_timeout_where_the_trunk_requires_media() -> None:
    mute = talked(rtp=RtpStats(sent_packets=500, received_packets=0))

    assert judged(mute, rtp_required=True).cause is Cause.MEDIA_TIMEOUT
    assert judged(mute, rtp_required=True).silent
    assert judged(mute, rtp_required=False).cause is Cause.NORMAL_CLEARING
    assert judged(replace(mute, played_to_end=False), rtp_required=True, talk_s=0.4).cause is Cause.NORMAL_CLEARING


# -- 480, 403, tones


def test_a_fast_480_without_18x_is_the_trunk_and_a_slow_one_the_person() -> None:
    assert judged(leg(480), elapsed_s=0.9).cause is Cause.CONGESTION
    assert judged(leg(480), elapsed_s=1.0).cause is Cause.TEMPORARILY_UNAVAILABLE
    assert judged(leg(480, RINGING), elapsed_s=0.9).cause is Cause.TEMPORARILY_UNAVAILABLE
    assert judged(leg(480), elapsed_s=None).cause is Cause.TEMPORARILY_UNAVAILABLE
    assert judged(leg(480, q850=18), elapsed_s=0.1).cause is Cause.TEMPORARILY_UNAVAILABLE


def test_a_trunk_that_bars_us_again_and_again_is_a_configuration_fault() -> None:
    assert judged(leg(403), barred=True).again is Again.CONFIG
    assert judged(leg(403), barred=False).again is Again.NEXT_TRUNK


@pytest.mark.parametrize("code", [480, 487])
@pytest.mark.parametrize(
    ("tone", "expected"),
    [
        (Sit.VACANT, ("failed", "unallocated_number", 1, "dead_number")),
        (Sit.INTERCEPT, ("failed", "intercept", 22, "dead_number")),
        (Sit.NO_CIRCUIT, ("failed", "congestion", 34, "next_trunk")),
        (Sit.REORDER, ("failed", "congestion", 34, "next_trunk")),
    ],
)
def test_tones_override_a_later_480_or_487(code: int, tone: Sit, expected: tuple[str, str, int | None, str]) -> None:
    assert words(judged(leg(code), sit=tone)) == expected
    assert words(judged(leg(486), sit=tone)) == ("busy", "user_busy", 17, "later")


def test_the_peers_own_q850_is_kept() -> None:
    assert judged(leg(503, q850=27)).q850 == 27


# -- without a leg


@pytest.mark.parametrize(
    ("cause", "ending", "again"),
    [
        ("speech", "failed", "ours"),
        ("poison", "failed", "ours"),
        ("dispatch_timeout", "failed", "later"),
        ("canceled_by_api", "canceled", "ours"),
        ("platform_shutdown", "canceled", "later"),
        ("validity_expired", "expired", "none"),
        ("suppressed", "blocked", "dead_number"),
        ("invalid_number", "blocked", "dead_number"),
        ("geo_blocked", "blocked", "ours"),
        ("spend_cap", "blocked", "ours"),
        ("caller_id_unverified", "blocked", "ours"),
        ("frequency_cap", "blocked", "ours"),
    ],
)
def test_a_call_that_was_never_dialled_has_its_row(cause: str, ending: str, again: str) -> None:
    outcome = never_dialled(Cause(cause))

    assert (outcome.ending, outcome.cause, outcome.again) == (ending, cause, again)
    assert outcome.may_have_rung is False


def test_a_cause_of_a_leg_cannot_end_a_call_without_one() -> None:
    with pytest.raises(ValueError, match="user_busy"):
        never_dialled(Cause.USER_BUSY)


def test_a_lost_worker_is_uncertain_unless_certainly_nothing_left() -> None:
    assert (worker_lost().again, worker_lost().may_have_rung) == (Again.UNCERTAIN, True)
    assert (worker_lost(sent=False).again, worker_lost(sent=False).may_have_rung) == (Again.LATER, False)


# -- the words

FROZEN_NUMBERS = {
    "canceled_by_api": 1000,
    "validity_expired": 1100,
    "remote_cancel": 1200,
    "unallocated_number": 2000,
    "intercept": 2010,
    "incomplete_number": 2100,
    "ambiguous_number": 2110,
    "number_changed": 2120,
    "redirected": 2130,
    "ring_timeout": 3000,
    "user_busy": 3010,
    "call_declined": 3020,
    "no_user_responding": 3030,
    "temporarily_unavailable": 3040,
    "unwanted": 3050,
    "analytics_blocked": 3060,
    "normal_clearing": 4000,
    "max_duration": 4100,
    "trunk_failure": 5000,
    "trunk_unreachable": 5010,
    "trunk_timeout": 5020,
    "gateway_timeout": 5030,
    "network_out_of_order": 5040,
    "congestion": 5050,
    "signalling_lost": 5060,
    "glare": 5070,
    "media_timeout": 6000,
    "no_audio": 6010,
    "media_incompatible": 6020,
    "auth_failed": 7000,
    "forbidden": 7010,
    "carrier_credit": 7020,
    "protocol_error": 7030,
    "not_supported": 7040,
    "routing_loop": 7050,
    "identity_rejected": 7060,
    "anonymity_disallowed": 7070,
    "security_required": 7080,
    "suppressed": 8000,
    "geo_blocked": 8010,
    "spend_cap": 8020,
    "invalid_number": 8030,
    "caller_id_unverified": 8040,
    "frequency_cap": 8050,
    "worker_lost": 9000,
    "dispatch_timeout": 9010,
    "platform_shutdown": 9020,
    "speech": 9030,
    "poison": 9040,
    "line_error": 9050,
}


def test_cause_numbers_never_change_and_a_new_cause_is_added_here() -> None:
    assert {cause.value: number for cause, number in CAUSE_CODES.items()} == FROZEN_NUMBERS
    assert len(set(FROZEN_NUMBERS.values())) == len(Cause) == len(FROZEN_NUMBERS)


def test_the_words_agree_with_those_of_the_product() -> None:
    assert {ending.value for ending in Ending} == {status.value for status in Status if status.is_final}
    assert {fault.value for fault in Fault} == {fault.value for fault in ErrorFault}


def test_no_other_trunk_is_tried_where_a_person_answered() -> None:
    assert frozenset({486, 600, 603, 607, 608}) == NEVER_NEXT_TRUNK
    assert all(of_answer(code).again is not Again.NEXT_TRUNK for code in NEVER_NEXT_TRUNK)


def test_only_a_final_answer_or_an_unsent_invite_leads_to_the_next_trunk() -> None:
    lowered = {code for code in range(300, 700) if judged(leg(code)).again is Again.NEXT_TRUNK}

    assert lowered & set(SIP_CODES) == {403, 500, 502, 503, 504, 580}


legs = st.builds(
    Ended,
    call_id=st.just("call_1"),
    at=st.just(100.0),
    code=st.one_of(st.just(0), st.integers(100, 699)),
    reason=st.just(""),
    origin=st.sampled_from(Origin),
    phase=st.sampled_from(Phase),
    by_us=st.booleans(),
    why=st.none() | st.sampled_from(Why),
    sent=st.booleans(),
    lost=st.booleans(),
    q850=st.none() | st.integers(1, 127),
    played_ms=st.integers(0, 9000),
    audio_ms=st.integers(0, 9000),
    played_to_end=st.booleans(),
    digits=st.sampled_from(["", "1"]),
    rtp=st.builds(RtpStats, sent_packets=st.integers(0, 500), received_packets=st.integers(0, 500)),
)


@given(
    ended=legs,
    rang=st.booleans(),
    answered=st.booleans(),
    rtp_required=st.booleans(),
    elapsed_s=st.none() | st.floats(0, 400),
    talk_s=st.none() | st.floats(0, 400),
    sit=st.none() | st.sampled_from(Sit),
)
def test_every_leg_has_an_outcome_and_the_rules_hold(
    ended: Ended,
    rang: bool,
    answered: bool,
    rtp_required: bool,
    elapsed_s: float | None,
    talk_s: float | None,
    sit: Sit | None,
) -> None:
    outcome = judge(
        ended,
        rang=rang,
        answered=answered,
        rtp_required=rtp_required,
        elapsed_s=elapsed_s,
        talk_s=talk_s,
        sit=sit,
    )

    assert outcome.cause_code == CAUSE_CODES[outcome.cause]
    if answered:
        assert outcome.ending is Ending.COMPLETED or (ended.lost and outcome.cause is Cause.WORKER_LOST)
    if rang:
        assert outcome.again is not Again.NEXT_TRUNK
    if outcome.again is Again.UNCERTAIN:
        assert outcome.may_have_rung
    if outcome.again is Again.NEXT_TRUNK and ended.origin is Origin.LOCAL and sit is None:
        assert not ended.sent or ended.code == 502
    assert outcome.source is not Source.CALLER
