"""A process and all below it, from /proc: CPU time used so far, memory as proportional set size."""

import contextlib
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PPID, _UTIME, _CSTIME = 1, 11, 14  # fields of stat behind the name, from 0 (proc_pid_stat(5): 4, 14 to 17)


@dataclass(frozen=True, slots=True)
class Process:
    """`cpu_s`: its own, and that of its children that have ended and were waited for."""

    pid: int
    name: str
    cpu_s: float


def tree(root: int) -> list[Process]:
    """`root` and everything below it."""
    children: dict[int, list[int]] = defaultdict(list)
    found: dict[int, Process] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            before, _, after = stat.read_text().rpartition(")")
            fields = after.split()
            pid = int(stat.parent.name)
            children[int(fields[_PPID])].append(pid)
            ticks = sum(map(int, fields[_UTIME : _CSTIME + 1]))
            found[pid] = Process(pid, before.partition("(")[2], ticks * TICK_S)
    family, pending = [], [root]
    while pending:
        pid = pending.pop()
        if pid in found:
            family.append(found[pid])
        pending += children[pid]
    return family


def cpu_s(root: int) -> dict[str, float]:
    """By name. Who ended meanwhile is counted by the parent that waited for it; each is cut to a hundredth."""
    spent: dict[str, float] = defaultdict(float)
    for process in tree(root):
        spent[name_of(process, root)] += process.cpu_s
    return spent


def name_of(process: Process, root: int) -> str:
    return "tocsin serve" if process.pid == root else process.name


def pss_mib(pid: int) -> float:
    """Its own memory and its share of what it shares; 0 when it is gone or not ours to read."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
