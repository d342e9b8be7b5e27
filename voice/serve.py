"""`tocsin serve`: one of each process on this machine, with an embedded Valkey, supervised.

    serve ── Valkey (unless a server is given)
          ├─ phone    the catch-all phone
          ├─ dialer   ├─ line processes
          ├─ courier
          └─ api      on a socket that serve holds, so a restarted api refuses nobody

A process that ends by itself is started again, with back-off; one that cannot even start ends serve with its words.
Stopping goes against the flow of a call: the api refuses new work, the dialer lets its calls end, the courier posts
what they left, the store goes last. A second signal means now.
"""

import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import structlog

from config.children import free_port
from config.settings import Settings, SettingsError
from messaging.embedded import EmbeddedError, EmbeddedValkey, embedded_url
from voice.installation import keep_private, keep_secrets
from voice.preflight import CannotStart, store_answers
from voice.roles import Gate, RoleProcess

log = structlog.get_logger()

RunRole = Callable[[str, Mapping[str, object]], int]  # role, overrides -> exit code
VALKEY = "valkey"  # the embedded store, under data_dir
LISTEN_FD = "TOCSIN_LISTEN_FD"
EXIT_CONFIG = 3  # of the command line: a setting is wrong, so starting again cannot help
STILLBORN_MOST = 2  # ends of a role that was never up: then serve gives up, and the last lines say why
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.1, 5.0
STEADY_S = 60.0  # a role that was up for so long begins the back-off anew
# After drain_s the dialer hangs up the rest and writes their ends; the others need no more than this either.
STOP_MARGIN_S = 15.0
# Against the flow of a call. The phone ends after the dialer that talks to it.
STOP_ORDER = ("api", "dialer", "courier", "phone")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run and where, decided before anything starts. `prepare` makes it, `Serve` carries it out."""

    settings: Settings
    environ: Mapping[str, str]
    listener: socket.socket
    base_url: str
    gate: Gate
    roles: tuple[RoleProcess, ...]


def prepare(settings: Settings, environ: Mapping[str, str], run_role: RunRole) -> Plan:
    """Fork the roles. Call it before the event loop starts, in the main thread. Raises CannotStart."""
    data_dir = settings.data_dir.absolute()
    _make_room(settings, data_dir)
    listener = _listen(settings.http.host, settings.http.port)
    host, port = listener.getsockname()[:2]
    told = dict(environ) | {
        "TOCSIN_DATA_DIR": str(data_dir),
        "TOCSIN_REDIS_URL": settings.store.redis_url or embedded_url(data_dir / VALKEY),
        "TOCSIN_HTTP__HOST": host,
        "TOCSIN_HTTP__PORT": str(port),
        LISTEN_FD: str(listener.fileno()),
        # One thread is enough for vectors of this size, and a fork must not find others.
        "OPENBLAS_NUM_THREADS": "1",
    }
    names = ["dialer", "courier", "api"]
    if settings.sandbox.enabled and not settings.simulate:
        told["TOCSIN_SANDBOX__SIP_PORT"] = str(settings.sandbox.sip_port or free_port(socket.SOCK_DGRAM))
        names.insert(0, "phone")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from voice import processes  # loaded here, once, for all of them

    try:
        processes.check(settings, told, dials=True)
    except BaseException:
        listener.close()
        raise

    gate = Gate()
    roles = tuple(
        RoleProcess.forked(
            name,
            told,
            gate,
            functools.partial(_role, name, listener, run_role),
            _load_api if name == "api" else _load_nothing,
        )
        for name in names
    )
    return Plan(settings, told, listener, f"http://{host}:{port}", gate, roles)


def _load_api() -> None:
    """Half a second of a core, which nobody but the api needs: beside the start of the store, not before it."""
    from voice import compose_api  # noqa: F401
    from voice.api import app, server  # noqa: F401


def _load_nothing() -> None:
    pass


def _make_room(settings: Settings, data_dir: Path) -> None:
    try:
        keep_private(data_dir)
        data_dir.mkdir(parents=True, exist_ok=True)
        keep_secrets(settings)
    except OSError as error:
        raise SettingsError(f"data_dir: cannot write to {data_dir}: {error.strerror}") from None


def _role(name: str, listener: socket.socket, run_role: RunRole) -> int:
    """In the fork. Only the api keeps the listening socket: nobody else could accept."""
    if name != "api":
        listener.close()
        os.environ.pop(LISTEN_FD, None)
    else:
        listener.detach()
    return run_role(name, {})


class Serve:
    """Async context manager: inside it, everything runs."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.base_url = plan, plan.base_url
        self._stack = contextlib.AsyncExitStack()
        self._roles = {role.name: role for role in plan.roles}
        self._watchers: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._stopping = False
        self.restarts = dict.fromkeys(self._roles, 0)

    async def __aenter__(self) -> Self:
        self._stack.callback(self.plan.listener.close)
        self._stack.callback(self.plan.gate.close)
        for role in self.plan.roles:
            role.attach()
        self._stack.push_async_callback(self._stop_all)
        try:
            if self.plan.settings.store.redis_url is None:
                await self._start_store()
            else:
                await store_answers(self.plan.settings.store.redis_url)
        except BaseException:
            await self._stack.aclose()
            raise
        for role in self.plan.roles:
            self._watchers.append(asyncio.create_task(self._watch(role.name), name=f"watch {role.name}"))
        self.plan.gate.open(len(self.plan.roles))
        return self

    async def _start_store(self) -> None:
        """The store goes up before the roles and down after them, whatever ends first."""
        valkey = EmbeddedValkey(Path(self.plan.environ["TOCSIN_DATA_DIR"]) / VALKEY)
        roles_last = self._stack.pop_all()
        try:
            await self._stack.enter_async_context(valkey)
        except EmbeddedError as error:
            raise CannotStart(str(error)) from None
        finally:
            self._stack.push_async_exit(roles_last)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _watch(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        ever_up, stillborn, failures = False, 0, 0
        while True:
            began = loop.time()
            code = await self._roles[name].wait()
            if self._is_stopping():
                return
            was_up = self._roles[name].was_ready
            ever_up, stillborn = ever_up or was_up, 0 if was_up else stillborn + 1
            failures = 1 if was_up and loop.time() - began > STEADY_S else failures + 1
            log.error("process ended", role=name, pid=self._roles[name].pid, exit=_in_words(code), was_up=was_up)
            # Once it was up, its settings are right: whatever keeps it down may pass, and we go on trying.
            if code == EXIT_CONFIG or (not ever_up and stillborn >= STILLBORN_MOST):
                if not self._failed.done():
                    self._failed.set_result(f"{name} cannot start ({_in_words(code)}); its last lines say why")
                return
            await asyncio.sleep(min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** (failures - 1)))
            if self._is_stopping():
                return
            self.restarts[name] += 1
            self._start_again(name)
            log.info("process started again", role=name, pid=self._roles[name].pid, restarts=self.restarts[name])

    def _start_again(self, name: str) -> None:
        fds = (self.plan.listener.fileno(),) if name == "api" else ()
        environ = {key: value for key, value in self.plan.environ.items() if name == "api" or key != LISTEN_FD}
        role = RoleProcess.started(name, environ, fds)
        role.attach()
        self._roles[name] = role

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; raises CannotStart when a process will not start."""
        stopping = asyncio.create_task(stop.wait())
        waiting: set[asyncio.Future[Any]] = {stopping, self._failed}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._failed.done():
            raise CannotStart(self._failed.result())

    def hurry(self) -> None:
        """A second signal: end everything now."""
        for role in self._roles.values():
            role.send(signal.SIGKILL)

    def _is_stopping(self) -> bool:
        return self._stopping

    async def _stop_all(self) -> None:
        self._stopping = True
        for name in STOP_ORDER:
            if name in self._roles:
                await self._end(self._roles[name])
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    async def _end(self, role: RoleProcess) -> None:
        bound_s = STOP_MARGIN_S + (self.plan.settings.dialer.drain_s if role.name == "dialer" else 0.0)
        role.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(role.wait(), bound_s)
        except TimeoutError:
            log.warning("process did not stop in time", role=role.name, bound_s=bound_s)
            role.send(signal.SIGKILL)
            await role.wait()


def _in_words(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}. Try --port 0 for a free one.") from None
    listener.listen(512)
    return listener


async def serve(plan: Plan) -> None:
    """Run until SIGTERM or SIGINT. Raises CannotStart."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with Serve(plan) as service:

        def on_signal() -> None:
            service.hurry() if stop.is_set() else stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        log.info("serving", url=service.base_url, data=plan.environ["TOCSIN_DATA_DIR"])
        await service.run(stop)
        log.info("stopping")
