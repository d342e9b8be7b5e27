"""What only a real server on a real socket shows: slow and endless senders, giant headers, streams, going down."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api_door import TEST_KEY, Door, bearer, open_door
from tests.until import time_passes, until
from voice.api.server import ApiServer, server
from voice.store import Lane

IMPATIENT_S = 0.3  # for a header, and for a body, where the test is about slow senders
HELLO = {"to": "12025550100", "text": "Hello"}


class Served:
    def __init__(self, door: Door, running: ApiServer, port: int) -> None:
        self.door, self.running, self.port = door, running, port

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=bearer(TEST_KEY), trust_env=False)

    async def raw(self, *pieces: bytes, pause_s: float = 0.0) -> bytes:
        """Everything that comes back for these bytes, sent piece by piece; the server has to end it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if pause_s:
                    await time_passes(pause_s)
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def served(folder: Path, patience_s: float = 10.0) -> AsyncIterator[Served]:
    async with open_door(folder) as first:
        http = first.api.settings.http.model_copy(update={"read_timeout_s": patience_s})
        settings = first.api.settings.model_copy(update={"http": http})
    async with open_door(folder, settings=settings) as door:
        listener = socket.create_server(("127.0.0.1", 0))
        running = server(door.app, http, door.api.draining, header_within_s=patience_s)
        serving = asyncio.create_task(running.serve(sockets=[listener]), name="api server")

        async def started() -> bool:
            return running.started

        await until(started)
        try:
            yield Served(door, running, listener.getsockname()[1])
        finally:
            door.api.draining.set()
            running.should_exit = True
            await asyncio.wait_for(serving, 15)
            listener.close()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, IMPATIENT_S) as running:
        yield running


def head(path: str = "/v1/calls", *lines: str, method: str = "POST") -> bytes:
    fixed = ["Host: api", f"Authorization: Bearer {TEST_KEY}", "Content-Type: application/json"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fixed, *lines, "", ""]).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def body_of(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


async def test_a_body_that_drips_in_is_cut_with_a_408(api: Served) -> None:
    answer = await api.raw(head("/v1/calls", "Content-Length: 100"), b"{", b'"', pause_s=0.05)

    assert (status_of(answer), body_of(answer)["code"]) == (408, "REQUEST_TIMEOUT")


async def test_an_endless_chunked_body_is_cut_with_a_413(api: Served) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"

    answer = await api.raw(head("/v1/calls", "Transfer-Encoding: chunked"), *[chunk] * 5)

    assert status_of(answer) == 413
    assert b"connection: close" in answer.lower()


async def test_a_body_announced_as_a_gigabyte_is_refused_before_it_is_sent(api: Served) -> None:
    answer = await api.raw(head("/v1/calls", f"Content-Length: {10**9}"))

    assert (status_of(answer), body_of(answer)["code"]) == (413, "TOO_LARGE")


async def test_a_header_of_megabytes_is_refused_and_not_kept(api: Served) -> None:
    answer = await api.raw(b"GET /livez HTTP/1.1\r\nHost: api\r\nX-Big: ", *[b"x" * 65536] * 16, b"\r\n\r\n")

    assert status_of(answer) in (0, 400, 431)


async def test_a_header_that_never_ends_is_cut(api: Served) -> None:
    async with asyncio.timeout(5):
        assert await api.raw(b"GET /livez HTTP/1.1\r\nHost: ") == b""


async def test_a_second_header_that_never_ends_is_cut_too(api: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: api\r\n\r\n")
    first = await reader.readuntil(b"ok\n")
    writer.write(b"GET /livez HTTP/1.1\r\n")
    async with asyncio.timeout(5):
        rest = await reader.read()
    writer.close()

    assert status_of(first) == 200
    assert rest == b""


async def test_a_connection_that_is_used_again_in_time_is_not_cut(api: Served) -> None:
    async with api.client() as client:
        for _ in range(3):
            assert (await client.get("/livez")).status_code == 200
            await time_passes(IMPATIENT_S * 1.2)  # longer than a header may take


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 100, b"GET\r\n\r\n"])
async def test_what_is_not_http_is_a_400_or_nothing(api: Served, junk: bytes) -> None:
    assert status_of(await api.raw(junk)) in (0, 400)


async def test_a_client_that_hangs_up_while_waiting_costs_nothing(api: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    body = json.dumps(HELLO).encode()
    writer.write(head("/v1/calls", f"Content-Length: {len(body)}", "Prefer: wait=60") + body)
    await writer.drain()
    async with api.client() as client, asyncio.timeout(5):
        await api.door.store.wait(Lane.SANDBOX, 5)
        (call,) = (await client.get("/v1/calls")).json()["data"]
        writer.close()
        await api.door.answer_and_end()
        assert (await client.get(f"/v1/calls/{call['call_id']}")).json()["status"] == "completed"


async def test_events_arrive_while_the_call_is_alive_and_resume_after_a_cut(api: Served) -> None:
    async with api.client() as client, asyncio.timeout(20):
        call_id = (await client.post("/v1/calls", json=HELLO)).json()["call_id"]
        path, live = f"/v1/calls/{call_id}/events", {"Accept": "text/event-stream"}

        async with client.stream("GET", path, headers=live) as cut:
            first = await anext(line async for line in cut.aiter_lines() if line.startswith("id:"))
        async with client.stream("GET", path, headers={**live, "Last-Event-ID": first[4:]}) as resumed:
            await api.door.answer_and_end()
            ids = [line[4:] async for line in resumed.aiter_lines() if line.startswith("id:")]

    assert [first[4:], *ids] == ["1", "2", "3", "4"]


async def test_the_outcome_comes_back_in_the_same_answer(api: Served) -> None:
    async with api.client() as client, asyncio.timeout(20):
        asking = asyncio.create_task(client.post("/v1/calls", json=HELLO, headers={"Prefer": "wait=30"}))
        await api.door.store.wait(Lane.SANDBOX, 5)
        await api.door.answer_and_end()
        answer = await asking

    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


async def two_calls(client: httpx2.AsyncClient) -> bool:
    return len((await client.get("/v1/calls")).json()["data"]) == 2


async def test_going_down_ends_streams_and_waits_and_refuses_new_work(api: Served) -> None:
    async with api.client() as client, asyncio.timeout(20):
        call_id = (await client.post("/v1/calls", json=HELLO)).json()["call_id"]
        live = {"Accept": "text/event-stream"}
        async with client.stream("GET", f"/v1/calls/{call_id}/events", headers=live) as stream:
            waiting = asyncio.create_task(client.post("/v1/calls", json=HELLO, headers={"Prefer": "wait=60"}))
            await until(partial(two_calls, client))

            api.door.api.draining.set()

            assert [line async for line in stream.aiter_lines()]
        assert (await waiting).status_code == 202
        assert (await client.post("/v1/calls", json=HELLO)).status_code == 503
        assert (await client.get("/readyz")).status_code == 503


async def test_slow_clients_do_not_slow_down_the_others(api: Served) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(200)]
    for _, writer in slow:
        writer.write(b"POST /v1/calls HTTP/1.1\r\nHost: ")
    async with api.client() as client, asyncio.timeout(10):
        for _ in range(20):
            assert (await client.get("/livez")).status_code == 200
        for reader, writer in slow:
            assert await reader.read() == b""
            writer.close()


async def test_a_request_with_two_lengths_is_refused_and_nothing_behind_it_is_read(api: Served) -> None:
    smuggled = head("/version", method="GET")

    answer = await api.raw(
        head("/v1/calls", "Content-Length: 4", "Transfer-Encoding: chunked") + b"0\r\n\r\n" + smuggled
    )

    assert (status_of(answer), body_of(answer)["code"]) == (400, "TWO_LENGTHS")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer.lower()


async def test_what_a_client_says_about_itself_is_not_believed(api: Served) -> None:
    assert not api.running.config.proxy_headers
