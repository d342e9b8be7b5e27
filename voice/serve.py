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
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from config.children import PARENT, free_port
from config.settings import Settings
from messaging.embedded import EmbeddedValkey
from voice.installation import keep_secrets

log = structlog.get_logger()

# A role that ran for less than this was never healthy: two such ends in a row and serve gives up.
HEALTHY_AFTER_S = 3.0
BACKOFF_MOST_S = 5.0
# After drain_s the dialer hangs up the rest and writes their ends; the others need no more than this either.
STOP_MARGIN_S = 10.0


class CannotServe(Exception):
    """The service cannot start; the text says why and what to do."""


@dataclass
class Role:
    """One supervised process."""

    name: str
    process: asyncio.subprocess.Process | None = None
    restarts: int = 0


class Serve:
    """Async context manager: inside it, everything runs. `base_url` is where the api answers."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self._environ = dict(environ)
        self._stack = contextlib.AsyncExitStack()
        self._roles: dict[str, Role] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._stopping = False
        self.redis_url = settings.store.redis_url or ""
        self.base_url = ""

    async def __aenter__(self) -> "Serve":
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        settings = self.settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        data_dir = settings.data_dir.resolve()
        keep_secrets(settings)
        listener = self._stack.enter_context(_listen(settings.http.host, settings.http.port))
        host, port = listener.getsockname()[:2]
        self.base_url = f"http://{host}:{port}"
        if not self.redis_url:
            valkey = await self._stack.enter_async_context(EmbeddedValkey(data_dir / VALKEY))
            self.redis_url = valkey.url
        self._stack.push_async_callback(self._stop)
        self._environ |= {
            PARENT: str(os.getpid()),
            "TOCSIN_DATA_DIR": str(data_dir),
            "TOCSIN_REDIS_URL": self.redis_url,
            "TOCSIN_HTTP__HOST": host,
            "TOCSIN_HTTP__PORT": str(port),
        }
        if settings.sandbox.enabled:
            sip_port = settings.sandbox.sip_port or free_port(socket.SOCK_DGRAM)
            self._environ["TOCSIN_SANDBOX__SIP_PORT"] = str(sip_port)
            await self._spawn("phone")
        await self._spawn("dialer")
        await self._spawn("courier")
        self._environ["TOCSIN_LISTEN_FD"] = str(listener.fileno())
        await self._spawn("api", pass_fds=(listener.fileno(),))

    async def _spawn(self, name: str, pass_fds: tuple[int, ...] = ()) -> None:
        role = self._roles.setdefault(name, Role(name))
        await self._launch(role, pass_fds)
        self._watchers.append(asyncio.create_task(self._watch(role, pass_fds), name=f"watch {name}"))

    async def _launch(self, role: Role, pass_fds: tuple[int, ...]) -> None:
        role.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "voice",
            role.name,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=pass_fds,
            # The terminal's Ctrl-C goes to serve alone, which then stops the others in order.
            start_new_session=True,
        )

    async def _watch(self, role: Role, pass_fds: tuple[int, ...]) -> None:
        loop = asyncio.get_running_loop()
        short_lives = 0
        while True:
            process, started = role.process, loop.time()
            if process is None:
                return
            code = await process.wait()
            if self._is_stopping():
                return
            short_lives = short_lives + 1 if loop.time() - started < HEALTHY_AFTER_S else 0
            log.error("process ended", role=role.name, exit=_in_words(code), restarts=role.restarts)
            if short_lives >= 2 or code == EXIT_CONFIG:
                if not self._failed.done():
                    self._failed.set_result(f"{role.name} cannot start ({_in_words(code)}); its last lines say why")
                return
            await asyncio.sleep(min(BACKOFF_MOST_S, 0.1 * 2**role.restarts))
            if self._is_stopping():
                return
            role.restarts += 1
            await self._launch(role, pass_fds)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; raises CannotServe when a process will not start."""
        stopping = asyncio.create_task(stop.wait())
        waiting: set[asyncio.Future[Any]] = {stopping, self._failed}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._failed.done():
            raise CannotServe(self._failed.result())

    def _is_stopping(self) -> bool:
        return self._stopping

    def pid(self, role: str) -> int:
        """Of a running role, for the doctor and for tests that kill it."""
        process = self._roles[role].process
        if process is None:
            raise KeyError(role)
        return process.pid

    def hurry(self) -> None:
        """A second signal: end everything now."""
        for role in self._roles.values():
            _send(role, signal.SIGKILL)

    async def _stop(self) -> None:
        bound = self.settings.dialer.drain_s + STOP_MARGIN_S
        self._stopping = True
        # The api goes first so that nothing new arrives; the dialer may take its time; the courier then has it all.
        for name in ("api", "dialer", "courier", "phone"):
            if name in self._roles:
                await self._end(self._roles[name], bound if name == "dialer" else STOP_MARGIN_S)
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)

    async def _end(self, role: Role, bound_s: float) -> None:
        _send(role, signal.SIGTERM)
        if role.process is None or role.process.returncode is not None:
            return
        try:
            await asyncio.wait_for(role.process.wait(), bound_s)
        except TimeoutError:
            log.warning("process did not stop in time", role=role.name, bound_s=bound_s)
            _send(role, signal.SIGKILL)
            await role.process.wait()


VALKEY = "valkey"  # the embedded store, under data_dir
EXIT_CONFIG = 3  # of the command line: a setting is wrong, so starting again cannot help


def _send(role: Role, number: signal.Signals) -> None:
    if role.process is not None and role.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            role.process.send_signal(number)


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


async def serve(settings: Settings, ready_line: bool = True) -> None:
    """Run until SIGTERM or SIGINT. Raises CannotServe."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with Serve(settings, os.environ) as service:

        def on_signal() -> None:
            service.hurry() if stop.is_set() else stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        if ready_line:
            log.info("serving", url=service.base_url, data=str(settings.data_dir))
        await service.run(stop)
        log.info("stopping")
