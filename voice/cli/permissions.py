"""`tocsin permissions`: which countries live calls may go to."""

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from voice.cli.asking import asked
from voice.cli.client import Client
from voice.destinations import BadEntry, read_allow
from voice.explain import Exit

PATH = "/v1/dial-permissions"


def run_show(url: str, api_key: str, *, as_json: bool) -> int:
    return _run(lambda client: client.get(PATH), url, api_key, as_json=as_json)


def run_change(allow: Sequence[str], deny: Sequence[str], url: str, api_key: str, *, as_json: bool) -> int:
    try:
        opened, closed = set(read_allow(allow)), set(read_allow(deny))
    except BadEntry as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return Exit.USAGE

    async def change(client: Client) -> dict[str, Any]:
        now = await client.get(PATH)
        return await client.put(PATH, {"allow": sorted((set(now["allow"]) | opened) - closed)})

    return _run(change, url, api_key, as_json=as_json)


def _run(ask: Callable[[Client], Awaitable[dict[str, Any]]], url: str, api_key: str, *, as_json: bool) -> int:
    def tell(told: dict[str, Any]) -> None:
        if as_json:
            print(json.dumps(told))
            return
        where = "" if told["source"] == "account" else " (from the settings)"
        print(f"home     {', '.join(told['home']) or 'none: no caller id of a country'}")
        print(f"allowed  {', '.join(told['allow']) or 'nothing else'}{where}")
        if not told["applies"]:
            print("A test key's calls stay on the catch-all phone: this list changes nothing for them.")

    return asked(url, api_key, ask, tell, as_json=as_json)
