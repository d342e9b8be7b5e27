"""`tocsin call`: place a call, follow it, and leave with an exit code that says how it ended."""

import asyncio
import contextlib
import json
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from voice.cli.client import AGAIN_S, Client, ClientError, Lost
from voice.cli.progress import Progress
from voice.explain import Exit, exit_code, sentence_for

ANY_KEY = "0123456789*#"
THINK_AGAIN_S = 1.0  # after the first Ctrl-C: a second one within this leaves the call alone
END_WITHIN_S = 10.0  # a call that was hung up has ended by then; we do not wait longer


@dataclass(frozen=True, slots=True)
class Asked:
    """`keys`: which of the `gather` keys count; none given: any."""

    to: str
    say: str
    language: str | None = None
    gather: int | None = None
    keys: str | None = None
    trunk: str | None = None

    @property
    def wanted(self) -> str | None:
        """The keys one of which has to be pressed, for the exit code."""
        return (self.keys or ANY_KEY) if self.gather or self.keys else None

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"to": self.to, "text": self.say}
        if self.language:
            body["language"] = self.language
        if self.wanted:
            body["gather"] = {"digits_max": self.gather or 1} | ({"valid": self.keys} if self.keys else {})
        if self.trunk:
            body["trunk_id"] = self.trunk
        return body


def run_call(asked: Asked, url: str, api_key: str, *, wait: bool, follow: bool, timeout_s: float, as_json: bool) -> int:
    return asyncio.run(_call(asked, url, api_key, Watch(wait or follow, follow, timeout_s, as_json)))


@dataclass(frozen=True, slots=True)
class Watch:
    """How far the call is followed, and how that is told."""

    until_ended: bool
    each_event: bool
    timeout_s: float
    as_json: bool


async def _call(asked: Asked, url: str, api_key: str, watch: Watch) -> int:
    interrupted = False
    try:
        async with Client(url, api_key) as client:
            call = await _placed(client, asked)
            warnings = call.get("warnings", [])
            for warning in warnings if not watch.as_json else ():
                print(f"tocsin: warning: {warning}", file=sys.stderr, flush=True)
            if watch.until_ended:
                interrupted = await _watched(client, call["call_id"], watch)
                call = await _as_it_stands(client, call) | ({"warnings": warnings} if warnings else {})
    except ClientError as error:
        print(json.dumps(error.body) if watch.as_json and error.body else f"tocsin: {error}", file=sys.stderr)
        return error.exit_code
    final = call.get("end_at") is not None
    if watch.as_json:
        print(json.dumps(call), flush=True)
    else:
        print(sentence_for(call) if final else f"{call['call_id']}  {call['status']}", flush=True)
    if interrupted:
        return Exit.INTERRUPTED
    if final:
        return exit_code(call, wanted=asked.wanted)
    return Exit.TIMEOUT if watch.until_ended else Exit.OK


async def _placed(client: Client, asked: Asked) -> dict[str, Any]:
    """A request whose answer was lost is sent once more under the same key: it is the same call."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    try:
        return await client.post("/v1/calls", asked.body(), headers)
    except Lost:
        await asyncio.sleep(AGAIN_S)
        return await client.post("/v1/calls", asked.body(), headers)


async def _as_it_stands(client: Client, call: dict[str, Any]) -> dict[str, Any]:
    try:
        return await client.get(f"/v1/calls/{call['call_id']}")
    except ClientError as error:
        if error.exit_code != Exit.UNREACHABLE:
            raise
        print(f"tocsin: {error}. The call goes on without us: {call['call_id']}", file=sys.stderr)
        return call


async def _watched(client: Client, call_id: str, watch: Watch) -> bool:
    """Until the call has ended, the time is over, or we were interrupted (True)."""
    progress = Progress("queued", wanted=not watch.each_event)
    watching = asyncio.create_task(_watch(client, call_id, watch, progress), name="watch the call")
    async with _interrupts() as interrupt, progress:
        pressed = asyncio.create_task(interrupt.wait(), name="Ctrl-C")
        try:
            await asyncio.wait({watching, pressed}, timeout=watch.timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
            elif interrupt.is_set():
                await _hang_up_unless_pressed_again(client, call_id, interrupt, watching, progress)
            return interrupt.is_set() or pressed.done()
        finally:
            for task in (pressed, watching):
                task.cancel()
            await asyncio.gather(pressed, watching, return_exceptions=True)


async def _hang_up_unless_pressed_again(
    client: Client, call_id: str, interrupt: asyncio.Event, watching: asyncio.Task[None], progress: Progress
) -> None:
    progress.say(f"Hanging up. Ctrl-C again within {THINK_AGAIN_S:g} s leaves the call alone.")
    progress.word = "hanging up"
    interrupt.clear()
    again = asyncio.create_task(interrupt.wait(), name="Ctrl-C again")
    try:
        await asyncio.wait({again, watching}, timeout=THINK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED)
        if again.done():
            progress.say(f"The call goes on without us: {call_id}")
        elif not watching.done():
            await client.post(f"/v1/calls/{call_id}/hangup")
            await asyncio.wait({again, watching}, timeout=END_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


@contextlib.asynccontextmanager
async def _interrupts() -> AsyncIterator[asyncio.Event]:
    loop, interrupt = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, interrupt.set)
    try:
        yield interrupt
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _watch(client: Client, call_id: str, watch: Watch, progress: Progress) -> None:
    began = time.monotonic()
    async for event in client.events(call_id):
        progress.word = event["type"].removeprefix("call.")
        if watch.each_event and watch.as_json:
            print(json.dumps(event), flush=True)
        elif watch.each_event:
            data, shown = event.get("data", {}), _SHOWN.get(event["type"], ())
            detail = " ".join(f"{key}={data[key]}" for key in shown if key in data)
            elapsed = time.monotonic() - began
            print(f"{elapsed:8.2f}  {event['type']:<16} {detail}".rstrip(), file=sys.stderr, flush=True)


_SHOWN = {
    "call.dialing": ("trunk_id",),
    "call.dtmf": ("digits",),
    "call.ended": ("status", "hangup_cause"),
}  # of the whole call that each event carries
