"""Run a program that dies with the process that started it: `python -I leash.py PARENT_PID program arguments…`.

A file of its own because PR_SET_PDEATHSIG (prctl(2)) has to be set between fork and exec, and Python code between the
two is not safe in a process with threads. The setting survives execve. It follows the *thread* that forked, so the
starter has to be a thread that lives as long as the process: the one that runs the event loop.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the leash was on
        sys.exit("the parent is gone")
    os.execv(program, sys.argv[2:])


if __name__ == "__main__":
    main()
