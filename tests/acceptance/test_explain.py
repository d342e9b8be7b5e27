"""`tocsin explain CALL_ID` and the ladder's forms, for calls that really crossed the wire."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import tshark
from tests.command import tocsin, towards
from tests.service import TEST_KEY, Service, running
from voice.explain import Exit

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with running(tmp_path_factory.mktemp("explain")) as service:
        yield service


async def test_a_busy_call_is_explained_with_the_row_that_proves_it(service: Service) -> None:
    call = await service.call(to="12025550101", text="Hello.")
    with_key = towards(service, TEST_KEY)

    said = await tocsin("explain", call["call_id"], **with_key)
    told = json.loads((await tocsin("explain", call["call_id"], "--json", **with_key)).out)
    ticket = await tocsin("explain", call["call_id"], "--ticket", **with_key)

    assert (said.code, said.err) == (Exit.OK, "")
    assert said.out.splitlines()[:3] == [
        "user_busy: Busy",
        "The phone is busy (SIP 486 Busy Here).",
        "Whose side: person. Trying again helps: yes.",
    ]
    proof = {fact["what"]: (fact["value"], fact["ladder_row"]) for fact in told["evidence"]}
    assert proof["sip_answer"] == ("486 Busy Here", 2)
    assert proof["reason_header"] == ('Q.850;cause=17;text="User busy"', 2)
    assert proof["invite_sent_at"] == (call["start_at"], 1)
    assert "   2 " in ticket.out
    assert "486 Busy Here ═" in ticket.out


async def test_a_call_that_nobody_knows_is_not_explained(service: Service) -> None:
    said = await tocsin("explain", "call_01K0ABCDEFGHJKMNPQRSTVWXYZ", **towards(service, TEST_KEY))

    assert said.code == Exit.NOT_FOUND
    assert "No call call_01K0ABCDEFGHJKMNPQRSTVWXYZ" in said.err


async def test_a_code_is_explained_without_a_service() -> None:
    said = await tocsin("explain", "486", TOCSIN_URL="http://127.0.0.1:9")

    assert (said.code, said.out.splitlines()[0]) == (Exit.OK, "486: 486 Busy Here")


@tshark.needs_tshark
async def test_the_capture_of_a_login_that_was_refused_is_read_by_tshark(service: Service, tmp_path: Path) -> None:
    call = await service.call(to="12025550117", text="Hello.")
    async with service.client() as http:
        ladder = (await http.get(f"/v1/calls/{call['call_id']}/sip")).json()["messages"]
        (tmp_path / "ladder.pcapng").write_bytes(
            (await http.get(f"/v1/calls/{call['call_id']}/sip", params={"format": "pcap"})).content
        )

    frames = await tshark.dissected(tmp_path / "ladder.pcapng")

    assert [frame["sip.Method"] or frame["sip.Status-Code"] for frame in frames] == [
        (words[1] if (words := message["first_line"].split(" "))[0] == "SIP/2.0" else words[0]) for message in ladder
    ]
    assert [frame["sip.Status-Code"] for frame in frames if frame["sip.Status-Code"] >= "300"] == ["407", "403"]
    assert {frame["_ws.malformed"] for frame in frames} == {""}
    assert {frame["sip.Call-ID"] for frame in frames} == {call["sip"]["call_id"]}
