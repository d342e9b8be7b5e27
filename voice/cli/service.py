"""`tocsin serve`, its four roles, `readyz` and `version`."""

import asyncio
import json
import os
import platform
import time
from collections.abc import Mapping

from config.children import die_with_parent, name_process
from config.logs import configure
from config.settings import load
from voice.explain import Exit

ASK_EVERY_S = 0.1


def run_serve(overrides: Mapping[str, object]) -> int:
    from voice.serve import prepare, serve

    settings = load(os.environ, overrides=overrides)
    configure("serve", settings.log_level)
    name_process("tocsin-serve")
    # What the flags said has to reach the roles too; they read the environment.
    for name, value in overrides.items():
        if value is not None and not name.startswith(("http.", "data_dir")):
            os.environ["TOCSIN_" + name.upper().replace(".", "__")] = str(value)
    asyncio.run(serve(prepare(settings, os.environ, run_role)))
    return Exit.OK


def run_role(role: str, overrides: Mapping[str, object]) -> int:
    """One process of the service, in the foreground. Whatever ends it early is told here: nobody else could."""
    from voice.cli.leaving import leave_process

    die_with_parent(os.environ)
    name_process(f"tocsin-{role}")
    try:
        _role(role, overrides)
    except Exception as error:  # noqa: BLE001 - the outermost frame of a process
        return leave_process(error)
    return Exit.OK


def _role(role: str, overrides: Mapping[str, object]) -> None:
    import uvloop

    from voice.installation import keep_private
    from voice.processes import ROLES, check

    settings = load(os.environ, overrides=overrides)
    configure(role, settings.log_level)
    keep_private(settings.data_dir)
    check(settings, os.environ, dials=role == "dialer")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ROLES[role](settings))


def run_readyz(url: str, wait_s: float) -> int:
    return asyncio.run(_readyz(url, wait_s))


async def _readyz(url: str, wait_s: float) -> int:
    from voice.cli.client import Client, ClientError
    from voice.cli.progress import Progress

    deadline = time.monotonic() + wait_s
    async with Progress("not ready yet", wanted=wait_s > 0) as progress, Client(url, "", timeout_s=5.0) as client:
        while True:
            try:
                await client.get("/readyz")
            except ClientError as error:
                if time.monotonic() >= deadline:
                    progress.say(f"tocsin: not ready: {_why_not(error)}")
                    return Exit.UNEXPECTED if error.body else error.exit_code
            else:
                return Exit.OK
            await asyncio.sleep(ASK_EVERY_S)


def _why_not(error: Exception) -> str:
    checks = getattr(error, "body", {}).get("checks", {})
    bad = [f"{name}: {row['detail']}" for name, row in checks.items() if row["required"] and not row["ok"]]
    return "; ".join(bad) or str(error)


def run_version(*, as_json: bool) -> int:
    from voice.version import pjsip_version, tocsin_version

    versions = {"tocsin": tocsin_version(), "pjsip": pjsip_version(), "python": platform.python_version()}
    print(json.dumps(versions) if as_json else "\n".join(f"{name} {value}" for name, value in versions.items()))
    return 0
