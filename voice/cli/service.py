"""`tocsin serve`, its four roles, `readyz` and `version`."""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Mapping

from config.children import die_with_parent, name_process
from config.logs import configure
from config.settings import load


def run_serve(overrides: Mapping[str, object]) -> int:
    from voice.serve import prepare, serve

    settings = load(os.environ, overrides=overrides)
    configure("serve", settings.log_level)
    # What the flags said has to reach the roles too; they read the environment.
    for name, value in overrides.items():
        if value is not None and not name.startswith(("http.", "data_dir")):
            os.environ["TOCSIN_" + name.upper().replace(".", "__")] = str(value)
    asyncio.run(serve(prepare(settings, os.environ)))
    return 0


def run_role(role: str, overrides: Mapping[str, object]) -> int:
    import uvloop

    from voice.compose import ROLES
    from voice.installation import keep_private

    die_with_parent(os.environ)
    name_process(f"tocsin-{role}")
    settings = load(os.environ, overrides=overrides)
    configure(role, settings.log_level)
    keep_private(settings.data_dir)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ROLES[role](settings))
    return 0


def run_readyz(url: str, wait_s: float) -> int:
    from voice.cli.client import Client, ClientError

    deadline = time.monotonic() + wait_s
    pause = 0.1
    while True:
        try:
            with Client(url, "", timeout_s=5.0) as client:
                client.get("/readyz")
            return 0
        except ClientError as error:
            if time.monotonic() >= deadline:
                print(f"tocsin: not ready: {error}", file=sys.stderr)
                return error.exit_code
        asyncio.run(asyncio.sleep(pause))


def run_version(*, as_json: bool) -> int:
    from voice.version import pjsip_version, tocsin_version

    versions = {"tocsin": tocsin_version(), "pjsip": pjsip_version(), "python": platform.python_version()}
    print(json.dumps(versions) if as_json else "\n".join(f"{name} {value}" for name, value in versions.items()))
    return 0
