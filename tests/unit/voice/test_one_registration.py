"""One dialer of several registers: who takes it, who gives it up, and what the others show meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from messaging.errors import Unavailable
from sip.events import Registered, RegistrationState
from sip.registrar import Holding, Registrar
from sip.simulated import SimulatedLine
from tests.until import until
from voice.one_registration import EVERY_S, SURE_S, OneRegistration
from voice.registration_lease import LEASE_S, NOBODY, MemoryRegistrationLeases

YES = RegistrationState(Registered.YES, 1.0, 200, "OK", 301.0, 0, 241.0)
AWAY = RegistrationState(Registered.UNREACHABLE, 2.0, failures=1)
REFUSED = RegistrationState(Registered.AUTH_REJECTED, 2.0, 401, "Unauthorized", None, 1)


class Store(MemoryRegistrationLeases):
    """It can be away."""

    away, asked_at = False, 0.0

    async def hold(self, trunk_id: str, token: str, says: Holding, *, take: bool = True) -> Holding | None:
        if self.away:
            raise Unavailable
        self.asked_at = asyncio.get_running_loop().time()
        return await super().hold(trunk_id, token, says, take=take)


class Line(SimulatedLine):
    """It is registered at once, by one process of its own."""

    def __init__(self, story: list[str], name: str) -> None:
        super().__init__(most=4)
        self._story, self._name = story, name
        self.registrar: Registrar = Registrar()
        self.process(is_there=True)
        self.reaches_the_registrar = True
        self.gate = asyncio.Event()
        self.gate.set()

    def process(self, *, is_there: bool) -> None:
        if is_there:
            self.registrar.note(1, RegistrationState(Registered.STOPPED, 0.0))
        else:
            self.registrar.gone(1, "it died")

    def register(self) -> None:
        self._story.append(f"{self._name} registers")
        self.registrar.wanted = True
        self.registrar.note(1, YES if self.reaches_the_registrar else AWAY)

    def unregister(self) -> None:
        self._story.append(f"{self._name} unregisters")
        self.registrar.wanted = False
        if self.registrar.able:
            self.registrar.note(1, RegistrationState(Registered.STOPPED, 3.0))

    async def sign_off(self) -> None:
        self._story.append(f"{self._name} signs off")
        await self.gate.wait()
        self._story.append(f"{self._name} signed off")


LONG_S, SHORT_S = 60.0, 1.0  # a busy machine may hold up a loop for a moment: only what is about loss is short


class World:
    """Dialers of one store."""

    def __init__(self, sure_s: float) -> None:
        self.sure_s = sure_s
        self.patience_s = LONG_S
        self.store, self.story = Store(), list[str]()
        self.dialers: list[OneRegistration] = []

    def dialer(
        self, name: str, *, able: bool = True, registers: bool = True, reaches_the_registrar: bool = True
    ) -> tuple[OneRegistration, Line]:
        one = OneRegistration(self.store, name, every_s=0.02, sure_s=self.sure_s, patience_s=self.patience_s)
        line = Line(self.story, name)
        line.reaches_the_registrar = reaches_the_registrar
        if not able:
            line.process(is_there=False)
        one.heed("a", line, line.registrar, registers=registers)
        self.dialers.append(one)
        return one, line


@pytest.fixture
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    world = World(getattr(request, "param", LONG_S))
    yield world
    for one in world.dialers:
        one.leave()
        await one.aclose()


def registered_by(line: Line, holder: str) -> bool:
    return (line.registrar.holder, line.registrar.why_not()) == (holder, "")


async def test_one_of_two_registers_and_the_other_says_by_whom_and_dials(world: World) -> None:
    _, first = world.dialer("A")
    await until(lambda: registered_by(first, "A"))
    _, second = world.dialer("B")
    await until(lambda: registered_by(second, "A"))

    assert world.story == ["A registers"]
    assert (second.registrar.state(), second.registrar.is_here) == (YES, False)
    assert first.registrar.is_here


async def test_what_the_holder_hears_from_its_registrar_is_so_for_all(world: World) -> None:
    _, first = world.dialer("A")
    await until(lambda: registered_by(first, "A"))
    _, second = world.dialer("B")
    first.registrar.note(1, REFUSED)

    await until(lambda: second.registrar.state() == REFUSED)

    assert second.registrar.why_not() == first.registrar.why_not() == "its login was refused: 401 Unauthorized"
    assert world.story == ["A registers"]


async def test_until_somebody_has_it_nobody_is_registered(world: World) -> None:
    _, line = world.dialer("A", able=False)

    assert line.registrar.why_not() == NOBODY.why_not
    assert line.registrar.holder == ""


async def test_signed_off_it_is_the_next_ones_but_not_before_the_registrar_knows(world: World) -> None:
    one, first = world.dialer("A")
    await until(lambda: registered_by(first, "A"))
    _, second = world.dialer("B")
    first.gate.clear()
    leaving = asyncio.create_task(one.sign_off(first))
    await until(lambda: "A signs off" in world.story)
    await until(lambda: registered_by(second, "A"))
    first.gate.set()
    await leaving
    await until(lambda: registered_by(second, "B"))

    assert world.story == ["A registers", "A signs off", "A signed off", "B registers"]


async def test_lines_without_a_process_leave_it_to_others_and_take_it_when_they_have_one(world: World) -> None:
    _, line = world.dialer("A", able=False)
    one, other = world.dialer("B")
    await until(lambda: registered_by(other, "B"))
    await until(lambda: registered_by(line, "B"))
    line.process(is_there=True)
    await one.sign_off(other)
    await until(lambda: registered_by(line, "A"))

    assert world.story == ["B registers", "B signs off", "B signed off", "A registers"]


@pytest.mark.parametrize("world", [SHORT_S], indirect=True)
async def test_a_holder_whose_process_does_not_come_back_loses_it(world: World) -> None:
    _, line = world.dialer("A")
    await until(lambda: registered_by(line, "A"))
    line.process(is_there=False)

    await until(lambda: line.registrar.holder == "")

    assert world.story[-1] == "A unregisters"


@pytest.mark.parametrize("world", [SHORT_S], indirect=True)
async def test_without_the_store_the_holder_keeps_it_for_its_time_and_takes_it_back_before_its_end(
    world: World,
) -> None:
    _, first = world.dialer("A")
    await until(lambda: registered_by(first, "A"))
    _, second = world.dialer("B")
    await until(lambda: registered_by(second, "A"))
    world.store.away = True
    await until(lambda: first.registrar.holder == "")
    kept_s = asyncio.get_running_loop().time() - world.store.asked_at
    told = world.story[-1]
    world.store.away = False
    world.store.drop("a")
    await until(lambda: registered_by(first, "A") or registered_by(second, "B"))

    assert kept_s > SHORT_S * 0.9  # from when it asked last; B may have asked a little later
    assert told == "A unregisters"


async def test_a_holder_that_does_not_reach_the_registrar_lets_another_dialer_try(world: World) -> None:
    world.patience_s = 0.1
    _, cut_off = world.dialer("A", reaches_the_registrar=False)
    await until(lambda: cut_off.registrar.holder == "A")
    _, other = world.dialer("B")
    await until(lambda: registered_by(other, "B"))
    await until(lambda: registered_by(cut_off, "B"))

    assert world.story == ["A registers", "A unregisters", "B registers"]


async def test_a_dialer_alone_goes_on_trying_and_is_more_patient_each_time(world: World) -> None:
    world.patience_s = 0.05
    _, alone = world.dialer("A", reaches_the_registrar=False)
    loop = asyncio.get_running_loop()
    began = loop.time()

    await until(lambda: world.story.count("A registers") == 4)

    assert loop.time() - began >= 0.05 + 0.1 + 0.2
    alone.reaches_the_registrar = True
    await until(lambda: registered_by(alone, "A"))


async def test_a_login_that_was_refused_is_handed_to_nobody(world: World) -> None:
    world.patience_s = 0.01
    _, first = world.dialer("A")
    await until(lambda: registered_by(first, "A"))
    first.registrar.note(1, REFUSED)
    _, second = world.dialer("B")
    await until(lambda: second.registrar.state() == REFUSED)
    asked_at = world.store.asked_at
    await until(lambda: world.store.asked_at > asked_at + 0.1)

    assert world.story == ["A registers"]


async def test_a_holder_that_overslept_leaves_it_to_whoever_has_it_now(world: World) -> None:
    _, first = world.dialer("A")
    await until(lambda: registered_by(first, "A"))
    world.store.drop("a")
    await world.store.hold("a", "another", Holding("B", YES))
    await until(lambda: registered_by(first, "B"))

    assert world.story == ["A registers", "A unregisters"]


async def test_the_operators_word_is_the_holders_alone(world: World) -> None:
    one, first = world.dialer("A")
    await until(lambda: registered_by(first, "A"))
    other, second = world.dialer("B")
    for each, line in ((one, first), (other, second)):
        each.heed("a", line, line.registrar, registers=False)
    await until(lambda: second.registrar.why_not() == "its registration was taken back")
    for each, line in ((one, first), (other, second)):
        each.heed("a", line, line.registrar, registers=True)
    await until(lambda: registered_by(second, "A"))

    assert world.story == ["A registers", "A unregisters", "A registers"]


def test_it_is_taken_back_before_another_can_have_it() -> None:
    assert EVERY_S * 2 < SURE_S < LEASE_S
