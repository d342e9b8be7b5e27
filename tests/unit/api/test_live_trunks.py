"""A live call that nothing could carry is refused at the door, and the answer says what is missing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.api_door import LIVE_KEY, Door, bearer, open_door
from voice.orders import LiveTrunk

CALL = {"to": "2348020000000", "text": "Hello"}
DOORS = ("/v1/calls", "/v1/sendvoice", "/v1/admin/test-call")


async def refusal(door: Door, path: str, body: Mapping[str, Any], status: int) -> dict[str, Any]:
    answer = await door.post(path, body, headers=bearer(LIVE_KEY))
    assert answer.status_code == status, answer.text
    assert await door.calls() == []
    problem: dict[str, Any] = answer.json()
    return {**problem, "retry-after": answer.headers.get("retry-after")}


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    ("trunk_id", "code", "said"),
    [
        ("nope", "unknown_trunk", "trunk_id: live calls have no trunk 'nope'; there are: carrier."),
        ("sandbox", "unknown_trunk", "trunk_id: live calls have no trunk 'sandbox'; there are: carrier."),
        ("old", "trunk_disabled", "trunk_id: the trunk 'old' is disabled."),
    ],
)
async def test_a_trunk_that_cannot_carry_it_is_named(
    door: Door, path: str, trunk_id: str, code: str, said: str
) -> None:
    body = await refusal(door, path, {**CALL, "trunk_id": trunk_id}, 422)

    assert [(error["pointer"], error["code"]) for error in body["errors"]] == [("#/trunk_id", code)]
    assert body["message"] == said


async def test_a_trunk_that_is_there_is_taken(door: Door) -> None:
    answer = await door.post("/v1/calls", {**CALL, "trunk_id": "carrier"}, headers=bearer(LIVE_KEY))

    assert answer.status_code == 202


async def test_a_call_that_names_its_trunk_shows_a_number_of_that_trunk(tmp_path: Path) -> None:
    trunks = {"a": LiveTrunk(True, ("2347080670000",)), "b": LiveTrunk(True, ("2347080670009",))}
    numbers = ("2347080670000", "2347080670009")
    async with open_door(tmp_path, live_trunks=lambda: trunks, caller_ids=lambda sandbox: numbers) as door:
        shown = set()
        for _ in range(8):
            answer = await door.post("/v1/calls", {**CALL, "trunk_id": "b"}, headers=bearer(LIVE_KEY))
            shown.add(answer.json()["from_number"])
        wrong = await door.post(
            "/v1/calls", {**CALL, "trunk_id": "b", "from": "2347080670000"}, headers=bearer(LIVE_KEY)
        )

    assert shown == {"2347080670009"}
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "not_of_trunk")


async def test_test_keys_need_no_trunk(tmp_path: Path) -> None:
    async with open_door(tmp_path, live_trunks=dict) as door:
        assert (await door.post("/v1/calls", {**CALL, "trunk_id": "nope"})).status_code == 202


@pytest.mark.parametrize("path", DOORS)
async def test_without_a_trunk_a_live_call_is_refused_and_told_what_to_set(tmp_path: Path, path: str) -> None:
    async with open_door(tmp_path, live_trunks=dict, caller_ids=lambda sandbox: ()) as door:
        body = await refusal(door, path, CALL, 503)

    assert (body["code"], body["fault"], body["retryable"], body["retry-after"]) == ("NO_TRUNK", "us", False, None)
    assert "TOCSIN_TRUNKS" in body["hint"]


async def test_trunks_that_are_all_disabled_are_named(tmp_path: Path) -> None:
    async with open_door(tmp_path, live_trunks=lambda: {"old": LiveTrunk(False), "older": LiveTrunk(False)}) as door:
        body = await refusal(door, "/v1/calls", {**CALL, "trunk_id": "old"}, 503)

    assert body["code"] == "NO_TRUNK"
    assert "old, older" in body["message"]
