"""GET /v1/calls/{call_id}/explain, and the ladder in its five forms."""

import pytest

from sip.events import Trace
from sip.ladder import as_json, ladder
from tests.api_door import Door
from tests.unit.sip.wording import OFFER, answer, request
from tests.voice_values import an_ending
from voice.api.drawing import FORMS

LOGIN = 'Authorization: Digest username="a", response="5ecre7"\r\n'


async def a_call(door: Door) -> str:
    """Placed, answered, ended, with a ladder."""
    call_id: str = (await door.post("/v1/calls", {"to": "12025550100", "text": "Hello"})).json()["call_id"]
    await door.answer_and_end()
    wire = ((True, request("INVITE", OFFER, LOGIN)), (False, answer("200 OK")))
    rows = ladder(
        Trace(call_id, 1_800_000_000.0 + n, sent, "192.0.2.7:5060", text) for n, (sent, text) in enumerate(wire)
    )
    await door.store.save_trace(call_id, as_json(rows))
    return call_id


async def test_a_call_is_explained_as_json_or_as_a_ticket(door: Door) -> None:
    path = f"/v1/calls/{await a_call(door)}/explain"

    told = (await door.get(path)).json()
    asked = [await door.get(path + "?format=markdown"), await door.get(path, headers={"Accept": "text/markdown"})]

    assert list(told) == [
        *("call_id", "status", "code", "title", "sentence", "side", "retryable", "next_step", "evidence")
    ]
    assert (told["status"], told["code"], told["side"]) == ("completed", "normal_clearing", None)
    assert {"what": "invite_sent_at", "ladder_row": 1}.items() <= told["evidence"][0].items()
    for answered in asked:
        assert answered.headers["content-type"] == "text/markdown; charset=utf-8"
        assert answered.text.startswith(f"# {told['title']} (call")
        assert "INVITE (auth)" in answered.text
    assert (await door.get(path + "?format=svg")).status_code == 422
    assert (await door.get(path, headers={"Accept": "image/png"})).status_code == 406


async def test_a_call_that_waits_is_explained_without_a_ladder(door: Door) -> None:
    call = (await door.post("/v1/calls", {"to": "12025550100", "text": "Hello"})).json()

    told = (await door.get(f"/v1/calls/{call['call_id']}/explain")).json()

    assert (told["status"], told["title"], told["retryable"]) == ("queued", "Waiting", False)
    assert told["evidence"] == [{"what": "dialled", "value": False, "ladder_row": None}]


@pytest.mark.parametrize(("again", "helps"), [("ok", False), ("later", True)])
async def test_whether_trying_again_helps_is_what_the_outcome_of_this_very_call_says(
    door: Door, again: str, helps: bool
) -> None:
    call = (await door.post("/v1/calls", {"to": "12025550100", "text": "Hello"})).json()
    await door.answer_and_end(an_ending(cause="max_duration", again=again))
    path = f"/v1/calls/{call['call_id']}/explain"

    assert (await door.get(path)).json()["retryable"] is helps
    words = f"**Trying again helps:** {'yes' if helps else 'no'}."
    assert words in (await door.get(path + "?format=markdown")).text


@pytest.mark.parametrize(("form", "kind"), FORMS.items())
async def test_each_form_of_the_ladder_is_had_by_name_and_by_type(door: Door, form: str, kind: str) -> None:
    path = f"/v1/calls/{await a_call(door)}/sip"

    named, typed = await door.get(f"{path}?format={form}"), await door.get(path, headers={"Accept": kind})

    assert named.headers["content-type"].partition(";")[0] == kind
    assert named.content == typed.content
    assert b"5ecre7" not in named.content
    assert b"INVITE" in named.content


async def test_a_picture_opened_by_itself_can_only_draw(door: Door) -> None:
    picture = await door.get(f"/v1/calls/{await a_call(door)}/sip?format=svg")

    assert picture.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert picture.headers["x-content-type-options"] == "nosniff"
