"""Where the webhooks arrive: answers 204 at once and notes when each call's last event came."""

import asyncio
import contextlib
import json
import time
from typing import Self

_HEAD_MOST = 16 * 1024


class Hooks:
    """Async context manager; `url` is where it listens, `at` the moment (Unix seconds) by called number."""

    def __init__(self) -> None:
        self.url = ""
        self.at: dict[str, float] = {}
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_MOST)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def have(self, numbers: set[str], within_s: float) -> None:
        """Until each of them has ended. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not numbers <= self.at.keys():
                self._came.clear()
                await self._came.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                at = time.time()
                length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
                body = await reader.readexactly(int(length.partition(":")[2]))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                self.at.setdefault(json.loads(body)["data"]["to_number"], at)
                self._came.set()
        writer.close()
