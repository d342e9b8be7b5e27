"""How a trunk stands, over HTTP: status, registration, its SIP messages, and the feed of what happened."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sip.events import Registered, RegistrationState, Trace
from sip.ladder import as_json, ladder
from tests.api_door import LIVE_KEY, PLAIN_KEY, TEST_KEY, Door, bearer, open_door
from voice.routing import Admin
from voice.trunk_news import Aspect, Told
from voice.trunk_record import FeedEvent
from voice.trunk_status import said_of_registration

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "s3cret-CANARY"
REGISTERS = {
    "id": "lagos-1",
    "host": "192.0.2.7",
    "type": "register",
    "registration": "one",
    "auth": {"username": "alarm", "realm": "r", "password": SECRET},
    "limits": {"channels": 7, "cps": 2},
}
REFUSED = RegistrationState(Registered.AUTH_REJECTED, 1.0, 401, "Unauthorized", failures=1)


async def dialers() -> Sequence[Mapping[str, Any]]:
    return [
        {
            "routes": {"lagos-1": {"admin": Admin.ENABLED.value, "why_down": "its login was refused: 401", "free": 0}},
            "registrations": {"lagos-1": said_of_registration(REFUSED, "host:7")},
            "busy_lines": {"lagos-1": 3},
            "dialled_lately": {"lagos-1": 1},
        }
    ]


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, dialers=dialers) as door:
        door.client.headers.update(bearer(LIVE_KEY))
        assert (await door.post("/v1/trunks", REGISTERS)).status_code == 201
        assert (await door.post("/v1/trunks", {"id": "known", "host": "192.0.2.8"})).status_code == 201
        yield door


async def test_the_status_says_how_it_stands_since_when_and_why(live: Door) -> None:
    told = Told(1, 1, (Aspect("state", "down", NOON, NOON, 1),))
    await live.api.record.tell("lagos-1", Told(), told, "main.live")

    found = (await live.get("/v1/trunks/lagos-1/status")).json()

    assert (found["trunk_id"], found["state"], found["since"]) == ("lagos-1", "down", "2026-11-24T12:00:00.000Z")
    assert found["why"] == "its login was refused: 401"
    assert found["registration"] == {
        "state": "auth_rejected",
        "held_by": "host:7",
        "last_code": 401,
        "last_reason": "Unauthorized",
        "expires_at": None,
        "failures": 1,
        "next_action_at": None,
    }
    assert (found["channels"], found["cps"]) == ({"used": 3, "limit": 7}, {"used": 1, "limit": 2.0})
    assert (found["asr"], found["options"]["up"]) == (None, None)


async def test_the_status_of_a_trunk_that_does_not_register_says_so(live: Door) -> None:
    found = (await live.get("/v1/trunks/known/status")).json()

    assert (found["registration"]["state"], found["why"]) == ("n/a", "no dialer has it")


async def test_what_the_operator_wants_is_seen_before_the_dialers_heard_of_it(live: Door) -> None:
    await live.post("/v1/trunks/lagos-1/drain")

    assert (await live.get("/v1/trunks/lagos-1/status")).json()["state"] == "draining"


async def test_register_is_kept_in_the_book_each_time_it_is_said(live: Door) -> None:
    taken_back = (await live.post("/v1/trunks/lagos-1/unregister")).json()
    first = await live.api.trunks.get("lagos-1")
    asked = (await live.post("/v1/trunks/lagos-1/register")).json()
    second = await live.api.trunks.get("lagos-1")
    await live.post("/v1/trunks/lagos-1/register")
    third = await live.api.trunks.get("lagos-1")

    assert (taken_back["registers"], asked["registers"]) == (False, True)
    assert [one.registers for one in (first, second, third)] == [False, True, True]
    assert len({one.asked_at for one in (first, second, third)}) == 3


async def test_a_changed_trunk_stays_unregistered_until_it_is_asked_to(live: Door) -> None:
    await live.post("/v1/trunks/lagos-1/unregister")
    changed = await live.client.patch("/v1/trunks/lagos-1", json={"limits": {"channels": 9}})

    assert (changed.json()["registers"], changed.json()["limits"]["channels"]) == (False, 9)


@pytest.mark.parametrize("word", ["register", "unregister"])
async def test_a_trunk_without_a_registration_refuses_both_words(live: Door, word: str) -> None:
    refused = await live.post(f"/v1/trunks/known/{word}")
    shown = (await live.get("/v1/trunks/known")).json()

    assert (refused.status_code, refused.json()["code"]) == (409, "DOES_NOT_REGISTER")
    assert shown["registers"] is None


async def test_keys_of_the_other_kind_and_without_the_scope_are_kept_out(live: Door) -> None:
    test, plain = bearer(TEST_KEY), bearer(PLAIN_KEY)
    answers = [
        (await live.get("/v1/trunks/lagos-1/status", headers=test)).status_code,
        (await live.post("/v1/trunks/lagos-1/register", headers=test)).status_code,
        (await live.get("/v1/trunks/lagos-1/registration/sip", headers=test)).status_code,
        (await live.post("/v1/trunks/lagos-1/register", headers=plain)).status_code,
        (await live.post("/v1/trunks/sandbox/unregister", headers=test)).status_code,
    ]

    assert answers == [404, 404, 404, 403, 409]


@pytest.mark.parametrize(
    ("form", "kind", "begins"),
    [
        ("json", "application/json", b'{"trunk_id":"lagos-1","messages":[{'),
        ("text", "text/plain", b""),
        ("mermaid", "text/vnd.mermaid", b"sequenceDiagram"),
        ("svg", "image/svg+xml", b"<svg"),
        ("pcap", "application/x-pcapng", b"\x0a\x0d\x0d\x0a"),
    ],
)
async def test_the_messages_of_a_registration_come_in_every_form(
    live: Door, form: str, kind: str, begins: bytes
) -> None:
    login = f'REGISTER sip:a SIP/2.0\r\nAuthorization: Digest username="alarm", response="{SECRET}"\r\n\r\n'
    rows = (
        Trace("lagos-1", 1.0, True, "192.0.2.7:5060", login),
        Trace("lagos-1", 1.1, False, "192.0.2.7:5060", "SIP/2.0 200 OK\r\n\r\n"),
    )
    none = await live.get("/v1/trunks/lagos-1/registration/sip")
    await live.api.record.save_ladder("lagos-1", as_json(ladder(rows)))

    answer = await live.get(f"/v1/trunks/lagos-1/registration/sip?format={form}")

    assert none.status_code == 404
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)
    assert answer.content.startswith(begins)
    assert b"REGISTER" in answer.content
    assert SECRET.encode() not in answer.content


async def test_the_feed_goes_on_where_the_cursor_says(live: Door) -> None:
    for number in (1, 2, 3):
        event = FeedEvent(f"evt_{number}", "trunk.down", NOON, number, "lagos-1", {"state": "down"})
        before = await live.api.record.told("lagos-1")
        await live.api.record.tell("lagos-1", before, Told(number, number), "main.live", event)

    first = (await live.get("/v1/events?limit=2")).json()
    rest = (await live.get(f"/v1/events?after={first['cursor']}")).json()
    none = (await live.get(f"/v1/events?after={rest['cursor']}")).json()
    others = (await live.get("/v1/events", headers=bearer(TEST_KEY))).json()
    wrong = await live.get("/v1/events?after=yesterday")

    assert [one["sequence"] for one in first["data"]] == [1, 2]
    assert [one["id"] for one in rest["data"]] == ["evt_3"]
    assert (none["data"], none["cursor"]) == ([], rest["cursor"])
    assert others["data"] == []
    assert wrong.status_code == 422
