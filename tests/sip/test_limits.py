"""Two dialers, one trunk: its channels and its pace hold for both together. `TOCSIN_BURST=500` makes it a long one."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests import sipp
from tests.sip.limits_dialer import CHANNELS, CPS
from tests.until import until
from tests.valkey import TestValkey
from tests.voice_values import an_intake
from voice.messages import Outcome, Script
from voice.store import Intake, Intent
from voice.store_valkey import ValkeyCallStore

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
    pytest.mark.timeout(600),
]
BURST = int(os.environ.get("TOCSIN_BURST", "40"))


@asynccontextmanager
async def dialer(valkey: TestValkey, directory: Path, port: int) -> AsyncIterator[None]:
    directory.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sip.limits_dialer", valkey.url, valkey.prefix, str(directory), str(port)),
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdout is not None
    try:
        await asyncio.wait_for(process.stdout.readuntil(b"ready\n"), 30)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 40)


async def test_two_dialers_together_keep_the_channels_and_the_pace_of_a_trunk(
    valkey: TestValkey, tmp_path: Path, ear: sipp.Ear
) -> None:
    store = ValkeyCallStore(valkey.redis, valkey.blocking, valkey.prefix)
    intake = an_intake(BURST, sandbox=False, owner="main.live", script=Script(repeat=3, pause_ms=600))
    async with AsyncExitStack() as stack:
        carrier = await stack.enter_async_context(sipp.Sipp(sipp.answers(ear.port), tmp_path, "-timeout", "550"))
        for name in ("one", "two"):
            await stack.enter_async_context(dialer(valkey, tmp_path / name, carrier.port))
        await store.accept(_elsewhere(intake))
        await until(lambda: _over(store, intake), 500.0)
        invites = carrier.received("INVITE")
        byes = {one.header("Call-ID"): one.at for one in carrier.received("BYE")}
    began = {one.header("Call-ID"): one.at for one in reversed(invites)}

    assert (await store.tally(intake.message.ref_id)).by_outcome == {Outcome.DELIVERED: BURST}
    assert len(began) == BURST
    assert all(len(dialogs) == 1 for dialogs in carrier.dialogs().values())
    assert most_within(list(began.values()), 1.0) <= CPS + 1
    up = most_up([(at, byes[call_id]) for call_id, at in began.items()])
    assert up <= CHANNELS
    assert up >= CHANNELS - 1  # they were needed, so they were tried
    journals = [(tmp_path / name / "journal" / "calls.jsonl").read_text() for name in ("one", "two")]
    shares = [journal.count('"t":"dialed"') for journal in journals]
    assert sum(shares) == BURST
    assert min(shares) > BURST / 10


async def test_an_alert_goes_out_while_a_campaign_fills_the_trunk(
    valkey: TestValkey, tmp_path: Path, ear: sipp.Ear
) -> None:
    store = ValkeyCallStore(valkey.redis, valkey.blocking, valkey.prefix)
    campaign = an_intake(60, sandbox=False, owner="main.live", script=Script(repeat=10), campaign=True)
    alert = an_intake(1, sandbox=False, owner="main.live", script=Script())
    async with AsyncExitStack() as stack:
        carrier = await stack.enter_async_context(sipp.Sipp(sipp.answers(ear.port), tmp_path, "-timeout", "100"))
        await stack.enter_async_context(dialer(valkey, tmp_path / "one", carrier.port))
        await store.accept(_elsewhere(campaign))
        await until(lambda: _dialled(carrier, CHANNELS - 1), 30.0)
        before = len(carrier.received("INVITE"))
        await store.accept(_elsewhere(alert))
        await until(lambda: _over(store, alert), 30.0)
        await store.intend_all(campaign.message.ref_id, Intent.CANCEL)
        await until(lambda: _over(store, campaign), 60.0)
        invites = carrier.received("INVITE")
    ids = [one.header("X-Call-Id") for one in invites]

    assert before == CHANNELS - 1  # one in ten is kept for alerts
    assert ids.index(alert.calls[0].call_id) == before
    assert (await store.tally(alert.message.ref_id)).by_outcome == {Outcome.DELIVERED: 1}


async def _dialled(carrier: sipp.Sipp, times: int) -> bool:
    await asyncio.sleep(0.1)
    return len(carrier.received("INVITE")) >= times


def _elsewhere(intake: Intake) -> Intake:
    """Numbers that may be called for real."""
    calls = tuple(replace(call, to_number=f"23480{call.recipient:08d}") for call in intake.calls)
    return replace(intake, calls=calls)


async def _over(store: ValkeyCallStore, intake: Intake) -> bool:
    await asyncio.sleep(0.2)
    return (await store.tally(intake.message.ref_id)).pending == 0


def most_within(times: list[float], seconds: float) -> int:
    ordered = sorted(times)
    return max(sum(at <= other < at + seconds for other in ordered) for at in ordered)


def most_up(spans: list[tuple[float, float]]) -> int:
    return max(sum(start <= at < end for start, end in spans) for at, _ in spans)
