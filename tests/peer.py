"""A peer in a session of its own (`start_new_session=True`): how it is ended."""

import asyncio
import os
import signal

PATIENCE_S = 5  # for its own goodbye


async def ended(process: asyncio.subprocess.Process | None) -> None:
    """SIGTERM; SIGKILL for it and its children when that is not obeyed. Harmless when it has ended, or never began."""
    if process is None or process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)  # else Kamailio's children would outlive it, with its ports
        await process.wait()
