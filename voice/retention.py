"""Recordings on disk have a life: what is older is removed, whoever died before it could clear up."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from messaging.clock import Clock

log = structlog.get_logger(__name__)

SWEEP_S = 600.0
_OURS = frozenset({".wav", ".half", ".part"})  # whole recordings, and what a killed process left of one


def remove_older(folder: Path, keep_s: float, clock: Clock) -> int:
    """Removes recordings last written more than `keep_s` ago; how many. Blocks: for a thread. Raises OSError."""
    oldest = clock.now().timestamp() - keep_s
    removed = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # another sweep was quicker
            if path.suffix in _OURS and path.lstat().st_mtime < oldest:
                path.unlink()
                removed += 1
    return removed


async def keep_sweeping(sweeps: Sequence[Callable[[], object]], every_s: float = SWEEP_S) -> None:
    """At once and every `every_s`, until cancelled. A sweep that fails is told, and tried again the next time."""
    while True:
        for sweep in sweeps:
            try:
                await asyncio.to_thread(sweep)
            except OSError as error:
                log.warning("old recordings not removed", why=error.strerror)
        await asyncio.sleep(every_s)
