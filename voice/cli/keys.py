"""`tocsin keys`: reads and writes the store directly, so it works on the machine that runs it, without a key."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from messaging.accounts import Accounts, Key, Mode

from config.settings import SettingsError, load
from voice.compose import open_accounts
from voice.embedded_address import socket_url


def run_create(*, live: bool, name: str, expires_days: int | None, data: str | None, as_json: bool) -> int:
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
    keys: list[Key] = _with_accounts(data, lambda accounts: accounts.list())
    if as_json:
        print(json.dumps([_shown(key) for key in keys]))
        return 0
    for key in keys:
        state = "revoked" if key.revoked_at else "active"
        print(f"{key.key_id}  {key.mode:<5} {state:<8} {key.name or '-'}")
    return 0


def run_revoke(key_id: str, *, data: str | None) -> int:
    found: bool = _with_accounts(data, lambda accounts: accounts.revoke(key_id))
    print("revoked" if found else f"there is no key {key_id}; see: tocsin keys list")
    return 0 if found else 5


def _settings(data: str | None) -> Any:
    return load(os.environ, overrides={"data_dir": data})


def _with_accounts(data: str | None, do: Callable[[Accounts], Awaitable[Any]]) -> Any:
    settings = _settings(data)
    url = settings.store.redis_url or socket_url(Path(settings.data_dir))
    if url is None:
        raise SettingsError(
            f"no service is running on {settings.data_dir}: start `tocsin serve --data {settings.data_dir}`, "
            "or set TOCSIN_REDIS_URL"
        )

    async def run() -> Any:
        async with open_accounts(settings, url) as accounts:
            return await do(accounts)

    return asyncio.run(run())


def _shown(key: Key) -> dict[str, Any]:
    return {name: str(value) if value is not None else None for name, value in asdict(key).items()}
