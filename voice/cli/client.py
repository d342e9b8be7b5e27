"""The little HTTP client behind the commands that talk to a running service."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Self

import httpx2

from voice.explain import Exit

CONNECT_S = 5.0
AGAIN_S = 0.5  # between two tries to take up a stream that broke: a service that restarts is back within seconds

_EXITS = {
    400: Exit.USAGE,
    401: Exit.AUTH,
    403: Exit.AUTH,
    404: Exit.NOT_FOUND,
    422: Exit.USAGE,
    429: Exit.RATE_LIMITED,
    503: Exit.UNREACHABLE,
}
# Numbers that are never called by a machine, whatever the key: refused, so never dialled.
_BLOCKED = frozenset(
    {
        "EMERGENCY_NUMBER",
        "GEO_BLOCKED",
        "HIGH_RISK_NUMBER",
        "PAGER_NUMBER",
        "PERSONAL_NUMBER",
        "PREMIUM_NUMBER",
        "SANDBOX_NUMBER",
        "SATELLITE_NUMBER",
        "SHARED_COST_NUMBER",
        "SHORT_CODE",
    }
)


class ClientError(Exception):
    """The service said no, or could not be reached; `exit_code` tells which, `body` is what it said, if anything."""

    def __init__(self, message: str, exit_code: int, body: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.body = body or {}


class Lost(ClientError):
    """The connection broke; the request may have been carried out."""


class Client:
    def __init__(self, url: str, api_key: str, timeout_s: float = 30.0) -> None:
        self._url = url
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, **parameters: str | float) -> dict[str, Any]:
        return await self._read("GET", path, params=parameters)

    async def post(
        self, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        return await self._read("POST", path, json=body, headers=headers)

    async def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._read("PUT", path, json=body)

    async def delete(self, path: str) -> dict[str, Any]:
        return await self._read("DELETE", path)

    async def text(self, path: str, **parameters: str | float) -> str:
        """For what is not JSON, such as Markdown."""
        response = await self._asked("GET", path, params=parameters)
        _checked(response)
        return response.text

    async def _read(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        return _checked(await self._asked(method, path, **rest))

    async def _asked(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        try:
            return await self._http.request(method, path, **rest)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise ClientError(f"cannot reach {self._url}: {_word(error)}", Exit.UNREACHABLE) from None
        except httpx2.HTTPError as error:
            raise Lost(f"no answer from {self._url}: {_word(error)}", Exit.UNREACHABLE) from None

    async def events(self, call_id: str) -> AsyncIterator[dict[str, Any]]:
        """The events of a call as they happen, until it has ended. A stream that breaks is taken up where it broke."""
        after = 0
        while True:
            try:
                async for event in self._stream(call_id, after):
                    after = event["sequence"]
                    yield event
                    if event["type"] == "call.ended":
                        return
            except (Lost, httpx2.HTTPError):
                pass
            await asyncio.sleep(AGAIN_S)

    async def _stream(self, call_id: str, after: int) -> AsyncIterator[dict[str, Any]]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
        async with self._http.stream("GET", f"/v1/calls/{call_id}/events", headers=headers) as response:
            if response.status_code == 503:
                raise Lost("not now", Exit.UNREACHABLE)
            if response.status_code != 200:
                await response.aread()
                _checked(response)
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    event: dict[str, Any] = json.loads(line.removeprefix("data:"))
                    yield event


def _word(error: Exception) -> str:
    return str(error) or type(error).__name__


def _checked(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = {}
    if response.status_code < 400 and isinstance(body, dict):
        # A Call object has no room for what was said about the request: it comes in a header.
        said = response.headers.get("X-Warnings")
        return body | {"warnings": said.split("; ")} if said else body
    body = body if isinstance(body, dict) else {}
    said = str(body.get("detail") or body.get("message") or f"HTTP {response.status_code}")
    if body.get("hint"):
        said = f"{said.rstrip('.')}. {body['hint']}"
    is_blocked = body.get("code") in _BLOCKED
    code = Exit.NEVER_DIALLED if is_blocked else _EXITS.get(response.status_code, Exit.UNEXPECTED)
    raise ClientError(said, code, body)
