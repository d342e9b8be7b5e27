"""`tocsin demo`: the whole story on this machine, with true numbers; exit 1 when the phone heard nothing."""

import asyncio
import contextlib
import json
import os
import shutil
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
from messaging.numbers import NumberError, normalise
from voice.cli.interrupts import Interrupts
from voice.cli.receiver import Receiver
from voice.cli.service import run_role
from voice.cli.story import Story
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


def run(interrupts: Interrupts, *, once: bool, as_json: bool, port: int, data: str | None, to: str) -> int:
    try:
        normalise(to, None)
    except NumberError as no:
        print(f"tocsin: --to {to!r}: {no.detail.rstrip('.')}. {no.said_hint}", file=sys.stderr)
        return Exit.USAGE
    simulate = not has_pjsip()
    story = Story(quiet=as_json, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    story.say(f"\n  tocsin demo{_SIMULATED if simulate else _REAL}\n")
    with contextlib.ExitStack() as stack:
        settings = _settings(stack, port, data, simulate)
        stack.callback(interrupts.ignore)  # removing the folder takes a moment, and has to be done to the end
        configure("demo", settings.log_level)
        name_process("tocsin-demo")
        asked = Asked(to=to, once=once, as_json=as_json, kept_in=Path(data).absolute() if data else None)
        plan = prepare(settings, _environment(settings), run_role)
        try:
            return asyncio.run(_demo(story, plan, asked, interrupts))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return Exit.INTERRUPTED


_REAL = ": everything below stays on this machine. No real phone can ring."
_SIMULATED = f", simulated: {NO_PJSIP}\n  No phone rings, and nothing can be heard; the rest is real."


@dataclass(frozen=True, slots=True)
class Asked:
    """`kept_in`: the folder the person named, which stays; None: a temporary one, which goes."""

    to: str
    once: bool
    as_json: bool
    kept_in: Path | None

    @property
    def stays(self) -> bool:
        """Whether the service stays up after a call that went well."""
        return not self.once and not self.as_json


async def _demo(story: Story, plan: Plan, asked: Asked, interrupts: Interrupts) -> int:
    service, stop = Serve(plan), asyncio.Event()
    ending = _Ending(story, service, asyncio.current_task(), stop)
    interrupts.then(ending.signalled)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(service)
        http = await stack.enter_async_context(
            httpx2.AsyncClient(
                base_url=service.base_url,
                headers={"Authorization": f"Bearer {API_KEY}"},
                timeout=httpx2.Timeout(CALL_S, connect=5.0),
                trust_env=False,
            )
        )
        receiver = await stack.enter_async_context(Receiver(webhook_secret(plan.settings)))
        ending.is_up = True
        failed = asyncio.create_task(service.run(stop), name="watch the service")
        story_of_one_call = asyncio.create_task(
            _one_call(story, http, receiver, service.base_url, asked, plan.settings.simulate), name="one call"
        )
        await asyncio.wait({failed, story_of_one_call}, return_when=asyncio.FIRST_COMPLETED)
        if not story_of_one_call.done():
            story_of_one_call.cancel()
            await asyncio.gather(story_of_one_call, return_exceptions=True)
            await failed  # raises what went wrong; a signal is no error
            return Exit.INTERRUPTED
        result = story_of_one_call.result()
        good: bool = result.pop("good")
        if asked.as_json:
            print(json.dumps(result), flush=True)
        if asked.stays and good:
            story.say(_NOW_YOU.format(url=service.base_url.removeprefix("http://"), key=API_KEY))
        else:
            stop.set()
        await failed
        story.stopping()
    return Exit.OK if good else Exit.UNEXPECTED


@dataclass
class _Ending:
    """The first signal has everything end in order, the second one ends it now."""

    story: Story
    service: Serve
    demo: asyncio.Task[Any] | None
    stop: asyncio.Event
    is_up: bool = False
    times: int = 0

    def signalled(self) -> None:
        loop = self.demo.get_loop() if self.demo else None
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self.times += 1
        self.story.stopping()
        if self.times > 1:
            self.service.hurry()
        elif self.is_up:
            self.stop.set()
        elif self.demo:
            self.demo.cancel()


_NOW_YOU = """
  Now you:  curl -s {url}/v1/calls -u {key}: -H "Prefer: wait=30" -d to=12025550101 -d say="Hello"
            …0101 busy · …0102 no answer · …0107 voicemail · all: tocsin magic
  Ctrl-C stops and cleans up. Keep data: tocsin demo --data ./demo-data."""


async def _one_call(
    story: Story, http: httpx2.AsyncClient, receiver: Receiver, base_url: str, asked: Asked, simulated: bool
) -> dict[str, Any]:
    await _until_ready(story, http, _PARTS if not simulated else _PARTS_SIMULATED)
    story.say(f"\n  API docs  {base_url + '/docs':<34} API key  {API_KEY}\n  Webhooks  {receiver.secret}\n")
    story.say(f"  POST /v1/calls  to {asked.to}  “{TEXT}”")
    body = {"to": asked.to, "text": TEXT, "gather": {"digits_max": 1}, "callback_url": receiver.url}
    response = await http.post("/v1/calls", json=body | {"callback_events": EVENTS})
    if not response.is_success:
        raise CannotStart(f"the service refused the call: {response.json().get('detail', response.status_code)}")
    call_id = response.json()["call_id"]
    await _follow(story, http, call_id)
    call = (await http.get(f"/v1/calls/{call_id}")).json()
    heard = (await http.get("/sandbox/v1/heard/latest", params={"call_id": call_id, "wait": HEARD_S})).json()
    expected = call["sequence"]
    await receiver.wait_for(expected, HEARD_S)
    return _verdict(story, call, None if simulated else heard, receiver, base_url, asked)


def _verdict(
    story: Story, call: dict[str, Any], heard: dict[str, Any] | None, receiver: Receiver, base_url: str, asked: Asked
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
    good = was_heard and confirmed and all_verified and call["status"] == "completed"
    if heard is not None and good and asked.stays:
        address = f"{base_url.removeprefix('http://')}/v1/calls/{call['call_id']}"
        story.say(f"    Listen:  curl -s -u {API_KEY}: {address}/recording -o call.wav")
        story.say(f"    Ladder:  curl -s -u {API_KEY}: '{address}/sip?format=text'")
    elif asked.kept_in and heard and heard.get("recording_url"):
        story.say(f"    Listen:  {asked.kept_in / 'sandbox' / call['call_id']}.wav")
    return {
        "heard_s": round(seconds, 2),
        "match": round(match, 3),
        "outcome": call["status"],
        "digits": call.get("digits", ""),
        "webhooks_sent": receiver.received,
        "webhooks_verified": receiver.verified,
        "elapsed_s": round(story.elapsed_s, 2),
        "good": good,
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


async def _until_ready(story: Story, http: httpx2.AsyncClient, wanted: Mapping[str, str]) -> None:
    """Poll /readyz?verbose and print each part as it comes up. Raises CannotStart."""
    shown: set[str] = set()
    try:
        async with asyncio.timeout(READY_S):
            while True:
                if await _all_up(story, http, wanted, shown):
                    story.say(f"  Ready in {story.elapsed_s:.1f} s.")
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        missing = ", ".join(title for name, title in wanted.items() if name not in shown)
        raise CannotStart(f"not ready after {READY_S:g} s: {missing or 'API'}. Ask: tocsin doctor") from None


async def _all_up(story: Story, http: httpx2.AsyncClient, wanted: Mapping[str, str], shown: set[str]) -> bool:
    try:
        response = await http.get("/readyz", params={"verbose": "1"})
    except httpx2.HTTPError:
        return False
    parts = response.json().get("checks", {})
    for name, title in wanted.items():
        if name in parts and parts[name]["ok"] and name not in shown:
            shown.add(name)
            # What follows the first ";" is about live trunks, and there is none in a demo.
            story.part(title, parts[name]["detail"].partition(";")[0])
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
        story.rewrite("    " + "  ".join(said))
    story.say("    " + "  ".join(said))


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
