"""A dialer's side of self-tests: take one that is wanted, run it, tell each step, and who asked for it.

A test that is under way has a sign of life every few seconds. A dialer that dies gives none: whoever reads the test
then sees that it is gone (`selftest.as_seen`).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from messaging.clock import Clock
from messaging.errors import NotFound, Unavailable
from messaging.numbers import is_magic
from sip.trunk import Trunk
from sip.trunk_reading import bind_address_towards
from voice.selftest import Refusal, Stage, Step, Suspended, TrunkTest, anybody, nobody
from voice.selftest_board import LEASE_S, SelfTestBoard
from voice.selftest_news import SelfTestNews
from voice.selftest_run import Bench, run
from voice.trunk_entry import Entry

log = structlog.get_logger(__name__)

AT_ONCE = 4  # tests of one dialer: each has line processes of its own
LOOK_S = 5.0  # how long one wait for a wanted test takes
AGAIN_S = 1.0  # between two tries when the store is away
STOPPED = "The dialer was stopped, try again."

Run = Callable[[TrunkTest, Trunk, Bench, Callable[[Step], Awaitable[None]]], Awaitable[str]]


class CannotTest(Exception):
    """Nothing can be tested, and why: one sentence."""


class SelfTestDesk:
    """`find`: the entry of a trunk; raises NotFound, and Unavailable. `bench` None: this dialer has simulated lines."""

    def __init__(
        self,
        board: SelfTestBoard,
        find: Callable[[str], Awaitable[Entry]],
        bench: Bench | None,
        clock: Clock,
        *,
        refusal: Refusal = anybody,
        is_suspended: Suspended = nobody,
        news: SelfTestNews | None = None,
        run: Run = run,
    ) -> None:
        self._refusal, self._is_suspended, self._news = refusal, is_suspended, news
        self._board, self._find, self._bench, self._clock, self._run = board, find, bench, clock, run
        self._room = asyncio.Semaphore(AT_ONCE)
        self._tests: set[asyncio.Task[None]] = set()

    async def keep_testing(self) -> None:
        """Until canceled; tests under way then hang up and say so."""
        try:
            while True:
                await self._room.acquire()
                test = await self._next()
                if test is None:
                    self._room.release()
                    continue
                task = asyncio.create_task(self._carry(test), name=f"self-test of {test.trunk_id}")
                self._tests.add(task)
                task.add_done_callback(self._done)
        finally:
            for task in self._tests:
                task.cancel()
            await asyncio.gather(*self._tests, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tests.discard(task)
        self._room.release()

    async def _next(self) -> TrunkTest | None:
        try:
            return await self._board.take(LOOK_S)
        except Unavailable:
            await asyncio.sleep(AGAIN_S)
            return None

    async def _carry(self, test: TrunkTest) -> None:
        under_way = _UnderWay(self._board, test)
        beating = asyncio.create_task(under_way.beat(), name="self-test: sign of life")
        trouble = STOPPED
        try:
            trouble = await self._made(under_way)
        except Exception:
            log.exception("self-test failed", trunk_id=test.trunk_id, test_id=test.test_id)
            trouble = "Our own fault: the test broke. The dialer's log says where."
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await self._end(under_way.test.finished(self._clock.now(), trouble))

    async def _made(self, under_way: "_UnderWay") -> str:
        test = under_way.test
        try:
            trunk = await self._trunk(test)
        except CannotTest as why:
            return str(why)
        if self._bench is None:
            return "The lines of this service are simulated: there is no trunk to test."
        return await self._run(test, trunk, self._bench, under_way.tell)

    async def _trunk(self, test: TrunkTest) -> Trunk:
        try:
            entry = await self._find(test.trunk_id)
        except (NotFound, Unavailable) as error:
            raise CannotTest("There is no such trunk any more.") from error
        trunk = entry.trunk
        # The last gate, as for every call: test keys reach the sandbox alone, magic numbers never leave it.
        if trunk.sandbox is not test.sandbox or (test.to and is_magic(test.to) and not trunk.sandbox):
            raise CannotTest("That number and that trunk do not go together.")
        if test.to and self._is_suspended(test.owner, test.key_id):
            raise CannotTest("The key that asked for it has been suspended.")
        if test.to and not test.sandbox and (refusal := await self._refusal(test.owner, test.to)):
            raise CannotTest(f"That number may not be rung: {refusal.detail}")
        if entry.problem:
            raise CannotTest(f"The trunk cannot be used here: {entry.problem}.")
        if entry.binds_itself and not trunk.enabled:  # nobody looked for the way out while it was off
            try:
                return replace(trunk, bind_address=bind_address_towards(trunk.uris))
            except OSError:
                raise CannotTest("No route from this machine leads to the trunk: give bind_address.") from None
        return trunk

    async def _end(self, test: TrunkTest) -> None:
        failed = test.failed
        log.info(
            "trunk.tested",
            trunk_id=test.trunk_id,
            test_id=test.test_id,
            owner=test.owner,
            key_id=test.key_id,
            verdict=test.verdict.value if test.verdict else None,
            failed_step=failed.name.value if failed else None,
            rang=bool(test.to),
            trouble=test.trouble or None,
        )
        with contextlib.suppress(Unavailable):  # then its lease lapses, and it reads as lost
            if self._news is not None:
                await self._news.tell(test)
            await self._board.tell(test, over=True)


class _UnderWay:
    """The test as it stands, told with each step and now and then."""

    def __init__(self, board: SelfTestBoard, test: TrunkTest) -> None:
        self._board = board
        self.test = replace(test, stage=Stage.RUNNING)

    async def tell(self, step: Step) -> None:
        self.test = self.test.with_step(step)
        with contextlib.suppress(Unavailable):
            await self._board.tell(self.test)

    async def beat(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                await self._board.tell(self.test)
            await asyncio.sleep(LEASE_S / 3)
