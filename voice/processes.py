"""The composition roots: one per process, and what is looked at before any of them starts.

Each root opens what it needs on one exit stack, so that everything closes in reverse order, and returns when the
process was asked to stop. What they have in common is made in compose.py.
"""

import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from redis.asyncio import Redis

from config.children import tell_ready
from config.settings import Settings
from messaging.accounts import STRONG_LENGTH, Mode, bootstrap_mode, is_strong
from messaging.clock import SystemClock
from messaging.courier import Courier
from messaging.guard import guarded_client
from messaging.outbox import HOOK_QUEUE, queue_keys
from messaging.queue_valkey import ValkeyQueue
from messaging.store import connect
from messaging.webhooks import sign, standard
from sip.lastwords import read_journals
from sip.sandbox.faults import Unruly
from sip.sandbox.phone import CatchAllPhone
from voice import compose, installation
from voice.chaos import ValkeyChaos
from voice.desk import Desk
from voice.destinations import read_allow
from voice.dialer import Dialer
from voice.dialer_facts import dialer_facts
from voice.explain import Exit
from voice.journal import Journal
from voice.one_registration import OneRegistration
from voice.phone import Listener
from voice.preflight import NO_PJSIP, CannotStart, has_pjsip, naming
from voice.presence import Presence
from voice.recovery import recover
from voice.ringing_back import RingingBack
from voice.toll_guard import TollGuard
from voice.trunk_book import TrunkBook
from voice.trunk_lines import TrunkLines
from voice.trunks_now import TrunksNow


def check(settings: Settings, environ: Mapping[str, str], *, dials: bool) -> None:
    """Everything that the processes will read of the settings. Raises SettingsError, which names the setting, or
    CannotStart. `dials`: a dialer is among them.
    """
    if dials and not settings.simulate and not has_pjsip():
        raise CannotStart(f"{NO_PJSIP} Install pjsua2-python, or use --simulate.", Exit.CONFIG)
    with naming("speech.engines"):
        compose.speech_engines(settings)
    with naming("trunks"):
        compose.trunk_file(settings, environ)
    with naming("dial.allow"):
        read_allow(settings.dial.allow)
    with naming("dial.rates"):
        compose.rates(settings)
    with naming("limits"):
        compose.caps(settings)
    with naming("webhooks.allow"):
        for mode in Mode:
            compose.webhook_policy(settings, sandbox=mode is Mode.TEST)
    with naming("webhooks.secret"):
        sign([installation.webhook_secret(settings)], "preflight", "", SystemClock().now())
    with naming("store.redis_url"):
        redis = connect(settings.store.redis_url or "unix:///nowhere")
    with naming("secret_key"):
        compose.trunk_book(settings, redis)
    with naming("key_pepper"):
        compose.accounts(settings, redis, installation.pepper(settings))
    with naming("api_keys"):
        for key in settings.api_keys:
            mode, rest = bootstrap_mode(key.get_secret_value())
            if mode is Mode.LIVE and not is_strong(rest) and not compose.reached_from_here_only(settings):
                raise ValueError(
                    f"a live key spends money, and {settings.http.host} can be reached from elsewhere: it needs "
                    f"{STRONG_LENGTH} or more random characters behind tk_live_; make one with: tocsin keys create"
                )


async def run_api(settings: Settings) -> None:
    """Behind `tocsin serve` it answers at once, whatever the store does: /readyz then says what is wrong."""
    from voice.api.app import create_app
    from voice.api.server import server
    from voice.compose_api import api_parts

    async with contextlib.AsyncExitStack() as stack:
        handed = os.environ.get("TOCSIN_LISTEN_FD")  # `tocsin serve` holds the listening socket
        if not handed:
            await compose.store_is_up(settings)
        parts = await api_parts(settings, stack)
        tell_ready(os.environ)
        sockets = [socket.socket(fileno=int(handed))] if handed else None
        await server(create_app(parts), settings.http, parts.draining).serve(sockets=sockets)


async def run_dialer(settings: Settings) -> None:
    clock = SystemClock()
    me = compose.holder()
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_on_signals()
        await compose.store_is_up(settings)
        redis, blocking = compose.clients(stack, settings)
        store = compose.call_store(settings, redis, blocking)
        library = compose.prompt_library(settings)
        stack.push_async_callback(library.aclose)
        journal = Journal(settings.data_dir / "journal", clock)
        stack.callback(journal.close)
        recordings = settings.data_dir / "recordings"
        recordings.mkdir(parents=True, exist_ok=True)
        compose.swept(stack, library.sweep, compose.old_recordings(settings, recordings))
        book = compose.trunk_book(settings, redis)
        await compose.apply_trunk_file(settings, book)
        guard = await _toll_guard(stack, settings, redis, book)
        heard_pct = settings.dialer.heard_pct
        rules, zone = (guard.refusal, guard.is_suspended), ZoneInfo(settings.account.timezone)
        desk = Desk(store, library, journal, clock, heard_pct, recordings, *rules, zone)
        entries = compose.with_phone(settings, await book.all())
        last_words = settings.data_dir / "journal" / "lines"
        by_id = {entry.trunk.id: entry.trunk for entry in entries}
        await recover(desk, lambda: read_journals(last_words), by_id)
        timing = settings.dialer
        dialer = Dialer(desk, {}, holder=me, lease_s=timing.lease_s, drain_s=timing.drain_s)
        callers = RingingBack(desk, dialer, owner=compose.house_owner(settings), holder=me, lease_s=timing.lease_s)
        stack.push_async_callback(callers.aclose)
        one = OneRegistration(compose.registration_leases(settings, redis), me)
        lines = TrunkLines(functools.partial(compose.line_for, settings, callers.rung), dialer, one)
        stack.push_async_callback(lines.aclose)
        lines.obey(entries)
        await lines.settled()
        presence = Presence(redis, settings.store.prefix, clock)
        await compose.announced(stack, presence, "dialer", me, dialer_facts(dialer, lines))
        working = asyncio.create_task(dialer.run(), name="dialer")
        compose.beside(stack, _follow_the_book(settings, book, lines), "trunk book")
        board = compose.self_tests(settings, redis, blocking)
        tests = compose.self_test_desk(settings, redis, board, book, lines.open, *rules)
        compose.beside(stack, tests.keep_testing(), "self-tests")
        watch = compose.trunk_watch(settings, redis, store.scores, presence)
        compose.beside(stack, watch.keep_looking(lines.trunks, lines.open), "trunk watch")
        tell_ready(os.environ)
        await _until_stopped(stop, working)
        dialer.stop()
        lines.leave()
        await working


async def _toll_guard(stack: contextlib.AsyncExitStack, settings: Settings, redis: Redis, book: TrunkBook) -> TollGuard:
    """Read before the first call is taken, and watched from then on."""
    looking = TrunksNow(settings, book)
    guard = compose.toll_guard(settings, compose.toll_book(settings, redis), lambda: looking.known, looking.read)
    await looking.read()
    await guard.read()
    compose.beside(stack, looking.keep_reading(apply_file=False), "trunks now")
    compose.beside(stack, guard.keep_reading(), "toll guard")
    return guard


async def _follow_the_book(settings: Settings, book: TrunkBook, lines: TrunkLines) -> None:
    async for entries in book.follow():
        lines.obey(compose.with_phone(settings, entries))


async def run_courier(settings: Settings) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_on_signals()
        await compose.store_is_up(settings)
        courier = _courier(stack, settings)
        presence = Presence(compose.clients(stack, settings)[0], settings.store.prefix, SystemClock())
        await compose.announced(stack, presence, "courier", compose.holder(), dict)
        working = asyncio.create_task(courier.run(), name="courier")
        tell_ready(os.environ)
        await _until_stopped(stop, working)
        courier.stop()
        await working


async def run_phone(settings: Settings) -> None:
    async with contextlib.AsyncExitStack() as stack:
        stop = _stop_on_signals()
        await compose.store_is_up(settings)
        redis, blocking = compose.clients(stack, settings)
        library = compose.prompt_library(settings)
        unruly = Unruly()
        stack.push_async_callback(library.aclose)
        tests = compose.self_tests(settings, redis, blocking)
        listener = Listener(compose.call_store(settings, redis, blocking), library, tests)
        heard = settings.data_dir / "sandbox"
        compose.swept(stack, compose.old_recordings(settings, heard))
        phone = CatchAllPhone(
            heard,
            port=settings.sandbox.sip_port,
            on_end=listener.ended,
            keep=settings.sandbox.keep,
            scripts=unruly,
        )
        port = await phone.start()
        stack.push_async_callback(phone.aclose)
        _watch_chaos(stack, ValkeyChaos(redis, blocking, settings.store.prefix), unruly)
        presence = Presence(redis, settings.store.prefix, SystemClock())
        address = f"127.0.0.1:{port}"
        await compose.announced(
            stack, presence, "phone", address, lambda: {"address": address, "calls": phone.calls_up()}
        )
        tell_ready(os.environ)
        await stop.wait()


def _watch_chaos(stack: contextlib.AsyncExitStack, board: ValkeyChaos, unruly: Unruly) -> None:
    watching = asyncio.create_task(board.keep_watching(unruly.declare), name="chaos")

    async def leave() -> None:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    stack.push_async_callback(leave)


ROLES: Mapping[str, Callable[[Settings], Coroutine[Any, Any, None]]] = {
    "api": run_api,
    "dialer": run_dialer,
    "courier": run_courier,
    "phone": run_phone,
}


def _courier(stack: contextlib.AsyncExitStack, settings: Settings) -> Courier:
    redis, blocking = compose.clients(stack, settings)
    hooks, prefix = settings.webhooks, settings.store.prefix
    http = {
        mode: guarded_client(
            compose.webhook_policy(settings, sandbox=mode is Mode.TEST),
            connect_s=hooks.connect_s,
            total_s=hooks.total_s,
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
