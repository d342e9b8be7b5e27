"""Trunks that come, change and go while the service runs, with SIPp as the carriers: no restart, no call cut."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import sipp
from tests.service import LIVE_KEY, Service, descendants, process_name, running
from tests.until import until

pytestmark = [pytest.mark.sip, pytest.mark.peer, pytest.mark.timeout(120)]

NUMBER, OURS = "2348020000000", "2347080670000"
SAID = {"to": NUMBER, "text": "Disk full on database one."}


@dataclass
class World:
    """A running service, an operator at its API, and carriers."""

    service: Service
    http: httpx2.AsyncClient
    stack: AsyncExitStack
    directory: Path
    ear: sipp.Ear

    async def carrier(self) -> sipp.Sipp:
        return await self.stack.enter_async_context(sipp.Sipp(sipp.answers(self.ear.port), self.directory))

    async def make(self, carrier: sipp.Sipp, **more: Any) -> None:
        body = {"id": "carrier", "host": f"127.0.0.1:{carrier.port}", "channels": 4, "caller_ids": [OURS], **more}
        assert (await self.http.post("/v1/trunks", json=body)).status_code == 201

    async def change(self, **members: Any) -> None:
        answer = await self.http.patch("/v1/trunks/carrier", json=members)
        assert answer.status_code == 200, answer.text

    async def send(self, **more: Any) -> str:
        """The id of a call. A trunk that was made a moment ago is known."""
        answer = await self.http.post("/v1/calls", json=SAID | more)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["call_id"])

    async def see(self, call_id: str, *statuses: str) -> dict[str, Any]:
        async def seen() -> dict[str, Any] | None:
            call: dict[str, Any] = (await self.http.get(f"/v1/calls/{call_id}")).json()
            return call if call["status"] in statuses else None

        return await until(seen, 30)

    async def says(self, words: str) -> bool:
        """Is it told on the readiness page?"""
        return words in (await self.http.get("/readyz?verbose=1")).text

    async def has_lines(self, wanted: bool) -> bool:
        figures = (await self.http.get("/metrics")).text
        return ('tocsin_lines{trunk="carrier"}' in figures) is wanted

    async def has_new_lines(self) -> bool:
        """Were lines opened a second time?"""
        opened = [line for line in self.service.log if '"trunk has lines"' in line and '"carrier"' in line]
        return len(opened) == 2

    def line_processes(self) -> set[int]:
        return {pid for pid in descendants(self.service.process.pid) if process_name(pid) == "tocsin-line"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as one:
        yield one


@asynccontextmanager
async def a_world(directory: Path, **environ: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running(directory / "data", **environ))
        http = await stack.enter_async_context(service.client(LIVE_KEY))
        ear = await stack.enter_async_context(sipp.Ear(talks=True))
        yield World(service, http, stack, directory, ear)


async def test_a_trunk_that_is_made_while_the_service_runs_carries_the_next_call(world: World) -> None:
    carrier = await world.carrier()
    before = world.service.children()["dialer"]

    await world.make(carrier)
    call = await world.see(await world.send(), "completed")

    assert (call["trunk_id"], call["played_to_end"]) == ("carrier", True)
    assert len(carrier.received("INVITE")) == 1
    assert world.service.children()["dialer"] == before


async def test_a_call_stays_on_the_old_lines_while_the_next_one_goes_to_the_new_host(world: World) -> None:
    old, new = await world.carrier(), await world.carrier()
    await world.make(old)
    first = await world.send(repeat=5)
    await world.see(first, "answered")

    await world.change(host=f"127.0.0.1:{new.port}", uris=None)
    await until(world.has_new_lines, 15)
    second = await world.send()
    went_there = await world.see(second, "completed")
    still_up = await world.see(first, "answered")
    ended = await world.see(first, "completed")

    assert still_up["call_id"] == first
    assert (ended["hangup_cause"], ended["played_to_end"], ended["trunk_id"]) == ("normal_clearing", True, "carrier")
    assert (went_there["played_to_end"], went_there["trunk_id"]) == (True, "carrier")
    assert old.dialogs().keys() == {first}
    assert new.dialogs().keys() == {second}


async def test_what_leaves_with_a_trunk_is_its_processes_and_none_of_its_calls(world: World) -> None:
    carrier, others = await world.carrier(), world.line_processes()
    await world.make(carrier)
    call_id = await world.send(repeat=3)
    await world.see(call_id, "answered")
    lines = world.line_processes() - others

    assert (await world.http.delete("/v1/trunks/carrier")).status_code == 204
    ended = await world.see(call_id, "completed")

    assert (ended["hangup_cause"], ended["played_to_end"]) == ("normal_clearing", True)
    assert len(lines) == 1
    await until(lambda: not world.line_processes() & lines, 15)


async def test_a_trunk_whose_lines_do_not_start_is_down_and_says_why_and_its_calls_wait(world: World) -> None:
    carrier = await world.carrier()
    before = world.service.children()["dialer"]
    await world.make(carrier, bind_address="192.0.2.1")
    await until(lambda: world.says("trunk carrier is down: no 20 free UDP ports on 192.0.2.1"), 10)
    call_id = await world.send()
    sandbox = await world.service.call(to="12025550100", text="All well here.")
    waiting = await world.see(call_id, "queued")

    await world.change(bind_address="127.0.0.1")
    call = await world.see(call_id, "completed")

    assert (sandbox["status"], waiting["status"], call["trunk_id"]) == ("completed", "queued", "carrier")
    assert world.service.children()["dialer"] == before


async def test_switched_off_and_on_again_a_trunk_goes_on(world: World) -> None:
    carrier = await world.carrier()
    await world.make(carrier)
    await world.see(await world.send(), "completed")

    for state in ("disable", "enable", "drain", "enable"):
        assert (await world.http.post(f"/v1/trunks/carrier/{state}")).status_code == 200
        await until(partial(world.has_lines, state == "enable"), 15)
    call = await world.see(await world.send(), "completed")

    assert call["trunk_id"] == "carrier"
    assert len(carrier.received("INVITE")) == 2


async def test_a_service_whose_trunk_cannot_start_starts_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "trunks.toml"
    file.write_text('[trunks.carrier]\nhost = "127.0.0.1:9"\nbind_address = "192.0.2.1"\n')

    async with a_world(tmp_path, TOCSIN_TRUNKS=str(file)) as world:
        await until(lambda: world.says("trunk carrier is down: no 20 free UDP ports"), 10)
        call = await world.service.call(to="12025550100", text="All well here.")

    assert call["status"] == "completed"
