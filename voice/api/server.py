"""The HTTP server around the application: header and connection limits that uvicorn does not have by itself."""

import asyncio
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from config.settings import Http

HEADER_WITHIN_S = 10.0  # from the first byte (or the connection) to the end of the header: slow-header attacks
KEEP_ALIVE_S = 20  # idle between requests
CONNECTIONS_MAX = 2000  # open at once; beyond it uvicorn answers 503
GOODBYE_WITHIN_S = 5  # open answers may finish when we stop; streams have ended by then


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, except that a header must be complete in time."""

    _deadline: asyncio.TimerHandle | None = None

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
        self._deadline = self.loop.call_later(HEADER_WITHIN_S, self._too_slow)

    def _header_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def server(app: FastAPI, http: Http, *, host: str | None = None, port: int | None = None) -> uvicorn.Server:
    """A uvicorn server for `app`; `await server.serve(sockets=[…])`. Logging is the caller's business."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=http.host if host is None else host,
            port=http.port if port is None else port,
            http=PatientProtocol,
            ws="none",
            h11_max_incomplete_event_size=http.header_max_bytes,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GOODBYE_WITHIN_S,
            limit_concurrency=CONNECTIONS_MAX,
            server_header=False,
            access_log=False,
            log_config=None,
            lifespan="off",
        )
    )
