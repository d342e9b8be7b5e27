"""A dialer is killed at any moment, again and again: nothing rings twice, nothing is forgotten."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from tests.dialer_bench import Bench
from tests.valkey import TestValkey
from tests.voice_values import HOOK
from voice.messages import Script
from voice.store import Lane
from voice.store_valkey import ValkeyCallStore

CALLS = 60
KILLS = 5
NUMBERS = ["12025550100", "12025550101", "12025550102", "12025550110"]


async def started(valkey: TestValkey, directory: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.dialer_process", valkey.url, valkey.prefix, str(directory),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(20.0):
        async for line in process.stdout:
            if line == b"ready\n":
                return process
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())


async def killed(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.communicate()


@pytest.mark.timeout(120)
async def test_no_call_is_dialled_twice_or_lost_however_often_the_dialer_is_killed(
    valkey: TestValkey, tmp_path: Path
) -> None:
    store = ValkeyCallStore(valkey.redis, valkey.blocking, valkey.prefix)
    watching = Bench(store, tmp_path / "watch", {})
    chance = random.Random()
    numbers = [NUMBERS[index % len(NUMBERS)] for index in range(CALLS)]
    quick = Script(ring_timeout_s=3)
    intake = await watching.calls(numbers, callbacks=(HOOK,), script=quick)

    for _ in range(KILLS):
        process = await started(valkey, tmp_path)
        try:
            await asyncio.wait_for(process.wait(), chance.uniform(0.05, 0.7))
        except TimeoutError:
            pass
        await killed(process)
    last = await started(valkey, tmp_path)
    try:
        calls = [await watching.final(intake, index) for index in range(CALLS)]
    finally:
        await killed(last)
        watching.journal.close()

    invites = (tmp_path / "invites").read_text().split()
    lost = [call for call in calls if call.ending and call.ending.cause == "worker_lost"]
    print(f"{KILLS} kills, {CALLS} calls: {len(invites)} INVITEs, {len(lost)} lost with their dialer")
    assert len(invites) == len(set(invites))
    for call in calls:
        if call.ending and call.ending.cause not in ("worker_lost", "poison"):
            assert call.call_id in invites
        events = await store.events(call.call_id)
        assert [event.sequence for event in events] == list(range(1, call.sequence + 1))
        assert [event.type for event in events].count("call.ended") == 1
    tally = await store.tally(intake.message.ref_id)
    assert (tally.total, tally.pending) == (CALLS, 0)
    assert await store.queued(Lane.SANDBOX) == 0
    assert await valkey.redis.zcard(f"{valkey.prefix}q:hook:due") == 2 * CALLS
