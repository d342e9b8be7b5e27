"""The composition roots: one per process, and the only place that chooses adapters.

Each root opens what it needs on one exit stack, so that everything closes in reverse order, and returns when the
process was asked to stop.
"""

import asyncio
import contextlib
import functools
import ipaddress
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from redis.asyncio import Redis

from config.children import tell_ready
from config.settings import Settings, SettingsError
from media.fetch import MediaFetcher
from media.library import PromptLibrary
from media.offline import EspeakEngine, FliteEngine
from media.speech import SpeechEngine, first_that_speaks
from messaging.accounts import Accounts, Mode
from messaging.clock import SystemClock
from messaging.courier import Courier
from messaging.errors import Unavailable
from messaging.guard import AddressPolicy, guarded_client
from messaging.outbox import HOOK_QUEUE, queue_keys
from messaging.queue_valkey import ValkeyQueue
from messaging.store import connect, connect_blocking
from messaging.webhooks import standard
from sip.lastwords import read_journals
from sip.line import Line, LinesDown
from sip.lines import Lines
from sip.sandbox.phone import CatchAllPhone
from sip.simulated import SimulatedLine
from sip.trunk import Credentials, Rtp, Trunk, TrunkUri
from sip.trunk_file import TrunkFileError, load_trunks
from voice import installation
from voice.dialer import Dialer
from voice.dispatch import Desk
from voice.journal import Journal
from voice.phone import Listener
from voice.preflight import CannotStart, naming, store_answers
from voice.presence import Presence
from voice.recovery import recover
from voice.retention import keep_sweeping, remove_older
from voice.store_valkey import ValkeyCallStore

log = structlog.get_logger(__name__)

SANDBOX_TRUNK = "sandbox"
SANDBOX_CPS = 20.0  # the engine's own ceiling is 20 dials/s per line process
SANDBOX_SILENT_S = 4.0  # the phone is on this machine: an answered call without a packet for so long is a silent call


def _google(settings: Settings) -> SpeechEngine:
    from media.google import GoogleEngine  # loads requests: not for those who stay offline

    return GoogleEngine(deadline_s=settings.speech.deadline_s)


_ENGINES: Mapping[str, Callable[[Settings], SpeechEngine]] = {
    "gtts": _google,
    "flite": lambda _: FliteEngine(),
    "espeak-ng": lambda _: EspeakEngine(),
}


# -- parts that several processes need


def speech_engines(settings: Settings) -> tuple[SpeechEngine, ...]:
    unknown = [name for name in settings.speech.engines if name not in _ENGINES]
    if unknown:
        raise SettingsError(f"speech.engines: nothing is called {unknown[0]}; there are {', '.join(_ENGINES)}")
    return tuple(_ENGINES[name](settings) for name in settings.speech.engines)


def prompt_library(settings: Settings, engines: Sequence[SpeechEngine] | None = None) -> PromptLibrary:
    speech = settings.speech
    policy = replace(webhook_policy(settings, sandbox=False), plain_http=speech.media_http)
    client = guarded_client(policy, connect_s=settings.webhooks.connect_s, total_s=speech.media_deadline_s)
    return PromptLibrary(
        settings.data_dir / "audio",
        first_that_speaks(engines or speech_engines(settings), speech.deadline_s),
        MediaFetcher(client, speech.media_max_bytes, speech.media_deadline_s, speech.media_http),
        budget_bytes=speech.cache_bytes,
        level_dbfs=speech.level_dbfs,
        text_max=speech.text_max,
        media_max_s=speech.media_max_s,
    )


def webhook_policy(settings: Settings, *, sandbox: bool) -> AddressPolicy:
    """Where webhooks may go. Those of test keys may stay on this machine, by plain http: nothing leaves it.

    Unless the API can be reached from elsewhere: then whoever has a test key would post to what listens here only.
    """
    hooks = settings.webhooks
    policy = AddressPolicy(guard=hooks.guard, allow=hooks.allow, plain_http=hooks.plain_http)
    return policy.with_loopback() if sandbox and _is_loopback(settings.http.host) else policy


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def accounts(settings: Settings, redis: Redis, pepper: bytes) -> Accounts:
    return Accounts(redis, settings.store.prefix, pepper, SystemClock())


def call_store(settings: Settings, redis: Redis, blocking: Redis) -> ValkeyCallStore:
    return ValkeyCallStore(
        redis,
        blocking,
        settings.store.prefix,
        retention_s=settings.store.retention_days * 86_400,
        once_s=settings.store.idempotency_hours * 3_600,
    )


def trunks(settings: Settings, environ: Mapping[str, str] = os.environ) -> tuple[Trunk, ...]:
    """Those of the file, and the sandbox when there is a phone to reach."""
    try:
        configured = load_trunks(settings.trunks, environ) if settings.trunks else ()
    except TrunkFileError as error:
        raise SettingsError(f"trunks: {error}") from None
    if not settings.sandbox.enabled or (not settings.sandbox.sip_port and not settings.simulate):
        return configured
    phone = TrunkUri("127.0.0.1", settings.sandbox.sip_port or 5060)
    sandbox = Trunk(
        id=SANDBOX_TRUNK,
        name="Catch-all phone",
        uris=(phone,),
        sandbox=True,
        channels=settings.lines.most,
        cps=SANDBOX_CPS,
        # The phone asks for a login on one number only, and refuses every one.
        auth=Credentials("tocsin", realm="sandbox", password="sandbox"),
        rtp=Rtp(timeout_s=SANDBOX_SILENT_S, required=True),
    )
    return (*configured, sandbox)


def line_for(settings: Settings, trunk: Trunk) -> Line:
    if settings.simulate:
        return SimulatedLine(most=settings.lines.most)
    return Lines(
        trunk,
        most=min(settings.lines.most, trunk.channels),
        journal_dir=settings.data_dir / "journal" / "lines",
        rtp_base=settings.lines.rtp_base if not trunk.sandbox else 0,
        idle_s=settings.lines.idle_s,
        ladder=settings.lines.ladder,
    )


async def probe_lines(settings: Settings) -> str:
    """Start one line process against nothing and tell what it said. Raises LinesDown."""
    nowhere = Trunk(id="probe", name="probe", uris=(TrunkUri("127.0.0.1", 9),))
    with tempfile.TemporaryDirectory(prefix="tocsin-probe-") as folder:
        lines = Lines(nowhere, most=1, journal_dir=Path(folder))
        try:
            await lines.start()
            ready = lines.status()[0].ready
        finally:
            await lines.aclose()
    warnings = "; ".join(ready.checks)
    return f"PJSIP {ready.version}, {ready.capacity} calls per process" + (f" ({warnings})" if warnings else "")


@contextlib.asynccontextmanager
async def open_accounts(settings: Settings, url: str) -> AsyncIterator[Accounts]:
    async with contextlib.AsyncExitStack() as stack:
        redis = _client(stack, connect(url))
        yield accounts(settings, redis, installation.pepper(settings))


# -- the processes


async def run_api(settings: Settings) -> None:
    """Behind `tocsin serve` it answers at once, whatever the store does: /readyz then says what is wrong."""
    from voice.api.app import create_app
    from voice.api.server import server
    from voice.compose_api import api_parts

    async with contextlib.AsyncExitStack() as stack:
        handed = os.environ.get("TOCSIN_LISTEN_FD")  # `tocsin serve` holds the listening socket
        if not handed:
            await _store_answers(settings)
        parts = await api_parts(settings, stack)
        tell_ready(os.environ)
        sockets = [socket.socket(fileno=int(handed))] if handed else None
        await server(create_app(parts), settings.http, parts.draining).serve(sockets=sockets)


async def run_dialer(settings: Settings) -> None:
    clock = SystemClock()
    me = holder()
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_on_signals()
        await _store_answers(settings)
        redis, blocking = clients(stack, settings)
        store = call_store(settings, redis, blocking)
        library = prompt_library(settings)
        stack.push_async_callback(library.aclose)
        journal = Journal(settings.data_dir / "journal", clock)
        stack.callback(journal.close)
        recordings = settings.data_dir / "recordings"
        recordings.mkdir(parents=True, exist_ok=True)
        swept(stack, library.sweep, old_recordings(settings, recordings))
        desk = Desk(store, library, journal, clock, settings.dialer.heard_pct, recordings)
        lines: dict[str, tuple[Trunk, Line]] = {}
        for trunk in trunks(settings):
            if trunk.enabled:
                lines[trunk.id] = (trunk, await _open_line(stack, settings, trunk))
        last_words = settings.data_dir / "journal" / "lines"
        by_id = {trunk_id: trunk for trunk_id, (trunk, _) in lines.items()}
        await recover(desk, lambda: read_journals(last_words), by_id)
        dialer = Dialer(desk, lines, holder=me, lease_s=settings.dialer.lease_s, drain_s=settings.dialer.drain_s)
        presence = Presence(redis, settings.store.prefix, clock)
        facts = _dialer_facts(dialer, lines)
        await announced(stack, presence, "dialer", me, facts)
        working = asyncio.create_task(dialer.run(), name="dialer")
        tell_ready(os.environ)
        await _until_stopped(stop, working)
        dialer.stop()
        await working


async def run_courier(settings: Settings) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_on_signals()
        await _store_answers(settings)
        courier = _courier(stack, settings)
        presence = Presence(clients(stack, settings)[0], settings.store.prefix, SystemClock())
        await announced(stack, presence, "courier", holder(), dict)
        working = asyncio.create_task(courier.run(), name="courier")
        tell_ready(os.environ)
        await _until_stopped(stop, working)
        courier.stop()
        await working


async def run_phone(settings: Settings) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_on_signals()
        await _store_answers(settings)
        redis, blocking = clients(stack, settings)
        library = prompt_library(settings)
        stack.push_async_callback(library.aclose)
        listener = Listener(call_store(settings, redis, blocking), library)
        heard = settings.data_dir / "sandbox"
        swept(stack, old_recordings(settings, heard))
        phone = CatchAllPhone(
            heard,
            port=settings.sandbox.sip_port,
            on_end=listener.ended,
            keep=settings.sandbox.keep,
        )
        port = await phone.start()
        stack.push_async_callback(phone.aclose)
        presence = Presence(redis, settings.store.prefix, SystemClock())
        address = f"127.0.0.1:{port}"
        await announced(stack, presence, "phone", address, lambda: {"address": address, "calls": phone.calls_up()})
        tell_ready(os.environ)
        await stop.wait()


ROLES: Mapping[str, Callable[[Settings], Coroutine[Any, Any, None]]] = {
    "api": run_api,
    "dialer": run_dialer,
    "courier": run_courier,
    "phone": run_phone,
}


# -- small pieces of the roots


def _courier(stack: contextlib.AsyncExitStack, settings: Settings) -> Courier:
    redis, blocking = clients(stack, settings)
    hooks, prefix = settings.webhooks, settings.store.prefix
    http = {
        mode: guarded_client(
            webhook_policy(settings, sandbox=mode is Mode.TEST), connect_s=hooks.connect_s, total_s=hooks.total_s
        )
        for mode in Mode
    }
    for client in http.values():
        stack.push_async_callback(client.aclose)
    secret = installation.webhook_secret(settings)
    return Courier(
        ValkeyQueue(redis, blocking, queue_keys(prefix, HOOK_QUEUE)),
        redis,
        prefix,
        http,
        lambda _owner: (secret,),
        SystemClock(),
        schedule=standard(hooks.schedule_s, hooks.jitter),
        total_s=hooks.total_s,
    )


async def _open_line(stack: contextlib.AsyncExitStack, settings: Settings, trunk: Trunk) -> Line:
    line = line_for(settings, trunk)
    stack.push_async_callback(line.aclose)
    if isinstance(line, Lines):
        try:
            await line.start()
        except LinesDown as error:
            raise CannotStart(
                f"no line for trunk {trunk.id}: {error}. Ask `tocsin doctor`, or use --simulate."
            ) from None
    return line


def _dialer_facts(dialer: Dialer, lines: Mapping[str, tuple[Trunk, Line]]) -> Callable[[], Mapping[str, Any]]:
    def facts() -> Mapping[str, Any]:
        return {
            "pid": os.getpid(),
            "busy": dialer.busy,
            "problems": list(dialer.problems()),
            "trunks": {trunk_id: line.capacity().total for trunk_id, (_, line) in lines.items()},
            "busy_lines": {trunk_id: line.capacity().busy for trunk_id, (_, line) in lines.items()},
            "lines": [
                {
                    "trunk": trunk_id,
                    "pid": status.ready.pid,
                    "version": status.ready.version,
                    "calls": status.ready.capacity,
                    "busy": status.busy,
                }
                for trunk_id, (_, line) in lines.items()
                if isinstance(line, Lines)
                for status in line.status()
            ],
        }

    return facts


def holder() -> str:
    """Who we are in leases and in the list of those present."""
    return f"{socket.gethostname()}:{os.getpid()}"


async def announced(
    stack: contextlib.AsyncExitStack,
    presence: Presence,
    role: str,
    holder: str,
    facts: Callable[[], Mapping[str, Any]],
) -> None:
    with contextlib.suppress(Unavailable):  # the store may be restarting, too
        await presence.started(role)
    telling = asyncio.create_task(presence.keep_announcing(role, holder, facts), name=f"presence {role}")

    async def leave() -> None:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        with contextlib.suppress(Exception):  # the store may be gone before us; the word goes stale by itself
            await presence.leave(role, holder)

    stack.push_async_callback(leave)


def old_recordings(settings: Settings, folder: Path) -> Callable[[], int]:
    return functools.partial(remove_older, folder, settings.store.recording_hours * 3_600.0, SystemClock())


def swept(stack: contextlib.AsyncExitStack, *sweeps: Callable[[], object]) -> None:
    sweeping = asyncio.create_task(keep_sweeping(sweeps), name="retention")

    async def leave() -> None:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)

    stack.push_async_callback(leave)


def clients(stack: contextlib.AsyncExitStack, settings: Settings) -> tuple[Redis, Redis]:
    url = _url(settings)
    with naming("store.redis_url"):
        return _client(stack, connect(url)), _client(stack, connect_blocking(url))


async def _store_answers(settings: Settings) -> None:
    with naming("store.redis_url"):
        await store_answers(_url(settings))


def _url(settings: Settings) -> str:
    if settings.store.redis_url is None:
        raise SettingsError("TOCSIN_REDIS_URL is not set: one role alone needs a server; `tocsin serve` brings its own")
    return settings.store.redis_url


def _client(stack: contextlib.AsyncExitStack, redis: Redis) -> Redis:
    stack.push_async_callback(redis.aclose)
    return redis


def _stop_on_signals() -> asyncio.Event:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _until_stopped(stop: asyncio.Event, working: asyncio.Task[None]) -> None:
    """Until the signal, or until the work ended by itself, which is a fault that its result tells."""
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        working.result()
