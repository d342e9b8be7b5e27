"""The lines of a dialer's trunks: opened when one comes, kept while it stays the same, retired when it goes.

`obey` takes the trunks as the book has them and returns at once; the rest happens beside the calls. A trunk whose lines
do not start is down and says why: its calls wait, and it is tried again, later each time. Lines that are not wanted any
more take no new calls, and are closed when the last of theirs has ended.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from sip.line import LinesDown, TrunkLine
from sip.trunk import Registration, Trunk
from voice.one_registration import OneRegistration
from voice.routing import TrunkState
from voice.trunk_entry import Entry

log = structlog.get_logger(__name__)

AGAIN_FIRST_S = 1.0  # a trunk that did not start is tried again so soon, later each time
AGAIN_MOST_S = 60.0  # an operator who mends the machine waits no longer than this
FIRST_TRIES_S = 10.0  # a dialer that starts waits so long for its lines before it says that it is there
START_WITHIN_S = 20.0  # usually a tenth of a second; a busy machine may need some
AT_ONCE = 4  # starts: each loads the library in a new process, and a machine has few cores
STARTING = "its lines are starting"

_ROUTING = (
    *("name", "priority", "weight", "caller_ids", "caller_id_policy", "caller_id_header", "privacy", "number_format"),
    *("headers", "options_ping", "failover", "schedule", "prefixes", "price", "daily_amount", "max_rate", "tags"),
    "alert_channels",
)
"""What is read anew for each call. A change of anything else of a trunk needs new lines."""


class Doors(Protocol):
    """The dialer, as far as its lines need it."""

    def reload(self, lines: Mapping[str, tuple[Trunk, TrunkLine]], idle: Iterable[TrunkState]) -> None: ...

    def forgive(self, trunk_id: str) -> None: ...


@dataclass(slots=True)
class _Held:
    """The lines of one trunk, wanted. `opening`: ends when they are open."""

    entry: Entry
    line: TrunkLine | None = None
    problem: str = STARTING
    tried: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: asyncio.Event = field(default_factory=asyncio.Event)
    opening: "asyncio.Task[None] | None" = None

    @property
    def trunk(self) -> Trunk:
        return self.entry.trunk


class TrunkLines:
    """`make`: lines for a trunk, not started. Made in a running event loop; `aclose` ends every call.

    `one`: settles with the other dialers whose lines register, for a trunk of which only one may.
    """

    def __init__(
        self,
        make: Callable[[Trunk], TrunkLine],
        doors: Doors,
        one: OneRegistration,
        *,
        again_s: float = AGAIN_FIRST_S,
    ) -> None:
        self._make, self._doors, self._one, self._again_s = make, doors, one, again_s
        self._entries: dict[str, Entry] = {}
        self._held: dict[str, _Held] = {}
        self._retired: list[tuple[str, TrunkLine]] = []
        self._signing_off: dict[str, asyncio.Task[None]] = {}  # by trunk: the last lines of it
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Semaphore(AT_ONCE)

    def obey(self, entries: Iterable[Entry]) -> None:
        """The trunks as they are from now on."""
        before, self._entries = self._entries, {entry.trunk.id: entry for entry in entries}
        wanted = {trunk_id: entry for trunk_id, entry in self._entries.items() if entry.takes_calls}
        for trunk_id, held in list(self._held.items()):
            entry = wanted.get(trunk_id)
            if entry is None or not same_lines(held.trunk, entry.trunk):
                del self._held[trunk_id]
                self._retire(held)
        for trunk_id, entry in wanted.items():
            if trunk_id in self._held:
                self._go_on(self._held[trunk_id], entry)
            else:
                self._held[trunk_id] = held = _Held(entry)
                held.opening = self._own(self._open(held), f"lines of {trunk_id}")
        if before != self._entries:
            self._tell()

    async def settled(self, within_s: float = FIRST_TRIES_S) -> None:
        """Returns when every trunk was tried once, whatever came of it, or after so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for held in list(self._held.values()):
                    await held.tried.wait()

    def leave(self) -> None:
        """No call is taken any more: give the one registration of each trunk to another dialer now."""
        self._one.leave()
        for trunk_id, held in self._held.items():
            if held.line is not None and held.trunk.registration is Registration.ONE:
                self._own(self._one.sign_off(held.line), f"signing off {trunk_id}")

    async def aclose(self) -> None:
        """BYE to every call, then the end of every line, those that drain too. Bounded by the lines themselves."""
        self._entries = {}
        self._one.leave()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        every = [held.line for held in self._held.values() if held.line] + [line for _, line in self._retired]
        self._held, self._retired = {}, []
        await asyncio.gather(*(line.aclose() for line in every))
        await self._one.aclose()

    # -- how they stand

    def trunks(self) -> tuple[Trunk, ...]:
        """All that are known, with a line or without."""
        return tuple(entry.trunk for entry in self._entries.values())

    def open(self) -> dict[str, tuple[Trunk, TrunkLine]]:
        """The trunks that calls may leave by, with their lines."""
        return {trunk_id: (held.trunk, held.line) for trunk_id, held in self._held.items() if held.line is not None}

    def idle(self) -> tuple[TrunkState, ...]:
        """The trunks without a line, and why."""
        return tuple(self._idle(entry) for trunk_id, entry in self._entries.items() if not self._is_open(trunk_id))

    def draining(self) -> tuple[tuple[str, TrunkLine], ...]:
        """Lines that end with the calls they still have, by trunk."""
        return tuple(self._retired)

    def _is_open(self, trunk_id: str) -> bool:
        return trunk_id in self._held and self._held[trunk_id].line is not None

    def _idle(self, entry: Entry) -> TrunkState:
        held = self._held.get(entry.trunk.id)
        return TrunkState(entry.trunk, entry.admin, held.problem if held else entry.problem, free=0)

    # -- opening

    async def _open(self, held: _Held) -> None:
        trunk_id, failures = held.trunk.id, 0
        while held.line is None:
            held.at_once.clear()
            try:
                async with self._starting, asyncio.timeout(START_WITHIN_S):
                    held.line, held.problem = await self._started(held.trunk), ""
            except (LinesDown, TimeoutError) as error:
                held.problem = str(error) or f"its lines did not start within {START_WITHIN_S:.0f} s"
                log.error("trunk has no lines", trunk_id=trunk_id, why=held.problem)  # noqa: TRY400 - it says all there is
            except Exception:
                held.problem = "its lines cannot be started; the log of the dialer says why"
                log.exception("trunk has no lines", trunk_id=trunk_id)
            self._tell()
            held.tried.set()
            if held.line is None:
                failures += 1
                await _until(held.at_once, _pause_s(self._again_s, failures))
        log.info("trunk has lines", trunk_id=trunk_id)
        if before := self._signing_off.get(trunk_id):
            await asyncio.wait({before})
        self._heed(held)

    async def _started(self, trunk: Trunk) -> TrunkLine:
        """Not registered yet: the lines before them may hold the registration still."""
        line = self._make(trunk)
        line.unregister()
        try:
            await line.start()
        except BaseException:
            await line.aclose()
            raise
        return line

    # -- going on

    def _go_on(self, held: _Held, entry: Entry) -> None:
        """Nothing about its lines changed. An operator who touched it has mended it."""
        before, held.entry = held.entry, entry
        if not entry.touched_since(before):
            return
        held.at_once.set()
        self._doors.forgive(held.trunk.id)
        if entry.asked_at != before.asked_at and (held.opening is None or held.opening.done()):
            self._heed(held)

    def _heed(self, held: _Held) -> None:
        """Register, or not: as the operator said last."""
        line, registers = held.line, held.entry.registers
        if line is None:
            return
        if held.trunk.registration is Registration.ONE and line.registrar is not None:
            self._one.heed(held.trunk.id, line, line.registrar, registers=registers)
        else:
            line.register() if registers else line.unregister()

    def _tell(self) -> None:
        self._doors.reload(self.open(), self.idle())

    # -- retiring

    def _retire(self, held: _Held) -> None:
        if held.opening is not None:
            held.opening.cancel()
        if held.line is not None:
            self._retired.append((held.trunk.id, held.line))
            before = self._signing_off.get(held.trunk.id)
            signing_off = self._own(_in_turn(before, self._one.sign_off(held.line)), f"signing off {held.trunk.id}")
            self._signing_off[held.trunk.id] = signing_off
            self._own(self._drain(held.trunk.id, held.line, signing_off), f"draining {held.trunk.id}")

    async def _drain(self, trunk_id: str, line: TrunkLine, signing_off: "asyncio.Task[None]") -> None:
        log.info("lines retire", trunk_id=trunk_id, calls=line.capacity().busy)
        await line.drain()
        await asyncio.wait({signing_off})
        await line.aclose()
        self._retired.remove((trunk_id, line))
        if self._signing_off.get(trunk_id) is signing_off:
            del self._signing_off[trunk_id]
        log.info("lines closed", trunk_id=trunk_id)

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _in_turn(before: "asyncio.Task[None] | None", work: Coroutine[Any, Any, None]) -> None:
    """Both, and not over before the first is."""
    await work
    if before is not None:
        await asyncio.wait({before})


def same_lines(before: Trunk, after: Trunk) -> bool:
    """May calls of the one leave by the lines of the other?"""
    return replace(before, **{name: getattr(after, name) for name in _ROUTING}) == after


def _pause_s(first_s: float, failures: int) -> float:
    """Doubled each time, with jitter: trunks that fell together do not rise together."""
    most = min(AGAIN_MOST_S, first_s * 2.0 ** min(failures - 1, 20))
    return most * (0.5 + 0.5 * random.random())


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
