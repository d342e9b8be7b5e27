"""Where a self-test is asked for by the API, taken by one dialer, and answered step by step.

Key after the prefix        what
  selftest:{test_id}        string: the test as it stands (JSON); lives for a day
  selftest:of:{trunk_id}    string: the test that holds the trunk; lapses when its dialer is silent for LEASE_S
  selftest:wanted           list: tests that nobody took yet; lives for TAKEN_WITHIN_S after the last
  selftest:late:{trunk_id}  string: how many there were of late; lives for LATE_S
  selftest:keys:{test_id}   list: the keys that the catch-all phone heard; lives for KEYS_S
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from importlib.resources import files
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from messaging.errors import OverLimit
from messaging.store import Script, unsure
from voice.codec import from_json, to_json
from voice.selftest import TrunkTest, TrunkTestRunning

KEPT_S = 86_400
TAKEN_WITHIN_S = 15.0  # a dialer that is there takes it at once
LEASE_S = 10.0
LATE_S, LATE_MOST = 600, 10  # a test rings a phone: so many in ten minutes, for one trunk
KEYS_S = 60
WAIT_GRACE_S = 1.5  # beyond what BLPOP was told to wait: then the server hangs


class SelfTestBoard(Protocol):
    """Each verb raises Unavailable."""

    async def ask(self, test: TrunkTest) -> None:
        """Raises TrunkTestRunning, and OverLimit."""
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
    """The twin. Leases lapse by `drop`, not by time."""

    def __init__(self) -> None:
        self._tests: dict[str, TrunkTest] = {}
        self._holders: dict[str, str] = {}
        self._late: Counter[str] = Counter()
        self._wanted: asyncio.Queue[str] = asyncio.Queue()
        self._keys: dict[str, asyncio.Queue[str]] = {}

    async def ask(self, test: TrunkTest) -> None:
        holder = self._holders.get(test.trunk_id)
        if holder == test.test_id:
            return
        if holder is not None:
            raise TrunkTestRunning
        if self._late[test.trunk_id] >= LATE_MOST:
            raise _too_many(LATE_S)
        self._late[test.trunk_id] += 1
        self._holders[test.trunk_id], self._tests[test.test_id] = test.test_id, test
        self._wanted.put_nowait(test.test_id)

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
        """As if the lease of whoever tests it had lapsed."""
        self._holders.pop(trunk_id, None)


_LUA = files("voice") / "lua"


class ValkeySelfTests:
    """`blocking`: for what waits."""

    def __init__(self, redis: Redis, blocking: Redis, prefix: str) -> None:
        self._redis, self._blocking, self._prefix = redis, blocking, f"{prefix}selftest:"
        self._ask = Script((_LUA / "selftest_ask.lua").read_text())
        self._tell = Script((_LUA / "selftest_tell.lua").read_text())

    async def ask(self, test: TrunkTest) -> None:
        trunk = test.trunk_id
        keys = [self._of(trunk), self._test(test.test_id), self._wanted, f"{self._prefix}late:{trunk}"]
        limits = [KEPT_S, _ms(TAKEN_WITHIN_S), LATE_MOST, LATE_S]
        done = int(await self._ask(self._redis, keys, [test.test_id, to_json(test), *limits]))
        if done == 0:
            raise TrunkTestRunning
        if done < 0:
            raise _too_many(-done)

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
        keys = [self._of(test.trunk_id), self._test(test.test_id)]
        lease_ms = 0 if over else _ms(LEASE_S)
        return bool(await self._tell(self._redis, keys, [test.test_id, to_json(test), KEPT_S, lease_ms]))

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
