"""Figures and how they are shown: percentiles with their N, the facts of the machine, the table. Pure but for /proc."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float | int | None]:
    """`n`, `p50`, `p99`, `max`: each a value that was measured (nearest rank), none between two; None without any."""
    ranked = sorted(values)
    if not ranked:
        return {"n": 0, "p50": None, "p99": None, "max": None}
    at = {"p50": 0.50, "p99": 0.99, "max": 1.0}
    ranks = {name: max(0, -int(-share * len(ranked) // 1) - 1) for name, share in at.items()}
    return {"n": len(ranked), **{name: round(ranked[rank], digits) for name, rank in ranks.items()}}


def machine() -> dict[str, Any]:
    """What the figures depend on; nothing that tells whose machine it is."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "cpu": cpu.partition(":")[2].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kb / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1min_before": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The short hash, with `-dirty` when the tree differs from it; `unknown` outside a checkout."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=ROOT, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip()


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: a row for each figure, `n`, `p50`, `p99`, `max`, or the one value there is."""
    rows = [("figure", "unit", "N", "p50", "p99", "max")]
    for name, row in results.items():
        unit, n = row["unit"], row.get("n", "")
        values = (row["p50"], row["p99"], row["max"]) if "p50" in row else (row["value"], "", "")
        rows.append((name, unit, str(n), *("" if value is None else str(value) for value in values)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
