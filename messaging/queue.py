"""The Queue port: work with a due time, taken under a lease. Voice calls and webhook deliveries wait in it.

One sorted set per queue: the score of an entry is the moment from which it may be taken. A lease is nothing but a later
score, so an entry whose holder died comes back by itself, nothing is moved and nothing can be stranded (ADR 0006).
The queue orders and wakes; what an entry *is* (the hash of the call, of the delivery) is the truth, and decides what
happens to an entry that comes back.
"""

from collections.abc import Sequence
from typing import Protocol


class Queue(Protocol):
    """`ValkeyQueue` and `MemoryQueue` pass tests/contract/test_queue.py. Times in seconds from the server's clock."""

    async def put(self, entry: str, delay_s: float = 0.0) -> None:
        """Idempotent; an entry that is already there keeps the earlier due time."""
        ...

    async def lease(self, most: int, lease_s: float) -> Sequence[str]:
        """Up to `most` due entries, oldest first, each now invisible for `lease_s`. Empty when none is due."""
        ...

    async def extend(self, entries: Sequence[str], lease_s: float) -> None:
        """Keep entries invisible for `lease_s` from now. Entries that are gone stay gone."""
        ...

    async def done(self, entry: str) -> None: ...

    async def retry(self, entry: str, delay_s: float) -> None:
        """Give it back: due again after `delay_s`. An entry that is gone stays gone."""
        ...

    async def wait(self, timeout_s: float) -> None:
        """Return when something may have become due, or after `timeout_s`. May return early, never misses a `put`."""
        ...

    async def size(self) -> int: ...
