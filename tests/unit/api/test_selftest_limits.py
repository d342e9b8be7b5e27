"""A test that rings obeys the limits of its key as a call does, and is refused in the same words."""

from pathlib import Path
from typing import Any

import pytest

from tests.api_door import LIVE_KEY, Door, bearer, open_door
from voice.alerts import MemoryOutbox, Suspender
from voice.caps import Caps
from voice.selftest import Step, StepName, Verdict
from voice.selftest_board import MemorySelfTests
from voice.toll_guard import TollGuard

TRUNK = {"id": "lagos-1", "host": "127.0.0.1:5070", "caller_ids": ["2347080670000"]}
TEST, ADMIN = "/v1/trunks/lagos-1/test", "/v1/admin/test-call"
NUMBER = "2348020000000"
LIVE = bearer(LIVE_KEY)
NONE_AT_ALL = {"calls_per_day": 0, "minutes_per_day": 0, "open_calls": 0}


async def limit(door: Door, **limits: Any) -> None:
    assert (await door.client.put("/v1/limits", json=limits, headers=LIVE)).status_code == 200
    if (await door.get("/v1/trunks/lagos-1", headers=LIVE)).status_code == 404:
        assert (await door.post("/v1/trunks", json=TRUNK, headers=LIVE)).status_code == 201


async def refusal(folder: Path, path: str, body: dict[str, Any], **limits: Any) -> dict[str, Any]:
    """Of a service of its own, in which the limits let one call through and it was placed."""
    async with open_door(folder) as door:
        await limit(door, **limits)
        first = await door.post("/v1/calls", {"to": NUMBER, "text": "Hello."}, headers=LIVE)
        answer = await door.post(path, body, headers=LIVE)
        assert first.status_code == 202 or "amount_per_day" in limits, first.text
        assert isinstance(door.api.self_tests, MemorySelfTests)
        assert await door.api.self_tests.take(0.01) is None
        told = answer.json() | {"waits": int(answer.headers.get("Retry-After", 0)) > 0}
    for name in ("request_id", "instance"):
        told.pop(name, None)
    return told


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        ({"calls_per_day": 1}, 403, "SPEND_CAP"),
        ({"open_calls": 1}, 429, "OVER_LIMIT"),
        ({"calls_per_number_per_hour": 1}, 429, "FREQUENCY_CAP"),
        ({"minutes_per_day": 5, "max_duration_s": 298}, 403, "SPEND_CAP"),
        ({"amount_per_day": "5"}, 403, "NO_RATE"),
    ],
)
async def test_what_a_call_would_be_refused_for_a_test_is_refused_for(
    tmp_path: Path, limits: dict[str, Any], status: int, code: str
) -> None:
    asked = {"to": NUMBER, "text": "Hello."}
    as_a_call = await refusal(tmp_path, "/v1/calls", asked, **limits)
    as_test_call = await refusal(tmp_path, ADMIN, asked, **limits)
    as_a_test = await refusal(tmp_path, TEST, {"to": NUMBER}, **limits)

    assert (as_a_test["status"], as_a_test["code"]) == (status, code)
    assert as_test_call == as_a_call
    assert as_a_test == as_a_call


@pytest.mark.parametrize("path", [TEST, ADMIN])
async def test_a_limit_of_the_day_suspends_the_key_and_tells_the_account_once(door: Door, path: str) -> None:
    await limit(door, calls_per_day=1)
    body = {"to": NUMBER} if path == TEST else {"to": NUMBER, "text": "Hello."}
    await door.post("/v1/calls", {"to": NUMBER, "text": "Hello."}, headers=LIVE)
    over = await door.post(path, body, headers=LIVE)
    again = await door.post(path, body, headers=LIVE)
    call = await door.post("/v1/calls", {"to": NUMBER, "text": "Hello."}, headers=LIVE)
    silent = await door.post(TEST, headers=LIVE)  # nobody is rung

    assert over.json()["code"] == "SPEND_CAP"
    assert [(one.status_code, one.json()["code"]) for one in (again, call)] == [(403, "KEY_SUSPENDED")] * 2
    assert silent.status_code == 202
    suspend = door.api.sending._suspend
    assert isinstance(suspend, Suspender)
    assert isinstance(suspend.outbox, MemoryOutbox)
    [event] = suspend.outbox.told.values()
    assert (event["type"], event["data"]["key_id"]) == ("account.spend_cap", "key_main")


async def test_a_test_counts_and_gives_back_what_it_did_not_use(door: Door) -> None:
    await limit(door, calls_per_day=2, open_calls=1)
    assert (await door.post(TEST, {"to": NUMBER}, headers=LIVE)).status_code == 202
    held = (await door.get("/v1/limits", headers=LIVE)).json()["this_key"]["used"]
    full = await door.post("/v1/calls", {"to": NUMBER, "text": "Hello."}, headers=LIVE)
    assert isinstance(door.api.self_tests, MemorySelfTests)
    test = await door.api.self_tests.take(1.0)
    assert test is not None
    test = test.with_step(Step(StepName.RTP, Verdict.OK, "Sound.", ms=5_500))
    await door.api.self_tests.tell(test.finished(door.api.clock.now()), over=True)
    used = (await door.get("/v1/limits", headers=LIVE)).json()["this_key"]["used"]
    call = await door.post("/v1/calls", {"to": NUMBER, "text": "Hello."}, headers=LIVE)

    assert (held["calls"], held["minutes_held"]) == (1, round(14 / 60, 2))
    assert (full.status_code, full.json()["cap"]) == (429, "open_calls")
    assert (used["calls"], used["minutes"], used["minutes_held"]) == (1, 0.1, 0.0)
    assert call.status_code == 202


async def test_a_repeated_request_takes_nothing_again(door: Door) -> None:
    await limit(door, calls_per_day=1)
    headers = {**LIVE, "Idempotency-Key": "once"}
    answers = [await door.post(TEST, {"to": NUMBER}, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert (await door.get("/v1/limits", headers=LIVE)).json()["this_key"]["used"]["calls"] == 1


async def test_a_test_call_is_too_long_for_a_key_of_short_calls(door: Door) -> None:
    await limit(door, max_duration_s=10)
    refused = await door.post(TEST, {"to": NUMBER}, headers=LIVE)

    assert (refused.status_code, refused.json()["code"]) == (403, "DURATION_CAP")


async def test_the_sandbox_is_free_of_the_limits_of_live_calls(door: Door) -> None:
    guard = TollGuard(door.api.tolls, ("ng",), lambda: (), Caps(calls_per_day=0, open_calls=0))  # as the settings say
    await guard.read()
    async with open_door(door.folder, guard=guard, tolls=door.api.tolls) as strict:
        await limit(strict, **NONE_AT_ALL)
        live = await strict.post(TEST, {"to": NUMBER}, headers=LIVE)
        sandbox = await strict.post("/v1/trunks/sandbox/test")
        magic = await strict.post(ADMIN, {"to": "12025550101"})
        assert (await strict.client.put("/v1/limits", json={"calls_per_day": 2})).status_code == 200  # of test keys
        own = await strict.post(ADMIN, {"to": "12025550101"})

    assert (live.status_code, live.json()["code"]) == (403, "SPEND_CAP")
    assert (sandbox.status_code, magic.status_code) == (202, 202)
    assert (own.status_code, own.json()["code"]) == (403, "SPEND_CAP")
