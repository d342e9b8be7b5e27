"""How our processes start one another so that none outlives its parent, not even after kill -9."""

import contextlib
import ctypes
import os
import signal
import socket
from collections.abc import Mapping

PARENT = "TOCSIN_PARENT_PID"  # set by whoever starts a process that must not outlive it
READY = "TOCSIN_READY_FD"  # a pipe of whoever started us, who wants to know when we are up
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


def die_with_parent(environ: Mapping[str, str], number: signal.Signals = signal.SIGTERM) -> None:
    """When a parent stands in the environment: be sent `number` when it dies (prctl(2)). Call it first thing.

    The signal follows the *thread* that started us: a parent starts processes from its main thread.
    """
    if not (parent := environ.get(PARENT)):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != int(parent):  # it died before we asked
        raise SystemExit("the process that started us is gone")


def tell_ready(environ: Mapping[str, str]) -> None:
    """We are up: whatever ends us from now on is no fault of our settings. Nobody asked: nothing happens."""
    if fd := environ.get(READY):
        with contextlib.suppress(OSError):  # told already, or nobody listens any more
            os.write(int(fd), b".")
            os.close(int(fd))


def name_process(name: str) -> None:
    """What `ps`, `top` and `/proc/…/status` show; 15 characters (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def free_port(kind: socket.SocketKind, host: str = "127.0.0.1") -> int:
    """A port that is free right now. Whoever needs certainty binds the socket and hands it on instead."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
