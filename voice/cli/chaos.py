"""`tocsin chaos`: what trouble the catch-all phone makes."""

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sip.sandbox.faults import BadChaos, from_dict, parsed, written
from voice.cli.asking import asked
from voice.cli.client import Client
from voice.explain import Exit

PATH = "/sandbox/v1/chaos"


def run_set(faults: Sequence[str], url: str, api_key: str, *, as_json: bool) -> int:
    try:
        chaos = parsed(faults)
    except BadChaos as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return Exit.USAGE
    return _run(lambda client: client.put(PATH, chaos.as_dict()), url, api_key, as_json=as_json)


def run_get(url: str, api_key: str, *, as_json: bool) -> int:
    return _run(lambda client: client.get(PATH), url, api_key, as_json=as_json)


def run_off(url: str, api_key: str, *, as_json: bool) -> int:
    return _run(lambda client: client.delete(PATH), url, api_key, as_json=as_json)


def _run(ask: Callable[[Client], Awaitable[dict[str, Any]]], url: str, api_key: str, *, as_json: bool) -> int:
    def tell(told: dict[str, Any]) -> None:
        print(json.dumps(told) if as_json else written(from_dict(told)))

    return asked(url, api_key, ask, tell, as_json=as_json)
