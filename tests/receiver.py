"""A webhook receiver on loopback that verifies every request with the unmodified standardwebhooks library."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True, slots=True)
class Received:
    """`headers` in lower case; `verified`: the signature holds under the receiver's secret."""

    path: str
    headers: dict[str, str]
    body: bytes
    verified: bool

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Behaviour = Callable[[Received], Awaitable[Reply | None]]  # None: hang up without a word


class Receiver:
    """`replies` decides each answer; `received` holds the requests in order of arrival."""

    def __init__(self, secret: str, behaviour: Behaviour | None = None) -> None:
        self._webhook = Webhook(secret)
        self._behaviour = behaviour
        self.received: list[Received] = []
        self.statuses: list[int] = []  # answers to give first, one each
        self.at_once = 0
        self.most_at_once = 0
        self.url = ""
        self._changed = asyncio.Condition()

    async def arrives(self, count: int = 1, within_s: float = 10.0) -> list[Received]:
        """Wait until so many have come in all."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read_request(reader):
                await self._answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: tuple[str, dict[str, str], bytes], writer: asyncio.StreamWriter) -> None:
        path, headers, body = request
        received = Received(path, headers, body, self._verifies(headers, body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.received.append(received)
        async with self._changed:
            self._changed.notify_all()
        try:
            reply = Reply(self.statuses.pop(0)) if self.statuses else Reply()
            if self._behaviour:
                given = await self._behaviour(received)
                if given is None:
                    writer.transport.abort()
                    raise ConnectionAbortedError
                reply = given
        finally:
            self.at_once -= 1
        head = {"Content-Length": str(len(reply.body)), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}", *(f"{k}: {v}" for k, v in head.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body)
        await writer.drain()

    def _verifies(self, headers: dict[str, str], body: bytes) -> bool:
        try:
            self._webhook.verify(body, headers, json_parse=False)
        except Exception:  # noqa: BLE001 - whatever it says, it is not verified
            return False
        return True


@asynccontextmanager
async def receiver(secret: str, behaviour: Behaviour | None = None) -> AsyncIterator[Receiver]:
    one = Receiver(secret, behaviour)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(one.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
    return first.split()[1], headers, await reader.readexactly(int(headers.get("content-length", "0")))
