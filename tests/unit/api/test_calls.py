"""/v1/calls: one programmable call by JSON or form, its outcome in the same answer if wanted, and its whole story."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from sip.events import Trace
from sip.ladder import as_json, ladder
from tests.api_door import LIVE_KEY, Door, bearer
from tests.voice_values import an_ending, dialed, now, one_lease, step
from voice.api.events import HEARTBEAT, stream
from voice.calls import Dialed, KeyPressed, NotDialed, Rang, WasAnswered
from voice.messages import Outcome
from voice.store import Heard, Lane

HELLO = {"to": "12025550100", "text": "Hello"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def placed(door: Door, **more: Any) -> dict[str, Any]:
    answer = await door.post("/v1/calls", {**HELLO, **more})
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_call_is_accepted_with_its_call_object_and_its_address(door: Door) -> None:
    answer = await door.post("/v1/calls", {**HELLO, "client_reference": "A-1", "callback_data": "x"})

    body = answer.json()
    assert answer.status_code == 202
    assert list(body)[:9] == [
        "start_at", "answer_at", "end_at", "total_duration", "call_duration", "call_direction", "from_number",
        "to_number", "total_amount",
    ]  # fmt: skip
    assert (body["status"], body["client_reference"], body["callback_data"]) == ("queued", "A-1", "x")
    assert (await door.get(answer.headers["location"])).json() == body


async def test_say_in_a_form_is_text_and_a_plus_that_became_a_blank_is_forgiven(door: Door) -> None:
    answer = await door.post("/v1/calls", content=b"to=+2348020000000&say=Disk+full&repeat=2&record=true", headers=FORM)

    assert answer.status_code == 202, answer.text
    message = await door.store.message("main.test", answer.json()["ref_id"])
    assert message is not None
    assert (message.prompt.text, message.script.repeat, message.script.record) == ("Disk full", 2, True)
    assert answer.json()["to_number"] == "2348020000000"


async def test_structured_members_in_a_form_are_json_and_lists_may_be_words(door: Door) -> None:
    form = {
        **HELLO,
        "gather": '{"digits_max":2}',
        "callback_url": "https://example.com/h",
        "callback_events": "call.ended, call.dtmf",
    }

    answer = await door.post("/v1/calls", data=form)

    message = await door.store.message("main.test", answer.json()["ref_id"])
    assert message is not None
    assert message.script.gather is not None
    assert message.script.gather.digits_max == 2
    assert message.callbacks[0].events == ("call.ended", "call.dtmf")


@pytest.mark.parametrize(
    ("content", "status", "pointer"),
    [
        (b"to=12025550100&say=a&text=b", 422, "#/say"),
        (b"to=12025550100&to=12025550101&say=a", 422, "#/to"),
        (b"to=12025550100&say=%00", 422, "#/say"),
        (b"to=12025550100&say=a&sya=b", 422, "#/sya"),
        (b"to=12025550100&say=a&repeat=many", 422, "#/repeat"),
        (b"to=12025550100&say=a&gather={", 422, "#/gather"),
        (b"to=12025550100&say=a&gather=1", 422, "#/gather"),
        (b"to=12025550100&say=", 422, "#/text"),
        (b"say=a", 422, "#/to"),
        (b"", 422, "#/to"),
        (b"to=12025550100&say=%ff", 400, None),
        (b"to=12025550100&say=\xff", 400, None),
        (b"&".join(b"f%d=1" % i for i in range(61)), 400, None),
    ],
)
async def test_a_form_that_is_wrong_is_refused_with_the_field(
    door: Door, content: bytes, status: int, pointer: str | None
) -> None:
    answer = await door.post("/v1/calls", content=content, headers=FORM)

    assert answer.status_code == status, answer.text
    if pointer:
        assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert await door.calls() == []


async def test_say_is_not_a_member_of_the_json_body(door: Door) -> None:
    answer = await door.post("/v1/calls", {"to": "12025550100", "say": "Hello"})

    details = [error["detail"] for error in answer.json()["errors"]]
    assert answer.status_code == 422
    assert "there is no 'say' (did you mean 'text'?)" in details


async def test_lenient_clients_may_send_members_that_do_not_exist(door: Door) -> None:
    body = {**HELLO, "priority": "high"}

    assert (await door.post("/v1/calls", body)).status_code == 422
    assert (await door.post("/v1/calls", body, headers={"X-Lenient": "1"})).status_code == 202


async def test_only_one_number_goes_into_a_call(door: Door) -> None:
    answer = await door.post("/v1/calls", {**HELLO, "to": ["12025550100"]})

    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/to"]


async def test_a_bad_number_is_invalid_number_at_to(door: Door) -> None:
    body = (await door.post("/v1/calls", {**HELLO, "to": "0802"})).json()

    assert (body["code"], [e["pointer"] for e in body["errors"]]) == ("INVALID_NUMBER", ["#/to"])


async def test_prefer_wait_answers_with_the_outcome(door: Door) -> None:
    asking = asyncio.create_task(door.post("/v1/calls", HELLO, headers={"Prefer": "respond-async, wait=30"}))
    await door.store.wait(Lane.SANDBOX, 5)
    await door.answer_and_end()

    answer = await asking

    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=30"
    assert (answer.json()["status"], answer.json()["hangup_cause"]) == ("completed", "normal_clearing")


async def test_prefer_wait_answers_202_with_the_call_as_it_stands_when_time_is_up(door: Door) -> None:
    answer = await door.post("/v1/calls", HELLO, headers={"Prefer": "wait=0"})

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["preference-applied"] == "wait=0"


async def test_a_waiting_answer_comes_at_once_when_we_shut_down(door: Door) -> None:
    asking = asyncio.create_task(door.post("/v1/calls", HELLO, headers={"Prefer": "wait=60"}))
    await door.store.wait(Lane.SANDBOX, 5)
    door.api.draining.set()

    async with asyncio.timeout(2):
        answer = await asking
    assert answer.status_code == 202


@pytest.mark.parametrize("prefer", ["wait", "wait=soon", "wait=-1", "respond-async", "", "wait=1000000000"])
async def test_a_preference_we_do_not_understand_is_ignored(door: Door, prefer: str) -> None:
    answer = await door.post("/v1/calls", HELLO, headers={"Prefer": prefer})

    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_a_dry_run_places_nothing(door: Door) -> None:
    answer = await door.post("/v1/calls", {**HELLO, "dry_run": True})

    body = answer.json()
    assert (answer.status_code, body["audio_ms"], body["call_id"], body["ref_id"]) == (200, 1200, None, None)
    assert "gtts has no male voice" in answer.headers["x-warnings"]
    assert await door.calls() == []


async def test_calls_are_listed_newest_first_in_pages_that_miss_nothing(door: Door) -> None:
    ids = [(await placed(door))["call_id"] for _ in range(53)]

    seen, sizes, cursor = [], [], ""
    while cursor is not None:
        page = (await door.get(f"/v1/calls?{cursor}")).json()
        seen += [call["call_id"] for call in page["data"]]
        sizes.append(page["page"]["count"])
        cursor = page["next_cursor"] and f"cursor={page['next_cursor']}"

    assert sorted(seen) == sorted(ids)
    assert seen == sorted(seen, reverse=True)
    assert sizes[:2] == [25, 25]


async def test_filters_find_what_they_say(door: Door) -> None:
    first = await placed(door, client_reference="A-1")
    await placed(door, to="12025550101")
    await door.answer_and_end()
    created = first["created_at"]
    later = (door.api.clock.now() + timedelta(hours=1)).isoformat().replace("+", "%2B")
    expected = {
        "status=completed": 1,
        "status=queued": 1,
        "hangup_cause=normal_clearing": 1,
        "to_number=%2B12025550101": 1,
        "to_number=0012025550100": 1,
        "from_number=12025550199": 2,
        f"ref_id=msg_{first['ref_id']}": 1,
        "client_reference=A-1": 1,
        "trunk_id=sandbox": 1,
        "trunk_id=other": 0,
        f"created_at[gte]={created}": 2,
        f"created_at[lt]={created}": 0,
        f"created_at[gte]={later}": 0,
    }

    found = {query: (await door.get(f"/v1/calls?{query}")).json() for query in expected}

    assert {query: len(page["data"]) for query, page in found.items()} == expected


async def test_test_keys_and_live_keys_do_not_see_each_others_calls(door: Door) -> None:
    await placed(door)

    assert (await door.get("/v1/calls", headers=bearer(LIVE_KEY))).json()["data"] == []


async def test_hanging_up_leaves_a_wish_and_may_be_repeated(door: Door) -> None:
    call = await placed(door)

    for path in ("hangup", "actions/hangup"):
        answer = await door.post(f"/v1/calls/{call['call_id']}/{path}")
        assert (answer.status_code, answer.json()["call_id"]) == (202, call["call_id"])


async def test_events_are_told_in_order_without_gaps(door: Door) -> None:
    call = await placed(door)
    await door.answer_and_end()

    events = (await door.get(f"/v1/calls/{call['call_id']}/events")).json()["data"]
    later = (await door.get(f"/v1/calls/{call['call_id']}/events?after=3")).json()["data"]

    assert [e["type"] for e in events] == ["call.queued", "call.dialing", "call.answered", "call.ended"]
    assert [e["sequence"] for e in events] == [1, 2, 3, 4]
    assert later == events[3:]


async def test_events_say_what_their_webhooks_say(door: Door) -> None:
    types = [f"call.{step}" for step in ("queued", "dialing", "ringing", "answered", "dtmf", "ended")]
    call = await placed(door, callback_url="http://127.0.0.1:9/hook", callback_events=types)
    lease = await one_lease(door.store)
    then = lease.call
    for fact in (dialed(), NotDialed(now())):  # put back once: what the first dial said must not be lost
        _, then = await step(door.store, lease, then, fact)
    again = Dialed(now(), "sandbox", "002", "001")
    for fact in (again, Rang(now(), True), WasAnswered(now(), "PCMA"), KeyPressed(now(), "1"), KeyPressed(now(), "7")):
        _, then = await step(door.store, lease, then, fact)
    await step(door.store, lease, then, an_ending(heard_ms=400, audio_ms=500), Outcome.DELIVERED)
    path = f"/v1/calls/{call['call_id']}/events"

    listed = (await door.get(path)).json()["data"]
    lines = (await door.get(path, headers={"Accept": "text/event-stream"})).text.splitlines()

    posted = {delivery.event_id: json.loads(delivery.body) for delivery in door.store.outbox.values()}
    assert [posted[event["id"]] for event in listed] == [
        {"type": event["type"], "timestamp": event["timestamp"], "data": event["data"]} for event in listed
    ]
    assert len(posted) == len(listed) == 9
    assert [event["data"]["sequence"] for event in listed] == [event["sequence"] for event in listed]
    assert [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")] == listed


async def test_a_stream_ends_after_the_end_and_resumes_where_it_was(door: Door) -> None:
    call = await placed(door)
    await door.answer_and_end()
    path, live = f"/v1/calls/{call['call_id']}/events", {"Accept": "text/event-stream"}

    whole = await door.get(path, headers=live)
    rest = await door.get(path, headers={**live, "Last-Event-ID": "2"})
    strange = await door.get(path, headers={**live, "Last-Event-ID": "9" * 5000})

    blocks = whole.text.strip().split("\n\n")
    assert whole.headers["content-type"].startswith("text/event-stream")
    assert [block.splitlines()[0] for block in blocks[1:]] == ["id: 1", "id: 2", "id: 3", "id: 4"]
    ended = dict(line.split(": ", 1) for line in blocks[-1].splitlines())
    assert ended["event"] == "call.ended"
    assert json.loads(ended["data"])["data"]["status"] == "completed"
    assert rest.text.split("\n\n")[1:] == whole.text.split("\n\n")[3:]
    assert strange.text == whole.text


@pytest.mark.parametrize("last", ["4", "7"])
async def test_who_has_had_the_end_is_told_not_to_come_back(door: Door, last: str) -> None:
    call = await placed(door)
    await door.answer_and_end()

    answer = await door.get(
        f"/v1/calls/{call['call_id']}/events", headers={"Accept": "text/event-stream", "Last-Event-ID": last}
    )

    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/event-stream, application/json", "text/event-stream"),
        ("application/json, text/event-stream", "application/json"),
        ("application/json;q=0.5, text/event-stream", "text/event-stream"),
        ("text/event-stream;q=0.1, */*", "application/json"),
        ("text/event-stream;q=0, */*;q=0.1", "application/json"),
        ("text/*;q=0.2, application/json;q=0.9", "application/json"),
        ("text/*", "text/event-stream"),
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
async def test_the_kind_of_answer_is_the_one_that_is_liked_best(door: Door, accept: str, kind: str) -> None:
    call = await placed(door)
    await door.answer_and_end()

    answer = await door.get(f"/v1/calls/{call['call_id']}/events", headers={"Accept": accept})

    assert answer.headers["content-type"].partition(";")[0] == kind


async def test_a_silent_stream_keeps_the_line_warm_and_ends_when_we_shut_down(door: Door) -> None:
    call = await placed(door)
    story = await door.api.sending.follow("main.test", call["call_id"], 1)
    events = stream(story, door.api.draining, heartbeat_s=0.01)

    assert (await anext(events)).startswith("retry: ")
    assert [await anext(events), await anext(events)] == [HEARTBEAT, HEARTBEAT]
    door.api.draining.set()
    async with asyncio.timeout(2):
        assert [text async for text in events if text != HEARTBEAT] == []


async def test_the_ladder_is_json_or_text(door: Door) -> None:
    call = await placed(door)
    path = f"/v1/calls/{call['call_id']}/sip"
    assert (await door.get(path)).status_code == 404

    invite = Trace(call["call_id"], 1_800_000_000.0, True, "192.0.2.1:5060", "INVITE sip:1@192.0.2.1 SIP/2.0\r\n\r\n")
    await door.store.save_trace(call["call_id"], as_json(ladder([invite])))

    (message,) = (await door.get(path)).json()["messages"]
    assert (message["first_line"], message["peer"]) == ("INVITE sip:1@192.0.2.1 SIP/2.0", "192.0.2.1:5060")
    for answer in (await door.get(path + "?format=text"), await door.get(path, headers={"Accept": "text/plain"})):
        assert answer.headers["content-type"].startswith("text/plain")
        assert "INVITE" in answer.text.splitlines()[1]
    assert (await door.get(path + "?format=pdf")).status_code == 422


async def test_a_recording_says_why_it_is_not_there_yet(door: Door) -> None:
    call = await placed(door)
    path = f"/v1/calls/{call['call_id']}/recording"

    assert "Still recording" in (await door.get(path)).json()["detail"]
    await door.answer_and_end()
    body = (await door.get(path)).json()
    assert body["detail"] == "This call was not recorded: nobody asked for it."
    assert "record=true" in body["hint"]

    asked = await placed(door, record=True)
    await door.answer_and_end()
    body = (await door.get(f"/v1/calls/{asked['call_id']}/recording")).json()
    assert "not here any more" in body["detail"]
    assert "recording_hours" in body["hint"]


async def test_a_ladder_says_why_it_is_not_there(door: Door) -> None:
    call = await placed(door)
    path = f"/v1/calls/{call['call_id']}/sip"

    waiting = (await door.get(path)).json()
    await door.answer_and_end()
    ended = (await door.get(path)).json()

    assert "not dialled yet" in waiting["detail"]
    assert "stored yet" in ended["detail"]
    assert "Check the id" not in waiting["hint"] + ended["hint"]


async def test_a_recording_is_served_whole_and_in_ranges(door: Door) -> None:
    call = await placed(door)
    await door.answer_and_end()
    file = door.folder / "recording.wav"
    file.write_bytes(bytes(range(100)))
    door.recordings[call["call_id"]] = file
    path = f"/v1/calls/{call['call_id']}/recording"

    whole = await door.get(path)
    part = await door.get(path, headers={"Range": "bytes=10-19"})
    beyond = await door.get(path, headers={"Range": "bytes=500-"})
    plural = await door.get(path + "s")

    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, bytes(range(100)), "audio/wav")
    assert (part.status_code, part.content, part.headers["content-range"]) == (
        206,
        bytes(range(10, 20)),
        "bytes 10-19/100",
    )
    assert beyond.status_code == 416
    assert plural.content == whole.content


async def test_a_sandbox_call_without_a_recording_gives_what_the_phone_recorded(door: Door) -> None:
    call = await placed(door)
    await door.answer_and_end()
    file = door.folder / "heard.wav"
    file.write_bytes(b"RIFF heard")
    await door.store.save_heard(
        Heard(call["call_id"], "12025550100", 1.0, 0.9, -20.0, "", str(file), door.api.clock.now())
    )

    assert (await door.get(f"/v1/calls/{call['call_id']}/recording")).content == b"RIFF heard"
