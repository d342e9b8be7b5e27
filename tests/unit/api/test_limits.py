"""Limits, prices and the resuming of a key, at the door. The live key is key_main."""

from typing import Any

import pytest

from tests.api_door import LIVE_KEY, PLAIN_KEY, Door, bearer
from voice.alerts import MemoryOutbox, Suspender
from voice.api.toll_models import ROWS_MOST

LIVE = bearer(LIVE_KEY)
CALL = {"to": "14155552671", "text": "Hello"}


async def limit(door: Door, **limits: Any) -> None:
    answer = await door.client.put("/v1/limits", json=limits, headers=LIVE)
    assert answer.status_code == 200, answer.text


def outbox(door: Door) -> MemoryOutbox:
    suspend = door.api.sending._suspend
    assert isinstance(suspend, Suspender)
    assert isinstance(suspend.outbox, MemoryOutbox)
    return suspend.outbox


async def test_rules_are_kept_whole_and_the_narrower_one_wins(door: Door) -> None:
    await limit(door, calls_per_day=9, max_duration_s=120, keys={"key_main": {"calls_per_day": 3}})
    told = (await door.get("/v1/limits", headers=LIVE)).json()

    assert told["account"]["calls_per_day"] == 9
    assert told["keys"]["key_main"]["calls_per_day"] == 3
    assert told["this_key"]["limits"] | {"calls_per_day": 3, "max_duration_s": 120} == told["this_key"]["limits"]
    assert (told["this_key"]["used"]["calls"], told["this_key"]["suspended"], told["suspended"]) == (0, None, {})
    assert (await door.get("/v1/limits")).json()["account"]["calls_per_day"] is None  # the test key's own


async def test_a_request_above_the_day_is_refused_and_the_key_is_stopped_until_it_is_resumed(door: Door) -> None:
    await limit(door, calls_per_day=2)
    accepted = [await door.post("/v1/calls", CALL, headers=LIVE) for _ in range(2)]
    over = await door.post("/v1/calls", CALL, headers=LIVE)
    stopped = await door.post("/v1/sendvoice", {**CALL, "to": ["14155552672"]}, headers=LIVE)
    told = (await door.get("/v1/limits", headers=LIVE)).json()

    assert [answer.status_code for answer in accepted] == [202, 202]
    assert (over.status_code, over.json()["code"], over.json()["cap"]) == (403, "SPEND_CAP", "calls_per_day")
    assert (stopped.status_code, stopped.json()["code"]) == (403, "KEY_SUSPENDED")
    assert told["suspended"] == {"key_main": "calls_per_day"}
    assert len(await door.calls()) == 2
    (event,) = outbox(door).told.values()
    assert (event["type"], event["data"]) == (
        "account.spend_cap",
        {"key_id": "key_main", "cap": "calls_per_day", "used": 2, "limit": 2, "suspended": True},
    )

    # The key that was stopped lifts nothing itself.
    for method, path, body in (
        ("PUT", "/v1/limits", {}), ("POST", "/v1/keys/key_main/resume", None),
        ("PUT", "/v1/rates", {"currency": "EUR", "data": []}),
        ("PUT", "/v1/dial-permissions", {"allow": ["gb"]}),
    ):  # fmt: skip
        refused = await door.client.request(method, path, json=body, headers=LIVE)
        assert (refused.status_code, refused.json()["code"]) == (403, "KEY_SUSPENDED"), path
    assert await door.api.tolls.resume("main.live", "key_main")
    await door.api.guard.read()
    await limit(door, calls_per_day=3)
    assert (await door.post("/v1/calls", CALL, headers=LIVE)).status_code == 202


async def test_another_key_resumes_one_and_a_repeat_is_harmless(door: Door) -> None:
    await door.client.put("/v1/limits", json={"keys": {"key_9": {"calls_per_day": 0}}}, headers=LIVE)
    first = await door.post("/v1/keys/key_9/resume", headers=LIVE)
    wrong = await door.post("/v1/keys/nine/resume", headers=LIVE)

    assert first.json() == {"key_id": "key_9", "resumed": False}
    assert wrong.status_code == 422


async def test_a_number_that_was_called_too_often_waits_and_others_do_not(door: Door) -> None:
    await limit(door, calls_per_number_per_hour=1)
    await door.post("/v1/calls", CALL, headers=LIVE)
    again = await door.post("/v1/calls", CALL, headers=LIVE)
    body = {"to": ["14155552671", "14155552672"], "text": "Hello"}
    batch = (await door.post("/v1/sendvoice", body, headers={**LIVE, "Idempotency-Key": "k"})).json()
    replay = await door.post("/v1/sendvoice", body, headers={**LIVE, "Idempotency-Key": "k"})

    assert (again.status_code, again.json()["code"], again.json()["retryable"]) == (429, "FREQUENCY_CAP", True)
    assert 3500 < int(again.headers["retry-after"]) <= 3600
    assert (batch["recipients_accepted"], batch["recipients_rejected"][0]["code"]) == (1, "FREQUENCY_CAP")
    assert replay.json() == batch


async def test_open_calls_and_the_pace_refuse_for_a_moment_and_stop_nobody(door: Door) -> None:
    await limit(door, open_calls=1)
    await door.post("/v1/calls", CALL, headers=LIVE)
    full = await door.post("/v1/calls", CALL, headers=LIVE)
    await limit(door, calls_per_second=1)
    await door.post("/v1/calls", CALL, headers=LIVE)
    fast = await door.post("/v1/calls", CALL, headers=LIVE)

    assert (full.status_code, full.json()["code"], full.json()["limit"]) == (429, "OVER_LIMIT", "channels")
    assert (fast.status_code, fast.json()["limit"], fast.headers["retry-after"]) == (429, "cps", "1")
    assert (await door.get("/v1/limits", headers=LIVE)).json()["suspended"] == {}


async def test_a_call_lasts_no_longer_than_the_key_allows(door: Door) -> None:
    await limit(door, max_duration_s=60)
    asked = await door.post("/v1/calls", {**CALL, "max_duration": 61}, headers=LIVE)
    silent = (await door.post("/v1/calls", CALL, headers=LIVE)).json()
    message = (await door.api.sending.status("main.live", silent["ref_id"])).message

    assert (asked.status_code, asked.json()["code"]) == (403, "DURATION_CAP")
    assert message.script.max_duration_s == 60


async def test_calls_have_the_price_of_their_prefix_and_money_is_held(door: Door) -> None:
    rows = [{"prefix": "1415", "per_minute": "0.06", "increment": "60/60", "connect_fee": "0.01"}]
    put = await door.client.put("/v1/rates", json={"currency": "USD", "data": rows}, headers=LIVE)
    await limit(door, amount_per_day="0.75")
    first = await door.post("/v1/calls", CALL, headers=LIVE)  # at most 302 s: 6 minutes, 0.37
    unpriced = await door.post("/v1/calls", {**CALL, "to": "13057771234"}, headers=LIVE)
    await door.post("/v1/calls", CALL, headers=LIVE)
    used = (await door.get("/v1/limits", headers=LIVE)).json()["this_key"]["used"]
    over = await door.post("/v1/calls", CALL, headers=LIVE)

    assert put.json() == {"currency": "USD", "source": "account", "data": rows}
    call = first.json()
    assert (call["total_rate"], call["currency"], call["total_amount"]) == ("0.06", "USD", "0")
    assert (unpriced.status_code, unpriced.json()["code"]) == (403, "NO_RATE")
    assert (used["amount"], used["amount_held"], used["minutes_held"]) == ("0", "0.74", 12.0)
    assert (over.status_code, over.json()["cap"]) == (403, "amount_per_day")


async def test_the_settings_hold_for_live_keys_alone(door: Door) -> None:
    body = {"to": "12025550110", "text": "Hello"}
    for _ in range(12):
        assert (await door.post("/v1/calls", body)).status_code == 202


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/limits", {"calls_per_day": -1}, "#/calls_per_day"),
        ("/v1/limits", {"calls_per_day": "5"}, "#/calls_per_day"),
        ("/v1/limits", {"amount_per_day": 5}, "#/amount_per_day"),
        ("/v1/limits", {"amount_per_day": "-5"}, "#/amount_per_day"),
        ("/v1/limits", {"calls_a_day": 5}, "#/calls_a_day"),
        ("/v1/limits", {"keys": {"nine": {}}}, "#/keys/nine"),
        ("/v1/limits", {"keys": {"key_1": 5}}, "#/keys/key_1"),
        ("/v1/limits", {"keys": {"key_1": {"open_calls": -1}}}, "#/open_calls"),
        ("/v1/rates", {"currency": "eur", "data": []}, "#/currency"),
        ("/v1/rates", {"currency": "EUR", "data": [{"prefix": "44", "per_minute": "x"}]}, "#/data/0/per_minute"),
        ("/v1/rates", {"currency": "EUR", "data": [{"prefix": "44", "per_minute": "1", "fee": "1"}]}, "#/data/0/fee"),
        (
            "/v1/rates",
            {"currency": "EUR", "data": [{"prefix": "44", "per_minute": "1", "increment": "0/1"}]},
            "#/data/0/increment",
        ),
        ("/v1/rates", {"currency": "EUR", "data": [{"prefix": "44", "per_minute": "10001"}]}, "#/data/0/per_minute"),
        ("/v1/rates", {"currency": "EUR", "data": [{"prefix": "44", "per_minute": "1"}] * 2}, "#/data"),
    ],
)
async def test_rules_that_make_no_sense_are_refused(door: Door, path: str, body: dict[str, Any], pointer: str) -> None:
    refused = await door.client.put(path, json=body, headers=LIVE)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer


async def test_the_longest_price_list_fits_into_the_longest_body(door: Door) -> None:
    row = {"per_minute": "9999.123456", "increment": "3600/3600", "connect_fee": "9999.123456"}
    rows = [{"prefix": f"{10**14 + n}", **row} for n in range(ROWS_MOST + 1)]
    taken = await door.client.put("/v1/rates", json={"currency": "EUR", "data": rows[:-1]}, headers=LIVE)
    above = await door.client.put("/v1/rates", json={"currency": "EUR", "data": rows}, headers=LIVE)

    assert (taken.status_code, above.status_code) == (200, 422)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/limits"), ("PUT", "/v1/rates"), ("POST", "/v1/keys/key_1/resume")]
)
async def test_only_an_admin_changes_them(door: Door, method: str, path: str) -> None:
    assert (await door.client.request(method, path, json={}, headers=bearer(PLAIN_KEY))).status_code == 403
