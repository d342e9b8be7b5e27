"""`tocsin demo`: the whole story on this machine, with true numbers; exit 1 when the phone heard nothing."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from config.children import name_process
from config.logs import configure
from config.settings import Settings, load
from voice.cli.receiver import Receiver
from voice.cli.service import run_role
from voice.explain import Exit, sentence_for
from voice.installation import webhook_secret
from voice.preflight import NO_PJSIP, CannotStart, has_pjsip
from voice.serve import Plan, Serve, prepare

API_KEY = "tk_test_demo"
TEXT = "Your appointment is tomorrow at nine. Press one to confirm."
EVENTS = ["call.queued", "call.dialing", "call.ringing", "call.answered", "call.dtmf", "call.ended"]
# Below this the phone did not hear what was said (a wrong recording scores 0.3 at most, media/heard.py).
MATCH_LEAST = 0.9
READY_S, CALL_S, HEARD_S = 30.0, 60.0, 15.0
PORTS_TRIED = 50


@dataclass
class Story:
    """Prints the steps for a person; silent for a program (`--json` or a pipe gets no decoration)."""

    quiet: bool
    colour: bool

    def say(self, text: str = "") -> None:
        if not self.quiet:
            print(text, flush=True)

    def done(self, name: str, detail: str, since: float) -> None:
        tick = "\x1b[32m✓\x1b[0m" if self.colour else "✓"
        self.say(f"  {tick} {name:<16} {detail:<54} {time.monotonic() - since:4.1f} s")

    def verdict(self, good: bool, text: str) -> None:
        mark, code = ("✓", "32") if good else ("✗", "31")
        self.say(f"  \x1b[{code}m{mark}\x1b[0m {text}" if self.colour else f"  {mark} {text}")


def run(*, once: bool, as_json: bool, port: int, data: str | None, to: str) -> int:
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    story = Story(quiet=as_json, colour=colour)
    began = time.monotonic()
    simulate = not has_pjsip()
    story.say(f"\n  tocsin demo{_SIMULATED if simulate else _REAL}\n")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the loop takes over: clean up on both
    with contextlib.ExitStack() as stack:
        settings = _settings(stack, port, data, simulate)
        configure("demo", settings.log_level)
        name_process("tocsin-demo")
        plan = prepare(settings, _environment(settings), run_role)
        try:
            return asyncio.run(_demo(story, plan, began, once=once, as_json=as_json, to=to))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return Exit.INTERRUPTED


_REAL = ": everything below stays on this machine. No real phone can ring."
_SIMULATED = f", simulated: {NO_PJSIP}\n  No phone rings, and nothing can be heard; the rest is real."


async def _demo(story: Story, plan: Plan, began: float, *, once: bool, as_json: bool, to: str) -> int:
    settings = plan.settings
    _cancel_on_signals()
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(Serve(plan))
        http = await stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=service.base_url,
                headers={"Authorization": f"Bearer {API_KEY}"},
                timeout=httpx2.Timeout(CALL_S, connect=5.0),
                trust_env=False,
            )
        )
        receiver = await stack.enter_async_context(Receiver(webhook_secret(settings)))
        stop = _stop_on_signals(service)
        failed = asyncio.create_task(service.run(stop), name="watch the service")
        story_of_one_call = asyncio.create_task(
            _one_call(story, http, receiver, service.base_url, began, to, settings.simulate)
        )
        await asyncio.wait({failed, story_of_one_call}, return_when=asyncio.FIRST_COMPLETED)
        if not story_of_one_call.done():
            story_of_one_call.cancel()
            await asyncio.gather(story_of_one_call, return_exceptions=True)
            await failed  # raises what went wrong; a signal is no error
            return Exit.INTERRUPTED
        result = story_of_one_call.result()
        good: bool = result.pop("good")
        if as_json:
            print(json.dumps(result), flush=True)
        if not once and not as_json and good:
            story.say(_NOW_YOU.format(url=service.base_url.removeprefix("http://"), key=API_KEY))
            await failed
        else:
            stop.set()
            await failed
        story.say("  Stopping and cleaning up.")
    return 0 if good else 1


_NOW_YOU = """
  Now you:  curl -s {url}/v1/calls -u {key}: -H "Prefer: wait=30" -d to=12025550101 -d say="Hello"
            …0101 busy · …0102 no answer · …0107 voicemail · all: tocsin magic
  Ctrl-C stops and cleans up. Keep data: tocsin demo --data ./demo-data."""


async def _one_call(
    story: Story, http: httpx2.AsyncClient, receiver: Receiver, base_url: str, began: float, to: str, simulated: bool
) -> dict[str, Any]:
    await _until_ready(story, http, began, _PARTS if not simulated else _PARTS_SIMULATED)
    story.say(f"\n  API docs  {base_url + '/docs':<34} API key  {API_KEY}\n  Webhooks  {receiver.secret}\n")
    story.say(f"  POST /v1/calls  to {to}  “{TEXT}”")
    asked = {"to": to, "text": TEXT, "gather": {"digits_max": 1}, "callback_url": receiver.url}
    response = await http.post("/v1/calls", json=asked | {"callback_events": EVENTS})
    response.raise_for_status()
    call_id = response.json()["call_id"]
    await _follow(story, http, call_id)
    call = (await http.get(f"/v1/calls/{call_id}")).json()
    heard = (await http.get("/sandbox/v1/heard/latest", params={"call_id": call_id, "wait": HEARD_S})).json()
    expected = call["sequence"]
    await receiver.wait_for(expected, HEARD_S)
    return _verdict(story, call, None if simulated else heard, receiver, base_url, began)


def _verdict(
    story: Story, call: dict[str, Any], heard: dict[str, Any] | None, receiver: Receiver, base_url: str, began: float
) -> dict[str, Any]:
    """`heard` None: the call was simulated, and there was no phone that could have heard it."""
    was_heard = _was_heard(story, call, heard) if heard is not None else True
    seconds, match = ((heard or {}).get(name) or 0.0 for name in ("heard_s", "match"))
    confirmed = call.get("digits") == "1"
    all_verified = receiver.verified == receiver.received == call["sequence"]
    word = "Confirmed" if confirmed else "Not confirmed"
    story.verdict(
        confirmed and all_verified, f"{word}. Webhooks: {receiver.received} sent, {receiver.verified} verified."
    )
    address = f"{base_url.removeprefix('http://')}/v1/calls/{call['call_id']}"
    if heard is not None:
        story.say(f"    Listen:  curl -s -u {API_KEY}: {address}/recording -o call.wav")
        story.say(f"    Ladder:  curl -s -u {API_KEY}: '{address}/sip?format=text'")
    return {
        "heard_s": round(seconds, 2),
        "match": round(match, 3),
        "outcome": call["status"],
        "digits": call.get("digits", ""),
        "webhooks_sent": receiver.received,
        "webhooks_verified": receiver.verified,
        "elapsed_s": round(time.monotonic() - began, 2),
        "good": was_heard and confirmed and all_verified and call["status"] == "completed",
    } | ({"simulated": True} if heard is None else {})


def _was_heard(story: Story, call: dict[str, Any], heard: dict[str, Any]) -> bool:
    seconds, match, level = heard.get("heard_s") or 0.0, heard.get("match") or 0.0, heard.get("level_dbfs")
    if seconds > 0 and match >= MATCH_LEAST:
        story.verdict(True, f"The phone heard {seconds:.1f} s of speech, {level:.0f} dBFS, {match:.0%} match")
        return True
    if seconds > 0:
        story.verdict(False, f"The phone heard {seconds:.1f} s of something else ({match:.0%} match)")
    elif call["answer_at"] is None:
        story.verdict(False, f"Not answered, so the phone heard nothing. {sentence_for(call)}")
    else:
        said = "no recording" if level is None else f"{level:.0f} dBFS"
        story.verdict(False, f"Answered, but the phone heard nothing ({said})")
    return False


async def _until_ready(story: Story, http: httpx2.AsyncClient, began: float, wanted: Mapping[str, str]) -> None:
    """Poll /readyz?verbose and print each part as it comes up. Raises CannotStart."""
    shown: set[str] = set()
    try:
        async with asyncio.timeout(READY_S):
            while True:
                if await _all_up(story, http, began, wanted, shown):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        missing = ", ".join(title for name, title in wanted.items() if name not in shown)
        raise CannotStart(f"not ready after {READY_S:g} s: {missing or 'API'}. Ask: tocsin doctor") from None


async def _all_up(
    story: Story, http: httpx2.AsyncClient, began: float, wanted: Mapping[str, str], shown: set[str]
) -> bool:
    try:
        response = await http.get("/readyz", params={"verbose": "1"})
    except httpx2.HTTPError:
        return False
    parts = response.json().get("checks", {})
    for name, title in wanted.items():
        if name in parts and parts[name]["ok"] and name not in shown:
            shown.add(name)
            # What follows the first ";" is about live trunks, and there is none in a demo.
            story.done(title, parts[name]["detail"].partition(";")[0], began)
    return response.status_code == 200 and shown >= wanted.keys()


_PARTS_SIMULATED = {"store": "Store", "speech": "Voice", "lines": "Lines", "api": "API"}
_PARTS = {"store": "Store", "speech": "Voice", "lines": "Lines", "phone": "Catch-all phone", "api": "API"}


async def _follow(story: Story, http: httpx2.AsyncClient, call_id: str) -> None:
    began, said = time.monotonic(), []
    async for event in _events(http, call_id):
        word = event["type"].removeprefix("call.")
        data = event.get("data", {})
        word = (
            f"pressed {data.get('digits', '')[-1:]}"
            if word == "dtmf"
            else data.get("status", word)
            if word == "ended"
            else word
        )
        said.append(f"{time.monotonic() - began:.2f} {word}")
        if story.colour:
            print("\r    " + "  ".join(said), end="", flush=True)
    story.say(("\r" if story.colour else "") + "    " + "  ".join(said))


async def _events(http: httpx2.AsyncClient, call_id: str) -> AsyncIterator[dict[str, Any]]:
    async with http.stream("GET", f"/v1/calls/{call_id}/events", headers={"Accept": "text/event-stream"}) as stream:
        stream.raise_for_status()
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                yield json.loads(line.removeprefix("data:"))


def _settings(stack: contextlib.ExitStack, port: int, data: str | None, simulate: bool) -> Settings:
    """Loopback only, the sandbox trunk only, voices that need no network; nothing of the user's environment."""
    if data is None:
        folder = tempfile.mkdtemp(prefix="tocsin-demo-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        data = folder
    return load(
        {},
        overrides={
            "data_dir": Path(data),
            "api_keys": (API_KEY,),
            "http.port": _free_from(port),
            "speech.engines": ("flite", "espeak-ng"),
            "log_level": "error",
            "dialer.drain_s": 5.0,
            "simulate": simulate,
        },
    )


def _environment(settings: Settings) -> dict[str, str]:
    """For the child processes: what `_settings` decided, and none of the user's TOCSIN_ variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    return inherited | {
        "TOCSIN_API_KEYS": API_KEY,
        "TOCSIN_SPEECH__ENGINES": ",".join(settings.speech.engines),
        "TOCSIN_LOG_LEVEL": settings.log_level,
        "TOCSIN_DIALER__DRAIN_S": str(settings.dialer.drain_s),
        "TOCSIN_SIMULATE": str(settings.simulate),
    }


def _free_from(port: int) -> int:
    """The first free TCP port from `port` on; 0 (any) when a whole range is taken."""
    for candidate in range(port, min(port + PORTS_TRIED, 65536)) if port else ():
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", candidate))
            return candidate
    return 0


def _cancel_on_signals() -> None:
    """While the service comes up."""
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel if task else sys.exit)


def _stop_on_signals(service: Serve) -> asyncio.Event:
    """Set by the first signal; the second one ends everything now."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: service.hurry() if stop.is_set() else stop.set())
    return stop
