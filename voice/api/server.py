"""The HTTP server around the application: header and connection limits that uvicorn does not have by itself."""

import asyncio
import socket
from functools import partial
from types import FrameType
from typing import Any, cast

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from config.settings import Http

HEADER_WITHIN_S = 10.0  # from the connection, or the first byte of a later request, to the end of the header
KEEP_ALIVE_S = 20  # idle between requests
CONNECTIONS_MAX = 2000  # open at once; beyond it uvicorn answers 503
GOODBYE_WITHIN_S = 5  # open answers may finish when we stop; streams have ended by then


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, except that a header must be complete in time."""

    def __init__(self, *given: Any, header_within_s: float = HEADER_WITHIN_S, **more: Any) -> None:
        super().__init__(*given, **more)
        self._header_within_s = header_within_s
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._header_is_here()
        elif self._deadline is None:
            self._wait_for_header()  # the first bytes of another request on this connection

    def connection_lost(self, exc: Exception | None) -> None:
        self._header_is_here()
        super().connection_lost(exc)

    def _wait_for_header(self) -> None:
        self._deadline = self.loop.call_later(self._header_within_s, self._too_slow)

    def _header_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


class ApiServer(uvicorn.Server):
    """uvicorn, except that a signal first says "draining": not ready, no new work, streams and waits come to an end."""

    def __init__(self, config: uvicorn.Config, draining: asyncio.Event) -> None:
        super().__init__(config)
        self._draining = draining
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is not None:  # a signal handler may touch a loop only this way
            self._loop.call_soon_threadsafe(self._draining.set)
        super().handle_exit(sig, frame)


def server(app: FastAPI, http: Http, draining: asyncio.Event, *, header_within_s: float = HEADER_WITHIN_S) -> ApiServer:
    """The server for `app`: `await server(…).serve(sockets=[listener])`, until SIGTERM or SIGINT.

    `draining`: the very event of `Api.draining`. Logging is the caller's business.
    """
    config = uvicorn.Config(
        app,
        host=http.host,
        port=http.port,
        http=cast(type[asyncio.Protocol], partial(PatientProtocol, header_within_s=header_within_s)),
        ws="none",
        h11_max_incomplete_event_size=http.header_max_bytes,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GOODBYE_WITHIN_S,
        limit_concurrency=CONNECTIONS_MAX,
        server_header=False,
        proxy_headers=False,  # X-Forwarded-*: anybody on this machine could write what they like
        access_log=False,
        log_config=None,
        lifespan="off",
    )
    return ApiServer(config, draining)
