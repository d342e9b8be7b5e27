"""A request with 1,000 numbers is one script: how long it takes is reported, not judged."""

import statistics
import time
from typing import Any

from tests.valkey import TestValkey
from tests.voice_values import HOOK, an_intake
from voice.store import Lane
from voice.store_valkey import ValkeyCallStore

BATCHES = 20


async def test_a_thousand_recipients_are_accepted_at_once(valkey: TestValkey, record_property: Any) -> None:
    store = ValkeyCallStore(valkey.redis, valkey.blocking, valkey.prefix)
    await store.accept(an_intake(1))
    took_ms = []

    for _ in range(BATCHES):
        intake = an_intake(1000, callbacks=(HOOK,))
        began = time.perf_counter()
        await store.accept(intake)
        took_ms.append((time.perf_counter() - began) * 1000)

    record_property("accept_1000_p50_ms", round(statistics.median(took_ms), 1))
    record_property("accept_1000_max_ms", round(max(took_ms), 1))
    print(f"accept of 1,000, N={BATCHES}: p50 {statistics.median(took_ms):.0f} ms, max {max(took_ms):.0f} ms")
    assert await store.queued(Lane.SANDBOX) == 1000 * BATCHES + 1
    assert (await store.tally(intake.message.ref_id)).pending == 1000
