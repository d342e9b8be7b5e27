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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import structlog

from config.children import free_port
from config.settings import Settings
from messaging.embedded import EmbeddedError, EmbeddedValkey, embedded_url
from voice.installation import keep_private, keep_secrets
from voice.roles import Gate, RoleProcess

log = structlog.get_logger()

VALKEY = "valkey"  # the embedded store, under data_dir
LISTEN_FD = "TOCSIN_LISTEN_FD"
EXIT_CONFIG = 3  # of the command line: a setting is wrong, so starting again cannot help
# A role that ran for less than this was never healthy: two such ends in a row and serve gives up.
HEALTHY_AFTER_S = 3.0
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.1, 5.0
# After drain_s the dialer hangs up the rest and writes their ends; the others need no more than this either.
STOP_MARGIN_S = 15.0
# Against the flow of a call. The phone ends after the dialer that talks to it.
STOP_ORDER = ("api", "dialer", "courier", "phone")


class CannotServe(Exception):
    """The service cannot start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run and where, decided before anything starts. `prepare` makes it, `Serve` carries it out."""

    settings: Settings
    environ: Mapping[str, str]
    listener: socket.socket
    base_url: str
    gate: Gate
    roles: tuple[RoleProcess, ...]


def prepare(settings: Settings, environ: Mapping[str, str]) -> Plan:
    """Fork the roles. Call it before the event loop starts, in the main thread. Raises CannotServe."""
    data_dir = settings.data_dir.absolute()
    keep_private(data_dir)
    data_dir.mkdir(parents=True, exist_ok=True)
    keep_secrets(settings)
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
    from voice import compose, compose_api  # noqa: F401 - loaded here, once, for all of them
    from voice.cli.service import run_role

    gate = Gate()
    roles = tuple(
        RoleProcess.forked(name, told, gate, functools.partial(_role, name, listener, run_role)) for name in names
    )
    return Plan(settings, told, listener, f"http://{host}:{port}", gate, roles)


def _role(name: str, listener: socket.socket, run_role: Any) -> int:
    """In the fork. Only the api keeps the listening socket: nobody else could accept."""
    if name != "api":
        listener.close()
        os.environ.pop(LISTEN_FD, None)
    else:
        listener.detach()
    code: int = run_role(name, {})
    return code


class Serve:
    """Async context manager: inside it, everything runs."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.base_url = plan, plan.base_url
        self._stack = contextlib.AsyncExitStack()
        self._roles = {role.name: role for role in plan.roles}
        self._watchers: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._stack.callback(self.plan.listener.close)
        self._stack.callback(self.plan.gate.close)
        for role in self.plan.roles:
            role.attach()
        self._stack.push_async_callback(self._stop_all)
        try:
            if self.plan.settings.store.redis_url is None:
                await self._start_store()
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
            raise CannotServe(str(error)) from None
        finally:
            self._stack.push_async_exit(roles_last)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _watch(self, name: str) -> None:
        loop, short_lives, restarts = asyncio.get_running_loop(), 0, 0
        while True:
            began = loop.time()
            code = await self._roles[name].wait()
            if self._is_stopping():
                return
            short_lives = short_lives + 1 if loop.time() - began < HEALTHY_AFTER_S else 0
            log.error("process ended", role=name, exit=_in_words(code), restarts=restarts)
            if short_lives >= 2 or code == EXIT_CONFIG:
                if not self._failed.done():
                    self._failed.set_result(f"{name} cannot start ({_in_words(code)}); its last lines say why")
                return
            await asyncio.sleep(min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2**restarts))
            if self._is_stopping():
                return
            restarts += 1
            self._start_again(name)

    def _start_again(self, name: str) -> None:
        fds = (self.plan.listener.fileno(),) if name == "api" else ()
        environ = {key: value for key, value in self.plan.environ.items() if name == "api" or key != LISTEN_FD}
        role = RoleProcess.started(name, environ, fds)
        role.attach()
        self._roles[name] = role

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; raises CannotServe when a process will not start."""
        stopping = asyncio.create_task(stop.wait())
        waiting: set[asyncio.Future[Any]] = {stopping, self._failed}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._failed.done():
            raise CannotServe(self._failed.result())

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
        raise CannotServe(f"cannot listen on {host}:{port}: {error.strerror}. Try --port 0 for a free one.") from None
    listener.listen(512)
    return listener


async def serve(plan: Plan) -> None:
    """Run until SIGTERM or SIGINT. Raises CannotServe."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with Serve(plan) as service:

        def on_signal() -> None:
            service.hurry() if stop.is_set() else stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        log.info("serving", url=service.base_url, data=plan.environ["TOCSIN_DATA_DIR"])
        await service.run(stop)
        log.info("stopping")
