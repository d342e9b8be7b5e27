"""A tiny HTTP server whose answers are written byte by byte: right, wrong, slow or never."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamWriter, "Asked"], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    index: int  # 0 for the server's first request
    head: str
    body: bytes


@dataclass
class Web:
    answer: Answer
    port: int = 0
    asked: list[Asked] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(v) for k, _, v in _fields(head) if k.lower() == "content-length"), 0)
                asked = Asked(len(self.asked), head, await reader.readexactly(length))
                self.asked.append(asked)
                await self.answer(writer, asked)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass  # the client has gone
        finally:
            writer.close()


def _fields(head: str) -> list[tuple[str, str, str]]:
    return [line.partition(": ") for line in head.splitlines()[1:]]


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    web = Web(answer)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await web.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the server is closing; streams would log it
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def head(status: int, *fields: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *fields, "", ""]).encode()


def reply(status: int, body: bytes = b"", *fields: str) -> Answer:
    async def answer(writer: asyncio.StreamWriter, asked: Asked) -> None:
        writer.write(head(status, f"Content-Length: {len(body)}", *fields) + body)

    return answer


def drip(first: bytes, every_s: float = 0.02) -> Answer:
    """A byte now and then, for ever."""

    async def answer(writer: asyncio.StreamWriter, asked: Asked) -> None:
        writer.write(first)
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(every_s)

    return answer


async def hang(writer: asyncio.StreamWriter, asked: Asked) -> None:
    await asyncio.Event().wait()


async def cut(writer: asyncio.StreamWriter, asked: Asked) -> None:
    """The connection ends in the middle of the body."""
    writer.write(head(200, "Content-Length: 5000") + b"x" * 100)
    await writer.drain()
    raise ConnectionResetError


def in_turn(*answers: Answer) -> Answer:
    """The first request gets the first answer; the last one stays."""

    async def answer(writer: asyncio.StreamWriter, asked: Asked) -> None:
        await answers[min(asked.index, len(answers) - 1)](writer, asked)

    return answer
