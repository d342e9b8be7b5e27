"""Every error has one shape, names its field, says what to do, and repeats nothing secret."""

import base64
from pathlib import Path
from typing import Any

import pytest

from messaging.errors import catalogue
from tests.api_door import LIVE_KEY, OTHER_KEY, PLAIN_KEY, TEST_KEY, Door, bearer, open_door
from voice.store import CallFilter, CallPage
from voice.store_memory import MemoryCallStore

CALL = "call_01K0ABCDEFGHJKMNPQRSTVWXYZ"
CANARY = "4821-very-secret"
MEMBERS = [
    "type", "title", "status", "detail", "instance", "status_code", "message", "code", "retryable", "fault", "hint",
    "errors", "request_id", "ref_id",
]  # fmt: skip


async def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert list(body)[: len(MEMBERS)] == MEMBERS
    assert (body["status"], body["status_code"], body["code"]) == (status, status, code)
    assert body["message"] == body["detail"]
    assert body["hint"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert code in catalogue()
    return body


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("GET", "/v1/calls/", 404, "NOT_FOUND"),
        ("GET", f"/v1/calls/{CALL}", 404, "NOT_FOUND"),
        ("GET", "/v1/calls/nonsense", 404, "NOT_FOUND"),
        ("GET", "/v1/calls/%F0%9F%92%A9%00", 404, "NOT_FOUND"),
        ("GET", f"/v1/calls/{CALL}/events", 404, "NOT_FOUND"),
        ("GET", f"/v1/calls/{CALL}/sip", 404, "NOT_FOUND"),
        ("GET", f"/v1/calls/{CALL}/recording", 404, "NOT_FOUND"),
        ("POST", f"/v1/calls/{CALL}/hangup", 404, "NOT_FOUND"),
        ("GET", "/v1/sendvoice/status/9azmf1ntcl358gczduzz4rs0u", 404, "NOT_FOUND"),
        ("GET", "/v1/sendvoice/short/recipients", 404, "NOT_FOUND"),
        ("POST", "/v1/sendvoice/9azmf1ntcl358gczduzz4rs0u/cancel", 404, "NOT_FOUND"),
        ("GET", "/v1/sendvoice", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/v1/calls", 405, "METHOD_NOT_ALLOWED"),
        ("BREW", "/livez", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/calls?limit=0", 422, "INVALID"),
        ("GET", "/v1/calls?limit=201", 422, "INVALID"),
        ("GET", "/v1/calls?limit=99999999999999999999999999", 422, "INVALID"),
        ("GET", "/v1/calls?limit=1&limit=2", 422, "INVALID"),
        ("GET", "/v1/calls?cursor=x", 422, "INVALID"),
        ("GET", "/v1/calls?page=0", 422, "INVALID"),
        ("GET", "/v1/calls?page=101", 422, "INVALID"),
        ("GET", f"/v1/calls?page=2&cursor={CALL}", 422, "INVALID"),
        ("GET", "/v1/calls?start_at[gte]=noon", 422, "INVALID"),
        ("GET", "/v1/calls?tag=x", 422, "INVALID"),
        ("GET", "/v1/calls.csv?page=1", 422, "INVALID"),
        ("GET", "/v1/calls?created_at[gte]=0001-01-01T00:00:00%2B14:00", 422, "INVALID"),
        ("GET", "/v1/calls?status=unheard", 422, "INVALID"),
        ("GET", f"/v1/calls?api_key={TEST_KEY}", 400, "BAD_REQUEST"),
        ("GET", "/errors/NO_SUCH", 404, "NOT_FOUND"),
    ],
)
async def test_whatever_goes_wrong_has_the_one_shape(
    door: Door, method: str, path: str, status: int, code: str
) -> None:
    answer = await door.client.request(method, path)

    body = await problem(answer, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert TEST_KEY not in answer.text
    if status == 422:
        assert body["errors"][0]["pointer"].startswith("#/")


async def test_a_client_that_asks_for_json_gets_that_content_type(door: Door) -> None:
    answer = await door.get("/nowhere", headers={"Accept": "application/json"})

    assert answer.headers["content-type"] == "application/json"


async def test_a_typing_error_in_a_filter_is_refused_with_what_was_meant(door: Door) -> None:
    body = await problem(await door.get("/v1/calls?stauts=busy"), 422, "INVALID")

    assert body["errors"][0] == {
        "pointer": "#/stauts",
        "code": "unknown_member",
        "detail": "there is no parameter 'stauts' here (did you mean 'status'?)",
    }


async def test_lenient_clients_may_send_parameters_that_do_not_exist(door: Door) -> None:
    assert (await door.get("/v1/calls?stauts=busy", headers={"X-Lenient": "1"})).status_code == 200


async def test_a_405_says_what_is_possible(door: Door) -> None:
    assert (await door.client.delete("/v1/calls")).headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_options_lists_the_methods_and_needs_no_key(door: Door) -> None:
    answer = await door.client.options("/v1/sendvoice", headers={"Authorization": ""})

    assert (answer.status_code, answer.headers["allow"], answer.text) == (204, "OPTIONS, POST", "")


async def test_head_answers_like_get_without_a_body(door: Door) -> None:
    head, get = await door.client.head("/v1/calls"), await door.get("/v1/calls")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


KEYS_IN_HEADERS = {
    "bearer": f"Bearer {TEST_KEY}",
    "bearer in other case": f"bearer   {TEST_KEY}",
    "curl -u key:": "Basic " + base64.b64encode(f"{TEST_KEY}:".encode()).decode(),
    "key and a password": "Basic " + base64.b64encode(f"{TEST_KEY}:x".encode()).decode(),
}


@pytest.mark.parametrize("header", KEYS_IN_HEADERS.values(), ids=KEYS_IN_HEADERS)
async def test_a_key_may_be_presented_as(door: Door, header: str) -> None:
    assert (await door.get("/v1/calls", headers={"Authorization": header})).status_code == 200


NO_KEYS = [
    "", "Bearer", "Bearer ", "Bearer tk_test_unknown", f"Digest {TEST_KEY}", TEST_KEY, "Basic", "Basic !!!",
    "Basic " + base64.b64encode(b"tk_test_unknown:").decode(), "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
    "Bearer " + "x" * 5000, "Bearer a\tb",
]  # fmt: skip


async def test_every_way_not_to_have_a_key_gets_the_same_401(door: Door) -> None:
    seen = set()
    for header in NO_KEYS:
        answer = await door.get("/v1/calls", headers={"Authorization": header})
        body = await problem(answer, 401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"] == 'Bearer realm="tocsin"'
        seen.add((body["detail"], body["hint"], len(answer.content)))

    assert len(seen) == 1


async def test_without_a_key_only_health_errors_and_docs_answer(door: Door) -> None:
    open_to_all = {"/livez", "/healthz", "/readyz", "/errors", "/errors/{code}", "/openapi.json", "/docs"}
    paths = door.app.openapi()["paths"]
    for path, verbs in paths.items():
        for verb in verbs:
            ids = {"trunk_id": "sandbox", "test_id": "test_1", "key_id": "key_1"}
            address = path.format(call_id=CALL, ref_id="9azmf1ntcl358gczduzz4rs0u", code="INVALID", **ids)
            answer = await door.client.request(verb.upper(), address, headers={"Authorization": ""})
            assert (answer.status_code == 401) == (path not in open_to_all), (verb, path, answer.status_code)


async def test_another_accounts_call_does_not_exist(door: Door) -> None:
    sent = (await door.post("/v1/calls", {"to": "12025550100", "text": "Hello"})).json()
    paths = [
        f"/v1/calls/{sent['call_id']}",
        f"/v1/calls/{sent['call_id']}/events",
        f"/v1/calls/{sent['call_id']}/sip",
        f"/v1/calls/{sent['call_id']}/explain",
        f"/v1/calls/{sent['call_id']}/recording",
        f"/v1/sendvoice/status/{sent['ref_id']}",
        f"/v1/sendvoice/{sent['ref_id']}/recipients",
    ]
    for path in paths:
        for key in (OTHER_KEY, LIVE_KEY):
            ours = await door.get(path, headers=bearer(key))
            absent = path.replace(sent["call_id"], CALL).replace(sent["ref_id"], "0" * 25)
            never = await door.get(absent, headers=bearer(key))
            assert (ours.status_code, never.status_code) == (404, 404), path
            assert ours.json()["hint"] == never.json()["hint"]
    for path in (f"/v1/calls/{sent['call_id']}/hangup", f"/v1/sendvoice/{sent['ref_id']}/cancel"):
        assert (await door.post(path, headers=bearer(OTHER_KEY))).status_code == 404
    assert (await door.get("/v1/calls", headers=bearer(OTHER_KEY))).json()["data"] == []


async def test_a_key_without_the_scope_is_told_which_one_it_lacks(door: Door) -> None:
    lacking = {
        ("POST", "/v1/admin/test-call"): "admin",
        ("POST", "/v1/sendvoice"): "send",
        ("POST", "/v1/calls"): "send",
        ("POST", f"/v1/calls/{CALL}/hangup"): "send",
        ("GET", "/v1/calls"): "read",
        ("GET", "/metrics"): "read",
    }
    for (method, path), scope in lacking.items():
        answer = await door.client.request(method, path, headers=bearer(PLAIN_KEY))
        assert f"'{scope}'" in (await problem(answer, 403, "FORBIDDEN"))["detail"]


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"to=1", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"Content-Type": "application/json; charset=utf-16"}, b"{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"Content-Type": "application/json"}, b"", 400, "INVALID_JSON"),
        ({"Content-Type": "application/json"}, b"x" * 262145, 413, "TOO_LARGE"),
        ({"Content-Type": "application/json", "Accept": "text/html"}, b"{}", 406, "NOT_ACCEPTABLE"),
        ({"Content-Type": "application/json", "Accept": "application/json;q=0, */*"}, b"{}", 406, "NOT_ACCEPTABLE"),
    ],
)
async def test_a_body_that_cannot_be_read_or_answered(
    door: Door, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    await problem(await door.post("/v1/sendvoice", content=content, headers=headers), status, code)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gather": True}, "gather: should be an object"),
        ({"sandbox": 1}, "sandbox: should be an object"),
        ({"language": "klingon"}, "language: should be a language tag like en-gb"),
        ({"voice": "a b"}, "voice: should be the name of a voice, or male or female"),
        ({"trunk_id": "../etc"}, "trunk_id: should be the id of a trunk: 1 to 64 letters, digits, and _ . -"),
        ({"gather": {"valid": "x"}}, "gather/valid: should be 1 to 16 keys of 0-9, *, # and A-D"),
        ({"sandbox": {"press": "x"}}, "sandbox/press: should be keys like 1, or keys at a moment like 1@3s"),
        ({"repeat": "2"}, "repeat: should be a whole number"),
        ({"repeat": 11}, "repeat: should be less than or equal to 10"),
        ({"speed": "fast"}, "speed: should be a number"),
        ({"ssml": 1}, "ssml: should be true or false"),
        ({"callback_events": []}, "callback_events: should have entries: at least 1"),
        ({"callback_events": {}}, "callback_events: should be an array"),
        ({"callback_url": "x"}, "callback_url: is too short: at least 8 characters"),
        ({"callback_data": "x" * 701}, "callback_data: is too long: at most 700 characters"),
        ({"callback_format": "xml"}, "callback_format: should be 'standard' or '9bits'"),
        ({"to": ["12025550100", 5]}, "to/1: should be a string"),
    ],
)
async def test_a_wrong_member_is_told_in_words_for_people(door: Door, change: dict[str, Any], message: str) -> None:
    answer = await door.post("/v1/sendvoice", {"to": "12025550100", "text": "Hello", **change})

    assert (await problem(answer, 422, "INVALID"))["message"] == message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"/v1/calls/{CALL}/sip?format=xml", "format: should be 'json', 'text', 'mermaid', 'svg' or 'pcap'"),
        ("/v1/calls?cursor=x", "cursor: should be next_cursor of the page before, unchanged"),
        ("/v1/calls?hangup_cause=BUSY!", "hangup_cause: should be a hangup_cause like user_busy"),
        ("/v1/calls?limit=many", "limit: should be a whole number"),
        ("/sandbox/v1/heard/latest?wait=soon", "wait: should be seconds like 10 or 10s"),
    ],
)
async def test_a_wrong_parameter_is_told_in_words_for_people(door: Door, path: str, message: str) -> None:
    assert (await problem(await door.get(path), 422, "INVALID"))["message"] == message


async def test_an_announced_length_over_the_limit_is_refused_unread(door: Door) -> None:
    answer = await door.post("/v1/sendvoice", content=b"{}", headers={"Content-Length": "999999999999"})

    body = await problem(answer, 413, "TOO_LARGE")
    assert answer.headers["connection"] == "close"
    assert "262144" in body["detail"]


class BrokenStore(MemoryCallStore):
    async def calls(self, owner: str, which: CallFilter, before: str | None, limit: int) -> CallPage:
        raise RuntimeError(CANARY)


async def test_an_unforeseen_exception_becomes_a_500_that_tells_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_door(tmp_path, store=BrokenStore()) as door:
        answer = await door.get("/v1/calls")

    await problem(answer, 500, "INTERNAL")
    captured = capsys.readouterr()
    assert CANARY not in answer.text + captured.out + captured.err
    assert "RuntimeError" in captured.out + captured.err
    assert "Traceback" not in answer.text


async def test_a_draining_process_takes_no_new_work_but_still_tells(door: Door) -> None:
    door.api.draining.set()

    answer = await door.post("/v1/calls", {"to": "12025550100", "text": "Hello"})
    await problem(answer, 503, "DRAINING")
    assert answer.headers["retry-after"] == "2"
    assert (await door.get("/v1/calls")).json()["data"] == []
    assert (await door.get("/readyz")).status_code == 503
    assert (await door.get("/livez")).status_code == 200


async def test_the_error_dictionary_has_every_code_with_a_meaning_and_a_next_step(door: Door) -> None:
    entries = (await door.get("/errors")).json()["data"]

    assert {entry["code"] for entry in entries} == set(catalogue())
    assert all(entry["meaning"] and entry["hint"] for entry in entries)
    one = (await door.get("/errors/INVALID_NUMBER")).json()
    assert one["status"] == 422
