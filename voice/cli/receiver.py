"""A small webhook receiver for the demo: takes POSTs on loopback and verifies each with `standardwebhooks`."""

import asyncio
from dataclasses import dataclass, field
from typing import Self

from standardwebhooks import Webhook, WebhookVerificationError

HEAD_MAX = 16 * 1024
BODY_MAX = 64 * 1024
READ_S = 10.0


@dataclass
class Receiver:
    """Async context manager; `url` is where it listens. Counts what came and what verified."""

    secret: str
    received: int = 0
    verified: int = 0
    bodies: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=HEAD_MAX)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def wait_for(self, count: int, timeout_s: float) -> bool:
        """Until `count` webhooks have arrived; False when they did not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.received < count:
                    self.arrived.clear()
                    await self.arrived.wait()
        except TimeoutError:
            return False
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_S):
                head = await reader.readuntil(b"\r\n\r\n")
                headers = _headers(head)
                body = await reader.readexactly(min(int(headers.get("content-length", "0")), BODY_MAX))
            self._take(headers, body)
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, ConnectionError):
            pass  # not a webhook; the courier will try again if it was one
        finally:
            writer.close()

    def _take(self, headers: dict[str, str], body: bytes) -> None:
        self.received += 1
        self.bodies.append(body)
        try:
            Webhook(self.secret).verify(body, headers)
            self.verified += 1
        except WebhookVerificationError:
            pass  # counted as received only: the demo's last line then does not add up, which is its point
        self.arrived.set()


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}
