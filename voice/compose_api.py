"""What the API process is made of. Apart from compose.py, because only this process has to load FastAPI."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any

import structlog
from redis.asyncio import Redis

from config.settings import Settings
from media.speech import SpeechEngine, SpeechError, Utterance
from messaging.accounts import Mode
from messaging.clock import SystemClock
from messaging.deliveries import Deliveries
from messaging.guard import judge_url
from messaging.store import durability
from sip.sandbox.scripts import MAGIC
from voice import compose
from voice.alerts import Suspender
from voice.api.parts import Api, Check
from voice.caller_ids import caller_ids
from voice.calls import Call
from voice.chaos import ValkeyChaos
from voice.figures import Figures
from voice.installation import pepper
from voice.orders import LiveTrunk
from voice.preflight import naming
from voice.presence import Presence
from voice.routing import TrunkState
from voice.sending import Sending
from voice.simulating import merged
from voice.trunk_record import ValkeyTrunkRecord
from voice.trunks_now import TrunksNow
from voice.version import pjsip_version, tocsin_version

log = structlog.get_logger(__name__)

VOICE_LOOKED_AT_S = 60.0  # a render is not free: once a minute is often enough to know that a voice works


async def api_parts(settings: Settings, stack: contextlib.AsyncExitStack) -> Api:
    clock = SystemClock()
    redis, blocking = compose.clients(stack, settings)
    store = compose.call_store(settings, redis, blocking)
    engines = compose.speech_engines(settings)
    library = compose.prompt_library(settings, engines)
    stack.push_async_callback(library.aclose)
    compose.swept(stack, library.sweep)
    accounts = compose.accounts(settings, redis, pepper(settings))
    with naming("api_keys"):
        accounts.bootstrap([key.get_secret_value() for key in settings.api_keys], settings.account.id)
    book = compose.trunk_book(settings, redis)
    trunks = TrunksNow(settings, book)
    book.after_write = trunks.read
    compose.beside(stack, trunks.keep_reading(apply_file=True), "trunk book")
    tolls = compose.toll_book(settings, redis)
    with naming("dial.allow"):
        guard = compose.toll_guard(settings, tolls, lambda: trunks.known, trunks.read)
    compose.beside(stack, guard.keep_reading(), "toll guard")
    presence = Presence(redis, settings.store.prefix, clock)
    await compose.announced(stack, presence, "api", compose.holder(), dict)
    return Api(
        settings=settings,
        clock=clock,
        store=store,
        sending=Sending(
            store,
            library,
            settings,
            clock,
            SystemRandom(),
            Suspender(tolls, guard, compose.account_outbox(settings, redis), clock),
        ),
        accounts=accounts,
        prompts=library,
        refuse_url=_refusal(settings),
        refuse_media=compose.media_refusal(settings),
        speaks=lambda language: any(engine.speaks(language) for engine in engines),
        live_trunks=lambda: _live(trunks),
        chaos=ValkeyChaos(redis, blocking, settings.store.prefix),
        trunks=book,
        tolls=tolls,
        guard=guard,
        self_tests=compose.self_tests(settings, redis, blocking),
        record=ValkeyTrunkRecord(redis, settings.store.prefix),
        sandbox_trunk=compose.sandbox_trunk(settings),
        caller_ids=lambda sandbox: caller_ids(settings.account.caller_ids, trunks.now, sandbox=sandbox),
        checks=_checks(settings, redis, engines, presence),
        recording=_recording(settings.data_dir / "recordings"),
        routes=_routes(trunks, presence),
        dialers=functools.partial(presence.present, "dialer"),
        magic=[{"number": number, "does": script.title} for number, script in MAGIC.items()],
        figures=Figures(store, presence, Deliveries(redis, settings.store.prefix), _owners(settings)).collect,
        version=tocsin_version(),
    )


def _live(trunks: TrunksNow) -> dict[str, LiveTrunk]:
    taking = {trunk.id for trunk in trunks.now}
    return {t.id: LiveTrunk(t.id in taking, t.caller_ids) for t in trunks.known if not t.sandbox}


def _owners(settings: Settings) -> tuple[str, ...]:
    return tuple(f"{settings.account.id}.{mode}" for mode in Mode)


def _refusal(settings: Settings) -> Callable[[str, bool], str | None]:
    policies = {sandbox: compose.webhook_policy(settings, sandbox=sandbox) for sandbox in (False, True)}
    return lambda url, sandbox: judge_url(url, policies[sandbox])


def _routes(trunks: TrunksNow, presence: Presence) -> Callable[[], Awaitable[tuple[TrunkState, ...]]]:
    async def routes() -> tuple[TrunkState, ...]:
        return merged(trunks.now, [dialer.get("routes", {}) for dialer in await presence.present("dialer")])

    return routes


def _recording(folder: Path) -> Callable[[Call], Awaitable[Path | None]]:
    async def recording(call: Call) -> Path | None:
        path = folder / f"{call.call_id}.wav"  # an id of ours, never a user's word (R20)
        return path if await asyncio.to_thread(path.is_file) else None

    return recording


def _checks(
    settings: Settings, redis: Redis, engines: Sequence[SpeechEngine], presence: Presence
) -> tuple[Callable[[], Awaitable[Check]], ...]:
    voice = _VoiceCheck(engines)

    async def store() -> Check:
        found = await durability(redis, settings.store.policy)
        how = "embedded" if settings.store.redis_url and "valkey.sock" in settings.store.redis_url else "by URL"
        detail = f"{found.version} {how}, append-only, fsync {settings.store.policy}"
        return Check("store", found.ok, detail if found.ok else "; ".join(found.reasons))

    async def lines() -> Check:
        dialers = await presence.present("dialer")
        if not dialers:
            return Check("lines", False, "no dialer is running: calls would wait")
        total = sum(sum(dialer["trunks"].values()) for dialer in dialers)
        problems = [problem for dialer in dialers for problem in dialer["problems"]]
        how = "simulated" if settings.simulate else _processes([row for one in dialers for row in one["lines"]])
        return Check("lines", True, "; ".join([f"{how}, up to {total} calls", *problems]))

    async def phone() -> Check:
        phones = await presence.present("phone")
        if phones:
            return Check("phone", True, f"{phones[0]['address']}, answers every number", required=False)
        return Check("phone", False, "not running: test keys have nothing to call", required=False)

    async def courier() -> Check:
        there = await presence.present("courier")
        return Check("courier", bool(there), "" if there else "not running: webhooks wait", required=False)

    checks: list[Callable[[], Awaitable[Check]]] = [store, voice.check, lines, courier]
    if settings.sandbox.enabled and not settings.simulate:
        checks.append(phone)
    return tuple(checks)


def _processes(up: Sequence[Mapping[str, Any]]) -> str:
    """As in "PJSIP 2.15.1, 2 line processes × 4 calls"."""
    if not up:
        return f"PJSIP {pjsip_version()}, no line process up yet"
    sizes = sorted({int(row["calls"]) for row in up})
    calls = f"{sizes[0]} call{'s' if sizes[0] > 1 else ''}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} calls"
    return f"PJSIP {up[0]['version']}, {len(up)} line process{'es' if len(up) > 1 else ''} × {calls}"


class _VoiceCheck:
    """Renders one word; remembers a success for a while, asks again after a failure."""

    def __init__(self, engines: Sequence[SpeechEngine]) -> None:
        self._engines = engines
        self._good_until = 0.0
        self._detail = ""
        self._asking = asyncio.Lock()

    async def check(self) -> Check:
        async with self._asking:
            if asyncio.get_running_loop().time() < self._good_until:
                return Check("speech", True, self._detail)
            said: list[str] = []
            # Offline voices first: one that works here is proof enough, and costs no stranger a request.
            for engine in sorted(self._engines, key=lambda engine: engine.name == "gtts"):
                try:
                    await engine.speak(Utterance("Ready.", "en-gb"))
                except SpeechError as error:
                    said.append(f"{engine.name}: {error}")
                    continue
                self._good_until = asyncio.get_running_loop().time() + VOICE_LOOKED_AT_S
                where = "online" if engine.name == "gtts" else "offline"
                self._detail = f"{engine.name}, {where}"
                return Check("speech", True, self._detail)
            return Check("speech", False, "; ".join(said) or "no engine is configured")
