"""After a crash the journal decides: the true result if known, worker_lost if not, never a second dial."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from sip.events import Ended, Origin, Phase, RtpStats
from tests.dialer_bench import SANDBOX, Bench, Spied
from tests.voice_values import an_ending, dialed, now, step
from voice.calls import Call, Rang, Status, WasAnswered
from voice.messages import Outcome
from voice.recovery import recover
from voice.store import Intake, Lane, Lease
from voice.store_memory import MemoryCallStore

TRUNKS = {"sandbox": SANDBOX}


def nothing_said() -> Sequence[Ended]:
    return []


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    line = Spied()
    bench = Bench(MemoryCallStore(), tmp_path, {"sandbox": (SANDBOX, line)})
    yield bench
    await line.aclose()
    bench.journal.close()


async def leased(bench: Bench) -> tuple[Intake, Lease]:
    intake = await bench.call()
    (lease,) = await bench.store.lease(Lane.SANDBOX, "dead", 1, 15.0)
    return intake, lease


async def recovered(bench: Bench, call_id: str, words: Sequence[Ended] = ()) -> Call:
    said = [list(words)]
    await recover(bench.desk, lambda: said.pop() if said else [], TRUNKS, wait_s=0.05)
    call = await bench.store.call(None, call_id)
    assert call is not None
    assert bench.journal.open_entries() == ()
    return call


def last_words(call_id: str, **changes: object) -> Ended:
    facts: dict[str, object] = {
        "call_id": call_id,
        "at": now().timestamp() + 5,
        "code": 200,
        "reason": "OK",
        "origin": Origin.REMOTE,
        "phase": Phase.ANSWERED,
        "played_ms": 4000,
        "audio_ms": 4000,
        "played_to_end": True,
        "rtp": RtpStats(sent_packets=220, received_packets=220),
    }
    return Ended(**(facts | changes))  # type: ignore[arg-type]  # built member by member


async def test_what_the_line_wrote_down_is_the_result(bench: Bench) -> None:
    _, lease = await leased(bench)
    fact = dialed()
    await bench.journal.dialed(lease.call, lease.epoch, fact)
    await step(bench.store, lease, lease.call, fact)
    call_id = lease.call.call_id
    bench.journal.fact(call_id, Rang(now()))
    bench.journal.fact(call_id, WasAnswered(now() + timedelta(seconds=1), "PCMA"))

    call = await recovered(bench, call_id, [last_words(call_id)])

    assert (call.status, call.codec) == (Status.COMPLETED, "PCMA")
    assert call.ending is not None
    assert (call.ending.cause, call.ending.heard_ms) == ("normal_clearing", 4000)
    assert (await bench.store.tally(call.ref_id)).by_outcome == {Outcome.DELIVERED: 1}
    types = [event.type for event in await bench.store.events(call_id)]
    assert types == ["call.queued", "call.dialing", "call.ringing", "call.answered", "call.ended"]


async def test_an_answer_that_only_the_line_knew_of_is_dated_by_what_was_played(bench: Bench) -> None:
    _, lease = await leased(bench)
    await bench.journal.dialed(lease.call, lease.epoch, dialed())
    words = last_words(lease.call.call_id)

    call = await recovered(bench, lease.call.call_id, [words])

    assert call.status is Status.COMPLETED
    assert call.answer_at is not None
    assert call.end_at is not None
    assert (call.end_at - call.answer_at).total_seconds() == pytest.approx(4.0, abs=0.01)


async def test_a_call_nobody_knows_more_of_is_lost_and_may_have_rung(bench: Bench) -> None:
    _, lease = await leased(bench)
    fact = dialed()
    await bench.journal.dialed(lease.call, lease.epoch, fact)
    await step(bench.store, lease, lease.call, fact)

    call = await recovered(bench, lease.call.call_id)

    assert call.ending is not None
    assert (call.status, call.ending.cause, call.ending.may_have_rung) == (Status.FAILED, "worker_lost", True)


async def test_a_dialled_call_whose_state_the_server_lost_is_not_queued_any_more(bench: Bench) -> None:
    _, lease = await leased(bench)
    await bench.journal.dialed(lease.call, lease.epoch, dialed())

    call = await recovered(bench, lease.call.call_id)

    assert (call.status, call.ending and call.ending.cause) == (Status.FAILED, "worker_lost")
    types = [event.type for event in await bench.store.events(call.call_id)]
    assert types == ["call.queued", "call.dialing", "call.ended"]


async def test_a_call_of_which_nothing_was_sent_stays_queued(bench: Bench) -> None:
    _, lease = await leased(bench)
    await bench.journal.dialed(lease.call, lease.epoch, dialed())
    bench.journal.not_sent(lease.call.call_id)

    call = await recovered(bench, lease.call.call_id)

    assert call == lease.call
    assert not bench.journal.knows(call.call_id)


async def test_what_another_dialer_ended_is_left_alone(bench: Bench) -> None:
    _, lease = await leased(bench)
    fact = dialed()
    await bench.journal.dialed(lease.call, lease.epoch, fact)
    _, dialing = await step(bench.store, lease, lease.call, fact)
    _, ended = await step(bench.store, lease, dialing, an_ending(Status.BUSY, "user_busy"), Outcome.UNDELIVERED)

    assert await recovered(bench, lease.call.call_id, [last_words(lease.call.call_id)]) == ended


async def test_last_words_that_come_late_are_waited_for(bench: Bench) -> None:
    _, lease = await leased(bench)
    await bench.journal.dialed(lease.call, lease.epoch, dialed())
    said: list[list[Ended]] = [[last_words(lease.call.call_id)], [], []]

    await recover(bench.desk, lambda: said.pop() if said else [], TRUNKS, wait_s=5.0)

    call = await bench.store.call(None, lease.call.call_id)
    assert call is not None
    assert call.status is Status.COMPLETED


async def test_last_words_survive_a_second_crash(bench: Bench) -> None:
    _, lease = await leased(bench)
    await bench.journal.dialed(lease.call, lease.epoch, dialed())
    bench.journal.ended(last_words(lease.call.call_id))  # taken from the line's file, then the dialer died again

    assert (await recovered(bench, lease.call.call_id)).status is Status.COMPLETED


async def test_with_an_empty_journal_nothing_is_waited_for(bench: Bench) -> None:
    assert await recover(bench.desk, nothing_said, TRUNKS, wait_s=3600.0) == 0
