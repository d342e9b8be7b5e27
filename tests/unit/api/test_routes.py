"""POST /v1/routes/simulate: every trunk with its reason; nothing is stored."""

from pathlib import Path

from tests.api_door import LIVE_KEY, bearer, open_door
from tests.unit.voice.test_routing import trunk
from voice.routing import TrunkState

STATES = (
    TrunkState(trunk("down", prefixes=("234",)), why_down="trunk_timeout", free=0),
    TrunkState(trunk("lagos", prefixes=("23480",))),
    TrunkState(trunk("world", priority=5)),
    TrunkState(trunk("phone", sandbox=True)),
)


async def states() -> tuple[TrunkState, ...]:
    return STATES


async def test_every_trunk_is_named_with_its_place_or_its_reason(tmp_path: Path) -> None:
    async with open_door(tmp_path, routes=states) as door:
        answer = await door.post("/v1/routes/simulate", {"to": "+234 802 000 0000"}, headers=bearer(LIVE_KEY))
        tested = await door.post("/v1/routes/simulate", {"to": "2348020000000", "n": 20})
        stored = await door.calls()

    found = answer.json()
    assert (answer.status_code, found["to_number"], found["trunk_id"], found["n"]) == (200, "2348020000000", "lagos", 1)
    assert [(row["trunk_id"], row["position"], row["skipped"]) for row in found["data"]] == [
        ("lagos", 1, None),
        ("world", 2, None),
        ("down", None, "down"),
        ("phone", None, "other_side"),
    ]
    assert [row["share"] for row in found["data"]] == [1.0, 0.0, 0.0, 0.0]
    assert found["data"][2]["why"] == "trunk_timeout"
    assert tested.json()["trunk_id"] == "phone"
    assert stored == []


async def test_a_number_that_cannot_be_dialled_is_refused_as_everywhere(tmp_path: Path) -> None:
    async with open_door(tmp_path, routes=states) as door:
        answer = await door.post("/v1/routes/simulate", {"to": "0802"})
        unknown = await door.post("/v1/routes/simulate", {"to": "2348020000000", "trunk": "a"})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/to")
    assert unknown.status_code == 422
