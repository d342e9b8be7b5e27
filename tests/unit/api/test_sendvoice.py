"""The 9bits surface: its example request works unchanged, its three members come first, nothing bad is stored."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.settings import Account, Settings, Speech, Webhooks
from tests.api_door import LIVE_KEY, Door, bearer, open_door
from tests.voice_values import dialed, one_lease, step
from voice.compose import media_refusal
from voice.messages import CallbackFormat
from voice.store import Intent, Lane

AUDIO = "https://example.com/audio/Kalimba.mp3"
NINEBITS = {"to": ["2348020000000", "2348030000000"], "media_url": AUDIO}
HELLO = {"to": "12025550100", "text": "Hello"}


async def pointers(door: Door, body: Any, **more: Any) -> dict[str, str]:
    """The wrong members of a refused request; nothing was stored."""
    answer = await door.post("/v1/sendvoice", body, **more)
    assert answer.status_code == 422, answer.text
    assert await door.calls() == []
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}


async def test_the_9bits_example_request_works_unchanged(door: Door) -> None:
    answer = await door.post("/v1/sendvoice", NINEBITS, headers=bearer(LIVE_KEY))

    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(body)[:3] == ["status_code", "message", "ref_id"]
    assert answer.text.startswith('{"status_code": 200, "message": "Request is being processed", "ref_id": "')
    assert len(body["ref_id"]) == 25
    assert body["recipients_accepted"] == 2
    assert (body["recipients_rejected"], body["warnings"]) == ([], [])
    assert {call["to_number"] for call in await door.calls()} == {"2348020000000", "2348030000000"}


async def test_one_number_may_be_a_string(door: Door) -> None:
    answer = await door.post("/v1/sendvoice", {"to": "+2348020000000", "media_url": AUDIO})

    assert answer.json()["recipients_accepted"] == 1
    assert (await door.calls())[0]["to_number"] == "2348020000000"


async def test_a_reply_is_stored_before_anything_is_dialled_and_can_be_followed(door: Door) -> None:
    sent = (await door.post("/v1/sendvoice", {**HELLO, "client_reference": "A-1", "callback_data": "x"})).json()

    for ref in (sent["ref_id"], "msg_" + sent["ref_id"]):
        status = (await door.get(f"/v1/sendvoice/status/{ref}")).json()
        assert (status["status"], status["client_reference"]) == ("accepted", "A-1")
        assert status["recipients"] == {
            "total": 1, "pending": 1, "delivered": 0, "undelivered": 0, "expired": 0, "canceled": 0, "suppressed": 0,
        }  # fmt: skip

    await door.answer_and_end()
    status = (await door.get(sent["status_url"])).json()
    assert (status["status"], status["recipients"]["delivered"], status["recipients"]["pending"]) == ("finished", 1, 0)


async def test_what_the_voice_could_not_do_stands_in_the_status_and_in_the_call(door: Door) -> None:
    sent = (await door.post("/v1/sendvoice", {**HELLO, "colour": "red"})).json()
    before = (await door.get(sent["status_url"])).json()["warnings"]
    lease = await one_lease(door.store)
    said = "voice 'male' not used: flite has no such voice"
    await step(door.store, lease, lease.call, replace(dialed(), warnings=(said,)))

    assert len(before) == 1
    assert (await door.get(sent["status_url"])).json()["warnings"] == [*before, said]
    assert (await door.get(f"/v1/calls/{sent['call_ids'][0]}")).json()["warnings"] == [said]


async def test_recipients_come_in_pages_in_the_order_of_the_request(door: Door) -> None:
    numbers = [f"120255501{index:02d}" for index in range(60)]
    sent = (await door.post("/v1/sendvoice", {"to": numbers, "text": "Hello"})).json()

    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = (await door.get(f"/v1/sendvoice/{sent['ref_id']}/recipients?limit=25{cursor}")).json()
        seen += [row["to_number"] for row in page["data"]]
        pages += 1
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"

    assert (seen, pages) == (numbers, 3)
    broken = await door.get(f"/v1/sendvoice/{sent['ref_id']}/recipients?cursor=r-1")
    assert broken.status_code == 422


async def test_cancel_asks_for_the_end_of_every_call(door: Door) -> None:
    sent = (await door.post("/v1/sendvoice", {"to": ["12025550100", "12025550101"], "text": "Hello"})).json()

    answer = await door.post(f"/v1/sendvoice/{sent['ref_id']}/cancel")

    assert answer.status_code == 200
    wishes = await door.store.overdue(Lane.SANDBOX, "dialer-1", 9, 1.0)
    assert {(lease.call.to_number, lease.intent) for lease in wishes} == {
        ("12025550100", Intent.CANCEL),
        ("12025550101", Intent.CANCEL),
    }


async def test_a_message_says_that_it_is_being_canceled_until_everybody_has_an_end(door: Door) -> None:
    sent = (await door.post("/v1/sendvoice", {**HELLO, "send_at": "2026-01-01"})).json()
    before = (await door.get(sent["status_url"])).json()

    canceled = (await door.post(f"/v1/sendvoice/{sent['ref_id']}/cancel")).json()
    status = (await door.get(sent["status_url"])).json()
    await door.answer_and_end()
    after = (await door.get(sent["status_url"])).json()
    again = (await door.post(f"/v1/sendvoice/{sent['ref_id']}/cancel")).json()

    assert [one["canceling"] for one in (before, canceled, status, after, again)] == [False, True, True, False, False]
    assert canceled == status
    assert (status["status"], status["message"]) == ("accepted", "Being canceled: 1 of 1 still to end")
    assert after["message"] == "Every recipient has its outcome"


async def test_bad_numbers_in_a_good_batch_are_named_and_the_rest_is_sent(door: Door) -> None:
    body = (await door.post("/v1/sendvoice", {"to": ["12025550100", "0802"], "text": "Hello"})).json()

    assert body["recipients_accepted"] == 1
    assert [(no["to"], no["code"]) for no in body["recipients_rejected"]] == [("0802", "INVALID_NUMBER")]


async def test_a_malformed_entry_does_not_stop_the_batch_and_is_named_once(door: Door) -> None:
    far_too_long = "9" * 50_000
    to = ["2348020000000", "", "1" * 50, far_too_long, "0802", "0802", ""]

    body = (await door.post("/v1/sendvoice", {"to": to, "text": "Hello"})).json()

    assert body["recipients_accepted"] == 1
    assert [(no["to"], no["code"]) for no in body["recipients_rejected"]] == [
        ("", "INVALID_NUMBER"),
        ("1" * 50, "TOO_LONG"),
        ("9" * 59 + "…", "TOO_LONG"),
        ("0802", "INVALID_NUMBER"),
    ]


@pytest.mark.parametrize(
    ("to", "message"),
    [
        (["0802", "080"], "to[0] '0802': A national number: its calling code is missing."),
        (["23480"], "to[0] '23480': Short codes are not called: they mean something else on every network."),
        ("+23480200", "to '+23480200' is too short for NG."),
        ("", "to '' is empty."),
        (["1" * 64], f"to[0] '{'1' * 59}…' is too long for its country."),
    ],
)
async def test_the_message_alone_says_which_number_is_wrong(door: Door, to: Any, message: str) -> None:
    answer = await door.post("/v1/sendvoice", {"to": to, "text": "Hello"})

    assert (answer.status_code, answer.json()["message"]) == (422, message)


@pytest.mark.parametrize("to", [2348020000000, None, True, {"number": "2348020000000"}])
async def test_a_recipient_of_another_type_is_told_which_types_there_are(door: Door, to: Any) -> None:
    body = (await door.post("/v1/sendvoice", {"to": to, "text": "Hello"})).json()

    assert [(e["pointer"], e["detail"]) for e in body["errors"]] == [
        ("#/to", "to: should be a string or an array of strings")
    ]


async def test_only_bad_numbers_are_a_422_with_each_one_named(door: Door) -> None:
    answer = await door.post("/v1/sendvoice", {"to": ["0802", "x"], "text": "Hello"})

    body = answer.json()
    assert (answer.status_code, body["code"]) == (422, "INVALID_NUMBER")
    assert [error["pointer"] for error in body["errors"]] == ["#/to/0", "#/to/1"]
    assert await door.calls() == []


async def test_a_single_bad_number_is_named_where_it_stood(door: Door) -> None:
    assert list(await pointers(door, {"to": "0802", "text": "Hello"})) == ["#/to"]


async def test_more_than_a_thousand_unique_numbers_are_refused_but_duplicates_do_not_count(door: Door) -> None:
    thousand = [f"2348020{index:06d}" for index in range(1000)]

    assert list(await pointers(door, {"to": [*thousand, "2348030000000"], "text": "Hello"})) == ["#/to"]
    answer = await door.post("/v1/sendvoice", {"to": [*thousand, "+2348020000000"], "text": "Hello"})
    assert answer.json()["recipients_accepted"] == 1000


async def test_unknown_members_are_ignored_and_named_with_what_was_meant(door: Door) -> None:
    body = {**HELLO, "textt": "x", "loop": 2, "gather": {"digit_max": 2}, "🐘": None}

    answer = await door.post("/v1/sendvoice", body)

    assert answer.status_code == 200
    assert answer.json()["warnings"] == [
        "there is no 'textt' (did you mean 'text'?): ignored",
        "there is no 'loop' (did you mean 'repeat'?): ignored",
        "there is no 'digit_max' in gather (did you mean 'digits_max'?): ignored",
        "there is no '🐘': ignored",
    ]


async def test_how_to_call_back_without_an_address_is_warned_of(door: Door, tmp_path: Path) -> None:
    body = {**HELLO, "callback_format": "9bits"}

    lonely = (await door.post("/v1/sendvoice", body)).json()["warnings"]
    complete = await door.post("/v1/sendvoice", {**body, "callback_url": "https://example.com/h"})
    header = (await door.post("/v1/calls", {**HELLO, "callback_events": ["call.dtmf"]})).headers["x-warnings"]

    assert lonely == [
        "callback_format was ignored: it goes with callback_url, which is missing, and the account has none"
    ]
    assert complete.json()["warnings"] == []
    assert header.startswith("callback_events was ignored")
    account = Account(caller_ids=("12025550199",), callback_url="https://example.com/own")
    async with open_door(tmp_path, settings=Settings(account=account)) as other:
        (said,) = (await other.post("/v1/sendvoice", body)).json()["warnings"]
    assert said.endswith("the account's own address has its own")


async def test_a_dry_run_judges_and_renders_but_stores_nothing(door: Door) -> None:
    body = (await door.post("/v1/sendvoice", {**HELLO, "dry_run": True})).json()

    assert (body["dry_run"], body["audio_ms"], body["status_url"], body["call_ids"]) == (True, 1200, None, [])
    assert "gtts has no male voice" in body["warnings"]
    assert await door.calls() == []


async def test_a_text_no_engine_can_say_is_a_503_on_a_dry_run(door: Door) -> None:
    answer = await door.post("/v1/sendvoice", {**HELLO, "text": "unspeakable", "dry_run": True})

    assert (answer.status_code, answer.json()["code"]) == (503, "SPEECH_FAILED")


async def test_every_setting_reaches_the_message(door: Door) -> None:
    due = (door.api.clock.now() + timedelta(days=100)).replace(hour=22, minute=54, second=5, microsecond=0)
    body = {
        **HELLO,
        "language": "EN-US",
        "voice": "slt",
        "speed": 1.5,
        "ssml": True,
        "from": "+1 202 555 0199",
        "repeat": 3,
        "pause_ms": 0,
        "ring_timeout": 20,
        "max_duration": 60,
        "gather": {"digits_max": 4, "timeout_ms": 9000, "valid": "0123456789#"},
        "send_at": f"{due:%Y-%m-%d %H:%M:%S}",
        "valid_until": f"{due + timedelta(days=1):%Y-%m-%dT%H:%M:%S}+01:00",
        "callback_url": "https://example.com/hook",
        "callback_format": "9bits",
        "callback_events": ["call.ended", "call.ringing", "call.ended"],
        "sandbox": {"answer_after": 2, "press": "1@3s", "hangup_after": 10},
        "record": True,
    }

    sent = (await door.post("/v1/sendvoice", body)).json()

    message = await door.store.message("main.test", sent["ref_id"])
    assert message is not None
    prompt, script, (callback,) = message.prompt, message.script, message.callbacks
    assert (prompt.text, prompt.language, prompt.voice, prompt.speed, prompt.ssml) == (
        "Hello",
        "en-us",
        "slt",
        1.5,
        True,
    )
    assert (script.repeat, script.pause_ms, script.ring_timeout_s, script.max_duration_s) == (3, 0, 20, 60)
    assert script.gather is not None
    assert (script.gather.digits_max, script.gather.timeout_ms, script.gather.valid) == (4, 9000, "0123456789#")
    assert script.sandbox is not None
    assert (script.sandbox.answer_after, script.sandbox.press, script.sandbox.hangup_after) == (2, "1@3s", 10)
    assert script.record
    assert (message.due_at, message.valid_until.hour) == (due, 21)
    assert (callback.format, callback.events) == (CallbackFormat.NINEBITS, ("call.ended", "call.ringing"))


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"text": "x" * 1001}, "#/text"),
        ({"text": ""}, "#/text"),
        ({"text": "   "}, "#/text"),
        ({"language": "xx-yy"}, "#/language"),
        ({"language": "klingon!"}, "#/language"),
        ({"speed": 0.49}, "#/speed"),
        ({"speed": 2.01}, "#/speed"),
        ({"repeat": 0}, "#/repeat"),
        ({"repeat": 11}, "#/repeat"),
        ({"repeat": 1.5}, "#/repeat"),
        ({"repeat": True}, "#/repeat"),
        ({"pause_ms": -1}, "#/pause_ms"),
        ({"ring_timeout": 4}, "#/ring_timeout"),
        ({"max_duration": 3601}, "#/max_duration"),
        ({"gather": {"digits_max": 0}}, "#/gather/digits_max"),
        ({"gather": {"valid": "xyz"}}, "#/gather/valid"),
        ({"gather": []}, "#/gather"),
        ({"send_at": "yesterday"}, "#/send_at"),
        ({"send_at": "0001-01-01T00:00:00+14:00"}, "#/send_at"),
        ({"send_at": "9999-12-31T23:59:59Z"}, "#/send_at"),
        ({"valid_until": "2020-01-01T00:00:00Z"}, "#/valid_until"),
        ({"valid_until": "9999-12-31T23:59:59Z"}, "#/valid_until"),
        ({"from": "2348020000000"}, "#/from"),
        ({"callback_url": "ftp://example.com/x"}, "#/callback_url"),
        ({"callback_url": "https://user:pw@example.com/"}, "#/callback_url"),
        ({"callback_url": "https://[::1"}, "#/callback_url"),
        ({"callback_url": "https://ex ample.com/"}, "#/callback_url"),
        ({"callback_format": "xml"}, "#/callback_format"),
        ({"callback_events": ["call.imagined"]}, "#/callback_events/0"),
        ({"callback_events": []}, "#/callback_events"),
        ({"sandbox": {"press": "seven"}}, "#/sandbox/press"),
        ({"sandbox": {"answer_after": -1}}, "#/sandbox/answer_after"),
        ({"trunk_id": "../etc"}, "#/trunk_id"),
        ({"dry_run": "yes"}, "#/dry_run"),
        ({"to": []}, "#/to"),
        ({"to": None}, "#/to"),
        ({"to": 12025550100}, "#/to"),
        ({"to": ["12025550100", 5]}, "#/to/1"),
        ({"to": {"number": "12025550100"}}, "#/to"),
        ({"to": "1" * 41}, "#/to"),
        ({"to": ""}, "#/to"),
    ],
)
async def test_a_member_that_is_wrong_is_named(door: Door, change: dict[str, Any], pointer: str) -> None:
    found = await pointers(door, {**HELLO, **change})

    assert any(where == pointer or where.startswith(pointer + "/") for where in found), found


async def test_exactly_one_content_is_required(door: Door) -> None:
    assert await pointers(door, {"to": "12025550100"}) == {"#": "invalid"}
    assert await pointers(door, {**HELLO, "media_url": AUDIO}) == {"#": "invalid"}


async def test_a_missing_recipient_is_named(door: Door) -> None:
    assert await pointers(door, {"text": "Hello"}) == {"#/to": "missing"}


@pytest.mark.parametrize("change", [{"sandbox": {"press": "1"}}, {"sandbox": {}}])
async def test_the_sandbox_script_is_for_test_keys(door: Door, change: dict[str, Any]) -> None:
    found = await pointers(door, {**HELLO, "to": "2348020000000", **change}, headers=bearer(LIVE_KEY))

    assert found == {"#/sandbox": "not_allowed"}


async def test_a_magic_number_is_refused_for_live_keys(door: Door) -> None:
    found = await pointers(door, HELLO, headers=bearer(LIVE_KEY))

    assert found == {"#/to": "sandbox_number"}


async def test_a_test_key_may_call_any_number_because_the_catch_all_phone_answers(door: Door) -> None:
    answer = await door.post("/v1/sendvoice", {"to": "2348020000000", "text": "Hello"})

    assert answer.status_code == 200
    assert (await door.calls())[0]["sandbox"] is True


async def test_webhooks_to_this_machine_are_for_test_keys(door: Door) -> None:
    body = {"to": "2348020000000", "text": "Hello", "callback_url": "http://127.0.0.1:9000/hook"}

    assert await pointers(door, body, headers=bearer(LIVE_KEY)) == {"#/callback_url": "refused"}
    assert (await door.post("/v1/sendvoice", body)).status_code == 200


@pytest.mark.parametrize(
    ("media_url", "said"),
    [
        ("http://example.com/a.mp3", "media_url: must begin with https://"),
        ("https://127.0.0.1/a.mp3", "media_url: 127.0.0.1 is not a public address"),
        ("https://10.1.2.3/a.mp3", "media_url: 10.1.2.3 is not a public address"),
        ("https://[::1]/a.mp3", "media_url: ::1 is not a public address"),
        ("https://localhost/a.mp3", "media_url: 127.0.0.1 is not a public address"),
        ("https://example.com:22/a.mp3", "media_url: port 22 is not allowed"),
    ],
)
async def test_audio_that_would_never_be_fetched_is_refused_at_once(door: Door, media_url: str, said: str) -> None:
    for path in ("/v1/sendvoice", "/v1/calls"):
        answer = await door.post(path, {"to": "2348020000000", "media_url": media_url})

        assert answer.status_code == 422, answer.text
        assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("#/media_url", "refused")]
        assert answer.json()["message"] == said
    assert await door.calls() == []


@pytest.mark.parametrize(
    ("speech", "webhooks", "media_url"),
    [
        (Speech(media_http=True), Webhooks(), "http://example.com/a.mp3"),
        (Speech(media_http=True), Webhooks(guard=False), "http://10.1.2.3:8000/a.mp3"),
        (Speech(), Webhooks(allow=("10.0.0.0/8",)), "https://10.1.2.3/a.mp3"),
    ],
)
async def test_audio_that_the_settings_let_us_fetch_is_taken(
    tmp_path: Path, speech: Speech, webhooks: Webhooks, media_url: str
) -> None:
    allowed = media_refusal(Settings(speech=speech, webhooks=webhooks))
    async with open_door(tmp_path, refuse_media=allowed) as door:
        answer = await door.post("/v1/sendvoice", {"to": "2348020000000", "media_url": media_url})

    assert answer.status_code == 200, answer.text


async def test_an_answer_is_small_and_plain_json(door: Door) -> None:
    answer = await door.post("/v1/sendvoice", content=json.dumps(NINEBITS).encode())

    assert answer.status_code == 200, "a body without a content type is read as JSON"
