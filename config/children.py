"""How our processes start one another so that none outlives its parent, not even after kill -9."""

import ctypes
import os
import signal
import socket

_PR_SET_PDEATHSIG = 1


def die_with_parent(signal_number: int = signal.SIGTERM) -> None:
    """Ask the kernel for `signal_number` when the parent dies (prctl(2)). Call in the child, first thing.

    The signal follows the *thread* that forked, so start children from a thread that lives as long as the process.
    A parent that died before this call is noticed too: then the child ends at once.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_number)


def free_port(kind: socket.SocketKind, host: str = "127.0.0.1") -> int:
    """A port that is free right now. Whoever needs certainty binds the socket and hands it on instead."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
