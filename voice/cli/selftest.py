"""`tocsin trunk check`: every step of a trunk tried in turn, told as it happens."""

import asyncio
import json
from typing import Any

from voice.cli.asking import asked
from voice.cli.client import Client, ClientError
from voice.explain import Exit

LOOK_S = 0.3  # between two looks at a test that runs
GIVE_UP_S = 75.0  # the test is over within 60; then somebody has to say so

_SIGNS = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "-"}
_WIDTH = 8  # of the longest step


def run_check(trunk_id: str, to: str | None, from_number: str | None, url: str, api_key: str, *, as_json: bool) -> int:
    body = {name: value for name, value in (("to", to), ("from", from_number)) if value}

    def tell(test: dict[str, Any]) -> int:
        if as_json:
            print(json.dumps(test))
        else:
            print(test["summary"])
            if test["fix"]:
                print(f"→ {test['fix']}")
        return _exit(test)

    return asked(url, api_key, lambda client: _checked(client, trunk_id, body, as_json=as_json), tell, as_json=as_json)


async def _checked(client: Client, trunk_id: str, body: dict[str, str], *, as_json: bool) -> dict[str, Any]:
    """The finished test; its steps are printed as they come."""
    told = 0
    test = await client.post(f"/v1/trunks/{trunk_id}/test", body)
    path = f"/v1/trunks/{trunk_id}/tests/{test['test_id']}"
    try:
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                if not as_json:
                    for step in test["steps"][told:]:
                        _print(step)
                told = len(test["steps"])
                if test["state"] == "finished":
                    return test
                await asyncio.sleep(LOOK_S)
                test = await client.get(path)
    except TimeoutError:
        raise ClientError(f"the test did not end; see {path}", Exit.TIMEOUT) from None


def _print(step: dict[str, Any]) -> None:
    took = f"{step['ms']} ms" if step["ms"] is not None else ""
    print(f"{_SIGNS[step['verdict']]} {step['step']:<{_WIDTH}} {took:>8}  {step['what']}", flush=True)
    if step["verdict"] == "warning" and step["fix"]:
        print(f"{'':{_WIDTH + 13}}→ {step['fix']}", flush=True)


def _exit(test: dict[str, Any]) -> int:
    """As for a call: no sound is no trunk failure."""
    if test["verdict"] != "failed":
        return Exit.OK
    if test["failed_step"] is None:  # the test itself could not be made
        return Exit.UNEXPECTED
    return Exit.NO_AUDIO if test["failed_step"] == "rtp" else Exit.TRUNK_FAILURE
