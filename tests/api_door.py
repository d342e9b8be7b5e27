"""The API with everything behind it in memory: real verbs, the memory store, two keys, an engine that only pretends."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from config.settings import Account, Settings
from media.prompt import Prompt
from media.speech import SpeechError
from messaging.clock import SystemClock
from sip.trunk import Trunk, TrunkUri
from tests.voice_values import an_ending, dialed, one_lease, step
from voice.alerts import MemoryOutbox, Suspender
from voice.api.app import create_app
from voice.api.parts import Api
from voice.calls import Call, Ending, WasAnswered
from voice.chaos import MemoryChaos
from voice.compose import media_refusal
from voice.messages import Outcome
from voice.orders import LiveTrunk
from voice.sealing import Sealer
from voice.selftest_board import MemorySelfTests
from voice.sending import Sending
from voice.store import Lane
from voice.store_memory import MemoryCallStore
from voice.toll_book import TollBook
from voice.toll_guard import TollGuard
from voice.trunk_book import TrunkBook
from voice.trunk_record import MemoryTrunkRecord
from voice.trunk_shelf import MemoryTrunkShelf

TEST_KEY = "tk_test_0123456789abcdefghij"
LIVE_KEY = "tk_live_0123456789abcdefghij"
OTHER_KEY = "tk_test_somebodyelse01234567"
PLAIN_KEY = "tk_test_withoutscopes0123456"
SANDBOX = Trunk("sandbox", "Catch-all phone", (TrunkUri("127.0.0.1", 5070),), sandbox=True)


@dataclass(frozen=True, slots=True)
class Who:
    account_id: str
    mode: str
    scopes: frozenset[str] = frozenset({"send", "read", "admin"})

    @property
    def key_id(self) -> str:
        return f"key_{self.account_id}"

    @property
    def owner(self) -> str:
        return f"{self.account_id}.{self.mode}"


KEYS = {
    TEST_KEY: Who("main", "test"),
    LIVE_KEY: Who("main", "live"),
    OTHER_KEY: Who("other", "test"),
    PLAIN_KEY: Who("main", "test", frozenset()),
}


class Keys:
    async def who(self, key: str) -> Who | None:
        return KEYS.get(key)


@dataclass(frozen=True, slots=True)
class Sound:
    path: Path
    duration_ms: int = 1200
    warnings: tuple[str, ...] = ("gtts has no male voice",)


class Speaks:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def audio(self, prompt: Prompt) -> Sound:
        if prompt.text == "unspeakable":
            raise SpeechError("no engine could say it")
        path = self._folder / f"{prompt.key}.wav"
        path.write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(28))
        return Sound(path)


def refuse_url(url: str, sandbox: bool) -> str | None:
    """The guard's policy, as far as the API can see it."""
    if "127.0.0.1" in url and not sandbox:
        return "that address is not public"
    return None


@dataclass
class Door:
    """The API as a client sees it, and the store behind it as a dialer does."""

    api: Api
    app: FastAPI
    client: httpx2.AsyncClient
    store: MemoryCallStore
    folder: Path
    recordings: dict[str, Path] = field(default_factory=dict)

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        return await self.client.get(path, **more)

    async def post(self, path: str, json: Any = None, **more: Any) -> httpx2.Response:
        return await self.client.post(path, **more) if json is None else await self.client.post(path, json=json, **more)

    async def calls(self) -> list[dict[str, Any]]:
        """Everything that is stored, for both modes."""
        found: list[dict[str, Any]] = []
        for key in (TEST_KEY, LIVE_KEY):
            answer = await self.client.get("/v1/calls?limit=200", headers=bearer(key))
            found.extend(answer.json()["data"])
        return found

    async def answer_and_end(self, ending: Ending | None = None, outcome: Outcome = Outcome.DELIVERED) -> Call:
        """What a dialer does with the next sandbox call."""
        lease = await one_lease(self.store, Lane.SANDBOX)
        fact = dialed()
        _, call = await step(self.store, lease, lease.call, fact)
        _, call = await step(self.store, lease, call, WasAnswered(fact.at))
        _, call = await step(self.store, lease, call, ending or an_ending(), outcome)
        return call


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def api_parts(folder: Path, store: MemoryCallStore | None = None, **changes: Any) -> Api:
    settings = Settings(data_dir=folder, account=Account(caller_ids=("12025550199",)))
    clock = SystemClock()
    store = store or MemoryCallStore()
    tolls = TollBook(MemoryTrunkShelf())
    guard = TollGuard(tolls, ("ng",), lambda: ("12025550199",))
    outbox = MemoryOutbox()
    prompts = Speaks(folder)
    parts = Api(
        settings=settings,
        clock=clock,
        store=store,
        sending=Sending(store, prompts, settings, clock, random.Random(7), Suspender(tolls, guard, outbox, clock)),
        accounts=Keys(),
        prompts=prompts,
        refuse_url=refuse_url,
        refuse_media=media_refusal(settings),
        speaks=lambda language: language.startswith(("en", "fr", "sw")),
        live_trunks=lambda: {"carrier": LiveTrunk(), "old": LiveTrunk(False)},
        chaos=MemoryChaos(),
        trunks=TrunkBook(MemoryTrunkShelf(), Sealer(["k" * 32]), clock, lambda _: "10.0.0.5"),
        tolls=tolls,
        guard=guard,
        self_tests=MemorySelfTests(store.caps),
        record=MemoryTrunkRecord(),
        sandbox_trunk=SANDBOX,
        magic=({"number": "12025550101", "does": "486 Busy"},),
        version="1.2.3",
    )
    return replace(parts, **changes)


@asynccontextmanager
async def open_door(folder: Path, **changes: Any) -> AsyncIterator[Door]:
    recordings: dict[str, Path] = {}

    async def recording(call: Call) -> Path | None:
        return recordings.get(call.call_id)

    parts = api_parts(folder, **{"recording": recording, **changes})
    app = create_app(parts)
    transport = httpx2.ASGITransport(app)
    assert isinstance(parts.store, MemoryCallStore)
    async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=bearer(TEST_KEY)) as client:
        yield Door(parts, app, client, parts.store, folder, recordings)
