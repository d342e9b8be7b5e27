"""The processes of `tocsin serve`: forked once from one that has everything loaded, started anew when they die.

Loading the libraries costs a second and a half of a core per process, forking five milliseconds. So serve loads once
what its roles have in common, and forks them before it has a thread or an event loop (a process with threads must not
fork); whoever dies later is replaced by a fresh interpreter. Forked roles wait behind a gate until the store runs.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Self

from config.children import PARENT, READY


class RoleProcess:
    """A child process of ours, whichever way it was started. `attach` before anything else, on the running loop."""

    def __init__(self, name: str, pid: int, ready: int) -> None:
        self.name, self.pid = name, pid
        self.was_ready = False  # it said once that it is up
        self._ready: int | None = ready
        self.returncode: int | None = None
        self._pidfd = os.pidfd_open(pid)
        self._ended: asyncio.Future[int] | None = None

    @classmethod
    def forked(
        cls, name: str, environ: Mapping[str, str], gate: "Gate", run: Callable[[], int], load: Callable[[], None]
    ) -> Self:
        """`run` in a fork of this process, once the gate is open. Call it only while there is one thread.

        `load`: what only this role has to import; it does so while the store goes up.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        ready, tell = os.pipe()
        if pid := os.fork():
            os.close(tell)
            return cls(name, pid, ready)
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)  # whatever our parent made of them
            os.setsid()  # the terminal's Ctrl-C goes to serve alone, which then stops the others in order
            os.environ.clear()
            os.environ.update(environ, **{PARENT: str(os.getppid()), READY: str(tell)})
            os.close(ready)
            with open(os.devnull, encoding="ascii") as nothing:
                os.dup2(nothing.fileno(), 0)
            load()
            if gate.wait():
                code = run()
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
        except BaseException:  # noqa: BLE001 - the last frame of this process: nobody else can tell
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    @classmethod
    def started(cls, name: str, environ: Mapping[str, str], pass_fds: tuple[int, ...]) -> Self:
        """The same role in a fresh interpreter."""
        ready, tell = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "voice", name],
            env={**environ, PARENT: str(os.getpid()), READY: str(tell)},
            stdin=subprocess.DEVNULL,
            pass_fds=(*pass_fds, tell),
            start_new_session=True,
        )
        os.close(tell)
        process.returncode = 0  # we reap it ourselves, through the pidfd
        return cls(name, process.pid, ready)

    def attach(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        loop.add_reader(self._pidfd, self._reap)
        if self._ready is not None:
            loop.add_reader(self._ready, self._hear)

    def _hear(self) -> None:
        """It said that it is up, or its end of the pipe closed."""
        if self._ready is None:
            return
        asyncio.get_running_loop().remove_reader(self._ready)
        self.was_ready = os.read(self._ready, 1) != b""
        os.close(self._ready)
        self._ready = None

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._hear()
        os.close(self._pidfd)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(self.returncode)

    async def wait(self) -> int:
        """Its exit code; negative: the signal that ended it."""
        if self._ended is None:
            raise RuntimeError("attach first")
        return await asyncio.shield(self._ended)

    def send(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)


class Gate:
    """Holds forked roles back until `open`; if we die first, they leave."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        self._open = False

    def wait(self) -> bool:
        """In the child: True when it was opened, False when it was closed or the parent died."""
        os.close(self._in)
        word = os.read(self._out, 1)
        os.close(self._out)
        return word != b""

    def open(self, how_many: int) -> None:
        os.write(self._in, b"." * how_many)
        self.close()

    def close(self) -> None:
        if not self._open:
            self._open = True
            os.close(self._in)
            os.close(self._out)
