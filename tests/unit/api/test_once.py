"""Idempotency-Key: the same request twice rings one phone; the store decides, the API replays."""

import asyncio
from pathlib import Path

import pytest

from tests.api_door import LIVE_KEY, OTHER_KEY, Door, bearer, open_door
from voice.store import Accepted, Intake
from voice.store_memory import MemoryCallStore

HELLO = {"to": "12025550100", "text": "Hello"}
KEY = {"Idempotency-Key": "order 66"}


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/sendvoice", "/v1/admin/test-call"])
async def test_the_same_request_again_gets_the_first_answer_word_for_word(door: Door, path: str) -> None:
    first = await door.post(path, HELLO, headers=KEY)
    again = await door.post(path, HELLO, headers=KEY)

    assert again.status_code == first.status_code
    assert again.content == first.content
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert len(await door.calls()) == 1


async def test_order_and_spacing_of_the_members_do_not_matter(door: Door) -> None:
    await door.post("/v1/calls", content=b'{"to":"12025550100","text":"Hello"}', headers=KEY)
    again = await door.post("/v1/calls", content=b' {"text": "Hello",\n"to": "12025550100"}', headers=KEY)

    assert again.headers["idempotent-replayed"] == "true"


async def test_another_body_under_the_same_key_is_a_422(door: Door) -> None:
    await door.post("/v1/calls", HELLO, headers=KEY)
    other = await door.post("/v1/calls", {**HELLO, "text": "Goodbye"}, headers=KEY)

    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert len(await door.calls()) == 1


async def test_a_key_belongs_to_one_account_one_mode_and_one_address(door: Door) -> None:
    body = {"to": "2348020000000", "text": "Hello"}
    requests: list[tuple[str, dict[str, str]]] = [
        ("/v1/calls", {}),
        ("/v1/sendvoice", {}),
        ("/v1/calls", bearer(LIVE_KEY)),
        ("/v1/calls", bearer(OTHER_KEY)),
    ]
    for path, headers in requests:
        answer = await door.post(path, body, headers={**KEY, **headers})
        assert "idempotent-replayed" not in answer.headers


async def test_a_refused_request_leaves_the_key_free(door: Door) -> None:
    refused = await door.post("/v1/calls", {**HELLO, "to": "0802"}, headers=KEY)
    corrected = await door.post("/v1/calls", HELLO, headers=KEY)

    assert (refused.status_code, corrected.status_code) == (422, 202)
    assert "idempotent-replayed" not in corrected.headers


async def test_a_dry_run_leaves_the_key_free(door: Door) -> None:
    await door.post("/v1/calls", {**HELLO, "dry_run": True}, headers=KEY)

    assert (await door.post("/v1/calls", HELLO, headers=KEY)).status_code == 202


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "caf\u00e9", "a\tb"])
async def test_a_key_that_is_not_printable_or_too_long_is_refused(door: Door, key: str) -> None:
    answer = await door.post("/v1/calls", HELLO, headers={"Idempotency-Key": key.encode("latin-1")})  # type: ignore[dict-item]  # httpx2 takes bytes

    assert answer.status_code == 422
    assert await door.calls() == []


async def test_a_key_may_have_255_characters(door: Door) -> None:
    assert (await door.post("/v1/calls", HELLO, headers={"Idempotency-Key": "x" * 255})).status_code == 202


class SlowStore(MemoryCallStore):
    """Stores when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def accept(self, intake: Intake) -> Accepted:
        self.asked.set()
        await self.go.wait()
        return await super().accept(intake)


async def test_while_the_first_request_runs_the_second_is_told_to_wait(tmp_path: Path) -> None:
    store = SlowStore()
    async with open_door(tmp_path, store=store) as door, asyncio.timeout(10):
        first = asyncio.create_task(door.post("/v1/calls", HELLO, headers=KEY))
        await store.asked.wait()

        second = await door.post("/v1/calls", HELLO, headers=KEY)
        store.go.set()

        assert (second.status_code, second.json()["code"]) == (409, "IDEMPOTENCY_IN_PROGRESS")
        assert second.headers["retry-after"] == "1"
        assert (await first).status_code == 202
        assert (await door.post("/v1/calls", HELLO, headers=KEY)).headers["idempotent-replayed"] == "true"


async def test_fifty_at_once_make_one_call(door: Door) -> None:
    answers = await asyncio.gather(*(door.post("/v1/calls", HELLO, headers=KEY) for _ in range(50)))

    assert len(await door.calls()) == 1
    fresh = [a for a in answers if a.status_code == 202 and "idempotent-replayed" not in a.headers]
    assert len(fresh) == 1
    assert {a.status_code for a in answers} <= {202, 409}


async def test_a_replayed_call_has_the_address_of_the_first(door: Door) -> None:
    key = {"Idempotency-Key": "one-call"}
    first = await door.post("/v1/calls", HELLO, headers=key)

    again = await door.post("/v1/calls", HELLO, headers=key)

    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
