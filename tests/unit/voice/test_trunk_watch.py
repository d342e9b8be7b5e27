"""Several dialers watch the same trunks: each change is told once, with what the status said, to whom it belongs."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sip.events import Registered, RegistrationState, Trace
from sip.registrar import Registrar
from sip.simulated import SimulatedLine
from sip.trunk import Registration, Trunk
from tests.unit.voice.test_routing import trunk
from voice.routing import TrunkState
from voice.scores import MemoryScores
from voice.simulating import said
from voice.trunk_news import HOLD_S
from voice.trunk_record import MemoryTrunkRecord
from voice.trunk_status import said_of_registration
from voice.trunk_watch import TrunkWatch

TRUNK = replace(trunk(), registration=Registration.ONE)
URL = "https://ops.example/hook"


class World:
    """Dialers that say what the test wants, and a clock that it moves."""

    def __init__(self, watchers: int = 2, url: str | None = URL) -> None:
        self.record = MemoryTrunkRecord()
        self.words: list[Mapping[str, Any]] = []
        self._now = datetime(2026, 11, 24, 12, tzinfo=UTC)
        self.watchers = [
            TrunkWatch(self.record, MemoryScores(), self.dialers, self, account="main", url=url)
            for _ in range(watchers)
        ]

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    async def dialers(self) -> Sequence[Mapping[str, Any]]:
        await asyncio.sleep(0)
        return self.words

    async def holds(self, *words: Mapping[str, Any], trunks: tuple[Trunk, ...] = (TRUNK,)) -> None:
        self.words = list(words)
        for _ in range(int(HOLD_S) + 2):
            await asyncio.gather(*(one.look(trunks) for one in self.watchers))
            self._now += timedelta(seconds=1)

    async def events(self, owner: str = "main.live") -> list[dict[str, Any]]:
        return list((await self.record.feed(owner, "0-0", 100)).events)


def word(why: str = "", state: Registered = Registered.YES, code: int = 200, reason: str = "OK") -> dict[str, Any]:
    registration = RegistrationState(state, 1.0, code, reason)
    return {
        "routes": {TRUNK.id: said(TrunkState(TRUNK, why_down=why))},
        "registrations": {TRUNK.id: said_of_registration(registration)},
    }


REFUSED = word("its login was refused: 401 Unauthorized", Registered.AUTH_REJECTED, 401, "Unauthorized")


async def test_each_change_is_told_once_however_many_look() -> None:
    world = World(watchers=5)
    await world.holds(word())
    await world.holds(REFUSED)
    await world.holds(word())

    events = await world.events()
    assert [one["type"] for one in events] == [
        "trunk.registered",
        "trunk.down",
        "trunk.auth_rejected",
        "trunk.up",
        "trunk.registered",
    ]
    assert [one["sequence"] for one in events] == [1, 2, 3, 4, 5]
    assert len({one["id"] for one in events}) == 5


async def test_an_event_carries_the_status_of_that_moment_and_its_webhook_the_same() -> None:
    world = World()
    await world.holds(word())
    await world.holds(REFUSED)

    event = (await world.events())[-1]
    [hook] = [one for one in world.record.deliveries if one.event_id == event["id"]]
    assert event["data"]["why"] == "its login was refused: 401 Unauthorized"
    assert (event["data"]["state"], event["data"]["registration"]["last_code"]) == ("down", 401)
    assert json.loads(hook.body) == {name: event[name] for name in ("type", "timestamp", "data")}
    assert hook.url == URL
    assert (event["data"]["trunk_id"], event["data"]["sequence"]) == (TRUNK.id, event["sequence"])


async def test_one_of_two_dialers_that_cannot_use_it_makes_it_degraded() -> None:
    world = World()
    await world.holds(word(), word())
    await world.holds(word(), word("trunk_timeout"))

    event = (await world.events())[-1]
    assert (event["type"], event["data"]["why"]) == ("trunk.degraded", "trunk_timeout")


async def test_a_watcher_that_comes_later_knows_what_was_told() -> None:
    world = World(watchers=1)
    await world.holds(REFUSED)
    before = await world.events()
    world.watchers = World(watchers=1).watchers
    for one in world.watchers:
        one._record, one._dialers, one._clock = world.record, world.dialers, world

    await world.holds(REFUSED)

    assert await world.events() == before


async def test_the_events_of_a_sandbox_trunk_are_the_test_keys() -> None:
    world = World(url=None)
    await world.holds(word("trunk_timeout"), trunks=(replace(TRUNK, sandbox=True),))

    assert [one["type"] for one in await world.events("main.test")] == ["trunk.down", "trunk.registered"]
    assert await world.events("main.live") == []
    assert world.record.deliveries == []


async def test_the_ladder_of_a_registration_is_kept_when_it_grew() -> None:
    world, line = World(), SimulatedLine()
    line.registrar = Registrar()
    await world.watchers[0].keep_ladders({TRUNK.id: (TRUNK, line)})
    nothing = await world.record.ladder(TRUNK.id)
    line.registrar.trace(Trace(TRUNK.id, 1.0, True, "192.0.2.1:5060", "REGISTER sip:a SIP/2.0\r\n\r\n"))
    await world.watchers[0].keep_ladders({TRUNK.id: (TRUNK, line)})

    kept = await world.record.ladder(TRUNK.id)
    assert nothing is None
    assert kept is not None
    assert [row["first_line"] for row in json.loads(kept)] == ["REGISTER sip:a SIP/2.0"]
