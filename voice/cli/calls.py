"""`tocsin call`: place a call, follow it, and leave with an exit code that says how it ended."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from voice.cli.client import Client, ClientError
from voice.explain import exit_code, sentence_for

TIMED_OUT = 124


@dataclass(frozen=True, slots=True)
class Asked:
    to: str
    say: str
    language: str | None = None
    gather: int | None = None
    trunk: str | None = None

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"to": self.to, "text": self.say}
        if self.language:
            body["language"] = self.language
        if self.gather:
            body["gather"] = {"digits_max": self.gather}
        if self.trunk:
            body["trunk_id"] = self.trunk
        return body


def run_call(asked: Asked, url: str, api_key: str, *, wait: bool, follow: bool, timeout_s: float, as_json: bool) -> int:
    try:
        with Client(url, api_key) as client:
            call = client.post("/v1/calls", asked.body())
            if follow:
                call = _followed(client, call, timeout_s, as_json)
            elif wait:
                call = _awaited(client, call, timeout_s)
    except ClientError as error:
        print(json.dumps(error.body) if as_json and error.body else f"tocsin: {error}", file=sys.stderr)
        return error.exit_code
    final = call.get("end_at") is not None
    if as_json:
        print(json.dumps(call))
    elif final:
        print(sentence_for(call))
    else:
        print(f"{call['call_id']}  {call['status']}")
    if final:
        return exit_code(call)
    return TIMED_OUT if wait or follow else 0


class _TimeIsUp(Exception):
    """Not a TimeoutError: the HTTP library would take that for one of its own."""


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Leave the block when the time is up, whatever it waits for: a call that is only queued sends no event."""

    def up(*_: object) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        with contextlib.suppress(_TimeIsUp):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _awaited(client: Client, call: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    with _within(timeout_s):
        for _ in client.events(call["call_id"]):
            pass
    return client.get(f"/v1/calls/{call['call_id']}")


def _followed(client: Client, call: dict[str, Any], timeout_s: float, as_json: bool) -> dict[str, Any]:
    with _within(timeout_s):
        _tell(client, call, as_json)
    return client.get(f"/v1/calls/{call['call_id']}")


def _tell(client: Client, call: dict[str, Any], as_json: bool) -> None:
    began = time.monotonic()
    for event in client.events(call["call_id"]):
        elapsed = time.monotonic() - began
        if as_json:
            print(json.dumps(event), flush=True)
        else:
            detail = " ".join(f"{key}={value}" for key, value in event.get("data", {}).items() if key in _SHOWN)
            print(f"{elapsed:8.2f}  {event['type']:<16} {detail}".rstrip(), file=sys.stderr, flush=True)


_SHOWN = ("status", "cause", "digit")
