"""Sandbox, test calls, previews, health, figures, version and the reference page."""

import asyncio
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from messaging.webhooks import new_secret, sign
from tests.api_door import LIVE_KEY, PLAIN_KEY, Door, bearer, open_door
from tests.until import time_passes
from voice.api.parts import Check
from voice.api.schemas import EventType
from voice.store import Heard

HELLO = {"to": "12025550110", "text": "Press one"}


async def hears(door: Door, call: dict[str, str], digits: str = "1") -> None:
    heard = Heard(call["call_id"], call["to_number"], 4.2, 0.97, -21.0, digits, "/tmp/x.wav", door.api.clock.now())
    await door.store.save_heard(heard)


async def test_what_the_phone_heard_is_flat_and_ready_for_assertions(door: Door) -> None:
    call = (await door.post("/v1/calls", HELLO)).json()
    await door.answer_and_end()
    await hears(door, call)

    for query in ("", "?to=%2B12025550110", f"?call_id={call['call_id']}", "?to=12025550110&wait=1s"):
        assert (await door.get(f"/sandbox/v1/heard/latest{query}")).json() == {
            "to": "12025550110",
            "said": "Press one",
            "heard_s": 4.2,
            "match": 0.97,
            "level_dbfs": -21.0,
            "digits": "1",
            "status": "completed",
            "call_id": call["call_id"],
            "recording_url": f"/v1/calls/{call['call_id']}/recording",
        }


async def test_waiting_for_what_is_heard_returns_as_soon_as_it_is(door: Door) -> None:
    call = (await door.post("/v1/calls", HELLO)).json()
    waiting = asyncio.create_task(door.get("/sandbox/v1/heard/latest?to=12025550110&wait=30"))
    await time_passes(0)

    await hears(door, call)

    async with asyncio.timeout(5):
        assert (await waiting).json()["digits"] == "1"


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 404), ("?wait=0.01", 404), ("?wait=100", 422), ("?wait=soon", 422), ("?call_id=x", 404), ("?to=", 422)],
)
async def test_nothing_heard_is_a_404_and_a_bad_question_a_422(door: Door, query: str, status: int) -> None:
    assert (await door.get(f"/sandbox/v1/heard/latest{query}")).status_code == status


async def test_the_sandbox_exists_only_for_test_keys(door: Door) -> None:
    for path in ("/sandbox/v1/heard/latest", "/sandbox/v1/magic"):
        assert (await door.get(path, headers=bearer(LIVE_KEY))).status_code == 403


async def test_the_magic_numbers_are_listed(door: Door) -> None:
    assert (await door.get("/sandbox/v1/magic")).json()["data"] == [{"number": "12025550101", "does": "486 Busy"}]


async def test_a_test_call_is_marked_as_one(door: Door) -> None:
    answer = await door.post("/v1/admin/test-call", {"to": "12025550100"})

    assert answer.status_code == 202
    assert (await door.get(answer.headers["location"])).json()["test"] is True
    message = await door.store.message("main.test", answer.json()["ref_id"])
    assert message is not None
    assert (message.source, message.prompt.text) == ("test-call", "This is a test call. You can hang up now.")
    await door.answer_and_end()
    assert await door.store.endings() == {}


async def test_a_test_call_takes_only_its_own_members(door: Door) -> None:
    answer = await door.post("/v1/admin/test-call", {"to": "12025550100", "repeat": 3})

    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/repeat"]


async def test_a_preview_is_a_wav_with_its_warnings(door: Door) -> None:
    answer = await door.post("/v1/tts/preview", {"text": "Hello"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
    assert answer.content.startswith(b"RIFF")
    assert (answer.headers["x-audio-ms"], answer.headers["x-warnings"]) == ("1200", "gtts has no male voice")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "unspeakable"}, 503, "SPEECH_FAILED"),
        ({"text": "Hello", "language": "xx"}, 422, "INVALID"),
        ({"text": "Hello", "to": "1"}, 422, "INVALID"),
        ({"text": " "}, 422, "INVALID"),
        ({}, 422, "INVALID"),
    ],
)
async def test_a_preview_that_cannot_be(door: Door, body: dict[str, str], status: int, code: str) -> None:
    answer = await door.post("/v1/tts/preview", body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_ready_names_what_is_not(tmp_path: Path) -> None:
    hanging = asyncio.Event()

    async def store() -> Check:
        return Check("store", True, "fsync always")

    async def trunk() -> Check:
        return Check("trunk lagos-1", False, "403 since 10:42", required=False)

    async def voice() -> Check:
        raise RuntimeError("secret 4821")

    async def lines() -> Check:
        await hanging.wait()
        raise AssertionError

    async with open_door(tmp_path, checks=(store, trunk)) as door:
        assert (await door.get("/readyz")).text == "ready\n"
        rows = (await door.get("/readyz?verbose")).json()["checks"]
        for key in ("", "tk_test_unknown", PLAIN_KEY):
            strangers = (await door.get("/readyz?verbose", headers=bearer(key))).json()
            assert strangers["ready"]
            assert {row["detail"] for row in strangers["checks"].values()} == {""}, "versions, trunks and addresses"
        assert {name: row["ok"] for name, row in rows.items()} == {"api": True, "store": True, "trunk lagos-1": False}
    async with open_door(tmp_path, checks=(store, voice, lines)) as door:
        answer = await door.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert [name for name, row in answer.json()["checks"].items() if not row["ok"]] == ["voice", "lines"]
        assert "4821" not in answer.text


async def test_figures_have_few_labels_whatever_strangers_ask_for(door: Door) -> None:
    for index in range(50):
        await door.get(f"/nowhere/{index}")
        await door.client.request(f"VERB{index}", f"/v1/calls/call_{index}")
        await door.get(f"/v1/calls/call_{index}")

    text = (await door.get("/metrics")).text
    rows = [line for line in text.splitlines() if line.startswith("tocsin_http_requests_total{")]
    assert any('route="/v1/calls/{call_id}"' in row and row.endswith(" 50.0") for row in rows)
    assert len(rows) < 8
    assert "call_4" not in text


async def test_the_version_is_for_those_with_a_key(door: Door) -> None:
    assert (await door.get("/version")).json() == {"name": "tocsin", "version": "1.2.3"}


async def test_the_description_is_whole(door: Door) -> None:
    document = (await door.get("/openapi.json")).json()
    operations = [o for verbs in document["paths"].values() for o in verbs.values()]

    assert len({o["operationId"] for o in operations}) == len(operations) >= 22
    for operation in operations:
        assert operation["tags"], operation["operationId"]
        assert operation["summary"]
        assert operation["description"]
        assert {"400", "405", "422", "500"} <= set(operation["responses"])
        assert operation.get("security") == [] or "401" in operation["responses"]
        if "requestBody" in operation:
            body = operation["requestBody"]["content"]["application/json"]
            assert body["examples"]
            assert {"413", "415"} <= set(operation["responses"])
    names = set(re.findall(r'"#/components/(?:schemas|responses)/(\w+)"', json.dumps(document)))
    assert names <= {*document["components"]["schemas"], *document["components"]["responses"]}
    assert set(document["components"]["securitySchemes"]) == {"bearer", "basic"}


async def test_the_description_uses_no_word_that_a_schema_does_not_have(door: Door) -> None:
    """`ge` and `le` are pydantic's: it leaves them in where a check of ours stands before the bound."""
    document = (await door.get("/openapi.json")).json()

    assert re.findall(r'"(?:ge|le|gt|lt)": -?\d', json.dumps(document["components"]["schemas"])) == []


async def test_the_examples_in_the_description_work(door: Door) -> None:
    document = (await door.get("/openapi.json")).json()
    tried = 0
    for path, verbs in document["paths"].items():
        body = verbs.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in body.get("examples", {}).values():
            answer = await door.post(path.format(trunk_id="sandbox"), example["value"])
            assert answer.status_code in (200, 201, 202), (path, answer.text)
            tried += 1
    assert tried >= 6


async def test_the_description_has_a_webhook_for_each_event(door: Door) -> None:
    document = (await door.get("/openapi.json")).json()

    assert set(document["webhooks"]) == set(get_args(EventType))
    ended = document["webhooks"]["call.ended"]["post"]
    envelope, flat = ended["requestBody"]["content"]["application/json"]["schema"]["anyOf"]
    assert envelope["properties"]["type"] == {"const": "call.ended"}
    assert flat == envelope["properties"]["data"] == {"$ref": "#/components/schemas/CallOut"}
    signed = sign([new_secret()], "evt_1", "{}", door.api.clock.now())
    assert {header["name"] for header in ended["parameters"]} == set(signed)


async def test_a_503_is_described_as_more_than_shutting_down(door: Door) -> None:
    document = (await door.get("/openapi.json")).json()

    named = document["paths"]["/v1/calls"]["post"]["responses"]["503"]["$ref"].rpartition("/")[2]
    said = document["components"]["responses"][named]["description"]
    assert all(reason in said for reason in ("store", "shut down", "trunk"))


async def test_the_reference_page_asks_nobody_else_for_anything(door: Door) -> None:
    answer = await door.get("/docs", headers={"Authorization": ""})

    assert answer.status_code == 200
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", answer.text)
    assert [a for a in re.findall(r'(?:href|src)="([^"]*)"', answer.text) if not a.startswith(("#", "/"))] == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for word in ("sendVoice", "POST</span><code>/v1/calls", 'id="CallOut"', "Idempotency-Key"):
        assert word in answer.text


async def test_the_docs_can_be_switched_off(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        settings = door.api.settings.model_copy(
            update={"http": door.api.settings.http.model_copy(update={"docs": False})}
        )
    async with open_door(tmp_path, settings=settings) as door:
        assert [(await door.get(path)).status_code for path in ("/", "/docs", "/openapi.json")] == [404] * 3


async def test_the_front_door_leads_to_the_docs_when_there_are_any(door: Door) -> None:
    answer = await door.get("/", headers={"Authorization": ""})

    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
