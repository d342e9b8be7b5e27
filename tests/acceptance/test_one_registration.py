"""Two dialers and a trunk of which one registers: Kamailio counts the contacts, SIPp is the carrier behind it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import sipp
from tests.acceptance.test_trunk_registration import REGISTRAR, Registering, a_registering, second_dialer
from tests.kamailio import KAMAILIO
from tests.until import until
from voice.one_registration import EVERY_S
from voice.registration_lease import LEASE_S

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(KAMAILIO is None or sipp.SIPP is None, reason="Kamailio or SIPp is missing: make peers"),
    pytest.mark.timeout(150),
]
ONE_LINE = {"TOCSIN_LINES__MOST": "1"}  # of each dialer: two calls at once need both of them
WITHIN_S = LEASE_S + EVERY_S + 10.0  # as documented; the rest is for a busy machine
COUNTS = """
    reg_fetch_contacts("location", "$tu", "all");
    xlog("L_NOTICE", "HELD|$hdr(Expires)|$ct|$(ulc(all=>count))\\n");
"""


class Two:
    """A service, and a dialer more that holds the registration."""

    def __init__(self, one: Registering, other: asyncio.subprocess.Process) -> None:
        self.one, self.other = one, other

    def held(self) -> list[list[str]]:
        """After each REGISTER that was granted: its Expires, its contact, and how many contacts there are."""
        rows = (line.partition("HELD|") for line in self.one.door.log().splitlines())
        return [said.split("|") for _, found, said in rows if found]

    def contacts(self) -> set[str]:
        return {row[1].partition(";")[0] for row in self.held()}

    async def held_by(self, pid: int) -> dict[str, Any] | None:
        now = (await self.one.status())["registration"]
        return now if now["state"] == "registered" and str(now["held_by"]).endswith(f":{pid}") else None

    async def call(self) -> dict[str, Any]:
        return await self.one.world.see(await self.one.world.send(), "completed")


@contextlib.asynccontextmanager
async def two_dialers(directory: Path) -> AsyncIterator[Two]:
    async with (
        a_registering(directory, REGISTRAR + COUNTS, **ONE_LINE) as one,
        second_dialer(one.world, **ONE_LINE) as other,
    ):
        two, first = Two(one, other), one.world.service.children()["dialer"]
        os.kill(first, signal.SIGSTOP)  # the other one shall be first
        try:
            await one.make()
            await until(two.held, 20)
        finally:
            os.kill(first, signal.SIGCONT)
        await until(lambda: two.held_by(other.pid), 20)
        yield two


async def test_one_of_two_dialers_registers_both_call_and_after_its_death_the_other_does(tmp_path: Path) -> None:
    async with two_dialers(tmp_path) as two:
        world = two.one.world
        first, second = await world.send(repeat=5), await world.send(repeat=5)
        await asyncio.gather(world.see(first, "answered"), world.see(second, "answered"))
        both = [(await world.see(one, "answered", "completed"))["status"] for one in (first, second)]
        ended = await asyncio.gather(world.see(first, "completed"), world.see(second, "completed"))
        before = two.held()

        two.other.kill()
        await two.other.wait()
        after = await two.one.stands("up", "registered")  # as it stood there: calls go on
        call, _ = await asyncio.gather(two.call(), until(lambda: len(two.contacts()) == 2, WITHIN_S))
        await until(lambda: two.held_by(world.service.children()["dialer"]), 20)
        again = await two.call()
        rows = two.held()

    assert both == ["answered", "answered"]
    assert {one["trunk_id"] for one in ended} == {"carrier"}
    assert {row[2] for row in before} == {"1"}
    assert len({row[1].partition(";")[0] for row in before}) == 1
    assert rows[-1][2] == "1"  # the process that had it outlives the dialer just long enough to take it back
    assert after["registration"]["held_by"].endswith(f":{two.other.pid}")
    assert (call["played_to_end"], again["played_to_end"]) == (True, True)


async def test_a_holder_that_stops_gives_it_up_before_the_other_takes_it(tmp_path: Path) -> None:
    async with two_dialers(tmp_path) as two:
        two.other.terminate()
        await until(lambda: two.held_by(two.one.world.service.children()["dialer"]), 40)
        rows = two.held()

    assert [row[0] for row in rows].count("0") == 1
    assert rows[-1][2] == "1"
    assert rows[-1][1].partition(";")[0] not in {row[1].partition(";")[0] for row in rows[:-1]}
