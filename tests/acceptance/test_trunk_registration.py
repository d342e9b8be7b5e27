"""A trunk that registers, through the whole service: Kamailio is the registrar, SIPp the carrier behind it."""

import asyncio
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from messaging.embedded import embedded_url
from messaging.webhooks import new_secret
from tests import sipp
from tests.acceptance.test_trunk_reload import OURS, World, a_world
from tests.command import tocsin, towards
from tests.kamailio import KAMAILIO, Kamailio
from tests.receiver import receiver
from tests.service import LIVE_KEY
from tests.until import time_passes, until
from voice.explain import Exit

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(KAMAILIO is None or sipp.SIPP is None, reason="Kamailio or SIPp is missing: make peers"),
    pytest.mark.timeout(150),
]
REALM, USER, PASSWORD = "trunk.example", "lagos-1", "open sesame"
REGISTRAR = f"""
    if (!pv_www_authenticate("{REALM}", "{PASSWORD}", "0")) {{ www_challenge("{REALM}", "1"); exit; }}
    save("location");
"""


def registering(door: Kamailio, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
    return {
        "id": "carrier",
        "host": f"localhost:{door.udp}",
        "type": "register",
        "registration": "one",
        "auth": {"username": USER, "realm": REALM, "password": password},
        "caller_id": {"numbers": [OURS]},
        "limits": {"channels": 4},
    } | more


class Registering:
    """A service with one trunk at Kamailio's door."""

    def __init__(self, world: World, carrier: sipp.Sipp, door: Kamailio) -> None:
        self.world, self.carrier, self.door, self.http = world, carrier, door, world.http

    async def make(self, **more: Any) -> None:
        answer = await self.http.post("/v1/trunks", json=registering(self.door, **more))
        assert answer.status_code == 201, answer.text

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get("/v1/trunks/carrier/status")).json()
        return found

    async def stands(self, state: str, registration: str) -> dict[str, Any]:
        async def so() -> dict[str, Any] | None:
            now = await self.status()
            return now if (now["state"], now["registration"]["state"]) == (state, registration) else None

        return await until(so, 30)

    async def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.http.get("/v1/events?limit=200")).json()["data"]
        return found

    async def told(self, type: str) -> dict[str, Any]:
        async def so() -> dict[str, Any] | None:
            return next((event for event in await self.events() if event["type"] == type), None)

        return await until(so, 30)


@contextlib.asynccontextmanager
async def a_registering(directory: Path, on_register: str = REGISTRAR, **environ: str) -> AsyncIterator[Registering]:
    async with a_world(directory, **environ) as world:
        carrier = await world.carrier()
        door = Kamailio(directory, on_register=on_register, carrier=carrier.port)
        await world.stack.enter_async_context(door)
        yield Registering(world, carrier, door)


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Registering]:
    async with a_registering(tmp_path) as found:
        yield found


async def test_a_wrong_password_is_told_once_and_calls_wait_until_it_is_right(tmp_path: Path) -> None:
    secret = new_secret()
    environ = {"TOCSIN_WEBHOOK_SECRET": secret}
    async with (
        receiver(secret) as hooks,
        a_registering(tmp_path, TOCSIN_ACCOUNT__EVENTS_URL=hooks.url, **environ) as one,
    ):
        await one.make(password="wrong")
        refused = await one.stands("down", "auth_rejected")
        rejected = await one.told("trunk.auth_rejected")
        call_id = await one.world.send()
        said = await tocsin("trunk", "status", "carrier", **towards(one.world.service, LIVE_KEY))
        await time_passes(4.0)  # longer than a state has to hold
        waiting = await one.world.see(call_id, "queued")
        tried = len(one.door.saw("REGISTER"))

        answer = await one.http.patch("/v1/trunks/carrier", json={"auth": {"password": PASSWORD}})
        assert answer.status_code == 200, answer.text
        call = await one.world.see(call_id, "completed")
        await one.told("trunk.registered")
        await one.told("trunk.up")
        events = await one.events()
        posts = await hooks.arrives(len(events), 15)

    assert (refused["registration"]["last_code"], refused["registration"]["next_action_at"]) == (401, None)
    assert refused["why"] == "its login was refused: 401 Unauthorized"
    assert rejected["data"]["registration"]["last_reason"] == "Unauthorized"
    assert "registration auth_rejected, last answer 401 Unauthorized" in said.out
    assert (waiting["status"], tried) == ("queued", 2)
    assert (call["trunk_id"], call["played_to_end"]) == ("carrier", True)
    assert Counter(event["type"] for event in events) == Counter(
        ["trunk.down", "trunk.auth_rejected", "trunk.registered", "trunk.up"]
    )
    assert sorted(post.webhook_id for post in posts) == sorted(event["id"] for event in events)
    assert all(post.verified for post in posts)
    assert {json.loads(post.body)["data"]["trunk_id"] for post in posts} == {"carrier"}


async def test_register_tries_again_after_the_carrier_has_mended_it(tmp_path: Path) -> None:
    barred = 'if ($shv(asked) == 0) { $shv(asked) = 1; sl_send_reply("403", "Account barred"); exit; }'
    async with a_registering(tmp_path, barred + REGISTRAR) as one:
        await one.make()
        refused = await one.stands("down", "auth_rejected")

        said = await tocsin("trunk", "register", "carrier", **towards(one.world.service, LIVE_KEY))
        found = await one.stands("up", "registered")
        call = await one.world.see(await one.world.send(), "completed")

    assert refused["why"] == "its login was refused: 403 Account barred"
    assert said.code == Exit.OK
    assert found["registration"]["expires_at"] is not None
    assert call["trunk_id"] == "carrier"


async def test_what_is_taken_back_stays_so_until_it_is_asked_for(one: Registering) -> None:
    await one.make()
    await one.stands("up", "registered")

    assert (await one.http.post("/v1/trunks/carrier/unregister")).json()["registers"] is False
    found = await one.stands("down", "stopped")
    call_id = await one.world.send()
    await until(lambda: one.door.saw("REGISTER")[-1][3] == "0", 10)
    waiting = await one.world.see(call_id, "queued")
    assert (await one.http.post("/v1/trunks/carrier/register")).json()["registers"] is True
    call = await one.world.see(call_id, "completed")

    assert (found["why"], waiting["status"]) == ("its registration was taken back", "queued")
    assert call["trunk_id"] == "carrier"


async def test_new_lines_register_after_the_old_ones_took_theirs_back(one: Registering) -> None:
    await one.make()
    await one.stands("up", "registered")
    first = await one.world.send(repeat=4)
    await one.world.see(first, "answered")
    before = len(one.door.saw("REGISTER"))

    await one.world.change(limits={"channels": 5})
    await until(one.world.has_new_lines, 15)
    await one.stands("up", "registered")
    second = await one.world.see(await one.world.send(), "completed")
    ended = await one.world.see(first, "completed")

    expires = [row[3] for row in one.door.saw("REGISTER")][before:]
    assert "0" in expires
    assert expires == sorted(expires, key=int)  # all of the taking back, then all of the new one
    assert (second["played_to_end"], ended["played_to_end"], ended["hangup_cause"]) == (True, True, "normal_clearing")


async def test_the_ladder_of_a_registration_shows_the_login_and_not_the_password(one: Registering) -> None:
    await one.make()
    await one.stands("up", "registered")

    async def drawn() -> str:
        answer = await one.http.get("/v1/trunks/carrier/registration/sip?format=text")
        return answer.text if answer.status_code == 200 and "200 OK" in answer.text else ""

    text = await until(drawn, 15)
    rows = (await one.http.get("/v1/trunks/carrier/registration/sip")).json()["messages"]

    assert [row["first_line"].split(" ")[:2][row["direction"] == "received"] for row in rows[:4]] == [
        "REGISTER", "401", "REGISTER", "200"
    ]  # fmt: skip
    assert "401" in text
    assert "response=" not in json.dumps(rows) + text
    assert PASSWORD not in json.dumps(rows) + text


async def test_two_dialers_tell_once_and_the_one_that_lives_goes_on(one: Registering) -> None:
    async with second_dialer(one.world) as other:
        await one.make(password="wrong")
        await one.told("trunk.auth_rejected")
        await one.told("trunk.down")
        await time_passes(4.0)
        both, tried = await one.events(), {row[4] for row in one.door.saw("REGISTER")}
        other.kill()
        await other.wait()
        new = await one.world.carrier()
        await one.world.change(
            auth={"password": PASSWORD}, type="static", registration="none", host=_at(new), uris=None
        )
        call = await one.world.see(await one.world.send(), "completed")

    assert Counter(event["type"] for event in both) == Counter(["trunk.down", "trunk.auth_rejected"])
    assert len(tried) == 2  # one of the two asked, without the login and with it
    assert (call["trunk_id"], len(new.received("INVITE"))) == ("carrier", 1)
    assert [event["sequence"] for event in await one.events()] == list(range(1, len(await one.events()) + 1))


def _at(carrier: sipp.Sipp) -> str:
    return f"127.0.0.1:{carrier.port}"


@contextlib.asynccontextmanager
async def second_dialer(world: World, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """With a folder of its own, as on another machine."""
    data, other = world.service.data, world.directory / "other"
    other.mkdir()
    for file in data.iterdir():  # the secrets: machines of one service share them
        if file.is_file():
            (other / file.name).write_bytes(file.read_bytes())
            (other / file.name).chmod(0o600)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voice", "dialer"),
        env=environ
        | {
            "TOCSIN_REDIS_URL": embedded_url(data / "valkey"),
            "TOCSIN_DATA_DIR": str(other),
            "TOCSIN_SANDBOX__ENABLED": "false",
            "TOCSIN_SPEECH__ENGINES": "flite,espeak-ng",
        }
        | more,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: _dialers(world, 2), 20)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def _dialers(world: World, count: int) -> bool:
    return f'tocsin_processes{{role="dialer"}} {count}.0' in (await world.http.get("/metrics")).text
