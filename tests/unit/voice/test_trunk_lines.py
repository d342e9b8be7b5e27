"""Lines follow the trunk book: opened, kept, retired; what cannot be opened is tried again and takes nobody down."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sip.commands import AfterScript, Dial
from sip.line import Line, LinesDown
from sip.simulated import SimulatedLine
from sip.trunk import Trunk, TrunkUri
from tests.sipp import tone
from tests.until import until
from voice.one_registration import OneRegistration
from voice.registration_lease import MemoryRegistrationLeases
from voice.routing import Admin, TrunkState
from voice.trunk_entry import AdminState, Entry, ManagedBy
from voice.trunk_lines import AT_ONCE, STARTING, TrunkLines, same_lines

TRUNK = Trunk("a", "A", (TrunkUri("192.0.2.1"),), channels=4)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Told(SimulatedLine):
    """A line that notes what its keeper does with it. `gate` holds back what it is told to wait for."""

    def __init__(self, trunk: Trunk, story: list[str], why_down: str = "") -> None:
        super().__init__(most=trunk.channels)
        self.trunk, self._story, self._why_down = trunk, story, why_down
        self.name = f"{trunk.id}@{trunk.uris[0].host}"
        self.gate = asyncio.Event()
        self.gate.set()

    def _note(self, what: str) -> None:
        self._story.append(f"{self.name} {what}")

    async def start(self) -> None:
        self._note("starts")
        await asyncio.sleep(0)
        if self._why_down:
            raise LinesDown(self._why_down)

    def register(self) -> None:
        self._note("registers")

    def unregister(self) -> None:
        self._note("unregisters")

    async def sign_off(self) -> None:
        self._note("signs off")
        await self.gate.wait()
        self._note("signed off")

    async def aclose(self) -> None:
        self._note("closes")
        await super().aclose()


class World:
    """A keeper of lines, and a dialer that only remembers."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.made: list[Told] = []
        self.why_down = ""
        self.lines: Mapping[str, tuple[Trunk, Line]] = {}
        self.idle: tuple[TrunkState, ...] = ()
        self.forgiven: list[str] = []
        self.leases = MemoryRegistrationLeases()
        self.keeper = TrunkLines(self._make, self, OneRegistration(self.leases, "us"), again_s=0.01)

    def _make(self, trunk: Trunk) -> Told:
        self.made.append(Told(trunk, self.story, self.why_down))
        return self.made[-1]

    def reload(self, lines: Mapping[str, tuple[Trunk, Line]], idle: Iterable[TrunkState]) -> None:
        self.lines, self.idle = dict(lines), tuple(idle)

    def forgive(self, trunk_id: str) -> None:
        self.forgiven.append(trunk_id)

    async def obey(self, *entries: Entry) -> None:
        self.keeper.obey(entries)
        await self.keeper.settled()

    def why_idle(self) -> dict[str, tuple[Admin, str]]:
        return {one.trunk.id: (one.admin, one.why_down) for one in self.idle}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.keeper.aclose()


def entry(trunk: Trunk = TRUNK, state: AdminState = AdminState.ENABLED, minutes: int = 0, problem: str = "") -> Entry:
    return Entry(trunk, ManagedBy.API, LONG_AGO + timedelta(minutes=minutes), state, problem=problem)


def asked(registers: bool, minutes: int) -> Entry:
    return replace(entry(), registers=registers, asked_at=LONG_AGO + timedelta(minutes=minutes))


def at(host: str) -> Trunk:
    return replace(TRUNK, uris=(TrunkUri(host),))


async def a_call(line: Line, directory: Path) -> None:
    """One that only ends when somebody ends it."""
    audio = tone(directory / "tone.wav", 200)
    await line.dial(Dial("call_1", "sip:12025550100@192.0.2.1", "<sip:1@192.0.2.1>", audio, then=AfterScript.WAIT))


async def test_a_new_trunk_gets_lines_and_registers(world: World) -> None:
    await world.obey(entry())
    await until(lambda: "a@192.0.2.1 registers" in world.story)

    assert world.lines["a"] == (TRUNK, world.made[0])
    assert world.idle == ()
    assert world.story == [f"a@192.0.2.1 {what}" for what in ("unregisters", "starts", "registers")]


async def test_a_removed_trunk_keeps_its_calls_and_closes_after_the_last(world: World, tmp_path: Path) -> None:
    await world.obey(entry())
    await a_call(world.made[0], tmp_path)
    await world.obey()

    assert (dict(world.lines), world.idle) == ({}, ())
    await until(lambda: "a@192.0.2.1 signed off" in world.story)
    assert "a@192.0.2.1 closes" not in world.story
    assert [line.capacity().busy for _, line in world.keeper.draining()] == [1]
    world.made[0].lose("call_1")
    await until(lambda: world.story[-1] == "a@192.0.2.1 closes")
    await until(lambda: not world.keeper.draining())


async def test_a_changed_trunk_has_new_lines_while_calls_go_on_on_the_old_ones(world: World, tmp_path: Path) -> None:
    await world.obey(entry())
    await a_call(world.made[0], tmp_path)
    await world.obey(entry(at("192.0.2.2")))

    assert world.lines["a"] == (at("192.0.2.2"), world.made[1])
    assert world.made[0].capacity().busy == 1
    assert "a@192.0.2.1 closes" not in world.story


async def test_the_new_lines_register_when_the_old_ones_have_signed_off(world: World) -> None:
    await world.obey(entry())
    world.made[0].gate.clear()
    await world.obey(entry(at("192.0.2.2")))
    await until(lambda: "a@192.0.2.1 signs off" in world.story)
    await world.obey(entry(at("192.0.2.3")))  # once more, before the first are done
    await until(lambda: "a@192.0.2.2 signed off" in world.story)
    assert not [line for line in world.story if line.endswith(("2 registers", "3 registers"))]

    world.made[0].gate.set()

    await until(lambda: "a@192.0.2.3 registers" in world.story)
    assert world.story.index("a@192.0.2.1 signed off") < world.story.index("a@192.0.2.3 registers")


async def test_what_is_read_for_each_call_needs_no_new_lines(world: World) -> None:
    cheaper = replace(TRUNK, price="0.01", prefixes=("234",), caller_ids=("2347080670000",))
    await world.obey(entry())
    await world.obey(entry(cheaper, minutes=1))

    assert world.lines["a"] == (cheaper, world.made[0])
    assert len(world.made) == 1


@pytest.mark.parametrize("state", [AdminState.DISABLED, AdminState.DRAINING])
async def test_a_trunk_that_takes_no_calls_gives_its_lines_up_and_gets_others(world: World, state: AdminState) -> None:
    await world.obey(entry())
    await world.obey(entry(state=state, minutes=1))
    assert world.why_idle() == {"a": (Admin(state.value), "")}
    await until(lambda: "a@192.0.2.1 closes" in world.story)

    await world.obey(entry(minutes=2))

    assert world.lines["a"] == (TRUNK, world.made[1])


async def test_an_operators_word_about_the_registration_is_heeded_each_time_it_is_said(world: World) -> None:
    await world.obey(entry())
    await until(lambda: world.story[-1] == "a@192.0.2.1 registers")
    for registers, minutes in ((False, 1), (True, 2), (True, 3)):
        await world.obey(asked(registers, minutes))
    await world.obey(asked(True, 3))

    assert world.story[-3:] == [f"a@192.0.2.1 {what}" for what in ("unregisters", "registers", "registers")]
    assert (world.forgiven, len(world.made)) == (["a"] * 3, 1)


async def test_lines_that_are_new_do_not_register_when_nobody_wants_it(world: World) -> None:
    await world.obey(asked(False, 1))
    await until(lambda: "a" in world.lines)
    await until(lambda: world.story.count("a@192.0.2.1 unregisters") == 2)

    assert "a@192.0.2.1 registers" not in world.story


async def test_off_and_on_between_two_looks_is_forgiven(world: World) -> None:
    await world.obey(entry())
    await world.obey(entry())
    assert world.forgiven == []

    await world.obey(entry(minutes=2))

    assert (world.forgiven, len(world.made)) == (["a"], 1)


async def test_a_trunk_whose_lines_do_not_start_says_why_and_is_tried_again(world: World) -> None:
    world.why_down = "no 36 free UDP ports on 192.0.2.9"
    await world.obey(entry())
    assert world.why_idle() == {"a": (Admin.ENABLED, "no 36 free UDP ports on 192.0.2.9")}
    await until(lambda: len(world.made) > 2)
    assert world.lines == {}

    world.why_down = ""

    await until(lambda: "a" in world.lines)
    assert world.idle == ()


async def test_one_that_fails_leaves_the_others_alone(world: World) -> None:
    world.why_down = "no route"
    await world.obey(entry())
    world.why_down = ""
    other = replace(TRUNK, id="b")

    world.keeper._again_s = 3600.0  # whatever comes: not the first one again
    await world.obey(entry(), entry(other))

    assert "b" in world.lines


async def test_an_operator_who_touches_a_trunk_that_is_down_does_not_wait(world: World) -> None:
    world.keeper._again_s = 3600.0
    world.why_down = "no route"
    await world.obey(entry())
    world.why_down = ""

    await world.obey(entry(minutes=1))

    await until(lambda: "a" in world.lines)


async def test_few_start_at_once_and_a_start_that_hangs_does_not_keep_the_others(world: World) -> None:
    hangs, at_once, most = asyncio.Event(), 0, 0

    class Slow(Told):
        async def start(self) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await super().start()
            if self.trunk.id == "a":
                await hangs.wait()
            at_once -= 1

    world.keeper._make = lambda trunk: Slow(trunk, world.story)
    many = [entry(replace(TRUNK, id=f"t{n}")) for n in range(3 * AT_ONCE)]
    world.keeper.obey([entry(), *many])

    await until(lambda: len(world.lines) == len(many))
    assert most == AT_ONCE
    assert world.why_idle() == {"a": (Admin.ENABLED, STARTING)}
    hangs.set()
    await until(lambda: "a" in world.lines)


async def test_what_goes_wrong_unexpectedly_is_one_trunks_trouble(world: World) -> None:
    def broken(trunk: Trunk) -> Told:
        raise OSError("the disk is gone")

    world.keeper._make = broken
    await world.obey(entry())

    assert "the log of the dialer says why" in world.why_idle()["a"][1]


async def test_an_entry_that_cannot_be_used_is_down_and_says_why(world: World) -> None:
    await world.obey(entry(problem="its password cannot be read"))

    assert world.why_idle() == {"a": (Admin.ENABLED, "its password cannot be read")}
    assert world.made == []


async def test_closing_ends_what_is_open_what_drains_and_what_still_starts(world: World, tmp_path: Path) -> None:
    await world.obey(entry())
    await a_call(world.made[0], tmp_path)
    await world.obey(entry(at("192.0.2.2")))
    world.keeper.obey((entry(at("192.0.2.2")), entry(replace(TRUNK, id="b", uris=(TrunkUri("192.0.2.3"),)))))
    await until(lambda: "b@192.0.2.3 starts" in world.story)

    await world.keeper.aclose()

    assert world.made[0].capacity().busy == 0
    assert {line for line in world.story if line.endswith("closes")} == {
        f"{name} closes" for name in ("a@192.0.2.1", "a@192.0.2.2", "b@192.0.2.3")
    }


READ_BY_LINES = {
    *("id", "uris", "type", "registration", "enabled", "sandbox", "channels", "cps", "codecs", "auth", "rtp"),
    *("bind_address", "public_address", "session_expires_s", "outbound_proxy", "register", "tls", "srtp", "dtmf"),
    *("inbound", "timers"),
}


def test_every_member_of_a_trunk_is_either_for_lines_or_for_each_call() -> None:
    """A member that is new here has to be thought about: does a change of it need new lines?"""
    changed = {name for name in (field.name for field in fields(Trunk)) if not same_lines(TRUNK, _other(name))}

    assert changed == READ_BY_LINES


def _other(name: str) -> Trunk:
    """Another value of that member; which one is all the same to the comparison."""
    return replace(TRUNK, **{name: object()})
