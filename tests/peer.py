"""A peer in a process of its own: how it is ended."""

import asyncio

PATIENCE_S = 5  # for its own goodbye


async def ended(process: asyncio.subprocess.Process | None) -> None:
    """SIGTERM, and SIGKILL when that is not obeyed. Harmless when it has ended, or never began."""
    if process is None or process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
