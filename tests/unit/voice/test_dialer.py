"""The dialer over simulated lines and both stores: every call ends once, truly, and is never dialled twice."""

import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from media.prompt import Prompt
from sip.commands import Dial
from sip.line import Line
from sip.simulated import SimulatedLeg
from sip.trunk import Failover, Trunk
from tests.dialer_bench import SANDBOX, UNSPEAKABLE, Bench, Faulty, Spied
from tests.until import time_passes, until
from tests.valkey import TestValkey
from tests.voice_values import HOOK, an_ending, an_intake, dialed, now, step
from voice.calls import Call, Status
from voice.dialer import Dialer
from voice.messages import Gather, MessageStatus, Outcome, SandboxScript, Script
from voice.routing import Admin, Skip, TrunkState, candidates, wanted_by
from voice.store import CallStore, Intake, Intent, Lane, Lease, Verdict
from voice.store_memory import MemoryCallStore
from voice.store_valkey import ValkeyCallStore
from voice.telling import retold

GRACE_S = 0.2


@pytest.fixture(params=["memory", "valkey"])
def store(request: pytest.FixtureRequest) -> CallStore:
    if request.param == "memory":
        return MemoryCallStore(orphan_grace_s=GRACE_S)
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyCallStore(server.redis, server.blocking, server.prefix, orphan_grace_s=GRACE_S)


@pytest.fixture
async def line() -> AsyncIterator[Spied]:
    line = Spied()
    yield line
    await line.aclose()


@pytest.fixture
def bench(store: CallStore, line: Spied, tmp_path: Path) -> Bench:
    return Bench(store, tmp_path, {"sandbox": (SANDBOX, line)})


def told(call: Call) -> tuple[str, str, bool]:
    assert call.ending is not None
    return call.status.value, call.ending.cause, call.ending.may_have_rung


async def test_a_trunk_whose_day_is_spent_takes_no_more_calls_and_says_why(bench: Bench, line: Spied) -> None:
    """A call talks for less than a second and costs 1; at its most, 5 s and 2 more to hang up, it would cost 7."""
    bench.lines = {"sandbox": (replace(SANDBOX, price="60", daily_amount="9"), line)}
    async with bench.run() as dialer:
        for _ in range(3):
            assert (await bench.final(await bench.call(script=Script(max_duration_s=5)))).status is Status.COMPLETED
        waiting = await bench.call(script=Script(max_duration_s=5))
        await until(lambda: dialer.states()[0].spent != "")
        [found] = candidates(dialer.states(), wanted_by(waiting.calls[0], waiting.message), bench.clock.now())

        assert found.skip is Skip.SPENT
        assert "9 is spent" in found.why
        call = await bench.store.call(None, waiting.calls[0].call_id)

    assert call is not None
    assert call.status is Status.QUEUED
    assert len(line.dials) == 3


# -- how calls end


async def test_a_message_is_heard_to_the_end_and_its_story_is_whole(bench: Bench, line: Spied) -> None:
    async with bench.run():
        intake = await bench.call(callbacks=(HOOK,))
        call = await bench.final(intake)
    assert told(call) == ("completed", "normal_clearing", False)
    assert call.ending is not None
    assert (call.ending.played_to_end, call.ending.heard_ms, call.ending.source) == (True, 400, "platform")
    assert (call.trunk_id, call.wire_to, call.codec) == ("sandbox", "12025550100", "PCMA")
    events = await bench.store.events(call.call_id)
    assert [event.type for event in events] == [
        "call.queued",
        "call.dialing",
        "call.ringing",
        "call.answered",
        "call.ended",
    ]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    tally = await bench.store.tally(call.ref_id)
    assert (tally.by_outcome, tally.status) == ({Outcome.DELIVERED: 1}, MessageStatus.FINISHED)
    assert [dial.call_id for dial in line.dials] == [call.call_id]
    assert bench.journal.open_entries() == ()


@pytest.mark.parametrize(
    ("number", "status", "cause"),
    [
        ("12025550101", "busy", "user_busy"),
        ("12025550102", "no_answer", "ring_timeout"),
        ("12025550103", "rejected", "call_declined"),
        ("12025550104", "failed", "unallocated_number"),
        ("12025550106", "failed", "trunk_failure"),
    ],
)
async def test_a_magic_number_ends_as_it_promises(bench: Bench, number: str, status: str, cause: str) -> None:
    async with bench.run():
        intake = await bench.call(number, script=Script(ring_timeout_s=2))
        call = await bench.final(intake)

    assert told(call) == (status, cause, False)
    assert (await bench.store.tally(call.ref_id)).by_outcome == {Outcome.UNDELIVERED: 1}


async def test_a_valid_key_ends_the_call_and_a_wrong_one_does_not(bench: Bench) -> None:
    asking = Script(gather=Gather(timeout_ms=5000, valid="1"))
    async with bench.run():
        intake = await bench.call("12025550113", script=asking)
        call = await bench.final(intake)

    assert (call.digits, call.status) == ("71", Status.COMPLETED)
    assert (await bench.store.tally(call.ref_id)).by_outcome == {Outcome.DELIVERED: 1}
    assert [event.type for event in await bench.store.events(call.call_id)].count("call.dtmf") == 2


async def test_silence_after_the_question_ends_the_call(bench: Bench) -> None:
    async with bench.run():
        intake = await bench.call(script=Script(gather=Gather(timeout_ms=300)))
        call = await bench.final(intake)

    assert told(call) == ("completed", "normal_clearing", False)
    assert call.digits == ""


async def test_each_call_leaves_by_a_trunk_that_may_show_its_caller_id(
    store: CallStore, line: Spied, tmp_path: Path
) -> None:
    other = Spied()
    a = replace(SANDBOX, id="a", priority=1, caller_ids=("2347080670000",))
    b = replace(SANDBOX, id="b", priority=2, caller_ids=("2347080670009",))
    bench = Bench(store, tmp_path, {"a": (a, line), "b": (b, other)})
    async with bench.run():
        for shown, trunk_id in (("2347080670000", "a"), ("2347080670009", "b")):
            intake = an_intake()
            intake = replace(intake, calls=(replace(intake.calls[0], from_number=shown),))
            await bench.store.accept(intake)
            call = await bench.final(intake)
            assert (told(call), call.trunk_id) == (("completed", "normal_clearing", False), trunk_id)
    await other.aclose()


async def test_a_caller_id_that_no_trunk_may_show_ends_its_call_at_once(
    store: CallStore, line: Spied, tmp_path: Path
) -> None:
    bench = Bench(store, tmp_path, {"a": (replace(SANDBOX, id="a", caller_ids=("2347080670000",)), line)})
    async with bench.run():
        call = await bench.final(await bench.call())

    assert told(call) == ("blocked", "caller_id_unverified", False)
    assert (call.start_at, line.dials) == (None, [])
    assert (await bench.store.tally(call.ref_id)).by_outcome == {Outcome.UNDELIVERED: 1}


async def test_without_audio_nothing_is_dialled(bench: Bench, line: Spied) -> None:
    async with bench.run():
        call = await bench.final(await bench.call(prompt=Prompt(text=UNSPEAKABLE)))

    assert told(call) == ("failed", "speech", False)
    assert call.ending is not None
    assert (call.ending.fault, call.ending.detail) == ("us", "no engine speaks that")
    assert (call.start_at, line.dials) == (None, [])


async def test_what_the_voice_could_not_do_is_told_with_the_call_and_the_message(bench: Bench) -> None:
    bench.prompts.warnings = ("voice 'male' not used: flite has no such voice", "could not read /opt/voices/male")
    async with bench.run():
        call = await bench.final(await bench.call())

    told_of = ("voice 'male' not used: flite has no such voice", "could not read …")
    assert (await bench.store.tally(call.ref_id)).warnings == call.warnings == told_of
    assert [one.call.warnings for one in retold(call, await bench.store.events(call.call_id))] == [(), *[told_of] * 4]


async def test_the_sandbox_is_told_what_to_do_and_every_invite_carries_our_id(bench: Bench, line: Spied) -> None:
    script = Script(sandbox=SandboxScript(answer_after=2, press="1@3s", hangup_after=10.5), record=True, repeat=2)
    async with bench.run():
        call = await bench.final(await bench.call(script=script))

    (dial,) = line.dials
    assert dict(dial.headers) == {
        "X-Call-Id": call.call_id,
        "X-Tocsin-Sandbox": "answer_after=2;press=1@3s;hangup_after=10.5",
    }
    assert (dial.uri, dial.repeat) == ("sip:12025550100@127.0.0.1:5070", 2)
    assert dial.record is not None
    assert dial.record.endswith(f"/rec/{call.call_id}.wav")


# -- wishes


async def test_a_call_canceled_before_its_audio_is_ready_is_never_dialled(bench: Bench, line: Spied) -> None:
    bench.prompts.gate.clear()
    async with bench.run():
        intake = await bench.call()
        await until(lambda: _asked(bench))
        await bench.store.intend(intake.calls[0].call_id, Intent.CANCEL)
        await until(lambda: _wished(bench, intake.calls[0].call_id))
        bench.prompts.gate.set()
        call = await bench.final(intake)

    assert told(call) == ("canceled", "canceled_by_api", False)
    assert line.dials == []
    assert (await bench.store.tally(call.ref_id)).status is MessageStatus.CANCELED


async def _asked(bench: Bench) -> bool:
    return bench.prompts.asked > 0


async def _wished(bench: Bench, call_id: str) -> bool:
    """The wish has had its time to reach the dialer: what comes next is its heartbeat or its wake-up."""
    return [intent for _, intent in await bench.store.extend(Lane.SANDBOX, {call_id: None}, 15.0)] == [Intent.CANCEL]


async def test_a_ringing_call_is_canceled_on_request(bench: Bench) -> None:
    async with bench.run():
        intake = await bench.call("12025550102")
        await bench.reaches(intake, "call.ringing")
        await bench.store.intend(intake.calls[0].call_id, Intent.CANCEL)
        call = await bench.final(intake)

    assert told(call) == ("canceled", "canceled_by_api", False)


async def test_a_call_in_progress_is_hung_up_on_request(bench: Bench) -> None:
    async with bench.run():
        intake = await bench.call(script=Script(gather=Gather(timeout_ms=60_000)))
        await bench.reaches(intake, "call.answered")
        await bench.store.intend(intake.calls[0].call_id, Intent.CANCEL)
        call = await bench.final(intake)

    assert call.status is Status.COMPLETED
    assert call.ending is not None
    assert call.ending.source == "api"


async def test_a_call_for_next_week_is_canceled_at_once(bench: Bench, line: Spied) -> None:
    week = now() + timedelta(days=7)
    async with bench.run():
        intake = await bench.call(due_at=week, valid_until=week + timedelta(hours=1))
        await bench.store.intend_all(intake.message.ref_id, Intent.CANCEL)
        call = await bench.final(intake)

    assert told(call) == ("canceled", "canceled_by_api", False)
    assert line.dials == []


# -- lines and trunks


async def test_more_calls_than_lines_wait_their_turn(store: CallStore, tmp_path: Path) -> None:
    line = Spied(most=2)
    bench = Bench(store, tmp_path, {"sandbox": (SANDBOX, line)})
    async with bench.run():
        intake = await bench.calls([f"120255502{index:02d}" for index in range(12)])
        calls = [await bench.final(intake, index) for index in range(12)]

    assert {call.status for call in calls} == {Status.COMPLETED}
    assert len(line.dials) == len({dial.call_id for dial in line.dials}) == 12


async def test_a_call_no_line_took_after_all_is_dialled_later(store: CallStore, tmp_path: Path) -> None:
    line = Spied(refuse=1)
    bench = Bench(store, tmp_path, {"sandbox": (SANDBOX, line)})
    async with bench.run():
        intake = await bench.call()
        call = await bench.final(intake)

    assert told(call)[0] == "completed"
    types = [event.type for event in await store.events(call.call_id)]
    assert types[:4] == ["call.queued", "call.dialing", "call.queued", "call.dialing"]
    assert len(line.dials) == 1


async def test_calls_leave_at_the_pace_of_their_trunk(store: CallStore, tmp_path: Path) -> None:
    line = Spied()
    bench = Bench(store, tmp_path, {"slow": (replace(SANDBOX, id="slow", cps=20.0), line)})
    async with bench.run():
        intake = await bench.calls([f"120255502{index:02d}" for index in range(20)])
        for index in range(20):
            await bench.final(intake, index)

    assert line.at[-1] - line.at[0] >= 0.6  # 0.95 s by the pace, less what a busy machine delays the first; else 0.2 s


async def test_the_trunk_that_was_asked_for_is_used(store: CallStore, tmp_path: Path) -> None:
    first, second = Spied(), Spied()
    trunks = {"a": (replace(SANDBOX, id="a"), first), "b": (replace(SANDBOX, id="b", priority=9), second)}
    bench = Bench(store, tmp_path, trunks)
    async with bench.run():
        asked = await bench.final(await bench.call(trunk_id="b"))
        free = await bench.final(await bench.call())

    assert (asked.trunk_id, free.trunk_id) == ("b", "a")


async def test_calls_leave_by_the_trunk_of_the_longest_prefix(store: CallStore, tmp_path: Path) -> None:
    first, second = Spied(), Spied()
    trunks = {
        "a": (replace(SANDBOX, id="a", priority=1, prefixes=("1",)), first),
        "b": (replace(SANDBOX, id="b", priority=9, prefixes=("1202555",)), second),
    }
    bench = Bench(store, tmp_path, trunks)
    async with bench.run():
        call = await bench.final(await bench.call())

    assert (call.trunk_id, len(first.dials)) == ("b", 0)


async def test_a_number_that_no_trunk_will_ever_take_ends_its_call_at_once(store: CallStore, tmp_path: Path) -> None:
    line = Spied()
    bench = Bench(store, tmp_path, {"a": (replace(SANDBOX, id="a", prefixes=("234",)), line)})
    async with bench.run():
        call = await bench.final(await bench.call())

    assert told(call) == ("blocked", "geo_blocked", False)
    assert (call.start_at, line.dials) == (None, [])


async def test_calls_wait_for_a_trunk_that_is_switched_off_and_leave_when_it_is_on(
    store: CallStore, line: Spied, tmp_path: Path
) -> None:
    off = replace(SANDBOX, id="off", enabled=False)
    faulty, asked = Faulty(store), list[str]()
    faulty.lose = asked.append  # never loses, only listens
    bench = Bench(faulty, tmp_path, {"a": (replace(SANDBOX, id="a", prefixes=("234",)), line)})
    bench.idle = (TrunkState(off, Admin.DISABLED, free=0),)
    async with bench.run() as dialer:
        intake = await bench.call()
        await until(lambda: "release" in asked)
        dialer.reload({"off": (replace(off, enabled=True), line)})
        call = await bench.final(intake)

    assert (told(call)[0], call.trunk_id) == ("completed", "off")


async def test_a_reload_keeps_what_is_known_of_a_trunk_that_nobody_touched(bench: Bench, line: Spied) -> None:
    live = replace(SANDBOX, id="live", sandbox=False)
    dialer = bench.dialer()

    def refused() -> None:
        dialer._lanes[Lane.LIVE].doors[0].went("auth_failed", bench.clock.monotonic(), code=401)

    def down_after(trunk: Trunk, admin: Admin = Admin.ENABLED) -> bool:
        dialer.reload({"live": (trunk, line)}, admins={"live": admin})
        return any("live is down" in problem for problem in dialer.problems())

    assert not down_after(live)
    refused()
    assert down_after(live)
    assert down_after(live, Admin.DISABLED)
    assert not down_after(live)  # enabled again
    refused()
    assert not down_after(replace(live, priority=2))  # changed
    refused()
    dialer.forgive("live")
    assert not down_after(replace(live, priority=2))


async def test_a_trunk_that_drains_takes_no_new_calls(store: CallStore, line: Spied, tmp_path: Path) -> None:
    other = Spied()
    lines = {"a": (replace(SANDBOX, id="a"), line), "b": (replace(SANDBOX, id="b", priority=9), other)}
    bench = Bench(store, tmp_path, lines)
    async with bench.run() as dialer:
        before = await bench.final(await bench.call())
        dialer.reload(lines, admins={"a": Admin.DRAINING})
        after = await bench.final(await bench.call())

    assert (before.trunk_id, after.trunk_id) == ("a", "b")


REFUSES = "12025550106"  # 503


def two_trunks(second: Spied, budget_ms: int, **facts: object) -> dict[str, tuple[Trunk, Line]]:
    """Both refuse that number; the second has one channel."""
    policy = Failover(total_budget_ms=budget_ms)
    first = replace(SANDBOX, id="a", failover=policy)
    return {
        "a": (first, Spied()),
        "b": (replace(SANDBOX, id="b", priority=9, channels=1, alert_channels=0, **facts), second),
    }


async def test_a_hop_that_gets_no_channel_within_its_budget_ends_as_the_first_one(
    store: CallStore, tmp_path: Path
) -> None:
    second = Spied()
    bench = Bench(store, tmp_path, two_trunks(second, 3000))
    async with bench.run():
        other = await bench.call(trunk_id="b", script=Script(gather=Gather(timeout_ms=600_000)))
        await bench.reaches(other, "call.answered")
        intake = await bench.call(REFUSES)
        await bench.final(intake)
        [recipient] = await store.recipients(intake.message.ref_id, 0, 1)
        [first, then] = [await bench.final_call(call_id) for call_id in recipient.call_ids]
        await store.intend(other.calls[0].call_id, Intent.CANCEL)

    assert (told(first), first.hop, first.trunk_id) == (("failed", "trunk_failure", False), 1, "a")
    assert (told(then), then.hop, then.trunk_id, then.start_at) == (told(first), 2, None, None)
    assert first.ending is not None
    assert then.ending is not None
    assert (then.ending.source, then.ending.again) == (first.ending.source, "later")
    assert then.end_at is not None
    assert then.dial_by is not None
    assert then.end_at >= then.dial_by
    assert [dial.call_id for dial in second.dials] == [other.calls[0].call_id]
    assert (await store.tally(first.ref_id)).by_outcome == {Outcome.UNDELIVERED: 1}


async def test_a_hop_whose_budget_ends_before_it_leaves_ends_as_the_first_one(store: CallStore, tmp_path: Path) -> None:
    second = Spied()
    bench = Bench(store, tmp_path, two_trunks(second, 3000))

    class Closing(Spied):
        """Once it has dialled, no audio gets ready."""

        async def dial(self, command: Dial) -> SimulatedLeg:
            bench.prompts.gate.clear()
            return await super().dial(command)

    bench.lines["a"] = (bench.lines["a"][0], Closing())
    async with bench.run():
        intake = await bench.call(REFUSES)
        first = await bench.final(intake)
        [recipient] = await store.recipients(intake.message.ref_id, 0, 1)
        await until(lambda: bench.prompts.asked == 2)
        hop = await store.call(None, recipient.call_ids[1])
        await until(lambda: hop is not None and hop.dial_by is not None and now() > hop.dial_by)
        bench.prompts.gate.set()
        then = await bench.final_call(recipient.call_ids[1])

    assert (told(then), then.trunk_id) == (told(first), None)
    assert second.dials == []


async def test_no_hop_waits_for_a_trunk_that_will_not_take_it(store: CallStore, tmp_path: Path) -> None:
    second = Spied()
    bench = Bench(store, tmp_path, two_trunks(second, 60_000, prefixes=("44",)))
    async with bench.run():
        intake = await bench.call(REFUSES)
        call = await bench.final(intake)
        [recipient] = await store.recipients(intake.message.ref_id, 0, 1)

    assert recipient.call_ids == (call.call_id,)
    assert recipient.outcome is Outcome.UNDELIVERED
    assert second.dials == []


async def test_test_calls_and_live_calls_never_share_a_trunk(store: CallStore, tmp_path: Path) -> None:
    real_line, sandbox_line = Spied(), Spied()
    real = Trunk("real", "Real", SANDBOX.uris)
    bench = Bench(store, tmp_path, {"sandbox": (SANDBOX, sandbox_line), "real": (real, real_line)})
    async with bench.run():
        live = await bench.call("2348020000000", sandbox=False, owner="main.live")
        test = await bench.call("2348020000001")
        disguised = await bench.call("2348020000002", sandbox=False, owner="main.test")
        leaked = await bench.call("12025550100", sandbox=False, owner="main.live")
        ended = [await bench.final(one) for one in (live, test)]
        refused = [await bench.final(one) for one in (disguised, leaked)]

    assert [call.trunk_id for call in ended] == ["real", "sandbox"]
    assert {dial.call_id for dial in real_line.dials} == {live.calls[0].call_id}
    assert {dial.call_id for dial in sandbox_line.dials} == {test.calls[0].call_id}
    assert [told(call) for call in refused] == [("blocked", "invalid_number", False)] * 2


async def test_a_live_call_without_a_live_trunk_waits_until_it_expires(bench: Bench, line: Spied) -> None:
    async with bench.run() as dialer:
        intake = await bench.call(
            "2348020000000", sandbox=False, owner="main.live", valid_until=now() + timedelta(milliseconds=300)
        )
        problems = dialer.problems()
        call = await bench.final(intake)

    assert told(call) == ("expired", "validity_expired", False)
    assert (await bench.store.tally(call.ref_id)).by_outcome == {Outcome.EXPIRED: 1}
    assert any("live" in problem for problem in problems)
    assert line.dials == []


# -- never twice


async def test_a_line_that_dies_ends_its_calls_and_nothing_rings_again(bench: Bench, line: Spied) -> None:
    async with bench.run():
        intake = await bench.call("12025550102")
        await bench.reaches(intake, "call.ringing")
        line.lose(intake.calls[0].call_id)
        call = await bench.final(intake)
        await bench.final(await bench.call())  # the dialer goes on

    assert told(call) == ("failed", "worker_lost", True)
    assert [dial.call_id for dial in line.dials].count(call.call_id) == 1


async def test_a_call_of_a_dead_dialer_is_ended_and_not_dialled(bench: Bench, line: Spied) -> None:
    intake = await bench.call()
    (lease,) = await bench.store.lease(Lane.SANDBOX, "dead", 1, 0.05)
    await step(bench.store, lease, lease.call, dialed())

    async with bench.run():
        call = await bench.final(intake)

    assert told(call) == ("failed", "worker_lost", True)
    assert line.dials == []


async def test_a_call_that_took_two_dialers_down_is_parked(bench: Bench, line: Spied) -> None:
    intake = await bench.call()
    for _ in range(2):
        await until(lambda: bench.store.lease(Lane.SANDBOX, "dead", 1, 0.01))

    async with bench.run():
        call = await bench.final(intake)

    assert told(call) == ("failed", "poison", False)
    assert line.dials == []


async def test_a_call_that_the_journal_knows_is_not_dialled_although_the_store_offers_it(
    bench: Bench, line: Spied
) -> None:
    intake = await bench.call()
    await bench.journal.dialed(intake.calls[0], 1, dialed())

    async with bench.run():
        call = await bench.final(intake)

    assert told(call) == ("failed", "worker_lost", True)
    assert line.dials == []


async def test_a_call_that_somebody_else_ended_is_let_go(bench: Bench, line: Spied) -> None:
    """The keys that this phone presses afterwards cannot be stored: that is how the dialer learns of it."""
    async with bench.run():
        intake = await bench.call("12025550113", script=Script(gather=Gather(timeout_ms=1_000_000, valid="5")))
        await bench.reaches(intake, "call.dialing")
        await until(lambda: _ended_by_another(bench, intake))
        await until(lambda: _idle(line))
        call = await bench.final(intake)

    assert told(call)[1] == "worker_lost"
    types = [event.type for event in await bench.store.events(call.call_id)]
    assert types.count("call.ended") == 1


async def _ended_by_another(bench: Bench, intake: Intake) -> bool:
    now_is = await bench.store.call(None, intake.calls[0].call_id)
    assert now_is is not None
    lost = an_ending(Status.FAILED, "worker_lost")
    applied, _ = await step(bench.store, Lease(now_is, intake.message, 1), now_is, lost, Outcome.UNDELIVERED)
    return applied.verdict is Verdict.DONE


async def _idle(line: Spied) -> bool:
    return line.capacity().busy == 0


# -- a store that is away, or whose answers are lost


async def test_a_call_goes_on_while_the_store_is_away_and_its_story_is_whole_after(
    store: CallStore, line: Spied, tmp_path: Path
) -> None:
    faulty = Faulty(store)
    bench = Bench(faulty, tmp_path, {"sandbox": (SANDBOX, line)})
    async with bench.run(lease_s=0.3):
        intake = await bench.call()
        await bench.reaches(intake, "call.dialing")
        faulty.away = True
        await until(lambda: _idle(line))  # played out and hung up, all on its own
        await time_passes(0.7)  # longer than lease and grace: to others it looks dead
        faulty.away = False
        call = await bench.final(intake)

    assert told(call) == ("completed", "normal_clearing", False)
    types = [event.type for event in await store.events(call.call_id)]
    assert types == ["call.queued", "call.dialing", "call.ringing", "call.answered", "call.ended"]


async def test_a_lapsed_call_of_our_own_is_taken_up_again_and_not_ended(
    store: CallStore, line: Spied, tmp_path: Path
) -> None:
    faulty = Faulty(store)
    faulty.deaf = frozenset({"extend"})
    bench = Bench(faulty, tmp_path, {"sandbox": (SANDBOX, line)})
    async with bench.run(lease_s=0.05) as dialer:
        intake = await bench.call("12025550102", script=Script(ring_timeout_s=60))
        await bench.reaches(intake, "call.ringing")
        await until(lambda: _adopted(dialer, intake))
        await bench.store.intend(intake.calls[0].call_id, Intent.CANCEL)
        call = await bench.final(intake)

    assert told(call) == ("canceled", "canceled_by_api", False)


async def _adopted(dialer: Dialer, intake: Intake) -> bool:
    dispatch = dialer._lanes[Lane.SANDBOX].holding[intake.calls[0].call_id]
    return dispatch.writer.epoch > 1


async def test_a_dialing_that_cannot_be_stored_in_time_is_not_dialled(
    store: CallStore, line: Spied, tmp_path: Path
) -> None:
    faulty = Faulty(store)
    bench = Bench(faulty, tmp_path, {"sandbox": (SANDBOX, line)})
    bench.prompts.gate.clear()
    async with bench.run():
        intake = await bench.call()
        await until(lambda: _asked(bench))
        faulty.away = True
        bench.prompts.gate.set()
        await until(lambda: _journalled(bench, intake))
        await time_passes(2.1)
        faulty.away = False
        call = await bench.final(intake)

    assert told(call) == ("failed", "dispatch_timeout", False)
    assert (call.start_at, line.dials) == (None, [])


async def _journalled(bench: Bench, intake: Intake) -> bool:
    return bench.journal.has(intake.calls[0].call_id)


async def test_lost_answers_cost_repetitions_and_nothing_else(store: CallStore, line: Spied, tmp_path: Path) -> None:
    faulty = Faulty(store)
    bench = Bench(faulty, tmp_path, {"sandbox": (SANDBOX, line)})
    chance = random.Random(5)
    faulty.lose = lambda name: name in ("apply", "release", "extend") and chance.random() < 0.3
    async with bench.run():
        intake = await bench.calls(["12025550100", "12025550101", "12025550103"] * 10)
        calls = [await bench.final(intake, index) for index in range(30)]

    assert faulty.lost > 20
    assert len(line.dials) == len({dial.call_id for dial in line.dials}) == 30
    assert {call.status.value for call in calls} == {"completed", "busy", "rejected"}
    for call in calls:
        sequence = [event.sequence for event in await store.events(call.call_id)]
        assert sequence == list(range(1, call.sequence + 1))


# -- leaving


async def test_a_drain_gives_back_what_was_not_dialled(bench: Bench, line: Spied) -> None:
    bench.prompts.gate.clear()
    async with bench.run() as dialer:
        intake = await bench.call()
        await until(lambda: _asked(bench))
        dialer.stop()

    (again,) = await bench.store.lease(Lane.SANDBOX, "next", 1, 15.0)
    assert (again.call.call_id, again.times_leased) == (intake.calls[0].call_id, 1)
    assert line.dials == []


async def test_a_drain_lets_calls_finish(bench: Bench) -> None:
    async with bench.run(drain_s=20.0) as dialer:
        intake = await bench.call()
        await bench.reaches(intake, "call.dialing")
        dialer.stop()
        await bench.call()  # too late for this dialer

    assert told(await bench.final(intake))[0] == "completed"
    assert await bench.store.queued(Lane.SANDBOX) == 1


@pytest.mark.parametrize(
    ("number", "reached", "status"),
    [("12025550102", "call.ringing", "canceled"), ("12025550100", "call.answered", "completed")],
)
async def test_what_does_not_finish_in_time_is_hung_up(bench: Bench, number: str, reached: str, status: str) -> None:
    async with bench.run(drain_s=0.05) as dialer:
        intake = await bench.call(number, script=Script(gather=Gather(timeout_ms=60_000)))
        await bench.reaches(intake, reached)
        dialer.stop()

    assert told(await bench.final(intake))[:2] == (status, "platform_shutdown")


async def test_webhooks_of_a_call_go_in_with_its_end(line: Spied, tmp_path: Path) -> None:
    store = MemoryCallStore()
    bench = Bench(store, tmp_path, {"sandbox": (SANDBOX, line)})
    async with bench.run():
        call = await bench.final(await bench.call(callbacks=(HOOK,)))
        await bench.final(await bench.call("12025550101"))

    bodies = [json.loads(delivery.body) for delivery in store.outbox.values()]
    assert [body["type"] for body in bodies] == ["call.queued", "call.ended"]
    assert bodies[1]["data"]["call_id"] == call.call_id
    assert bodies[1]["data"]["heard_pct"] == 100
