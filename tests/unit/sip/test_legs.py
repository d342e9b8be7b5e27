"""One call's life without a telephone: what is due when, and what the end says."""

import pytest

from sip.commands import AfterScript, Dial, Play, Why
from sip.events import Ended, Origin, Phase, Played
from sip.legs import DIGITS_MOST, HEARD_SHARE, TAIL_S, Close, Counters, Leg
from sip.messages import Answer, Seen

BYE_BY_US = Close(99.0, 200, "OK", Origin.LOCAL)


def leg(**changes: object) -> Leg:
    facts: dict[str, object] = {"call_id": "c", "uri": "sip:1@h", "from_uri": "sip:2@h", "audio": "a.wav"}
    return Leg(Dial(**(facts | changes)), file_ms=1000, silent_s=4.0, placed=0.0)  # type: ignore[arg-type]


def seen(method: str, code: int = 0, *, sent: bool = False, text: str = "") -> Seen:
    return Seen(sent, "h:5060", text or f"SIP/2.0 {code} Whatever\r\n\r\n", "sip-id", method, code)


def answered(one: Leg, at: float = 1.0) -> Leg:
    one.watch(seen("INVITE", sent=True), 0.5)
    one.watch(seen("INVITE", 200), 0.5)
    one.answer(at)
    one.prepare(at)
    return one


def play_through(one: Leg, at: float, packets: int = 50) -> Played | None:
    """One repetition, `packets` of which left."""
    assert one.may_speak(at)
    before = one.counters.sent
    one.began(at)
    one.count(Counters(sent=before + packets), at + 1)
    return one.finished(at + 1, at + 1)


def test_a_trunk_that_says_nothing_is_given_up_first() -> None:
    assert leg().due_why(3.9) is None
    assert leg().due_why(4.0) is Why.TRUNK_SILENT


def test_after_a_hundred_only_the_ring_timer_runs() -> None:
    one = leg(ring_timeout_s=45.0)

    one.watch(seen("INVITE", 100), 0.5)

    assert one.phase is Phase.TRYING
    assert one.due_why(44.9) is None
    assert one.due_why(45.0) is Why.RING_TIMEOUT


def test_the_end_says_when_the_first_invite_left() -> None:
    one = leg()
    for at in (10.0, 10.5):  # the second time because nobody answered
        one.watch(seen("INVITE", sent=True), at)
    one.watch(seen("INVITE", 480), 10.9)
    one.close = Close(11.0, 480, "Gone", Origin.REMOTE)

    assert one.ended().invited_at == 10.0


def test_the_phase_never_falls_back() -> None:
    one = answered(leg())

    one.reached(Phase.RINGING)

    assert one.phase is Phase.ANSWERED


def test_the_longest_duration_counts_from_the_answer() -> None:
    one = answered(leg(max_duration_s=60.0, rtp_timeout_s=1000.0), at=10.0)

    assert one.due_why(69.9) is None
    assert one.due_why(70.0) is Why.MAX_DURATION


@pytest.mark.parametrize("heard", [Counters(received=1), Counters(reports=1)])
def test_any_packet_of_the_peer_puts_the_media_timeout_off(heard: Counters) -> None:
    one = answered(leg(rtp_timeout_s=30.0, max_duration_s=1000.0), at=0.0)

    one.count(heard, 20.0)
    one.count(heard, 21.0)  # nothing new

    assert one.due_why(49.9) is None
    assert one.due_why(50.0) is Why.MEDIA_TIMEOUT


def test_the_first_word_waits_for_the_pause() -> None:
    one = answered(leg(pause_ms=500), at=1.0)

    assert not one.may_speak(1.49)
    assert one.may_speak(1.5)


def test_the_script_is_prepared_once_though_media_becomes_active_again() -> None:
    one = answered(leg(pause_ms=0))
    play_through(one, 1.0)

    one.prepare(3.0)

    assert not one.may_speak(3.0)


def test_repetitions_keep_their_gap_and_then_we_hang_up_after_the_tail() -> None:
    one = answered(leg(pause_ms=0, repeat=2, repeat_gap_ms=700), at=1.0)

    assert play_through(one, 1.0) is None
    assert not one.may_speak(2.69)
    last = play_through(one, 2.7)

    assert last == Played("c", 3.7, 2000, True)
    assert one.due_why(3.7 + TAIL_S - 0.01) is None
    assert one.due_why(3.7 + TAIL_S) is Why.PLAYED_OUT


def test_a_waiting_call_is_not_hung_up_after_the_last_word() -> None:
    one = answered(leg(pause_ms=0, then=AfterScript.WAIT, rtp_timeout_s=1000.0), at=1.0)

    play_through(one, 1.0)

    assert one.due_why(30.0) is None


def test_another_file_calls_the_hang_up_off() -> None:
    one = answered(leg(pause_ms=0), at=1.0)
    play_through(one, 1.0)

    one.replace_script(Play("c", "b.wav"), 500, 2.1)

    assert one.due_why(2.5) is None
    assert one.may_speak(2.1)
    assert one.audio_ms == 1500


@pytest.mark.parametrize(
    ("packets", "played_ms", "whole"),
    [(60, 1000, True), (50, 1000, True), (int(50 * HEARD_SHARE), 900, True), (44, 880, False), (0, 0, False)],
)
def test_what_was_played_is_told_by_packets_not_by_the_player(packets: int, played_ms: int, whole: bool) -> None:
    one = answered(leg(pause_ms=0), at=1.0)

    told = play_through(one, 1.0, packets)

    assert told == Played("c", 2.0, played_ms, whole)


def test_packets_of_an_earlier_stream_are_not_forgotten() -> None:
    one = answered(leg(pause_ms=0), at=1.0)
    one.began(1.0)

    one.bank(Counters(sent=30, received=30), 1.6)
    one.count(Counters(sent=20, received=19), 2.0)
    told = one.finished(2.0, 2.0)

    assert told == Played("c", 2.0, 1000, True)
    assert one.counters.received == 49


def test_a_peer_that_hangs_up_mid_word_leaves_what_was_said_so_far() -> None:
    one = answered(leg(pause_ms=0), at=1.0)
    one.began(1.0)
    one.count(Counters(sent=20), 1.4)
    one.stopped(1.4)
    one.close = Close(1.4, 200, "OK", Origin.REMOTE)

    end = one.ended()

    assert (end.played_ms, end.audio_ms, end.played_to_end, end.repeats) == (400, 1000, False, 1)
    assert (end.code, end.reason, end.by_us, end.origin) == (200, "OK", False, Origin.REMOTE)


def test_digits_have_a_bound() -> None:
    one = answered(leg())

    told = [one.press("1", "rfc4733", 1.0) for _ in range(DIGITS_MOST + 5)]

    assert len(one.digits) == DIGITS_MOST
    assert told[-1] is None


CASES: list[tuple[str, dict[str, object], tuple[object, ...]]] = [
    # name, state of the leg, (code, reason, origin, by_us)
    (
        "the peer refuses",
        {"close": Close(1.0, 487, "Request Terminated", Origin.REMOTE, answer=Answer(302, "Moved"))},
        (302, "Moved", Origin.REMOTE, False),
    ),
    (
        "our own timer",
        {"close": Close(1.0, 408, "Request Timeout", Origin.LOCAL)},
        (408, "Request Timeout", Origin.LOCAL, False),
    ),
    (
        "we cancel and the peer confirms",
        {"why": Why.RING_TIMEOUT, "final": Answer(487, "Gone"), "close": Close(1.0, 487, "x", Origin.LOCAL)},
        (487, "Gone", Origin.REMOTE, True),
    ),
    (
        "a true refusal crosses our cancel",
        {"why": Why.API, "final": Answer(486, "Busy"), "close": Close(1.0, 487, "x", Origin.LOCAL)},
        (486, "Busy", Origin.REMOTE, True),
    ),
    (
        "an answer crosses our cancel",
        {"why": Why.API, "final": Answer(200, "OK"), "close": Close(1.0, 487, "x", Origin.LOCAL)},
        (0, "", Origin.LOCAL, True),
    ),
    (
        "nothing ever came",
        {"why": Why.TRUNK_SILENT, "close": Close(1.0, 487, "x", Origin.LOCAL)},
        (0, "", Origin.LOCAL, True),
    ),
]


@pytest.mark.parametrize(("state", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_final_answer_is_the_true_one(state: dict[str, object], expected: tuple[object, ...]) -> None:
    one = leg()
    for name, value in state.items():
        setattr(one, name, value)

    end = one.ended()

    assert (end.code, end.reason, end.origin, end.by_us) == expected


def test_reason_and_retry_after_of_the_final_answer_travel() -> None:
    one = leg()
    one.close = Close(1.0, 503, "x", Origin.REMOTE, answer=Answer(503, "No", "Q.850;cause=42", 42, 5))

    end = one.ended()

    assert (end.reason_header, end.q850, end.retry_after_s) == ("Q.850;cause=42", 42, 5)


def test_the_reason_of_the_peers_bye_travels() -> None:
    one = answered(leg())
    one.watch(seen("BYE", text="BYE sip:x SIP/2.0\r\nReason: Q.850;cause=31\r\n\r\n"), 0.5)
    one.close = Close(9.0, 200, "OK", Origin.REMOTE)

    assert (one.ended().reason_header, one.ended().q850) == ("Q.850;cause=31", 31)


def test_a_line_is_free_when_the_last_answer_is_in() -> None:
    one = leg()
    assert one.settled  # nothing was sent
    one.watch(seen("INVITE", sent=True), 0.5)
    assert not one.settled
    one.watch(seen("INVITE", 180), 0.5)
    assert not one.settled
    one.watch(seen("INVITE", 200), 0.5)
    assert one.settled
    one.watch(seen("BYE", sent=True), 0.5)
    assert not one.settled
    one.watch(seen("BYE", 200), 0.5)
    assert one.settled


def test_a_challenge_is_not_the_last_answer_unless_it_ended_the_call() -> None:
    one = leg()
    one.watch(seen("INVITE", sent=True), 0.5)
    one.watch(seen("INVITE", 401), 0.5)
    assert not one.settled

    one.close = Close(1.0, 401, "Unauthorized", Origin.REMOTE)

    assert one.settled


def test_quality_is_told_for_answered_calls_and_left_out_when_nobody_measured() -> None:
    silent = answered(leg())
    silent.count(Counters(sent=100), 3.0)
    silent.close = BYE_BY_US
    told = answered(leg())
    told.count(
        Counters(sent=100, received=98, sent_lost=5, received_lost=2, jitter_us=4000, rtt_us=50_000, reports=1), 3.0
    )
    told.close = BYE_BY_US

    assert silent.ended().rtp.mos is None
    assert silent.ended().rtp.received_loss_pct is None
    stats = told.ended().rtp
    assert (stats.sent_loss_pct, stats.received_loss_pct, stats.jitter_ms, stats.rtt_ms) == (5.0, 2.0, 4.0, 50.0)
    assert stats.mos is not None
    assert 3.0 < stats.mos < 4.3


def test_an_open_call_has_no_end() -> None:
    with pytest.raises(ValueError, match="not over"):
        leg().ended()


def test_the_end_is_a_plain_value() -> None:
    one = leg()
    one.close = BYE_BY_US

    assert isinstance(one.ended(), Ended)


def test_a_key_told_in_two_ways_counts_once() -> None:
    one = leg()

    told = [one.press("1", "rfc4733", 1.0), one.press("1", "inband", 1.1), one.press("2", "info", 2.0)]

    assert [event is not None for event in told] == [True, False, False]
    assert one.digits == "1"


# -- an answer that is none


def closed_by_the_library(one: Leg) -> Leg:
    one.watch(seen("BYE", sent=True), 0.5)
    one.close = BYE_BY_US
    return one


def test_an_answer_without_media_that_was_offered_is_incompatible() -> None:
    one = answered(leg())

    assert closed_by_the_library(one).is_incompatible


def test_an_answer_without_sdp_is_incompatible_though_the_library_calls_it_a_406() -> None:
    one = leg()
    one.watch(seen("INVITE", sent=True), 0.5)
    one.watch(seen("INVITE", 200), 0.5)
    one.close = Close(99.0, 406, "SDP offer/answer incomplete", Origin.REMOTE)

    assert one.is_incompatible


def test_a_callee_who_hangs_up_before_any_media_is_not_incompatible() -> None:
    one = answered(leg())
    one.watch(seen("BYE"), 0.5)
    one.close = BYE_BY_US

    assert not one.is_incompatible


def test_a_bye_that_the_library_sent_by_itself_is_ours() -> None:
    one = answered(leg())
    one.media = True

    end = closed_by_the_library(one).ended()

    assert (end.by_us, end.why) == (True, None)
