"""The prepared process: it has PJSIP loaded, and a line process is one fork of it (5 ms instead of 90).

Both ends are here. The parent's end, `Prefork`, never imports PJSIP. The server's end is `python -m sip.prefork`: no
thread, no asyncio, two sockets; it forks, reaps, and signals children on request, because only their own parent can do
that without ever hitting a stranger that was given the same pid. It inherits nothing but its two sockets (a spawned
process closes all others), so no child can hold another child's pipe or the store's socket open. It ends when its
parent does: its socket closes, and the kernel kills it if it should be stuck.
"""

import asyncio
import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_HELLO_WITHIN_S = 15.0  # loading PJSIP takes 0.1 s; a machine that swaps may need a hundred times that
_FORK_WITHIN_S = 5.0
_SEE_OFF_S = 0.5
# Nothing else of the environment: the service's secrets stand there, and a line process meets hostile packets.
_ENVIRONMENT = ("PATH", "PYTHON", "VIRTUAL_ENV", "LANG", "LC_", "TZ", "LD_LIBRARY_PATH")
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


class PreforkError(Exception):
    """The prepared process did not start, or is gone."""


class Prefork:
    """The parent's end: start it, ask for forks. One per pool; used from one event loop."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._forks: dict[int, asyncio.Future[int]] = {}
        self._serial = 0
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.alive = False
        self.calls_per_process = 0
        self.exits: dict[int, str] = {}  # pid -> how it ended, in words; kept for the log

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Returns when forks can be asked for. Raises PreforkError."""
        requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        replies, their_replies = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._process = _spawn(theirs, their_replies)
        finally:
            theirs.close()
            their_replies.close()
        requests.setblocking(False)
        self._requests = requests
        reader, self._writer = await asyncio.open_unix_connection(sock=replies)
        try:
            async with asyncio.timeout(_HELLO_WITHIN_S):
                hello = await reader.readline()
        except TimeoutError:
            hello = b""
        said: dict[str, Any] = json.loads(hello) if hello else {"refused": "the reason stands on standard error"}
        if "refused" in said:
            await self.aclose()
            raise PreforkError(f"PJSIP cannot be loaded: {said['refused']}")
        self.calls_per_process = int(said["capacity"])
        self.alive = True
        self._reader = asyncio.create_task(self._read(reader), name="prefork replies")

    async def fork(self) -> tuple[int, socket.socket]:
        """A new line process: its pid and our end of its pipe. Raises PreforkError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        serial = self._serial = self._serial + 1
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._forks[serial] = done
        try:
            self._ask({"fork": serial}, [theirs.fileno()])
            async with asyncio.timeout(_FORK_WITHIN_S):
                pid = await done
        except (PreforkError, TimeoutError) as error:
            ours.close()
            raise PreforkError(str(error) or "no fork in time") from None
        except BaseException:
            ours.close()  # the child sees its pipe close and leaves
            raise
        finally:
            theirs.close()
            self._forks.pop(serial, None)
        return pid, ours

    def kill(self, pid: int, signal_number: int) -> None:
        """Signal a line process, if it is still one."""
        with contextlib.suppress(PreforkError):
            self._ask({"kill": pid, "signal": int(signal_number)}, [])

    async def aclose(self) -> None:
        """End the prepared process; line processes are not touched. Bounded, about a second at worst."""
        self.alive = False
        if self._reader is not None:
            self._reader.cancel()
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
            self._writer = None
        process = self._process
        if process is None:
            return
        for _ in range(100):
            if process.poll() is not None:
                return
            await asyncio.sleep(0.01)
        process.kill()
        process.wait()

    def _ask(self, request: dict[str, int], fds: list[int]) -> None:
        if self._requests is None:
            raise PreforkError("the prepared process is gone")
        try:
            socket.send_fds(self._requests, [json.dumps(request).encode()], fds)
        except OSError as error:
            raise PreforkError(f"the prepared process is gone: {error}") from None

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Settles every waiting fork when the process is gone: nobody waits for an answer that cannot come."""
        try:
            while line := await reader.readline():
                self._take(json.loads(line))
        except (OSError, ValueError):
            pass
        finally:
            self.alive = False
            for done in self._forks.values():
                if not done.done():
                    done.set_exception(PreforkError("the prepared process is gone"))

    def _take(self, reply: dict[str, int]) -> None:
        if "forked" in reply:
            done = self._forks.get(reply["forked"])
            if done is not None and not done.done():
                done.set_result(reply["pid"])
        elif "ended" in reply:
            if len(self.exits) > 1000:
                self.exits.clear()
            self.exits[reply["ended"]] = _words(reply["status"])


def _words(wait_status: int) -> str:
    code = os.waitstatus_to_exitcode(wait_status)
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _spawn(requests: socket.socket, replies: socket.socket) -> subprocess.Popen[bytes]:
    """Standard output goes nowhere: PJSIP greets there before any setting applies. Ctrl-C stays with the parent."""
    fds = (requests.fileno(), replies.fileno())
    return subprocess.Popen(
        [sys.executable, "-m", "sip.prefork", str(os.getpid()), *map(str, fds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)},
        pass_fds=fds,
        cwd=Path(__file__).parent.parent,
        process_group=0,
    )


# -- the server's end


def _serve(requests: socket.socket, replies: socket.socket) -> None:
    try:
        from sip import child, engine  # the point of this process: load it once, here and not in the parent
    except Exception as error:  # noqa: BLE001 - a broken wheel fails in any way; the operator is told which
        _tell(replies, {"refused": f"{type(error).__name__}: {error}"})
        return

    replies.sendall(json.dumps({"capacity": engine.compiled_capacity()}).encode() + b"\n")
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, every shared page
    children: set[int] = set()
    while True:
        readable, _, _ = select.select([requests, woken], [], [])
        if woken in readable:
            woken.recv(4096)
            _reap(children, replies)
        if requests not in readable:
            continue
        data, fds, _, _ = socket.recv_fds(requests, 4096, 1)
        if not data:
            _see_off(children, replies, woken)
            return
        request: dict[str, Any] = json.loads(data)
        if "fork" in request and fds:
            pipe = socket.socket(fileno=fds[0])
            pid = os.fork()
            if pid == 0:
                for sock in (requests, replies, wake, woken):
                    sock.close()
                _become_child(child.main, pipe)
            pipe.close()
            children.add(pid)
            _tell(replies, {"forked": request["fork"], "pid": pid})
        elif request.get("kill") in children:
            os.kill(request["kill"], request["signal"])


def _become_child(main: Any, pipe: socket.socket) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _prctl(_PR_SET_NAME, b"tocsin-line")
    main(pipe)


def _reap(children: set[int], replies: socket.socket) -> None:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            _tell(replies, {"ended": pid, "status": status})


def _see_off(children: set[int], replies: socket.socket, woken: socket.socket) -> None:
    """Children that are leaving too are reaped, for a second: a container's first process may not do that."""
    until = time.monotonic() + _SEE_OFF_S
    _reap(children, replies)
    while children and time.monotonic() < until:
        select.select([woken], [], [], _SEE_OFF_S / 10)
        _reap(children, replies)


def _tell(replies: socket.socket, reply: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the parent is gone: the next read of `requests` says so
        replies.sendall(json.dumps(reply).encode() + b"\n")


def _prctl(option: int, argument: Any) -> None:
    """Linux only, like the library; a kernel that refuses costs us a belt, not the braces."""
    ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)


def main(arguments: list[str]) -> None:
    """`python -m sip.prefork PARENT_PID REQUESTS_FD REPLIES_FD`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # before the imports that take time; children inherit it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the trunk's password
    faulthandler.enable()  # an assertion in the library then says where we were
    parent, requests, replies = map(int, arguments)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # "parent" is the thread that spawned us: the one with the event loop
    _prctl(_PR_SET_NAME, b"tocsin-prefork")
    if os.getppid() != parent:
        return  # it died before the kernel was told to tell us
    _serve(socket.socket(fileno=requests), socket.socket(fileno=replies))


if __name__ == "__main__":
    main(sys.argv[1:])
