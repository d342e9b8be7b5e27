"""A line process's main loop: pump PJSIP, read commands from the pipe, and leave in good order when the pipe closes.

Started by `sip.prefork` in a forked child, which has nothing else to do. No asyncio, no store, no HTTP, no thread.
"""

import os
import select
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from sip import lastwords
from sip.commands import Command
from sip.engine import EngineRefused
from sip.events import Ended, Event, Refused, Trace
from sip.exchange import Exchange
from sip.setup import LineSetup
from sip.wire import FrameReader, Value, WireError, encode

SETUP_WITHIN_S = 10.0
REMEMBER_S = 60.0  # ends that the parent was told so recently may not be stored yet; they are journalled too
LEAVE_WITHIN_S = 8  # an alarm: whatever hangs in the library, no orphan lives longer
UNREAD_MOST = 1024 * 1024  # a parent that reads nothing gets no more ladders, only facts
EXIT_REFUSED = 3

_COMMANDS = get_args(Command)


class Pipe:
    """The child's end. Reading waits as long as it is told; writing never waits."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._frames = FrameReader()
        self._out = bytearray()
        self.closed = False

    def read(self, wait_s: float) -> list[Value] | None:
        """Values that came within `wait_s`; None when the parent is gone, or talks nonsense."""
        if self.closed:
            return None
        want_write = [self._sock] if self._out else []
        readable, writable, _ = select.select([self._sock], want_write, [], wait_s)
        if writable:
            self._flush()
        if not readable:
            return None if self.closed else []
        try:
            data = self._sock.recv(65536)
            values = self._frames.feed(data)
        except BlockingIOError:
            return []
        except (OSError, WireError):
            data, values = b"", []
        if not data:
            self.closed = True
            return values or None
        return values

    def write(self, event: Event) -> None:
        if isinstance(event, Trace) and len(self._out) > UNREAD_MOST:
            return
        self._out += encode(event)
        self._flush()

    def finish(self, within_s: float) -> None:
        """Write what is left, for so long at most."""
        until = time.monotonic() + within_s
        while self._out and not self.closed and time.monotonic() < until:
            select.select([], [self._sock], [], 0.1)
            self._flush()

    def _flush(self) -> None:
        while self._out and not self.closed:
            try:
                sent = self._sock.send(self._out)
            except BlockingIOError:
                return
            except OSError:
                self.closed = True
                return
            del self._out[:sent]


class _Memory:
    """Ends told lately, for the journal."""

    def __init__(self) -> None:
        self._told: deque[tuple[float, Ended]] = deque()

    def note(self, ended: Ended) -> None:
        now = time.monotonic()
        self._told.append((now, ended))
        while self._told[0][0] < now - REMEMBER_S:
            self._told.popleft()

    def recent(self) -> list[Ended]:
        since = time.monotonic() - REMEMBER_S
        return [ended for at, ended in self._told if at >= since]


def run(sock: socket.socket) -> int:
    """The whole life of a line process; its exit code."""
    pipe = Pipe(sock)
    setup = _read_setup(pipe)
    if setup is None:
        return 0
    try:
        exchange = Exchange(setup)
    except EngineRefused as refusal:
        pipe.write(Refused(str(refusal)))
        pipe.finish(1.0)
        os._exit(EXIT_REFUSED)  # here: leaving the frame would free what holds the library, in the wrong order
    pipe.write(exchange.ready)
    memory = _Memory()
    while not exchange.stopped:
        commands = pipe.read(exchange.patience_s())
        if commands is None:
            break
        _turn(exchange, pipe, memory, commands)
    signal.alarm(LEAVE_WITHIN_S)
    _take_leave(exchange, pipe, memory, Path(setup.journal_dir))
    exchange.leave()
    return 0


def main(sock: socket.socket) -> None:
    """Never returns. `os._exit`: the library must not be touched again, not even by the interpreter's own farewell."""
    try:
        code = run(sock)
    except BaseException:  # noqa: BLE001  # outermost frame: the trace is all that is left of this process
        traceback.print_exc(file=sys.stderr)
        code = 1
    sys.stderr.flush()
    os._exit(code)


def _read_setup(pipe: Pipe) -> LineSetup | None:
    until = time.monotonic() + SETUP_WITHIN_S
    while time.monotonic() < until:
        values = pipe.read(SETUP_WITHIN_S)
        if values is None:
            return None
        for value in values:
            return value if isinstance(value, LineSetup) else None
    return None


def _turn(exchange: Exchange, pipe: Pipe, memory: _Memory, commands: Sequence[Value]) -> None:
    for command in commands:
        if isinstance(command, _COMMANDS):
            exchange.obey(_as_command(command))
    exchange.pump()
    for event in exchange.take():
        if isinstance(event, Ended):
            memory.note(event)
        pipe.write(event)


def _as_command(value: Command) -> Command:
    return value


def _take_leave(exchange: Exchange, pipe: Pipe, memory: _Memory, directory: Path) -> None:
    """Every call ends now. The parent hears how; when it is gone, the journal does, before any BYE is answered."""
    for event in exchange.take():
        if isinstance(event, Ended):
            memory.note(event)
        pipe.write(event)
    for ended in exchange.give_up():
        memory.note(ended)
        pipe.write(ended)
    pipe.finish(1.0)
    if not pipe.closed:
        return
    try:
        lastwords.write(directory, memory.recent())
    except OSError as error:
        print(f"no journal written: {error}", file=sys.stderr)  # noqa: T201  # nothing else can hear it
