"""`tocsin keys`: reads and writes the store directly, so it works on the machine that runs it, without a key."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from config.settings import Settings, SettingsError, load
from messaging.accounts import Accounts, Key, Mode
from messaging.clock import SystemClock, rfc3339
from messaging.embedded import embedded_url, socket_path
from messaging.errors import NotFound
from voice.compose import open_accounts, open_toll_book
from voice.serve import VALKEY


def run_create(*, live: bool, name: str, expires_days: int, data: str | None, as_json: bool) -> int:
    async def create(accounts: Accounts) -> tuple[str, Key]:
        mode = Mode.LIVE if live else Mode.TEST
        return await accounts.create(_settings(data).account.id, mode, name=name, expires_days=expires_days)

    secret, key = _with_accounts(data, create)
    if as_json:
        print(json.dumps({"key": secret, **_shown(key)}))
    else:
        print(secret)
    return 0


def run_list(*, data: str | None, as_json: bool) -> int:
    keys: list[Key] = _with_accounts(data, lambda accounts: accounts.list(_settings(data).account.id))
    if as_json:
        print(json.dumps([_shown(key) for key in keys]))
        return 0
    now = SystemClock().now()
    for key in keys:
        until = f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
        print(f"{key.key_id}  …{key.hint}  {key.mode:<5} {_state(key, now):<8} {until:<17} {key.name or '-'}")
    return 0


def run_revoke(key_id: str, *, data: str | None) -> int:
    try:
        _with_accounts(data, lambda accounts: accounts.revoke(_settings(data).account.id, key_id))
    except NotFound:
        print(f"tocsin: there is no key {key_id}; see: tocsin keys list", file=sys.stderr)
        return 5
    print("revoked")
    return 0


def _state(key: Key, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    return "active" if key.is_valid(now) else "expired"


def _settings(data: str | None) -> Settings:
    return load(os.environ, overrides={"data_dir": data})


def run_resume(key_id: str, *, data: str | None) -> int:
    settings, url = _running(data)

    async def resume() -> bool:
        async with open_toll_book(settings, url) as book:
            return any([await book.resume(f"{settings.account.id}.{mode}", key_id) for mode in Mode])

    if not asyncio.run(resume()):
        print(f"tocsin: {key_id} is not suspended", file=sys.stderr)
        return 5
    print("resumed")
    return 0


def _with_accounts(data: str | None, do: Callable[[Accounts], Awaitable[Any]]) -> Any:
    settings, url = _running(data)

    async def run() -> Any:
        async with open_accounts(settings, url) as accounts:
            return await do(accounts)

    return asyncio.run(run())


def _running(data: str | None) -> tuple[Settings, str]:
    """The settings, and where the store of the running service is."""
    settings = _settings(data)
    url = settings.store.redis_url or embedded_url(settings.data_dir / VALKEY)
    if settings.store.redis_url is None and not socket_path(settings.data_dir / VALKEY).exists():
        raise SettingsError(
            f"no service is running on {settings.data_dir}: start `tocsin serve --data {settings.data_dir}`, "
            "or set TOCSIN_REDIS_URL"
        )
    return settings, url


def _shown(key: Key) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(key).items()}


def _plain(value: Any) -> Any:
    """As JSON has it; times as everywhere in the API."""
    if isinstance(value, datetime):
        return rfc3339(value)
    return [str(one) for one in value] if isinstance(value, tuple) else value
