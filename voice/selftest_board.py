"""Where a self-test is asked for by the API, taken by one dialer, and answered step by step.

Key after the prefix        what
  selftest:{test_id}        string: the test as it stands (JSON); lives for a day
  selftest:of:{trunk_id}    string: the test that holds the trunk; lapses when its dialer is silent for LEASE_S
  selftest:wanted           list: tests that nobody took yet; lives for TAKEN_WITHIN_S after the last
  selftest:late:{trunk_id}  string: how many there were of late; lives for LATE_S
  selftest:keys:{test_id}   list: the keys that the catch-all phone heard; lives for KEYS_S
  selftest:toll:{test_id}   hash: what its call holds of the limits of its key, until it is over; lives for TOLL_S

What a test holds is in selftest_toll.py; the keys that count it are those of the call store (keys.py, caps.lua).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from importlib.resources import files
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from messaging.errors import OverLimit
from messaging.store import Script, unsure
from voice.caps import Overrun, Reservation
from voice.caps_memory import MemoryCaps
from voice.codec import from_json, to_json
from voice.keys import Keys
from voice.rows import overrun_of, toll_arg
from voice.selftest import WITHIN_S, TrunkTest, TrunkTestRunning
from voice.selftest_toll import spent

KEPT_S = 86_400
TAKEN_WITHIN_S = 15.0  # a dialer that is there takes it at once
LEASE_S = 10.0
LATE_S, LATE_MOST = 600, 10  # a test rings a phone: so many in ten minutes, for one trunk
KEYS_S = 60
OPEN_S = TAKEN_WITHIN_S + WITHIN_S  # what nobody tells the end of is open no longer
TOLL_S = 2 * 86_400  # beyond the day on which it counts
WAIT_GRACE_S = 1.5  # beyond what BLPOP was told to wait: then the server hangs


class SelfTestBoard(Protocol):
    """Each verb raises Unavailable."""

    async def ask(self, test: TrunkTest, asked: Reservation | None = None) -> Overrun | None:
        """With what its call may take; nothing is asked, and nothing taken, when that is above a limit.

        Raises TrunkTestRunning, and OverLimit."""
        ...

    async def read(self, test_id: str) -> tuple[TrunkTest, bool] | None:
        """The test, and whether somebody holds it."""
        ...

    async def take(self, wait_s: float) -> TrunkTest | None:
        """For a dialer: the next that is wanted, ours for LEASE_S without a word."""
        ...

    async def tell(self, test: TrunkTest, *, over: bool = False) -> bool:
        """For its dialer: how it stands; also a sign of life. False: it is not ours any more."""
        ...

    async def tell_keys(self, test_id: str, keys: str) -> None:
        """For the catch-all phone, when the call of a test is over."""
        ...

    async def keys(self, test_id: str, wait_s: float) -> str | None:
        """For a dialer: what the phone heard; None when it does not say so in time."""
        ...


class MemorySelfTests:
    """The twin. Leases lapse by `drop`, not by time. `caps`: those of the call store."""

    def __init__(self, caps: MemoryCaps | None = None) -> None:
        self._caps = caps or MemoryCaps(time.time)
        self._tests: dict[str, TrunkTest] = {}
        self._holders: dict[str, str] = {}
        self._late: Counter[str] = Counter()
        self._wanted: asyncio.Queue[str] = asyncio.Queue()
        self._keys: dict[str, asyncio.Queue[str]] = {}

    async def ask(self, test: TrunkTest, asked: Reservation | None = None) -> Overrun | None:
        if test.test_id in self._tests:
            return None
        if test.trunk_id in self._holders:
            raise TrunkTestRunning
        if self._late[test.trunk_id] >= LATE_MOST:
            raise _too_many(LATE_S)
        if asked is not None:
            overrun = self._caps.take(test.owner, time.time(), [(test.test_id, test.to)], asked)
            if overrun is not None:
                return overrun
        self._late[test.trunk_id] += 1
        self._holders[test.trunk_id], self._tests[test.test_id] = test.test_id, test
        self._wanted.put_nowait(test.test_id)
        return None

    async def read(self, test_id: str) -> tuple[TrunkTest, bool] | None:
        test = self._tests.get(test_id)
        return None if test is None else (test, self._holders.get(test.trunk_id) == test_id)

    async def take(self, wait_s: float) -> TrunkTest | None:
        try:
            async with asyncio.timeout(wait_s):
                test = self._tests[await self._wanted.get()]
        except TimeoutError:
            return None
        return test if self._holders.get(test.trunk_id) == test.test_id else None

    async def tell(self, test: TrunkTest, *, over: bool = False) -> bool:
        if self._holders.get(test.trunk_id) != test.test_id:
            return self._tests.get(test.test_id) == test
        self._tests[test.test_id] = test
        if over:
            del self._holders[test.trunk_id]
            took = spent(test)
            self._caps.settle(test.test_id, took.seconds, took.millionths)
        return True

    async def tell_keys(self, test_id: str, keys: str) -> None:
        self._keys.setdefault(test_id, asyncio.Queue()).put_nowait(keys)

    async def keys(self, test_id: str, wait_s: float) -> str | None:
        try:
            async with asyncio.timeout(wait_s):
                return await self._keys.setdefault(test_id, asyncio.Queue()).get()
        except TimeoutError:
            return None

    def drop(self, trunk_id: str) -> None:
        """As if the lease of whoever tests it had lapsed, and the test with it."""
        self._caps.lapse(self._holders.pop(trunk_id, ""))


def _script(name: str) -> Script:
    lua = files("voice") / "lua"
    return Script("\n".join((lua / f"{one}.lua").read_text() for one in ("common", "caps", name)))


class ValkeySelfTests:
    """`blocking`: for what waits."""

    def __init__(self, redis: Redis, blocking: Redis, prefix: str) -> None:
        self._redis, self._blocking, self._prefix = redis, blocking, f"{prefix}selftest:"
        self._counted = Keys(prefix)
        self._ask, self._tell = _script("selftest_ask"), _script("selftest_tell")

    async def ask(self, test: TrunkTest, asked: Reservation | None = None) -> Overrun | None:
        trunk, toll = test.trunk_id, toll_arg(asked, test.owner, self._counted, _ms(TOLL_S), _ms(OPEN_S))
        keys = [self._of(trunk), self._test(test.test_id), self._wanted, f"{self._prefix}late:{trunk}"]
        limits = [KEPT_S, _ms(TAKEN_WITHIN_S), LATE_MOST, LATE_S]
        args: list[str | int | float] = [test.test_id, to_json(test), *limits, toll, test.to]
        answer = await self._ask(self._redis, [*keys, self._toll(test.test_id)], args)
        if answer[0] == "running":
            raise TrunkTestRunning
        if answer[0] == "often":
            raise _too_many(int(answer[1]))
        return overrun_of(answer) if answer[0] == "over" else None

    async def read(self, test_id: str) -> tuple[TrunkTest, bool] | None:
        with unsure():
            # Its holder first: whoever ends a test lets go of it in the same moment.
            text = await self._redis.get(self._test(test_id))
            if text is None:
                return None
            trunk_id = from_json(TrunkTest, text).trunk_id
            async with self._redis.pipeline(transaction=True) as both:
                both.get(self._of(trunk_id))
                both.get(self._test(test_id))
                holder, text = await both.execute()
        return None if text is None else (from_json(TrunkTest, text), holder == test_id)

    async def take(self, wait_s: float) -> TrunkTest | None:
        test_id = await self._popped(self._wanted, wait_s)
        found = await self.read(test_id) if test_id else None
        if found is None or not found[1]:
            return None
        return found[0] if await self.tell(found[0]) else None

    async def tell(self, test: TrunkTest, *, over: bool = False) -> bool:
        keys = [self._of(test.trunk_id), self._test(test.test_id), self._toll(test.test_id)]
        lease_ms, took = 0 if over else _ms(LEASE_S), spent(test)
        told: list[str | int | float] = [test.test_id, to_json(test), KEPT_S, lease_ms, took.seconds, took.millionths]
        return bool(await self._tell(self._redis, keys, told))

    async def tell_keys(self, test_id: str, keys: str) -> None:
        with unsure():
            async with self._redis.pipeline(transaction=True) as both:
                both.rpush(self._keys(test_id), keys)
                both.expire(self._keys(test_id), KEYS_S)
                await both.execute()

    async def keys(self, test_id: str, wait_s: float) -> str | None:
        return await self._popped(self._keys(test_id), wait_s)

    async def _popped(self, key: str, wait_s: float) -> str | None:
        with unsure():
            async with asyncio.timeout(wait_s + WAIT_GRACE_S):
                found = await cast(Awaitable[Any], self._blocking.blpop([key], wait_s))
        return None if found is None else str(found[1])

    def _test(self, test_id: str) -> str:
        return f"{self._prefix}{test_id}"

    def _of(self, trunk_id: str) -> str:
        return f"{self._prefix}of:{trunk_id}"

    def _toll(self, test_id: str) -> str:
        return f"{self._prefix}toll:{test_id}"

    def _keys(self, test_id: str) -> str:
        return f"{self._prefix}keys:{test_id}"

    @property
    def _wanted(self) -> str:
        return f"{self._prefix}wanted"


def _too_many(wait_s: int) -> OverLimit:
    return OverLimit(
        f"This trunk was tested {LATE_MOST} times within {LATE_S // 60} minutes, and each test rings a phone.",
        retry_after_s=wait_s,
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
