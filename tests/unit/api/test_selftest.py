"""/v1/trunks/{trunk_id}/test: asked, waited for, read; who may, whom it may ring."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.api_door import LIVE_KEY, OTHER_KEY, PLAIN_KEY, Door, bearer, open_door
from tests.until import until
from voice.selftest import Step, StepName, Verdict
from voice.selftest_board import LATE_MOST, MemorySelfTests

TRUNK = {"id": "lagos-1", "host": "127.0.0.1:5070", "caller_ids": ["2347080670000"], "enabled": False}
PATH = "/v1/trunks/lagos-1/test"
LIVE = bearer(LIVE_KEY)


@pytest.fixture
async def live(door: Door) -> Door:
    """With a live trunk that is disabled."""
    assert (await door.post("/v1/trunks", json=TRUNK, headers=LIVE)).status_code == 201
    return door


def board_of(door: Door) -> MemorySelfTests:
    assert isinstance(door.api.self_tests, MemorySelfTests)
    return door.api.self_tests


async def made(door: Door) -> None:
    """What a dialer does with the next test."""
    board = board_of(door)
    test = await board.take(5.0)
    assert test is not None
    test = test.with_step(Step(StepName.DNS, Verdict.FAILED, "No address is known.", "Correct the host.", 12))
    await board.tell(test)
    await board.tell(test.finished(door.api.clock.now()), over=True)


async def test_a_test_is_asked_and_read_while_it_runs_and_afterwards(live: Door) -> None:
    asked = await live.post(PATH, headers=LIVE)
    address = asked.headers["Location"]
    waiting = (await live.get(address, headers=LIVE)).json()
    await made(live)
    done = (await live.get(address, headers=LIVE)).json()

    assert asked.status_code == 202
    assert address == f"/v1/trunks/lagos-1/tests/{asked.json()['test_id']}"
    assert (waiting["state"], waiting["verdict"], waiting["steps"], waiting["to"]) == ("waiting", None, [], None)
    assert (done["state"], done["verdict"], done["failed_step"]) == ("finished", "failed", "dns")
    assert done["summary"] == "dns failed: No address is known."
    assert done["fix"] == "Correct the host."
    assert [one["verdict"] for one in done["steps"]] == ["failed"] + ["skipped"] * 8


async def test_prefer_wait_answers_with_the_finished_test(live: Door) -> None:
    asking = asyncio.create_task(live.post(PATH, headers={**LIVE, "Prefer": "wait=20"}))
    await made(live)
    answer = await asking

    assert (answer.status_code, answer.json()["state"]) == (200, "finished")
    assert answer.headers["Preference-Applied"] == "wait=20"


async def test_a_service_that_drains_lets_the_waiting_go(live: Door) -> None:
    asking = asyncio.create_task(live.post(PATH, headers={**LIVE, "Prefer": "wait=20"}))
    await until(lambda: live.api.followers["main.live"])
    live.api.draining.set()
    answer = await asking

    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")


async def test_one_test_at_a_time_and_not_all_day(live: Door) -> None:
    assert (await live.post(PATH, headers=LIVE)).status_code == 202
    second = await live.post(PATH, headers=LIVE)
    await made(live)
    for _ in range(LATE_MOST - 1):
        assert (await live.post(PATH, headers=LIVE)).status_code == 202
        await made(live)
    too_many = await live.post(PATH, headers=LIVE)

    assert (second.status_code, second.json()["code"]) == (409, "TRUNK_TEST_RUNNING")
    assert (too_many.status_code, too_many.json()["code"]) == (429, "OVER_LIMIT")
    assert int(too_many.headers["Retry-After"]) > 0


async def test_the_same_key_finds_the_same_test(live: Door) -> None:
    headers = {**LIVE, "Idempotency-Key": "once"}
    first = await live.post(PATH, json={"to": "2348020000000"}, headers=headers)
    await made(live)
    again = await live.post(PATH, json={"to": "2348020000000"}, headers=headers)
    other = await live.post(PATH, json={"to": "2348030000000"}, headers=headers)

    assert first.json()["test_id"] == again.json()["test_id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")


async def test_a_dialer_that_is_gone_is_told(live: Door) -> None:
    asked = await live.post(PATH, headers=LIVE)
    test = await board_of(live).take(1.0)
    assert test is not None
    await board_of(live).tell(test.with_step(Step(StepName.DNS, Verdict.OK, "There.")))
    board_of(live).drop("lagos-1")
    lost = (await live.get(asked.headers["Location"], headers=LIVE)).json()

    assert (lost["state"], lost["verdict"], lost["failed_step"]) == ("finished", "failed", None)
    assert lost["summary"] == "The dialer that ran it is gone, try again."


async def test_the_sandbox_rings_its_own_phone(door: Door) -> None:
    asked = await door.post("/v1/trunks/sandbox/test")

    assert (asked.status_code, asked.json()["to"]) == (202, "12025550100")
    assert asked.json()["from"] == "12025550199"


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"to": "12025550101"}, "#/to", "sandbox_number"),
        ({"to": "0802"}, "#/to", None),
        ({"to": "2348020000000", "from": "2348099999999"}, "#/from", "not_of_trunk"),
        ({"number": "2348020000000"}, "#/number", None),
        ({"to": 7}, "#/to", None),
    ],
)
async def test_what_may_not_be_rung_or_shown_is_refused(
    live: Door, body: dict[str, Any], pointer: str, code: str | None
) -> None:
    answer = await live.post(PATH, json=body, headers=LIVE)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert code is None or answer.json()["errors"][0]["code"] == code
    assert await board_of(live).take(0.05) is None


async def test_the_destination_guard_is_asked_before_a_phone_is_rung(tmp_path: Any) -> None:
    async with open_door(tmp_path) as door:
        await door.post("/v1/trunks", json=TRUNK, headers=LIVE)
        refused = await door.post(PATH, json={"to": "18762101234"}, headers=LIVE)
        without = await door.post(PATH, headers=LIVE)
        sandbox = await door.post("/v1/trunks/sandbox/test")

    assert (refused.status_code, refused.json()["code"]) == (403, "GEO_BLOCKED")
    assert (without.status_code, sandbox.status_code) == (202, 202)


async def test_strangers_and_keys_without_the_scope_are_refused(live: Door) -> None:
    asked = await live.post("/v1/trunks/sandbox/test")
    address = asked.headers["Location"]

    assert (await live.post(PATH)).status_code == 404  # a test key knows no live trunk
    assert (await live.post("/v1/trunks/sandbox/test", headers=LIVE)).status_code == 404
    assert (await live.post("/v1/trunks/sandbox/test", headers=bearer(PLAIN_KEY))).status_code == 403
    assert (await live.get(address, headers=bearer(PLAIN_KEY))).status_code == 403
    assert (await live.get(address, headers=bearer(OTHER_KEY))).status_code == 404
    assert (await live.get(address, headers=LIVE)).status_code == 404
    assert (await live.get(address.replace("sandbox", "lagos-1"))).status_code == 404
    assert (await live.get("/v1/trunks/sandbox/tests/nonsense")).status_code == 404
    assert (await live.get(address)).status_code == 200


async def test_the_test_knows_who_asked(live: Door) -> None:
    await live.post(PATH, json={"to": "+234 802 000 0000"}, headers=LIVE)
    test = await board_of(live).take(1.0)

    assert test is not None
    assert replace(test, test_id="", asked_at=live.api.clock.now()).owner == "main.live"
    assert (test.to, test.from_number, test.key_id, test.sandbox) == (
        *("2348020000000", "2347080670000", "key_main"),
        False,
    )
