"""`tocsin explain`: a code by the dictionary, a call by the service that placed it."""

import asyncio
import json
import re
import sys
from typing import Any

from voice.explain import explain, near

_CALL = re.compile(r"call_[0-9A-Za-z]{26}")
UNKNOWN = 5  # `Exit.NOT_FOUND`


def run_explain(code: str, url: str, api_key: str, *, ticket: bool, as_json: bool) -> int:
    asked = code.strip()
    if _CALL.fullmatch(asked):
        return asyncio.run(_explain_call(asked, url, api_key, ticket=ticket, as_json=as_json))
    found = explain(code)
    if found is None:
        close = near(code)
        also = f" Did you mean {', '.join(close)}?" if close else ""
        print(f"tocsin: nothing is known of {code!r}.{also}", file=sys.stderr)
        return UNKNOWN
    if as_json:
        print(json.dumps(found.as_dict()))
        return 0
    print(f"{found.code}: {found.title}\n{found.sentence}")
    print(_verdict(found.fault, found.retryable, found.next_step))
    return 0


async def _explain_call(call_id: str, url: str, api_key: str, *, ticket: bool, as_json: bool) -> int:
    from voice.cli.client import Client, ClientError

    path = f"/v1/calls/{call_id}/explain"
    try:
        async with Client(url, api_key) as client:
            if ticket and not as_json:
                print(await client.text(path, format="markdown"), end="")
                return 0
            told = await client.get(path)
    except ClientError as error:
        print(json.dumps(error.body) if as_json and error.body else f"tocsin: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(told) if as_json else _in_words(told))
    return 0


def _in_words(told: dict[str, Any]) -> str:
    lines = [f"{told['code']}: {told['title']}", told["sentence"]]
    lines.append(_verdict(told["side"], told["retryable"], told["next_step"]))
    if told["evidence"]:
        lines.append("Evidence:")
    width = max((len(fact["what"]) for fact in told["evidence"]), default=0)
    for fact in told["evidence"]:
        where = f"  (row {fact['ladder_row']} of the ladder)" if fact["ladder_row"] else ""
        value = {True: "yes", False: "no"}[fact["value"]] if isinstance(fact["value"], bool) else fact["value"]
        lines.append(f"  {fact['what'].replace('_', ' '):<{width}}  {value}{where}")
    return "\n".join(lines)


def _verdict(side: str | None, retryable: bool, next_step: str) -> str:
    helps = "yes" if retryable else "no"
    return f"Whose side: {side or 'nobody'}. Trying again helps: {helps}.\nWhat to do: {next_step}"
