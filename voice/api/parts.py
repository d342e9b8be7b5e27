"""What the API is made of: the ports it needs, handed in by the composition root, and how a route reaches them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from config.settings import Settings
from media.prompt import Prompt
from messaging.clock import Clock
from messaging.errors import Forbidden, NotFound, Unauthorized
from messaging.http import presented_key
from messaging.ids import is_call_id, parse_ref_id
from sip.trunk import Trunk
from voice.api.reading import known_query
from voice.calls import Call
from voice.chaos import ChaosBoard
from voice.messages import Callback, CallbackFormat
from voice.orders import LiveTrunk
from voice.routing import TrunkState
from voice.selftest_board import SelfTestBoard
from voice.sending import Sender, Sending
from voice.store import CallStore
from voice.toll_book import TollBook
from voice.toll_guard import TollGuard
from voice.trunk_book import TrunkBook
from voice.trunk_record import TrunkRecord


class Principal(Protocol):
    """Who is calling, as `messaging.accounts` found it by the key."""

    @property
    def account_id(self) -> str: ...

    @property
    def mode(self) -> str:
        """test or live."""
        ...

    @property
    def key_id(self) -> str: ...

    @property
    def scopes(self) -> Collection[str]: ...

    @property
    def owner(self) -> str:
        """Account and mode: what everything stored is bound to."""
        ...


class KeyRing(Protocol):
    """`messaging.accounts.Accounts`, as far as the API needs it."""

    async def who(self, key: str, /) -> Principal | None:
        """None for an unknown, expired or revoked key. Raises Unavailable when the store does not answer."""
        ...


class Rendered(Protocol):
    @property
    def path(self) -> Path:
        """A WAV on local disk."""
        ...

    @property
    def duration_ms(self) -> int: ...

    @property
    def warnings(self) -> tuple[str, ...]: ...


class Speaker(Protocol):
    """`media.library.PromptLibrary`, as far as the API needs it."""

    async def audio(self, prompt: Prompt) -> Rendered:
        """Raises SpeechError."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One line of /readyz. Only a `required` one that is not ok makes us unready."""

    name: str
    ok: bool
    detail: str = ""
    required: bool = True


async def _no_recording(call: Call) -> Path | None:
    return None


async def _no_trunks() -> tuple[TrunkState, ...]:
    return ()


async def _nobody() -> Sequence[Mapping[str, Any]]:
    return ()


FOLLOWERS_MOST = 100  # streams and waits of one account in this process: each holds a connection to the store


@dataclass(frozen=True, slots=True)
class Api:
    """Everything `create_app` needs. `draining` is set once, by whoever got the signal, before the server stops."""

    settings: Settings
    clock: Clock
    store: CallStore
    sending: Sending
    accounts: KeyRing
    prompts: Speaker
    refuse_url: Callable[[str, bool], str | None]  # webhook address, sandbox -> why not, or None
    refuse_media: Callable[[str], str | None]  # address of audio -> why it would not be fetched, or None
    speaks: Callable[[str], bool]  # a language tag: does any engine speak it
    live_trunks: Callable[[], Mapping[str, LiveTrunk]]  # where live calls may leave, by id
    chaos: ChaosBoard  # what trouble the catch-all phone was told to make
    trunks: TrunkBook
    tolls: TollBook
    guard: TollGuard  # may this account ring that number?
    self_tests: SelfTestBoard
    record: TrunkRecord  # what was told of each trunk
    sandbox_trunk: Trunk | None = None  # the way to the catch-all phone: no entry of the book
    caller_ids: Callable[[bool], tuple[str, ...]] | None = None  # sandbox -> numbers; None: the account's own list
    checks: Sequence[Callable[[], Awaitable[Check]]] = ()
    recording: Callable[[Call], Awaitable[Path | None]] = _no_recording
    routes: Callable[[], Awaitable[tuple[TrunkState, ...]]] = _no_trunks  # as all dialers say they are
    dialers: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]] = _nobody  # what each says of itself
    magic: Sequence[Mapping[str, Any]] = ()  # the catch-all phone's table: number, does
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    figures: Callable[[], Awaitable[Collector]] | None = None  # of the whole service, read at each scrape
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: set[str] = field(default_factory=set)  # idempotency keys this process is serving right now
    followers: Counter[str] = field(default_factory=Counter)  # owner -> streams and waits open right now
    version: str = "0.0.0"


def api_of(request: Request) -> Api:
    return cast(Api, request.app.state.api)


async def caller(request: Request) -> Principal:
    """Who is calling. Raises Unauthorized first, then Invalid for query parameters that do not exist."""
    principal = await api_of(request).accounts.who(presented_key(request))
    if principal is None:
        raise Unauthorized
    known_query(request)
    return principal


def need_scope(principal: Principal, scope: str) -> Principal:
    """`principal`, if its key has the scope. Raises Forbidden."""
    if scope not in principal.scopes:
        raise Forbidden(f"This key lacks the scope '{scope}'.")
    return principal


ApiParts = Annotated[Api, Depends(api_of)]
Caller = Annotated[Principal, Depends(caller)]


async def sender(principal: Caller) -> Principal:
    return need_scope(principal, "send")


async def reader(principal: Caller) -> Principal:
    return need_scope(principal, "read")


async def admin(principal: Caller) -> Principal:
    return need_scope(principal, "admin")


MaySend = Annotated[Principal, Depends(sender)]
MayRead = Annotated[Principal, Depends(reader)]
MayAdmin = Annotated[Principal, Depends(admin)]


def sender_of(api: Api, principal: Principal) -> Sender:
    account = api.settings.account
    callback = Callback(account.callback_url, CallbackFormat(account.callback_format)) if account.callback_url else None
    return Sender(
        owner=principal.owner,
        sandbox=is_test(principal),
        caller_ids=account.caller_ids if api.caller_ids is None else api.caller_ids(is_test(principal)),
        region=account.region,
        callback=callback,
        live_trunks=api.live_trunks(),
        destinations=api.guard.destinations(principal.owner),
    )


def is_test(principal: Principal) -> bool:
    return principal.mode == "test"


def known_ref(text: str) -> str:
    """The bare ref_id, with or without msg_ in front. Raises NotFound for what cannot be one."""
    ref_id = parse_ref_id(text)
    if ref_id is None:
        raise NotFound("There is no such message, or it belongs to somebody else.")
    return ref_id


def known_call(text: str) -> str:
    """`text` when it can be a call_id. Raises NotFound."""
    if not is_call_id(text):
        raise NotFound("There is no such call, or it belongs to somebody else.")
    return text


def has_room_to_follow(api: Api, owner: str) -> bool:
    return api.followers[owner] < FOLLOWERS_MOST


@contextmanager
def following(api: Api, owner: str) -> Iterator[None]:
    """Counts one stream or wait of `owner` while it is open."""
    api.followers[owner] += 1
    try:
        yield
    finally:
        api.followers[owner] -= 1


async def ended(api: Api, call: Call, wait_s: float) -> bool:
    """Wait until the call is final, at most `wait_s`; shorter when we are shutting down."""
    return await _first(_to_the_end(api.store.follow(call.call_id, call.sequence)), api.draining, wait_s)


async def _to_the_end(events: AsyncIterator[Any]) -> None:
    async for _ in events:
        pass


async def _first(work: Any, stop: asyncio.Event, timeout_s: float) -> bool:
    """True when `work` finished before `stop` and before the time was up."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait({working, stopping}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            working.result()
        return working in done
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
