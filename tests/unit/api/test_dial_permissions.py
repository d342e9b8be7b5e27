"""Where live calls may go: read, replaced, obeyed at the door. The account has a US number, and ng by setting."""

from typing import Any

import pytest

from tests.api_door import LIVE_KEY, PLAIN_KEY, Door, bearer

PATH = "/v1/dial-permissions"
LIVE = bearer(LIVE_KEY)
JAMAICA, BRITAIN, NIGERIA = "+18762101234", "+447400123456", "+2348020000000"


async def test_the_list_is_the_settings_until_the_account_has_one(door: Door) -> None:
    before = (await door.get(PATH, headers=LIVE)).json()
    put = await door.client.put(PATH, json={"allow": ["GB", "+1876", "gb"]}, headers=LIVE)

    assert before == {"allow": ["ng"], "source": "settings", "home": ["us"], "applies": True}
    assert put.json() == {"allow": ["1876", "gb"], "source": "account", "home": ["us"], "applies": True}
    assert (await door.get(PATH, headers=LIVE)).json() == put.json()
    assert (await door.get(PATH)).json() == {**before, "applies": False}  # the test key's own


async def test_a_call_to_a_closed_country_is_refused_until_it_is_opened(door: Door) -> None:
    call = {"to": JAMAICA, "text": "Hello"}
    refused = await door.post("/v1/calls", call, headers=LIVE)
    await door.client.put(PATH, json={"allow": ["jm"]}, headers=LIVE)
    accepted = await door.post("/v1/calls", call, headers=LIVE)
    nigeria = await door.post("/v1/calls", {**call, "to": NIGERIA}, headers=LIVE)

    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["fault"]) == (403, "GEO_BLOCKED", "account")
    assert problem["errors"][0]["pointer"] == "#/to"
    assert problem["message"] == f"to '{JAMAICA}' lies in the country JM, which this account may not call."
    assert accepted.status_code == 202
    assert (nigeria.status_code, nigeria.json()["code"]) == (
        403,
        "GEO_BLOCKED",
    )  # not on the own list


async def test_a_batch_leaves_out_whom_it_may_not_call_and_says_why(door: Door) -> None:
    body = {"to": [NIGERIA, JAMAICA, "+19005551212", "+14155552671"], "text": "Hello"}
    answer: dict[str, Any] = (await door.post("/v1/sendvoice", body, headers=LIVE)).json()
    none_left = await door.post("/v1/sendvoice", {**body, "to": [JAMAICA, BRITAIN]}, headers=LIVE)
    mixed = await door.post("/v1/sendvoice", {**body, "to": [JAMAICA, "+19005551212"]}, headers=LIVE)

    assert answer["recipients_accepted"] == 2
    assert [(no["to"], no["code"]) for no in answer["recipients_rejected"]] == [
        (JAMAICA, "GEO_BLOCKED"),
        ("+19005551212", "PREMIUM_NUMBER"),
    ]
    assert (none_left.status_code, none_left.json()["code"]) == (403, "GEO_BLOCKED")
    assert (mixed.status_code, mixed.json()["code"]) == (422, "INVALID_NUMBER")


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/admin/test-call"])
async def test_no_door_and_no_dry_run_goes_round_it(door: Door, path: str) -> None:
    for more in ({}, {"dry_run": True}) if path == "/v1/calls" else ({},):
        answer = await door.post(path, {"to": JAMAICA, "text": "Hello", **more}, headers=LIVE)
        assert (answer.status_code, answer.json()["code"]) == (403, "GEO_BLOCKED")
    assert await door.calls() == []


async def test_a_test_call_goes_to_the_phone_whatever_the_country(door: Door) -> None:
    assert (await door.post("/v1/calls", {"to": JAMAICA, "text": "Hello"})).status_code == 202


@pytest.mark.parametrize("allow", [["1"], ["xx"], ["0044"], ["gb", "england"], "gb", [1], None, ["gb"] * 301])
async def test_a_list_that_makes_no_sense_is_refused_and_changes_nothing(door: Door, allow: object) -> None:
    refused = await door.client.put(PATH, json={"allow": allow}, headers=LIVE)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].startswith("#/allow")
    assert (await door.get(PATH, headers=LIVE)).json()["source"] == "settings"


async def test_only_an_admin_changes_it(door: Door) -> None:
    refused = await door.client.put(PATH, json={"allow": []}, headers=bearer(PLAIN_KEY))

    assert refused.status_code == 403
