"""A command that asks a running service, and prints the answer or why there is none."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from voice.cli.client import Client, ClientError
from voice.explain import Exit

A = TypeVar("A")


def asked(
    url: str, api_key: str, ask: Callable[[Client], Awaitable[A]], tell: Callable[[A], int | None], *, as_json: bool
) -> int:
    """The exit code: that of the error, or what `tell` returns; None is 0. `as_json`: an error is its object."""

    async def run() -> A:
        async with Client(url, api_key) as client:
            return await ask(client)

    try:
        answer = asyncio.run(run())
    except ClientError as error:
        print(json.dumps(error.body) if as_json and error.body else f"tocsin: {error}", file=sys.stderr)
        return error.exit_code
    code = tell(answer)
    return Exit.OK if code is None else code
