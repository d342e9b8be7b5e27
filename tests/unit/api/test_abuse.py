"""What one client can do to all the others: streams and waits without number, answers far larger than the question."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from messaging.errors import Unavailable
from tests.api_door import OTHER_KEY, TEST_KEY, Door, bearer, open_door
from tests.until import until
from voice.api.parts import FOLLOWERS_MOST
from voice.store import CallEvent
from voice.store_memory import MemoryCallStore

HELLO = {"to": "12025550100", "text": "Hello"}
LIVE = {"Accept": "text/event-stream"}


class DeafStore(MemoryCallStore):
    """It takes calls, and then has no connection left to follow one."""

    async def follow(self, call_id: str, after_sequence: int) -> AsyncIterator[CallEvent]:
        raise Unavailable
        yield  # makes it a generator


async def test_a_wait_that_breaks_off_still_says_that_the_call_was_accepted(tmp_path: Path) -> None:
    async with open_door(tmp_path, store=DeafStore()) as door:
        answer = await door.post("/v1/calls", HELLO, headers={"Prefer": "wait=5"})

        stored = await door.calls()
    assert answer.status_code == 202, "an error would make the client ring the same person again"
    assert [call["call_id"] for call in stored] == [answer.json()["call_id"]]


async def test_a_stream_ends_in_peace_when_the_store_goes_away(tmp_path: Path) -> None:
    async with open_door(tmp_path, store=DeafStore()) as door:
        call_id = (await door.post("/v1/calls", HELLO)).json()["call_id"]

        answer = await door.get(f"/v1/calls/{call_id}/events", headers=LIVE)

    assert (answer.status_code, answer.text) == (200, "retry: 2000\n\n")


async def test_one_account_cannot_take_every_connection_with_its_streams_and_waits(door: Door) -> None:
    call_id = (await door.post("/v1/calls", HELLO)).json()["call_id"]
    path = f"/v1/calls/{call_id}/events"
    waiting = [
        asyncio.create_task(door.post("/v1/calls", HELLO, headers={"Prefer": "wait=60"}, timeout=70))
        for _ in range(FOLLOWERS_MOST)
    ]
    await until(partial(_followers_are, door, FOLLOWERS_MOST))

    async with asyncio.timeout(5):
        one_more_stream = await door.get(path, headers=LIVE)
        one_more_wait = await door.post("/v1/calls", HELLO, headers={"Prefer": "wait=60"})
        of_another = await door.post("/v1/calls", HELLO, headers={**bearer(OTHER_KEY), "Prefer": "wait=1"})
        as_a_list = await door.get(path)
    door.api.draining.set()
    await asyncio.gather(*waiting)

    assert (one_more_stream.status_code, one_more_stream.json()["code"]) == (429, "OVER_LIMIT")
    assert one_more_stream.headers["retry-after"] == "5"
    assert one_more_wait.status_code == 202
    assert "preference-applied" not in one_more_wait.headers
    assert of_another.headers["preference-applied"] == "wait=1"
    assert as_a_list.status_code == 200
    assert await _followers_are(door, 0), "whoever stops following makes room"


async def _followers_are(door: Door, count: int) -> bool:
    return door.api.followers["main.test"] == count


async def test_a_stream_that_was_left_makes_room(door: Door) -> None:
    call_id = (await door.post("/v1/calls", HELLO)).json()["call_id"]
    streaming = asyncio.create_task(door.get(f"/v1/calls/{call_id}/events", headers={**LIVE, **bearer(TEST_KEY)}))
    await until(partial(_followers_are, door, 1))

    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)

    assert await _followers_are(door, 0)


STRANGERS = {f"member{index}": 1 for index in range(12_000)}
GREEDY: dict[str, tuple[str, dict[str, Any]]] = {
    "12,000 unknown members": ("/v1/calls", {**HELLO, **STRANGERS}),
    "12,000 unknown members, leniently": ("/v1/sendvoice", {"text": "x", **STRANGERS}),
    "80,000 entries that are no strings": ("/v1/sendvoice", {"text": "x", "to": [1] * 80_000}),
    "5,000 entries that are no numbers": ("/v1/sendvoice", {"text": "x", "to": ["x"] * 5_000}),
    "10,000 unique numbers": ("/v1/sendvoice", {"text": "x", "to": [f"120255{n:05}" for n in range(10_000)]}),
}


@pytest.mark.parametrize(("path", "body"), GREEDY.values(), ids=GREEDY)
async def test_a_small_request_gets_no_endless_answer(door: Door, path: str, body: dict[str, Any]) -> None:
    content = json.dumps(body, separators=(",", ":"))
    began = time.process_time()

    answer = await door.post(path, content=content, headers={"Content-Type": "application/json"})

    took_s = time.process_time() - began
    print(f"{len(content)} bytes: answered with {len(answer.content)} in {took_s:.2f} s of processor time")
    assert answer.status_code == 422
    assert len(answer.content) < 32 * 1024
    assert took_s < 1.0, "whoever else asks waits for so long"
