"""GET /v1/calls: filters find what they say, pages miss nothing, CSV holds everything and runs nothing."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from messaging.errors import Unavailable
from tests.api_door import LIVE_KEY, Door, bearer, open_door
from voice.store import CallFilter, CallPage
from voice.store_memory import MemoryCallStore

HELLO = {"to": "12025550100", "text": "Hello"}


async def placed(door: Door, **more: Any) -> dict[str, Any]:
    call: dict[str, Any] = (await door.post("/v1/calls", {**HELLO, **more})).json()
    return call


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_calls_are_found_by_their_start_and_by_who_answered(door: Door) -> None:
    await placed(door)
    await placed(door)
    start = (await door.answer_and_end()).start_at
    assert start is not None
    moment = start.isoformat().replace("+", "%2B")
    expected = {
        "answered_by=unknown": 1,
        "answered_by=human": 0,
        f"start_at[gte]={moment}": 1,
        f"start_at[lt]={moment}": 0,
        "start_at[lt]=2999-01-01T00:00:00Z": 1,
    }

    found = {query: len((await door.get(f"/v1/calls?{query}")).json()["data"]) for query in expected}

    assert found == expected


async def test_numbered_pages_hold_the_same_as_cursors(door: Door) -> None:
    await door.post("/v1/sendvoice", {"to": [f"120255501{n:02d}" for n in range(60)], "text": "Hello"})

    pages = [(await door.get(f"/v1/calls?page={number}")).json() for number in (1, 2, 3, 4)]
    behind = (await door.get(f"/v1/calls?cursor={pages[1]['next_cursor']}")).json()

    ids = [call["call_id"] for page in pages for call in page["data"]]
    assert ids == sorted(set(ids), reverse=True)
    assert [page["page"] for page in pages] == [
        {"count": count, "number": number, "size": 25} for number, count in ((1, 25), (2, 25), (3, 10), (4, 0))
    ]
    assert [page["next_cursor"] is None for page in pages] == [False, False, True, True]
    assert behind["data"] == pages[2]["data"]
    assert behind["page"]["number"] is None
    assert (await door.get("/v1/calls")).json() == pages[0]


@pytest.mark.parametrize(("path", "headers"), [("/v1/calls.csv", {}), ("/v1/calls", {"Accept": "text/csv"})])
async def test_csv_holds_every_call_that_matches(door: Door, path: str, headers: dict[str, str]) -> None:
    for first in range(0, 500, 100):
        numbers = [f"23480200{first + n:05d}" for n in range(100)]
        await door.post("/v1/sendvoice", {"to": numbers, "text": "Hello"})
    await door.answer_and_end()

    answer = await door.get(path, headers=headers)
    ended = await door.get(f"{path}?status=completed", headers=headers)

    found, (one,) = rows(answer.text), rows(ended.text)
    assert answer.headers["content-type"].startswith("text/csv")
    assert [row["call_id"] for row in found] == sorted((row["call_id"] for row in found), reverse=True)
    assert len({row["to_number"] for row in found}) == 500
    call = (await door.get(f"/v1/calls/{one['call_id']}")).json()
    assert list(one) == [name for name in call if name not in ("sip", "route", "quality")]
    assert (one["status"], one["call_duration"], one["sandbox"], one["amd_reason"]) == (
        "completed",
        str(call["call_duration"]),
        "true",
        "",
    )


@pytest.mark.parametrize("text", ["=1+2", "+1", "-1", "@SUM(A1)", "\tx", 'a,"b"\nc'])
async def test_csv_runs_nothing_in_a_spreadsheet(door: Door, text: str) -> None:
    await placed(door, callback_data=text)

    (row,) = rows((await door.get("/v1/calls.csv")).text)

    assert row["callback_data"] == (text if text[0] == "a" else f"'{text}")


async def test_csv_of_nothing_is_its_line_of_names(door: Door) -> None:
    await placed(door)

    answer = await door.get("/v1/calls.csv", headers=bearer(LIVE_KEY))

    assert answer.text.startswith("start_at,answer_at,end_at,")
    assert rows(answer.text) == []


class StoreAway(MemoryCallStore):
    async def calls(self, owner: str, which: CallFilter, before: str | None, limit: int) -> CallPage:
        raise Unavailable


class ShortSighted(MemoryCallStore):
    """Looks through few calls for one question, and says where to go on."""

    async def calls(self, owner: str, which: CallFilter, before: str | None, limit: int) -> CallPage:
        page = await super().calls(owner, which, before, min(limit, 3))
        return page if page.cursor else await super().calls(owner, which, before, limit)


async def test_a_page_that_would_take_too_much_reading_is_refused(tmp_path: Path) -> None:
    async with open_door(tmp_path, store=ShortSighted()) as door:
        await door.post("/v1/sendvoice", {"to": [f"120255501{n:02d}" for n in range(9)], "text": "Hello"})
        first = (await door.get("/v1/calls?limit=5")).json()
        second = await door.get("/v1/calls?limit=5&page=2")

    assert (first["page"]["count"], first["next_cursor"]) == (3, first["data"][-1]["call_id"])
    assert (second.status_code, second.json()["errors"][0]["pointer"]) == (422, "#/page")


async def test_csv_without_a_store_is_an_error_and_not_half_a_file(tmp_path: Path) -> None:
    async with open_door(tmp_path, store=StoreAway()) as door:
        assert (await door.get("/v1/calls.csv")).status_code == 503
