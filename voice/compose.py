"""The parts that processes are composed of: the only place that chooses adapters. The processes: processes.py."""

import asyncio
import contextlib
import functools
import ipaddress
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from redis.asyncio import Redis

from config.settings import Settings, SettingsError
from media.fetch import MediaError, MediaFetcher, media_address
from media.library import PromptLibrary
from media.offline import EspeakEngine, FliteEngine
from media.speech import SpeechEngine, first_that_speaks
from messaging.accounts import Accounts, Mode
from messaging.clock import SystemClock
from messaging.errors import Unavailable
from messaging.guard import AddressPolicy, guarded_client, judge_url
from messaging.store import connect, connect_blocking
from sip.events import RegistrationState
from sip.line import TrunkLine
from sip.lines import Lines
from sip.processleg import RungLeg
from sip.simulated import SimulatedLine
from sip.trunk import Credentials, Rtp, Trunk, TrunkUri
from sip.trunk_file import TrunkError, read_trunks, warn
from sip.trunk_reading import Said
from voice import installation
from voice.alerts import ValkeyOutbox
from voice.caller_ids import caller_ids
from voice.caps import Caps, Over
from voice.destinations import read_allow
from voice.preflight import naming, store_answers
from voice.presence import Presence
from voice.registration_lease import ValkeyRegistrationLeases
from voice.retention import keep_sweeping, remove_older
from voice.scoreboard import Scores
from voice.sealing import Sealer
from voice.selftest import Refusal, Suspended
from voice.selftest_board import ValkeySelfTests
from voice.selftest_call import SETTLE_S
from voice.selftest_desk import SelfTestDesk
from voice.selftest_news import SelfTestNews
from voice.selftest_run import PHONE_S
from voice.selftest_run import Bench as SelfTestBench
from voice.store_valkey import ValkeyCallStore
from voice.tariffs import Rates, read_rates
from voice.toll_book import SHELF, TollBook
from voice.toll_guard import TollGuard
from voice.trunk_book import TrunkBook
from voice.trunk_entry import Entry, ManagedBy
from voice.trunk_record import ValkeyTrunkRecord
from voice.trunk_shelf import ValkeyTrunkShelf
from voice.trunk_watch import TrunkWatch

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
    client = guarded_client(
        media_policy(settings), connect_s=settings.webhooks.connect_s, total_s=speech.media_deadline_s
    )
    return PromptLibrary(
        settings.data_dir / "audio",
        first_that_speaks(engines or speech_engines(settings), speech.deadline_s),
        MediaFetcher(client, speech.media_max_bytes, speech.media_deadline_s, speech.media_http),
        budget_bytes=speech.cache_bytes,
        level_dbfs=speech.level_dbfs,
        text_max=speech.text_max,
        media_max_s=speech.media_max_s,
    )


def media_policy(settings: Settings) -> AddressPolicy:
    """Where audio may be fetched, whoever asked for it."""
    return replace(webhook_policy(settings, sandbox=False), plain_http=settings.speech.media_http)


def media_refusal(settings: Settings) -> Callable[[str], str | None]:
    """Why the fetcher would refuse an address, as far as can be told without DNS, or None."""
    policy = media_policy(settings)

    def refusal(url: str) -> str | None:
        try:
            media_address(url, http_allowed=settings.speech.media_http)
        except MediaError as error:
            return str(error)
        return judge_url(url, policy)

    return refusal


def webhook_policy(settings: Settings, *, sandbox: bool) -> AddressPolicy:
    """Where webhooks may go. Those of test keys may stay on this machine, by plain http: nothing leaves it.

    Unless the API can be reached from elsewhere: then whoever has a test key would post to what listens here only.
    """
    hooks = settings.webhooks
    policy = AddressPolicy(guard=hooks.guard, allow=hooks.allow, plain_http=hooks.plain_http)
    return policy.with_loopback() if sandbox and reached_from_here_only(settings) else policy


def reached_from_here_only(settings: Settings) -> bool:
    """Does the API listen on loopback?"""
    host = settings.http.host
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


def trunk_file(settings: Settings, environ: Mapping[str, str] = os.environ) -> tuple[Said, ...] | None:
    """What the trunk file says; None when there is no file. Raises SettingsError."""
    if not settings.trunks:
        return None
    try:
        found = read_trunks(settings.trunks, environ)
    except TrunkError as error:
        raise SettingsError(f"trunks: {error}") from None
    warn(settings.trunks, found)
    return found


def trunk_book(settings: Settings, redis: Redis) -> TrunkBook:
    sealer = Sealer(installation.secret_keys(settings))
    return TrunkBook(ValkeyTrunkShelf(redis, settings.store.prefix), sealer, SystemClock())


def toll_book(settings: Settings, redis: Redis) -> TollBook:
    return TollBook(ValkeyTrunkShelf(redis, settings.store.prefix, SHELF))


def toll_guard(
    settings: Settings,
    book: TollBook,
    trunks: Callable[[], tuple[Trunk, ...]],
    read_trunks: Callable[[], Awaitable[object]],
) -> TollGuard:
    """`trunks`: all of them, as `read_trunks` read them last. Raises ValueError, when a setting is wrong."""

    def ours() -> tuple[str, ...]:
        known = [replace(trunk, enabled=True) for trunk in trunks()]  # one that rests closes no country
        return caller_ids(settings.account.caller_ids, known, sandbox=False)

    return TollGuard(book, read_allow(settings.dial.allow), ours, caps(settings), rates(settings), read_trunks)


def caps(settings: Settings) -> Caps:
    """Raises ValueError."""
    limits = settings.limits
    found = Caps(
        calls_per_day=limits.calls_per_day,
        minutes_per_day=limits.minutes_per_day,
        amount_per_day=limits.amount_per_day,
        calls_per_second=limits.calls_per_second,
        open_calls=limits.open_calls,
        calls_per_number_per_hour=limits.calls_per_number_per_hour,
        max_duration_s=limits.max_duration_s,
    )
    for over in Over:
        found.most(over)
    try:
        ZoneInfo(settings.account.timezone)
    except (KeyError, OSError):
        raise ValueError(f"account.timezone: there is no zone '{settings.account.timezone}'") from None
    return found


def rates(settings: Settings) -> Rates:
    """The price list of the setting; an empty one without it. Raises ValueError."""
    if settings.dial.rates is None:
        return Rates()
    try:
        text = settings.dial.rates.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {settings.dial.rates}: {error.strerror}") from None
    return read_rates(text, settings.dial.currency)


def account_outbox(settings: Settings, redis: Redis) -> ValkeyOutbox:
    return ValkeyOutbox(redis, settings.store.prefix, settings.account.events_url)


def trunk_watch(settings: Settings, redis: Redis, scores: Scores, presence: Presence) -> TrunkWatch:
    return TrunkWatch(
        ValkeyTrunkRecord(redis, settings.store.prefix),
        scores,
        functools.partial(presence.present, "dialer"),
        SystemClock(),
        account=settings.account.id,
        url=settings.account.events_url,
    )


def registration_leases(settings: Settings, redis: Redis) -> ValkeyRegistrationLeases:
    return ValkeyRegistrationLeases(redis, settings.store.prefix)


async def apply_trunk_file(settings: Settings, book: TrunkBook, environ: Mapping[str, str] = os.environ) -> None:
    """Make the book say what the file says, at each start of a process that reads it; harmless to repeat.

    Without a file the book stays as it is: this machine may not be the one that has it. Raises Unavailable.
    """
    said = trunk_file(settings, environ)
    if said is not None and settings.trunks is not None:
        done = await book.apply(said, settings.trunks.name)
        for change in done.changes:
            log.info("trunk changed by the file", trunk=change.trunk_id, change=change.does.value)
        for warning in done.warnings:
            log.warning("trunk file applied", warning=warning)
    await book.seal_anew()


def with_phone(settings: Settings, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The book as a dialer obeys it: the catch-all phone is no entry of it, and keeps its id."""
    phone = sandbox_trunk(settings)
    if phone is None:
        return tuple(entries)
    return (*(entry for entry in entries if entry.trunk.id != phone.id), Entry(phone, ManagedBy.SERVICE))


def sandbox_trunk(settings: Settings) -> Trunk | None:
    """The way to the catch-all phone."""
    if not settings.sandbox.enabled or (not settings.sandbox.sip_port and not settings.simulate):
        return None
    phone = TrunkUri("127.0.0.1", settings.sandbox.sip_port or 5060)
    return Trunk(
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


def line_for(settings: Settings, answer: Callable[[Trunk, RungLeg], None], trunk: Trunk) -> TrunkLine:
    """`answer`: told of each call that the trunk brings."""
    if settings.simulate:
        return SimulatedLine(most=settings.lines.most)
    return Lines(
        trunk,
        most=min(settings.lines.most, trunk.channels),
        journal_dir=settings.data_dir / "journal" / "lines",
        rtp_base=settings.lines.rtp_base if not trunk.sandbox else 0,
        idle_s=settings.lines.idle_s,
        ladder=settings.lines.ladder,
        answer=functools.partial(answer, trunk),
    )


def self_tests(settings: Settings, redis: Redis, blocking: Redis) -> ValkeySelfTests:
    return ValkeySelfTests(redis, blocking, settings.store.prefix)


def self_test_desk(
    settings: Settings,
    redis: Redis,
    board: ValkeySelfTests,
    book: TrunkBook,
    open_lines: Callable[[], Mapping[str, tuple[Trunk, TrunkLine]]],
    refusal: Refusal,
    is_suspended: Suspended,
) -> SelfTestDesk:
    """`open_lines`: those that this dialer has for calls; a test has its own, and only asks how they are registered."""

    async def find(trunk_id: str) -> Entry:
        phone = sandbox_trunk(settings)
        return Entry(phone, ManagedBy.SERVICE) if phone and phone.id == trunk_id else await book.get(trunk_id)

    def lines_for(trunk: Trunk, folder: Path) -> Lines:
        rtp_base = settings.lines.rtp_base if not trunk.sandbox else 0
        return Lines(trunk, most=1, journal_dir=folder, rtp_base=rtp_base, settle_s=SETTLE_S)

    def held(trunk_id: str) -> RegistrationState | None:
        _, line = open_lines().get(trunk_id, (None, None))
        return line.registrar.state() if line and line.registrar else None

    async def heard(test_id: str) -> str | None:
        return await board.keys(test_id, PHONE_S)

    record = ValkeyTrunkRecord(redis, settings.store.prefix)
    news = SelfTestNews(record, settings.account.events_url)
    bench = None if settings.simulate else SelfTestBench(lines_for, held, heard)
    return SelfTestDesk(board, find, bench, SystemClock(), refusal=refusal, is_suspended=is_suspended, news=news)


async def probe_lines(settings: Settings) -> str:
    """Start one line process against nothing and tell what it said. Raises LinesDown."""
    nowhere = Trunk(id="probe", name="probe", uris=(TrunkUri("127.0.0.1", 9),))
    with tempfile.TemporaryDirectory(prefix="tocsin-probe-") as folder:
        lines = Lines(nowhere, most=settings.lines.most, journal_dir=Path(folder))
        try:
            await lines.start()
            ready = lines.status()[0].ready
        finally:
            await lines.aclose()
    warnings = "; ".join(ready.checks)
    calls = f"{ready.capacity} call{'s' if ready.capacity > 1 else ''}"
    return f"PJSIP {ready.version}, {calls} per process" + (f" ({warnings})" if warnings else "")


@contextlib.asynccontextmanager
async def open_accounts(settings: Settings, url: str) -> AsyncIterator[Accounts]:
    async with contextlib.AsyncExitStack() as stack:
        redis = _client(stack, connect(url))
        yield accounts(settings, redis, installation.pepper(settings))


def house_owner(settings: Settings) -> str:
    """Whose calls are that no account asked for."""
    return f"{settings.account.id}.{Mode.LIVE}"


@contextlib.asynccontextmanager
async def open_toll_book(settings: Settings, url: str) -> AsyncIterator[TollBook]:
    async with contextlib.AsyncExitStack() as stack:
        yield toll_book(settings, _client(stack, connect(url)))


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
    beside(stack, keep_sweeping(sweeps), "retention")


def beside(stack: contextlib.AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """`work` as a task that ends with the stack."""
    working = asyncio.create_task(work, name=name)

    async def leave() -> None:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    stack.push_async_callback(leave)


def clients(stack: contextlib.AsyncExitStack, settings: Settings) -> tuple[Redis, Redis]:
    url = _url(settings)
    with naming("store.redis_url"):
        return _client(stack, connect(url)), _client(stack, connect_blocking(url))


async def store_is_up(settings: Settings) -> None:
    with naming("store.redis_url"):
        await store_answers(_url(settings))


def _url(settings: Settings) -> str:
    if settings.store.redis_url is None:
        raise SettingsError("TOCSIN_REDIS_URL is not set: one role alone needs a server; `tocsin serve` brings its own")
    return settings.store.redis_url


def _client(stack: contextlib.AsyncExitStack, redis: Redis) -> Redis:
    stack.push_async_callback(redis.aclose)
    return redis
