"""The asyncio face of a trunk's line processes: a pool that grows on demand, shrinks when idle, survives its dead."""

import asyncio
import contextlib
import math
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from sip.commands import Dial, Drain, Register, Unregister
from sip.events import Ended, Origin, Phase, Ready, RegistrationState, Trace
from sip.front import BACKOFF_FIRST_S, BACKOFF_MOST_S, Front
from sip.legs import SILENT_SLOT_S
from sip.line import Capacity, Leg, LineError, LinesDown, NoFreeLine
from sip.lineprocess import LineProcess, Notice, ProcessStatus
from sip.names import Names
from sip.ports import NoFreePorts, claim, free_sip_port
from sip.prefork import Prefork, PreforkError
from sip.processleg import RungLeg, StillbornLeg
from sip.registrar import Registrar
from sip.setup import DIALS_PER_S_CEILING, SETTLE_S, SILENT_S, LineSetup
from sip.trunk import Registration, Timers, Trunk

log = structlog.get_logger(__name__)

BEAT_S = 2.5
SPARE_PROCESSES = 2  # lines that wait for a lost BYE to time out must not cost capacity
TRIES_MORE = 2  # a dial may meet a process that dies as it starts, or one whose lines are just taken
WORTH_WAITING_S = 2.0  # a dial waits for a process that may be started again so soon; later it is told "down"
CLOSE_WITHIN_S = 5.0
KILLED_WITHIN_S = 1.0


class Lines:
    """`Line` for one trunk, over PJSIP. Made in a running event loop; `start` before the first dial.

    `most`: concurrent calls, over all processes. `rtp_base`: first RTP port, 0 for free ones. `sip_base`: first SIP
    port, 0 for free ones. `journal_dir`: read it with `sip.lastwords.read_journals` before dialling again after a
    crash. `any_interface`: the operator's word that binding to 0.0.0.0 is meant. `keep`: processes that stay although
    idle; with 0 the first dial after a pause takes some 10 ms more. `answer`: told of each call that comes in; without
    it none is taken. Raises nothing until `start`.
    """

    def __init__(
        self,
        trunk: Trunk,
        *,
        most: int,
        journal_dir: Path,
        rtp_base: int = 0,
        sip_base: int = 0,
        idle_s: float = 60.0,
        keep: int = 1,
        ladder: bool = True,
        silent_s: float = SILENT_S,
        settle_s: float = SETTLE_S,
        recycle_after: int = 2000,
        beat_s: float = BEAT_S,
        any_interface: bool = False,
        answer: Callable[[RungLeg], None] | None = None,
    ) -> None:
        self._trunk = trunk
        self._most = most
        self._journal_dir = journal_dir.absolute()
        self._rtp_base, self._sip_base = rtp_base or trunk.rtp.port_base, sip_base
        self._idle_s, self._keep, self._recycle_after = idle_s, keep, recycle_after
        b_s = trunk.timers.b_ms / 1000
        # The library's own timer B is 32 s whatever is said; what the operator says is kept by giving up ourselves.
        self._silent_s = silent_s if trunk.timers == Timers() else min(b_s, SILENT_SLOT_S)
        self._settle_s = settle_s
        self._ladder, self._beat_s = ladder, beat_s
        self._any_interface = any_interface
        self._prefork = Prefork()
        self._preparing = asyncio.Lock()
        self._processes: list[LineProcess] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = self._closing = False
        self._signed_off = asyncio.Event()
        self._call_ended = asyncio.Event()
        self._deaths = 0
        self._not_before = 0.0
        self._reason = ""
        self._beats = 0
        self._names = Names(trunk)
        self.registrar = None if trunk.registration is Registration.NONE else Registrar()
        self._answer = answer
        self._listens = answer is not None and bool(trunk.inbound.acl)
        self._registers = trunk.registration is Registration.ONE
        self._front = Front(trunk.id, self._new_front, self._front_gone) if self._registers or self._listens else None

    # -- the Line port

    def capacity(self) -> Capacity:
        return Capacity(self._most, sum(process.taken for process in self._processes))

    async def dial(self, command: Dial) -> Leg:
        """Returns once the INVITE is on its way, or may be. Raises NoFreeLine or LinesDown: then nothing was sent."""
        routed = await self._route(command)
        if routed is None:
            # What PJSIP itself reports for a name that nobody knows.
            unknown = Ended(
                command.call_id,
                time.time(),
                502,
                "Bad Gateway",
                Origin.LOCAL,
                Phase.SILENT,
                sent=False,
                error="no such name",
            )
            return StillbornLeg(unknown)
        why_not: LineError = NoFreeLine("every line is busy")
        for _ in range(len(self._processes) + TRIES_MORE):
            if self._closing or self._draining:
                raise NoFreeLine("no new calls: the service is stopping")
            if any(command.call_id in process.legs for process in self._processes):
                raise LineError("this call is being dialled already")
            if self.capacity().free < 1:
                raise NoFreeLine("every line is busy")
            process = self._with_room() or await self._grow()
            try:
                leg = await process.dial(routed)
            except LinesDown as down:
                if process.refused is not None:
                    raise
                why_not = down  # nothing was sent: another process may do better
                continue
            if leg is not None:
                return leg
        raise why_not

    async def drain(self) -> None:
        """No new dials; returns when the last call has ended. Processes without one leave at once, with their ports."""
        self._draining = True
        for process in self._processes:
            process.send(Drain())
            self._let_go(process)
        while any(process.legs for process in self._everybody()):
            self._call_ended.clear()
            await self._call_ended.wait()

    async def sign_off(self) -> None:
        """Take the registration back for good; returns when the registrar knows, or has not answered in time.

        Whoever registers the same user anew waits for it: a registrar that keeps one contact for each user would take
        the end of the old one for the end of the new one.
        """
        self._signed_off.set()
        self.unregister()
        front = self._front.process if self._front is not None else None
        if self._front is not None:
            self._front.leave()
        if front is None or front.is_closed:
            return
        if front.legs:  # callers that it still has: it leaves with the last of them
            front.send(Drain())
        else:
            await _closed_in_time([front])

    async def aclose(self) -> None:
        """BYE to every call, then the end of every process. About six seconds at worst; usually some milliseconds."""
        self._closing = True
        if self._front is not None:
            self._front.leave()
        processes = self._everybody()
        await _closed_in_time(processes)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._prefork.aclose()

    # -- more than the port

    async def start(self) -> None:
        """Returns when one line process is healthy. Raises LinesDown with the reason, and leaves nothing behind."""
        try:
            process = await self._grow()
            await process.started()
        except LinesDown:
            await self.aclose()
            raise
        self._spawn(self._beat(), "line heart-beat")
        if self._front is not None:
            self._spawn(self._front.live(), "front of the trunk")

    def pids(self) -> tuple[int, ...]:
        """Line processes that live now."""
        return tuple(process.pid for process in self._processes if process.pid)

    def register(self) -> None:
        """Register, and keep it so; also after a refused login. Nothing for a trunk that does not register."""
        self._want(True)

    def unregister(self) -> None:
        """Take the registration back until `register`."""
        self._want(False)

    @property
    def prefork_pid(self) -> int | None:
        """The prepared process that line processes are forked from."""
        return self._prefork.pid

    def status(self) -> tuple[ProcessStatus, ...]:
        return tuple(ProcessStatus(p.ready, p.taken, p.served) for p in self._processes if p.ready is not None)

    def pid_of(self, call_id: str) -> int | None:
        """The line process that carries this call."""
        return next((process.pid for process in self._processes if call_id in process.legs), None)

    # -- the registration

    def _want(self, wanted: bool) -> None:
        if self.registrar is None:
            return
        self.registrar.wanted = wanted
        for process in self._everybody():
            if process.setup.registers and process.ready is not None:
                self._spawn(self._command_registration(process), "registration")

    def _told(self, process: LineProcess, value: Notice) -> None:
        if self.registrar is None:
            return
        match value:
            case Ready() if process.setup.registers:
                self._spawn(self._command_registration(process), "registration")
            case RegistrationState():
                self.registrar.note(process.pid, value)
            case Trace():
                self.registrar.trace(value)

    async def _command_registration(self, process: LineProcess) -> None:
        """The registrar's name is looked up here for processes that have calls; alone, a process may do it itself."""
        if self.registrar is None or not self.registrar.wanted:
            process.send(Unregister())
            return
        route = None
        if self._trunk.registration is Registration.EVERY_LINE:
            trunk = self._trunk
            uri = next(uri for uri in trunk.uris if uri.enabled)
            where = trunk.outbound_proxy or trunk.register.registrar or f"{uri.host}:{uri.port}"
            route = await self._names.address_of(f"sip:{where}")
        process.send(Register(route or None))

    # -- the front: who registers, and who is called

    async def _new_front(self) -> LineProcess:
        await self._prepare()
        calls = min(self._prefork.calls_per_process, self._most) if self._listens else 1
        return self._new_process(calls, registers=self._registers, listens=self._listens)

    def _front_gone(self, process: LineProcess) -> None:
        if self.registrar is not None:
            self.registrar.gone(process.pid, process.refused or "the process that held it died")

    def _everybody(self) -> list[LineProcess]:
        front = self._front.process if self._front is not None else None
        return [*self._processes, *([front] if front is not None else [])]

    # -- the pool

    def _with_room(self) -> LineProcess | None:
        """The fullest that has room: the others may then go to sleep, or leave."""
        roomy = [process for process in self._processes if process.has_room()]
        return max(roomy, key=lambda process: process.taken, default=None)

    async def _grow(self) -> LineProcess:
        """A new process, started in a task of its own. Raises NoFreeLine or LinesDown."""
        wait_s = self._not_before - asyncio.get_running_loop().time()
        if wait_s > WORTH_WAITING_S:
            raise LinesDown(self._reason)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        await self._prepare()
        roomy = self._with_room()  # somebody else may have grown while we waited
        if roomy is not None:
            return roomy
        per_process = min(self._prefork.calls_per_process, self._most)
        if len(self._processes) >= math.ceil(self._most / per_process) + SPARE_PROCESSES:
            raise NoFreeLine("every line process is full")
        try:
            process = self._new_process(per_process, registers=self._trunk.registration is Registration.EVERY_LINE)
        except NoFreePorts as error:
            raise LinesDown(str(error)) from None
        self._processes.append(process)
        return process

    async def _prepare(self) -> None:
        async with self._preparing:
            if self._prefork.alive:
                return
            await self._prefork.aclose()
            self._prefork = Prefork()
            try:
                await self._prefork.start()
            except PreforkError as error:
                self._stumble(str(error))
                raise LinesDown(str(error)) from None

    def _new_process(self, calls: int, *, registers: bool, listens: bool = False) -> LineProcess:
        address = self._trunk.bind_address
        ports = claim(address, self._rtp_base, calls, self._trunk.rtp.port_last)
        setup = LineSetup(
            trunk=self._trunk,
            capacity=calls,
            rtp_base=ports.base,
            rtp_range=ports.range,
            journal_dir=str(self._journal_dir),
            sip_port=self._trunk.inbound.port if listens else free_sip_port(address, self._sip_base, self._most),
            ladder=self._ladder,
            dials_per_s=min(DIALS_PER_S_CEILING, max(1.0, self._trunk.cps)),
            silent_s=self._silent_s,
            settle_s=self._settle_s,
            registers=registers,
            listens=listens,
            any_interface=self._any_interface,
        )
        process = LineProcess(setup, ports, self._changed, self._told, self._answer if listens else None)
        self._spawn(process.live(self._prefork), "line process")
        return process

    def _changed(self, process: LineProcess) -> None:
        """A call ended, or the process is dead and all its calls have ended."""
        self._call_ended.set()
        if process.is_closed and process in self._processes:
            if self.registrar is not None:
                self.registrar.gone(process.pid, "")
            self._bury(process)
        elif self._draining and not process.is_closed:
            self._let_go(process)

    def _let_go(self, process: LineProcess) -> None:
        """Of a pool that drains: what has no call is not needed any more."""
        if not (process.taken or process.leaving) and (process in self._processes or self._signed_off.is_set()):
            process.stop()

    def _bury(self, process: LineProcess) -> None:
        """Its successor comes at once the first time, later each time."""
        self._processes.remove(process)
        how = self._prefork.exits.pop(process.pid, "")
        if process.leaving or self._closing:
            self._deaths = 0
            return
        if process.refused is not None:
            # The same answer would come again: only a dial, and not soon, tries once more.
            self._reason = process.refused
            self._not_before = asyncio.get_running_loop().time() + BACKOFF_MOST_S
            log.error("line process refused to start", reason=process.refused)
            return
        self._deaths = 1 if process.served else self._deaths + 1
        self._stumble(process.unborn or "line processes die as soon as they start")
        log.error("line process died", pid=process.pid, exit=how, deaths=self._deaths, reason=process.unborn)
        if len(self._processes) < self._keep and not self._draining:
            self._spawn(self._replace(), "line process successor")

    def _stumble(self, reason: str) -> None:
        self._reason = reason
        delay_s = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** min(self._deaths, 20))
        self._not_before = asyncio.get_running_loop().time() + delay_s

    async def _replace(self) -> None:
        await asyncio.sleep(max(0.0, self._not_before - asyncio.get_running_loop().time()))
        with contextlib.suppress(LineError):
            await self._grow()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            self._beats += 1
            for process in self._everybody():
                process.beat(self._beats)
            self._shrink()

    def _shrink(self) -> None:
        """Idle for long, or old: leave. The library grows by some kilobytes a call."""
        now = asyncio.get_running_loop().time()
        staying = [process for process in self._processes if not process.leaving]
        for process in staying[::-1]:
            if process.taken or process.ready is None:
                continue
            old = process.served >= self._recycle_after
            spare = len(staying) > self._keep and now - process.idle_since > self._idle_s
            if old or spare:
                staying.remove(process)
                process.stop()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _route(self, command: Dial) -> Dial | None:
        """None: nobody knows the name."""
        proxy = self._trunk.outbound_proxy
        address = await self._names.address_of(f"sip:{proxy}" if proxy else command.uri)
        return None if address is None else replace(command, route=address or None)


async def _closed_in_time(processes: list[LineProcess]) -> None:
    """Ask them to leave, and end those that do not."""
    for process in processes:
        process.stop()
    if not await _all_closed(processes, CLOSE_WITHIN_S):
        for process in processes:
            process.kill(signal.SIGKILL)
        await _all_closed(processes, KILLED_WITHIN_S)


async def _all_closed(processes: list[LineProcess], within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            for process in processes:
                await process.closed()
    except TimeoutError:
        return False
    return True
