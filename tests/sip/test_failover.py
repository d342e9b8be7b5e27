"""The dialer over real SIP with several carriers: who is asked next, and who never is."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sip.line import Line
from sip.lines import Lines
from sip.trunk import Credentials, Failover, Trunk, TrunkUri
from tests import sipp
from tests.dialer_bench import Bench
from tests.until import time_passes
from tests.valkey import TestValkey
from tests.voice_values import HOOK, now
from voice.call_object import call_object
from voice.calls import Call, Status
from voice.dialer import Dialer
from voice.messages import Gather, Outcome, Recipient, Script
from voice.store import Intake, Intent, Lane
from voice.store_valkey import ValkeyCallStore

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]
NUMBER = "2348020000000"


class Carriers:
    """Trunks a, b, c in this order of priority, each with its own SIPp; one live call, and what came of it."""

    def __init__(self, stack: AsyncExitStack, valkey: TestValkey, directory: Path) -> None:
        self._stack, self._valkey, self._directory = stack, valkey, directory
        self.uas: dict[str, sipp.Sipp] = {}
        self.store = ValkeyCallStore(valkey.redis, valkey.blocking, valkey.prefix)

    async def call(self, *scenarios: str, policy: Failover | None = None) -> list[Call]:
        async with self.dialer(*scenarios, policy=policy) as (bench, _):
            intake = await bench.call(NUMBER, sandbox=False, owner="main.live", callbacks=(HOOK,))
            calls = await self.legs(intake)
        assert await self.store.queued(Lane.LIVE) == 0
        return calls

    async def legs(self, intake: Intake) -> list[Call]:
        """All of them, when the last one is final."""
        calls: list[Call] = []
        while len(calls) < len((recipient := await self._recipient(intake)).call_ids):
            calls.append(await self._final(recipient.call_ids[len(calls)]))
        assert recipient.call_ids == tuple(call.call_id for call in calls)
        assert recipient.outcome is not Outcome.PENDING
        return calls

    async def next_leg(self, intake: Intake) -> str:
        """When it is stored: with the end of the first one."""
        await self._final(intake.calls[0].call_id)
        [_, call_id] = (await self._recipient(intake)).call_ids
        return call_id

    @asynccontextmanager
    async def dialer(
        self, *scenarios: str, policy: Failover | None = None, channels: int = 2
    ) -> AsyncIterator[tuple[Bench, Dialer]]:
        lines: dict[str, tuple[Trunk, Line]] = {}
        for priority, (name, scenario) in enumerate(zip("abc", scenarios, strict=False), 1):
            uas = self.uas[name] = await self._stack.enter_async_context(sipp.Sipp(scenario, self._directory))
            uri = TrunkUri("127.0.0.1", uas.port)
            trunk = Trunk(
                name,
                name,
                (uri,),
                priority=priority,
                cps=20.0,
                channels=channels,
                auth=Credentials("us", "carrier", "wrong"),
                failover=policy or Failover(),
            )
            line = Lines(trunk, most=2, journal_dir=self._directory / "lines" / name)
            self._stack.push_async_callback(line.aclose)
            await line.start()
            lines[name] = (trunk, line)
        bench = Bench(self.store, self._directory / "dialer", lines)
        async with bench.run() as dialer:
            yield bench, dialer

    async def _recipient(self, intake: Intake) -> Recipient:
        [recipient] = await self.store.recipients(intake.message.ref_id, 0, 1)
        return recipient

    async def _final(self, call_id: str) -> Call:
        async for _ in self.store.follow(call_id, 0):
            pass
        call = await self.store.call(None, call_id)
        assert call is not None
        return call

    def invites(self) -> dict[str, int]:
        """How often the phone was dialled over each: an INVITE repeated by the transaction layer counts once."""
        return {name: len({one.header("Call-ID") for one in uas.received("INVITE")}) for name, uas in self.uas.items()}


@pytest.fixture
async def carriers(valkey: TestValkey, tmp_path: Path) -> AsyncIterator[Carriers]:
    async with AsyncExitStack() as stack:
        yield Carriers(stack, valkey, tmp_path)


async def test_503_at_the_first_rings_once_at_the_second(carriers: Carriers, ear: sipp.Ear) -> None:
    calls = await carriers.call(sipp.refuses("503 Service Unavailable"), sipp.answers(ear.port), sipp.answers(ear.port))

    assert carriers.invites() == {"a": 1, "b": 1, "c": 0}
    assert [(call.status.value, call.trunk_id, call.hop, call.attempt) for call in calls] == [
        ("failed", "a", 1, 1),
        ("completed", "b", 2, 1),
    ]
    assert [call_object(call)["route"] for call in calls] == [
        {"trunk": "a", "hop": 1, "why": "first of 3 by priority, weight and price"},
        {"trunk": "b", "hop": 2, "why": "after a: first of 2 by priority, weight and price"},
    ]
    for call in calls:
        assert [event.type for event in await carriers.store.events(call.call_id)].count("call.ended") == 1
    assert (await carriers.store.tally(calls[0].ref_id)).by_outcome == {Outcome.DELIVERED: 1}


async def test_the_next_trunk_rings_once_when_a_channel_of_it_comes_free(carriers: Carriers, ear: sipp.Ear) -> None:
    waits_for_a_key = Script(gather=Gather(timeout_ms=60_000))
    scenarios = sipp.refuses("503 Service Unavailable"), sipp.answers(ear.port)
    async with carriers.dialer(*scenarios, channels=1) as (bench, _):
        other = await bench.call(
            "2348020000001", sandbox=False, owner="main.live", trunk_id="b", script=waits_for_a_key
        )
        await bench.reaches(other, "call.answered")
        intake = await bench.call(NUMBER, sandbox=False, owner="main.live", callbacks=(HOOK,))
        waiting = await carriers.next_leg(intake)
        await time_passes(2.0)  # as long as it takes: looked at again, and turned away again
        assert [event.type for event in await carriers.store.events(waiting)] == ["call.queued"]
        assert carriers.invites() == {"a": 1, "b": 1}
        await carriers.store.intend(other.calls[0].call_id, Intent.CANCEL)
        calls = await carriers.legs(intake)

    assert [(call.status.value, call.trunk_id, call.hop, call.attempt) for call in calls] == [
        ("failed", "a", 1, 1),
        ("completed", "b", 2, 1),
    ]
    assert carriers.invites() == {"a": 1, "b": 2}
    assert sum(NUMBER in one.first for one in carriers.uas["b"].received("INVITE")) == 1
    assert [len(ids) for ids in carriers.uas["b"].dialogs().values()] == [1, 1]
    assert (await carriers.store.tally(intake.message.ref_id)).by_outcome == {Outcome.DELIVERED: 1}


async def test_three_refusals_end_after_the_last_trunk(carriers: Carriers) -> None:
    calls = await carriers.call(*[sipp.refuses("500 Server Internal Error")] * 3, policy=Failover(max_hops=9))

    assert carriers.invites() == {"a": 1, "b": 1, "c": 1}
    assert [(call.hop, call.trunk_id, call.tried) for call in calls] == [
        (1, "a", ()),
        (2, "b", ("a",)),
        (3, "c", ("a", "b")),
    ]
    assert (await carriers.store.tally(calls[0].ref_id)).by_outcome == {Outcome.UNDELIVERED: 1}


@pytest.mark.parametrize("status", ["603 Decline", "486 Busy Here", "600 Busy Everywhere", "404 Not Found"])
async def test_what_is_final_at_the_first_is_never_tried_at_the_second(
    carriers: Carriers, ear: sipp.Ear, status: str
) -> None:
    policy = Failover(on=("603", "486", "600", "call_declined", "user_busy"))

    await carriers.call(sipp.refuses(status), sipp.answers(ear.port), policy=policy)

    assert carriers.invites() == {"a": 1, "b": 0}


@pytest.mark.parametrize(
    "scenario",
    [
        lambda port: sipp.rings_then_refuses("180 Ringing", "503 Service Unavailable"),
        lambda port: sipp.rings_then_refuses("183 Session Progress", "503 Service Unavailable", sdp_port=port),
    ],
)
async def test_what_rang_once_is_not_rung_again_by_another_way(
    carriers: Carriers, ear: sipp.Ear, scenario: Callable[[int], str]
) -> None:
    await carriers.call(scenario(ear.port), sipp.answers(ear.port), policy=Failover(on=("503", "trunk_failure")))

    assert carriers.invites() == {"a": 1, "b": 0}


@pytest.mark.parametrize(("listed", "second"), [((), 0), (("trunk_timeout",), 1)])
async def test_silence_is_not_redialled_unless_its_cause_is_listed(
    carriers: Carriers, ear: sipp.Ear, listed: tuple[str, ...], second: int
) -> None:
    calls = await carriers.call(sipp.is_silent(), sipp.answers(ear.port), policy=Failover(on=listed))

    assert carriers.invites() == {"a": 1, "b": second}
    assert calls[0].ending is not None
    assert (calls[0].ending.cause, calls[0].ending.may_have_rung) == ("trunk_timeout", True)


@pytest.mark.parametrize(
    ("scenario", "why"),
    [
        (sipp.refuses("503 Service Unavailable", "Retry-After: 90"), "Retry-After"),
        (sipp.refuses("402 Payment Required"), "no credit"),
        (sipp.asks_for_a_login(2, "carrier"), "auth_rejected"),
    ],
)
async def test_a_trunk_that_refuses_us_altogether_gets_no_more_calls(
    carriers: Carriers, scenario: str, why: str
) -> None:
    async with carriers.dialer(scenario) as (bench, dialer):
        first = await bench.call(NUMBER, sandbox=False, owner="main.live")
        await bench.final(first)
        [problem] = dialer.problems()
        soon = now() + timedelta(seconds=1)
        second = await bench.final(await bench.call(NUMBER, sandbox=False, owner="main.live", valid_until=soon))

    assert why in problem
    assert second.status is Status.EXPIRED
    assert carriers.invites() == {"a": 1}
