"""`tocsin plan`, `apply` and `trunk …`: a trunk file and a running service, side by side."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.settings import SettingsError
from sip.trunk_file import TrunkError, read_trunks
from sip.trunk_object import as_object
from sip.trunk_reading import Said
from voice.cli.asking import asked
from voice.cli.client import Client
from voice.explain import Exit

_SIGNS = {"create": "+", "update": "~", "remove": "-"}
_DONE = {"create": "made", "update": "changed", "remove": "removed"}


def run_plan(file: str, url: str, api_key: str, *, as_json: bool) -> int:
    """0: the service is so already; Exit.DIFFERS: it is not."""

    async def ask(client: Client) -> dict[str, Any]:
        return await _send(client, file, dry_run=True)

    return asked(url, api_key, ask, lambda plan: _tell_plan(plan, as_json=as_json), as_json=as_json)


def run_apply(file: str, url: str, api_key: str, *, yes: bool, as_json: bool) -> int:
    """Asks on a terminal; elsewhere it needs `yes`."""

    async def work(client: Client) -> dict[str, Any] | None:
        if not yes:
            plan = await _send(client, file, dry_run=True)
            if not plan["changes"]:
                return {**plan, "applied": True}
            _tell_plan(plan, as_json=False)
            if not _agreed():
                return None
        return await _send(client, file, dry_run=False)

    def tell(done: dict[str, Any] | None) -> int:
        if done is None:
            print("Nothing was changed." if sys.stdin.isatty() else "tocsin: say --yes", file=sys.stderr)
            return Exit.UNEXPECTED if sys.stdin.isatty() else Exit.USAGE
        if as_json:
            print(json.dumps(done))
        elif not done["changes"]:
            print(f"No change: {_count(done['unchanged'], 'trunk')} as the file says.")
        else:
            for change in done["changes"]:
                print(f"{change['id']} {_DONE[change['does']]}")
            _tell_warnings(done)
        return Exit.OK

    return asked(url, api_key, work, tell, as_json=as_json)


def run_list(url: str, api_key: str, file: str | None, *, as_json: bool) -> int:
    async def ask(client: Client) -> list[dict[str, Any]]:
        trunks = (await client.get("/v1/trunks"))["data"]
        drift = await _drift(client, file)
        return [{**trunk, "drift": _drift_of(trunk, drift)} for trunk in trunks]

    def tell(trunks: list[dict[str, Any]]) -> int:
        if as_json:
            print(json.dumps(trunks))
            return Exit.OK
        width = max((len(trunk["id"]) for trunk in trunks), default=0)
        for trunk in trunks:
            print(f"{trunk['id']:<{width}}  {_state(trunk):<9}  {_where(trunk):<28}  {_kept(trunk)}")
        if not trunks:
            print("no trunk; config/trunks.example.toml shows how one is written")
        return Exit.OK

    return asked(url, api_key, ask, tell, as_json=as_json)


def run_status(trunk_id: str, url: str, api_key: str, file: str | None, *, as_json: bool) -> int:
    async def ask(client: Client) -> dict[str, Any]:
        trunk = await client.get(f"/v1/trunks/{trunk_id}")
        status = await client.get(f"/v1/trunks/{trunk_id}/status")
        return {**trunk, "drift": _drift_of(trunk, await _drift(client, file)), "status": status}

    def tell(trunk: dict[str, Any]) -> int:
        if as_json:
            print(json.dumps(trunk))
            return Exit.OK
        login = f"as {trunk['auth']['username']}" if trunk["auth"] else "without a login"
        limits = trunk["limits"]
        print(f"{trunk['id']}  {_state(trunk)}  {_kept(trunk)}")
        print(f"  {', '.join(map(_uri, trunk['uris']))}, {trunk['type']}, {login}")
        print(f"  at most {_count(limits['channels'], 'call')} at a time, {limits['cps']:g} new ones a second")
        if reason := _why_not(trunk):
            print(f"  takes no calls: {reason}")
        for line in _standing(trunk["status"]):
            print(f"  {line}")
        return Exit.OK

    return asked(url, api_key, ask, tell, as_json=as_json)


def run_register(trunk_id: str, url: str, api_key: str, *, registers: bool) -> int:
    """It is asked for here; how it went is in the status."""

    async def ask(client: Client) -> dict[str, Any]:
        return await client.post(f"/v1/trunks/{trunk_id}/{'register' if registers else 'unregister'}")

    def tell(_: dict[str, Any]) -> int:
        done = "registers now" if registers else "takes its registration back"
        print(f"{trunk_id} {done}; tocsin trunk status {trunk_id} shows how it went")
        return Exit.OK

    return asked(url, api_key, ask, tell, as_json=False)


# -- asking


async def _send(client: Client, file: str, *, dry_run: bool) -> dict[str, Any]:
    path = Path(file)
    said = _read(path)
    body = {"source": path.name, "trunks": [_object(one) for one in said], "dry_run": dry_run}
    answer = await client.put("/v1/trunks", body)
    names = {one.trunk.id for one in said}
    touched = sum(change["id"] in names for change in answer["changes"]) + answer["unchanged"]
    return {**answer, "left_alone": len(said) - touched}


def _read(path: Path) -> tuple[Said, ...]:
    """Raises SettingsError."""
    try:
        return read_trunks(path, os.environ, for_elsewhere=True)
    except TrunkError as error:
        raise SettingsError(str(error)) from None


def _object(said: Said) -> dict[str, Any]:
    """With the password: this is where it goes in."""
    found = as_object(said.trunk, binds_itself=said.binds_itself)
    if said.trunk.auth is not None:
        found["auth"]["password"] = said.trunk.auth.password
    return found


def _agreed() -> bool:
    return sys.stdin.isatty() and input("Apply? [y/N] ").strip().lower() in ("y", "yes")


# -- telling


def _tell_plan(plan: Mapping[str, Any], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(plan))
        return Exit.DIFFERS if plan["changes"] else Exit.OK
    for change in plan["changes"]:
        print(f"{_SIGNS[change['does']]} {change['id']}")
        for one in change["differences"]:
            told = "changed" if one["path"] == "auth.password" else f"{_value(one['before'])} → {_value(one['after'])}"
            print(f"    {one['path']}: {told}")
    counts = [(word, sum(change["does"] == does for change in plan["changes"])) for does, word in _WORDS.items()]
    told = ", ".join(f"{count} to {word}" for word, count in counts if count)
    print(f"{told or 'Nothing to do'}; {plan['unchanged']} unchanged.")
    _tell_warnings(plan)
    return Exit.DIFFERS if plan["changes"] else Exit.OK


_WORDS = {"create": "make", "update": "change", "remove": "remove"}


def _tell_warnings(plan: Mapping[str, Any]) -> None:
    for warning in plan["warnings"]:
        print(f"! {warning}")
    if plan["left_alone"]:
        print(f"! {_count(plan['left_alone'], 'trunk')} of the other kind left alone: live keys keep live trunks, "
              "test keys the sandbox's")  # fmt: skip


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _state(trunk: Mapping[str, Any]) -> str:
    if trunk["takes_calls"]:
        return "ready"
    return "problem" if trunk["problem"] else str(trunk["state"]) if trunk["state"] != "enabled" else "disabled"


def _why_not(trunk: Mapping[str, Any]) -> str:
    if trunk["takes_calls"]:
        return ""
    if trunk["problem"]:
        return str(trunk["problem"])
    return f"it is {trunk['state']}" if trunk["state"] != "enabled" else "it says enabled: false"


def _standing(status: Mapping[str, Any]) -> list[str]:
    """What the dialers say of it."""
    lines = [f"{status['state']}{_with(' since', status['since'])}{_with(':', status['why'])}"]
    registration = status["registration"]
    if registration["state"] != "n/a":
        answer = " ".join(str(one) for one in (registration["last_code"], registration["last_reason"]) if one)
        lines.append(
            f"registration {registration['state']}{_with(' until', registration['expires_at'])}"
            f"{_with(', last answer', answer)}{_with(', next try', registration['next_action_at'])}"
            f"{_with(', by dialer', registration['held_by'])}"
        )
    channels, cps = status["channels"], status["cps"]
    lines.append(f"{channels['used']} of {channels['limit']} channels in use, {cps['used']} new in the last second")
    if status["asr"] is not None:
        lines.append(f"answered {status['asr']:.0%} in the last 24 hours")
    return lines


def _with(words: str, value: str | None) -> str:
    return f"{words} {value}" if value else ""


def _where(trunk: Mapping[str, Any]) -> str:
    first, *more = map(_uri, trunk["uris"])
    return f"{first} +{len(more)}" if more else first


def _uri(uri: Mapping[str, Any]) -> str:
    return f"{uri['transport']} {uri['host']}:{uri['port']}"


def _kept(trunk: Mapping[str, Any]) -> str:
    if trunk["managed_by"] == "service":
        return "comes with the service"
    if trunk["managed_by"] == "api":
        return "made over the API" + (f", {trunk['drift']}" if trunk["drift"] else "")
    return f"managed by {trunk['source']}" + (f", {trunk['drift']}" if trunk["drift"] else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# -- drift


async def _drift(client: Client, file: str | None) -> dict[str, dict[str, Any]] | None:
    """What the file would change, by trunk; None when there is nothing to compare with."""
    if file is None:
        return None
    plan = await _send(client, file, dry_run=True)
    return {change["id"]: change for change in plan["changes"]}


def _drift_of(trunk: Mapping[str, Any], drift: Mapping[str, Mapping[str, Any]] | None) -> str | None:
    if drift is None or trunk["managed_by"] == "service":
        return None
    change = drift.get(trunk["id"])
    if change is None:
        return "no drift" if trunk["managed_by"] == "file" else None
    if change["does"] == "remove":
        return "differs: not in the file"
    return f"differs: {', '.join(one['path'] for one in change['differences'])}"
