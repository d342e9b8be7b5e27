"""The Call object: nine members of 9bits first, true to name, order and type; ours behind them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.voice_values import HOOK, a_message, an_ending, an_intake, dialed
from voice.call_object import call_object, heard_pct, ninebits_body
from voice.calls import Call, KeyPressed, Rang, SipAnswer, Status, WasAnswered, advance
from voice.messages import Callback, CallbackFormat
from voice.telling import deliveries, event_of, queued_event

NINE = [
    "start_at", "answer_at", "end_at", "total_duration", "call_duration",
    "call_direction", "from_number", "to_number", "total_amount",
]  # fmt: skip
ADDED = [
    "call_id",
    "ref_id",
    "client_reference",
    "attempt",
    "attempts_max",
    "status",
    "answered_by",
    "amd_reason",
    "hangup_cause",
    "hangup_cause_code",
    "hangup_source",
    "permanent",
    "may_have_rung",
    "fault",
    "sip",
    "ring_at",
    "pdd_ms",
    "early_media",
    "digits",
    "result",
    "heard_ms",
    "heard_pct",
    "played_to_end",
    "bill_duration",
    "total_rate",
    "currency",
    "trunk_id",
    "route",
    "wire_to",
    "wire_from",
    "codec",
    "srtp",
    "quality",
    "recording_url",
    "callback_data",
    "sandbox",
    "sequence",
    "next_attempt_at",
    "created_at",
    "test",
    "warnings",
    "detail",
]
START = datetime(2026, 10, 24, 22, 54, 6, 120_000, tzinfo=UTC)


def answered_call() -> Call:
    call = an_intake(1, created_at=START).calls[0]
    call = advance(call, replace(dialed(), at=START))
    call = advance(call, Rang(START + timedelta(seconds=2)))
    call = advance(call, WasAnswered(START + timedelta(seconds=10), "PCMA"))
    call = advance(call, KeyPressed(START + timedelta(seconds=11), "1"))
    sip = SipAnswer(200, "OK", "remote", 16, None, "abc@127.0.0.1")
    ending = an_ending(at=START + timedelta(seconds=100), heard_ms=3000, audio_ms=10_000, sip=sip)
    return advance(call, ending)


def test_the_members_stand_in_their_order() -> None:
    assert list(call_object(answered_call())) == NINE + ADDED
    assert list(ninebits_body(answered_call())) == NINE + ADDED


def test_an_answered_call_is_told_to_the_millisecond() -> None:
    told = call_object(answered_call())

    assert told["start_at"] == "2026-10-24T22:54:06.120Z"
    assert (told["total_duration"], told["call_duration"], told["bill_duration"]) == (100, 90, 90)
    assert (told["pdd_ms"], told["heard_pct"], told["digits"], told["codec"]) == (2000, 30, "1", "PCMA")
    assert told["sip"] == {
        "code": 200, "reason": "OK", "origin": "remote", "q850": 16, "reason_header": None, "call_id": "abc@127.0.0.1",
    }  # fmt: skip
    assert told["total_amount"] == "0"


def test_a_9bits_body_says_its_times_in_the_accounts_zone() -> None:
    lagos = ninebits_body(answered_call(), zone=ZoneInfo("Africa/Lagos"))

    assert (lagos["start_at"], lagos["end_at"]) == ("2026-10-24 23:54:06", "2026-10-24 23:55:46")
    assert ninebits_body(answered_call())["answer_at"] == "2026-10-24 22:54:16"


def test_a_call_that_was_never_dialled_has_no_start() -> None:
    call = advance(an_intake(1).calls[0], an_ending(Status.EXPIRED, "validity_expired", sent=False))

    told = ninebits_body(call)

    assert (told["start_at"], told["answer_at"], told["call_duration"], told["heard_pct"]) == (None, None, 0, None)
    assert told["end_at"] is not None


def test_heard_is_a_share_of_what_was_to_be_played() -> None:
    assert heard_pct(None) is None
    assert heard_pct(an_ending()) is None
    assert heard_pct(an_ending(heard_ms=2990, audio_ms=10_000)) == 29
    assert heard_pct(an_ending(heard_ms=10_400, audio_ms=10_000)) == 100
    assert heard_pct(an_ending(heard_ms=9_980, audio_ms=10_000, played_to_end=True)) == 100


def test_a_callback_gets_the_events_it_asked_for_in_its_format() -> None:
    flat = Callback("https://nine.example", CallbackFormat.NINEBITS)
    message = a_message(callbacks=(HOOK, flat))
    call = an_intake(1).calls[0]

    at_first = deliveries(call, message, queued_event(call))
    ended = advance(call, fact := an_ending(Status.CANCELED, "canceled_by_api", sent=False))
    at_last = deliveries(ended, message, event_of(ended, fact))

    assert [one.url for one in at_first] == [HOOK.url]
    assert [(one.url, one.format) for one in at_last] == [(HOOK.url, "standard"), (flat.url, "9bits")]
    assert at_last[0].body.startswith('{"type":"call.ended","timestamp":"')
    assert at_last[1].body.startswith('{"start_at":null,"answer_at":null,"end_at":"')
    assert len({one.delivery_id for one in (*at_first, *at_last)}) == 3
