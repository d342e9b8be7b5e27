"""/v1/trunks: the book over HTTP, each kind of key in its own world, secrets never in an answer."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from sip.trunk_reading import KEYS
from tests.api_door import LIVE_KEY, PLAIN_KEY, TEST_KEY, Door, bearer, open_door
from voice.api.trunk_models import TrunkIn, TrunkOut
from voice.trunk_entry import READ_ONLY

LIVE, TEST = bearer(LIVE_KEY), bearer(TEST_KEY)
SECRET = "s3cret-CANARY"
LAGOS = {
    "id": "lagos-1",
    "uris": [{"host": "192.0.2.7"}],
    "auth": {"username": "alarm", "realm": "r", "password": SECRET},
    "caller_id": {"numbers": ["2347080670000"]},
    "limits": {"channels": 7},
}
LAB = {"id": "lab", "host": "127.0.0.1:5070", "sandbox": True}


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Door]:
    """A door that a live key opens."""
    async with open_door(tmp_path) as door:
        door.client.headers.update(LIVE)
        yield door


async def made(door: Door, **more: Any) -> dict[str, Any]:
    answer = await door.post("/v1/trunks", {**LAGOS, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/v1/trunks/lagos-1"
    body: dict[str, Any] = answer.json()
    return body


async def from_file(door: Door, *trunks: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await door.client.put("/v1/trunks", json={"trunks": trunks, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def password(door: Door) -> str | None:
    auth = (await door.api.trunks.get("lagos-1")).trunk.auth
    return auth.password if auth else None


# -- making and reading


async def test_a_trunk_is_made_shown_and_listed_without_its_password(live: Door) -> None:
    shown = await made(live)

    assert shown["auth"] == {"username": "alarm", "realm": "r", "password_set": True}
    assert (shown["managed_by"], shown["state"], shown["takes_calls"]) == ("api", "enabled", True)
    assert (await live.get("/v1/trunks/lagos-1")).json() == shown
    listed = await live.get("/v1/trunks")
    assert listed.json() == {"data": [shown], "page": {"count": 1, "size": 1}, "next_cursor": None}
    assert SECRET not in json.dumps(shown) + listed.text
    assert await password(live) == SECRET


async def test_making_it_twice_is_a_conflict_that_changes_nothing(live: Door) -> None:
    await made(live)

    again = await live.post("/v1/trunks", {**LAGOS, "limits": {"channels": 1}})

    assert (again.status_code, again.json()["code"]) == (409, "TRUNK_EXISTS")
    assert (await live.get("/v1/trunks/lagos-1")).json()["limits"]["channels"] == 7


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"uris": [{"host": "a"}, {"host": "b", "port": 0}]}, "#/uris/1/port", "invalid"),
        ({"chanels": 5}, "#/chanels", "unknown_member"),
        ({"limits": {"chanels": 5}}, "#/limits/chanels", "unknown_member"),
        ({"srtp": "required"}, "#/srtp", "invalid"),
        ({"type": "peer"}, "#/type", "invalid"),
        ({"failover": {"on": [603]}}, "#/failover/on", "invalid"),
        ({"id": "Lagos 1"}, "#/id", "invalid"),
        ({"id": 5}, "#/id", "invalid"),
        ({"auth": {"username": "u", "password": {"env": "HOME"}}}, "#/auth/password", "invalid"),
    ],
)
async def test_a_mistake_is_named_by_its_pointer(live: Door, change: dict[str, Any], pointer: str, code: str) -> None:
    answer = await live.post("/v1/trunks", {**LAGOS, **change})

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert SECRET not in answer.text
    assert (await live.get("/v1/trunks")).json()["data"] == []


async def test_who_asks_for_leniency_has_unknown_members_ignored_and_nothing_else(live: Door) -> None:
    lenient = {"X-Lenient": "1"}
    words = {**LAGOS, "zzz": 1, "limits": {"channels": 7, "zzz": 1}, "uris": [{"host": "192.0.2.7", "zzz": 1}]}

    bad = await live.post("/v1/trunks", {**words, "srtp": "required"}, headers=lenient)
    good = await live.post("/v1/trunks", words, headers=lenient)

    assert (bad.status_code, good.status_code) == (422, 201)
    assert good.json()["limits"]["channels"] == 7


# -- changing


async def test_what_was_read_can_be_sent_back(live: Door) -> None:
    shown = await made(live)

    answer = await live.client.put("/v1/trunks/lagos-1", json=shown)

    assert (answer.status_code, answer.json()) == (200, shown)
    assert await password(live) == SECRET


async def test_put_replaces_everything_but_the_password_of_the_same_user(live: Door) -> None:
    await made(live)

    answer = await live.client.put("/v1/trunks/lagos-1", json={"host": "192.0.2.8", "username": "alarm", "realm": "r"})

    assert (answer.json()["uris"][0]["host"], answer.json()["limits"]["channels"]) == ("192.0.2.8", 20)
    assert await password(live) == SECRET
    other = await live.client.put("/v1/trunks/lagos-1", json={"host": "192.0.2.8", "username": "other"})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "#/password")
    await live.client.put("/v1/trunks/lagos-1", json={"host": "192.0.2.8"})
    assert await password(live) is None


async def test_patch_changes_what_it_names(live: Door) -> None:
    before = await made(live)

    answer = await live.client.patch(
        "/v1/trunks/lagos-1", json={"limits": {"cps": 2}, "auth": {"password": "new"}, "caller_id": None}
    )

    after = answer.json()
    assert after["limits"] == {**before["limits"], "cps": 2.0}
    assert after["caller_id"]["numbers"] == []
    assert after["uris"] == before["uris"]
    assert await password(live) == "new"


async def test_an_id_is_not_changed(live: Door) -> None:
    await made(live)

    answer = await live.client.patch("/v1/trunks/lagos-1", json={"id": "other"})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/id")


async def test_a_removed_trunk_is_gone(live: Door) -> None:
    await made(live)

    answer = await live.client.delete("/v1/trunks/lagos-1")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await live.client.delete("/v1/trunks/lagos-1")).status_code == 404


@pytest.mark.parametrize(
    ("verb", "state", "takes_calls"),
    [("disable", "disabled", False), ("drain", "draining", False), ("enable", "enabled", True)],
)
async def test_the_operator_says_what_a_trunk_does_now(live: Door, verb: str, state: str, takes_calls: bool) -> None:
    await made(live)
    for _ in range(2):
        answer = (await live.post(f"/v1/trunks/lagos-1/{verb}")).json()
        assert (answer["state"], answer["takes_calls"]) == (state, takes_calls)


# -- the file


async def test_a_plan_is_told_then_carried_out_then_there_is_nothing_to_do(live: Door) -> None:
    planned = await from_file(live, LAGOS, dry_run=True)
    assert (planned["applied"], [change["does"] for change in planned["changes"]]) == (False, ["create"])
    assert (await live.get("/v1/trunks")).json()["data"] == []

    done = await from_file(live, LAGOS)
    assert done == {**planned, "applied": True}
    assert (await from_file(live, LAGOS))["changes"] == []

    changed = await from_file(live, {**LAGOS, "limits": {"channels": 9}, "name": "Lagos"}, dry_run=True)
    assert changed["changes"][0]["differences"] == [
        {"path": "name", "before": "lagos-1", "after": "Lagos"},
        {"path": "limits.channels", "before": 7, "after": 9},
    ]
    assert [change["does"] for change in (await from_file(live))["changes"]] == ["remove"]


async def test_a_changed_password_is_planned_without_being_shown(live: Door) -> None:
    await from_file(live, LAGOS)

    answer = await live.client.put(
        "/v1/trunks",
        json={"trunks": [{**LAGOS, "auth": {**LAGOS["auth"], "password": "other-CANARY"}}]},  # type: ignore[dict-item]
    )

    assert answer.json()["changes"][0]["differences"] == [
        {"path": "auth.password", "before": "(secret)", "after": "(secret)"}
    ]
    assert "CANARY" not in answer.text


async def test_a_trunk_of_a_file_is_changed_there_but_switched_here(live: Door) -> None:
    await from_file(live, LAGOS, source="carriers.toml")

    refused = [
        await live.client.put("/v1/trunks/lagos-1", json={"host": "a"}),
        await live.client.patch("/v1/trunks/lagos-1", json={"name": "x"}),
        await live.client.delete("/v1/trunks/lagos-1"),
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(409, "MANAGED_BY_FILE")}
    assert "carriers.toml" in refused[0].json()["detail"]
    assert (await live.post("/v1/trunks/lagos-1/drain")).json()["state"] == "draining"
    assert (await from_file(live, LAGOS, source="carriers.toml"))["changes"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/trunks"),
        ({"trunks": {}}, "#/trunks"),
        ({"trunks": [5]}, "#/trunks/0"),
        ({"trunks": [LAGOS, {**LAGOS, "id": "b", "limits": {"cps": 0}}]}, "#/trunks/1/limits/cps"),
        ({"trunks": [LAGOS, LAGOS]}, "#/trunks/1/id"),
        ({"trunks": [{"id": "sandbox", "host": "127.0.0.1", "sandbox": True}]}, "#/trunks/0/id"),
        ({"trunks": [], "source": ""}, "#/source"),
        ({"trunks": [], "dry_run": "no"}, "#/dry_run"),
        ({"trunks": [], "trunk": []}, "#/trunk"),
    ],
)
async def test_a_wrong_file_is_refused_whole(live: Door, body: dict[str, Any], pointer: str) -> None:
    answer = await live.client.put("/v1/trunks", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await live.get("/v1/trunks")).json()["data"] == []


# -- who


async def test_each_kind_of_key_sees_its_own_world(door: Door) -> None:
    await door.post("/v1/trunks", LAB)
    await door.post("/v1/trunks", LAGOS, headers=LIVE)

    for headers, ids in ((TEST, ["lab", "sandbox"]), (LIVE, ["lagos-1"])):
        listed = (await door.get("/v1/trunks", headers=headers)).json()["data"]
        assert [trunk["id"] for trunk in listed] == ids
    for headers, hidden in ((TEST, "lagos-1"), (LIVE, "lab"), (LIVE, "sandbox")):
        for answer in (
            await door.get(f"/v1/trunks/{hidden}", headers=headers),
            await door.client.patch(f"/v1/trunks/{hidden}", json={"name": "x"}, headers=headers),
            await door.client.delete(f"/v1/trunks/{hidden}", headers=headers),
            await door.client.post(f"/v1/trunks/{hidden}/disable", headers=headers),
        ):
            assert answer.status_code == 404


async def test_no_key_makes_a_trunk_of_the_other_kind(door: Door) -> None:
    live_by_test = await door.post("/v1/trunks", LAGOS)
    test_by_live = await door.post("/v1/trunks", LAB, headers=LIVE)
    await door.post("/v1/trunks", LAB)
    turned = await door.client.patch("/v1/trunks/lab", json={"sandbox": False})

    assert [answer.status_code for answer in (live_by_test, test_by_live, turned)] == [403, 403, 403]
    assert (await door.get("/v1/trunks/lab")).json()["sandbox"] is True


async def test_a_file_of_a_test_key_leaves_live_trunks_alone(door: Door) -> None:
    await door.client.put("/v1/trunks", json={"trunks": [LAGOS]}, headers=LIVE)

    done = await from_file(door, LAB, {**LAGOS, "limits": {"channels": 1}}, {**LAGOS, "id": "lagos-2"})

    assert [(change["id"], change["does"]) for change in done["changes"]] == [("lab", "create")]
    assert [trunk["id"] for trunk in (await door.get("/v1/trunks", headers=LIVE)).json()["data"]] == ["lagos-1"]
    assert (await door.get("/v1/trunks/lagos-1", headers=LIVE)).status_code == 200


async def test_a_key_without_scopes_neither_reads_nor_writes(door: Door) -> None:
    plain = bearer(PLAIN_KEY)
    answers = [
        await door.get("/v1/trunks", headers=plain),
        await door.get("/v1/trunks/sandbox", headers=plain),
        await door.post("/v1/trunks", LAB, headers=plain),
        await door.client.put("/v1/trunks", json={"trunks": []}, headers=plain),
        await door.client.post("/v1/trunks/sandbox/enable", headers=plain),
        await door.client.delete("/v1/trunks/sandbox", headers=plain),
    ]

    assert [answer.status_code for answer in answers] == [403] * 6


async def test_the_catch_all_phone_is_shown_and_not_changed(door: Door) -> None:
    shown = (await door.get("/v1/trunks/sandbox")).json()
    answers = [
        await door.client.patch("/v1/trunks/sandbox", json={"name": "x"}),
        await door.client.post("/v1/trunks/sandbox/disable"),
        await door.client.delete("/v1/trunks/sandbox"),
        await door.post("/v1/trunks", {**LAB, "id": "sandbox"}),
    ]

    assert (shown["managed_by"], shown["takes_calls"]) == ("service", True)
    assert [answer.status_code for answer in answers] == [409] * 4


# -- the description


@pytest.mark.parametrize("table", [table for table in KEYS if table])
def test_the_description_knows_every_member_of_a_part(table: str) -> None:
    part: Any = TrunkIn
    for step in table.split("."):
        part = next(one for one in _parts(_fields(part)[step]))

    assert set(_fields(part)) - {"password_set"} == set(KEYS[table]) - {"password_ref"}


def test_the_description_knows_every_member_of_a_trunk() -> None:
    read_only = {"id", *READ_ONLY}

    assert set(_fields(TrunkIn)) - read_only == set(KEYS[""])


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type: those of a list, of an optional member."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


async def test_every_answer_is_as_described(live: Door) -> None:
    shown = await made(live, options_ping={"ok_codes": [200]}, schedule=[{"from": "08:00"}])

    TrunkOut.model_validate(shown)
    strangers = shown.keys() - {field.alias or name for name, field in TrunkOut.model_fields.items()}
    assert strangers == set()
