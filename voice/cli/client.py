"""The little HTTP client behind the commands that talk to a running service."""

import json
from collections.abc import Iterator
from typing import Any, Self

import httpx2

CONNECT_S = 5.0

# Exit codes of experience everywhere: 4 authentication, 5 not found, 6 rate limited, 7 server unreachable.
_EXITS = {401: 4, 403: 4, 404: 5, 429: 6}


class ClientError(Exception):
    """The service said no, or could not be reached; `exit_code` tells which."""

    def __init__(self, message: str, exit_code: int, body: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.body = body or {}


class Client:
    def __init__(self, url: str, api_key: str, timeout_s: float = 30.0) -> None:
        self._http = httpx2.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **parameters: str | float) -> dict[str, Any]:
        return self._read("GET", path, params=parameters)

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        return self._read("POST", path, json=body, headers=headers)

    def _read(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **rest)
        except httpx2.HTTPError as error:
            raise ClientError(f"cannot reach {self._http.base_url}: {error or type(error).__name__}", 7) from None
        return _checked(response)

    def events(self, call_id: str, after: int = 0) -> Iterator[dict[str, Any]]:
        """The events of a call as they happen, until it has ended."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
        try:
            with self._http.stream("GET", f"/v1/calls/{call_id}/events", headers=headers) as response:
                if response.status_code != 200:
                    response.read()
                    _checked(response)
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        yield json.loads(line.removeprefix("data:").strip())
        except httpx2.HTTPError as error:
            raise ClientError(f"lost {self._http.base_url}: {error or type(error).__name__}", 7) from None


def _checked(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = {}
    if response.status_code < 400 and isinstance(body, dict):
        return body
    said = body.get("detail") or body.get("message") or f"HTTP {response.status_code}"
    hint = f" {body['hint']}" if body.get("hint") else ""
    raise ClientError(f"{said}{hint}", _EXITS.get(response.status_code, 1), body)
