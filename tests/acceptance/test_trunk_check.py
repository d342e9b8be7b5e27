"""`tocsin trunk check` against the running service: the sandbox's own phone, a carrier, and a dialer that dies."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests import sipp
from tests.command import tocsin, towards
from tests.service import LIVE_KEY, Service, running
from tests.until import until
from voice.explain import Exit
from voice.selftest_call import TONE_MS

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]
NUMBER = "2348020000000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    # Allowed by name: that a new trunk brings its country with it is known a second later.
    async with running(tmp_path_factory.mktemp("check"), TOCSIN_DIAL__ALLOW="ng") as service:
        yield service


async def trunk(service: Service, trunk_id: str, port: int, **changes: Any) -> None:
    """Disabled: one tests before enabling."""
    said = {"id": trunk_id, "host": f"127.0.0.1:{port}", "caller_ids": ["2347080670000"], "enabled": False} | changes
    async with service.client(LIVE_KEY) as http:
        assert (await http.post("/v1/trunks", json=said)).status_code == 201


async def test_the_sandbox_passes_every_step_and_its_phone_heard_the_key(service: Service) -> None:
    said = await tocsin("trunk", "check", "sandbox", **towards(service))

    assert said.code == Exit.OK, said
    assert said.out.splitlines()[-1] == "Everything works."
    lines = [line.split()[:2] for line in said.out.splitlines()[:-1]]
    assert lines == [
        *(["✓", "dns"], ["-", "connect"], ["-", "tls"], ["✓", "options"], ["-", "register"]),
        *(["✓", "invite"], ["✓", "rtp"], ["✓", "dtmf"], ["✓", "bye"]),
    ]
    assert "and the phone heard it" in said.out


async def test_a_carrier_that_does_not_take_keys_is_told_with_what_to_do(service: Service, tmp_path: Path) -> None:
    async with sipp.Ear(talks=True) as ear:
        xml = sipp.beside_options(sipp.answers(ear.port, keys=False))
        async with sipp.Sipp(xml, tmp_path) as carrier:
            await trunk(service, "no-keys", carrier.port)
            said = await tocsin(
                "trunk", "check", "no-keys", "--to", f"+{NUMBER}", "--json", **towards(service, LIVE_KEY)
            )
            [invite] = carrier.received("INVITE")
    async with service.client(LIVE_KEY) as http:
        feed = (await http.get("/v1/events")).json()["data"]
    [event] = [one for one in feed if one["type"] == "trunk.tested" and one["trunk_id"] == "no-keys"]
    audit = [line for line in service.log if '"trunk.tested"' in line and "no-keys" in line]

    assert said.code == Exit.TRUNK_FAILURE, said
    assert (said.json["verdict"], said.json["failed_step"]) == ("failed", "dtmf")
    assert 'dtmf = "info"' in said.json["fix"]
    assert (said.json["to"], said.json["from"]) == (NUMBER, "2347080670000")
    assert invite.first.startswith(f"INVITE sip:{NUMBER}@127.0.0.1")
    assert len(audit) == 1
    assert (event["data"]["verdict"], event["data"]["test_id"]) == ("failed", said.json["test_id"])
    assert event["data"]["key_id"]
    assert NUMBER not in "".join(service.log)


async def test_silence_from_the_far_end_has_the_exit_code_of_silence(service: Service, tmp_path: Path) -> None:
    async with sipp.Ear() as ear, sipp.Sipp(sipp.beside_options(sipp.answers(ear.port)), tmp_path) as carrier:
        await trunk(service, "silent", carrier.port)
        said = await tocsin("trunk", "check", "silent", "--to", NUMBER, **towards(service, LIVE_KEY))

    assert said.code == Exit.NO_AUDIO, said
    assert "✗ rtp" in said.out
    assert "NAT or a firewall" in said.out


async def test_a_call_that_is_up_notices_nothing(service: Service, tmp_path: Path) -> None:
    xml = sipp.beside_options(sipp.answers("[media_port]"))
    words = "This message takes longer than the test of the trunk that it leaves by, and is heard to its end. " * 3
    async with sipp.Sipp(xml, tmp_path, "-rtp_echo") as carrier:
        await trunk(service, "one-line", carrier.port, channels=1, enabled=True)
        async with service.client(LIVE_KEY) as http:

            async def placed() -> str | None:
                """As soon as the API knows of the trunk."""
                order = {"to": NUMBER, "text": words, "trunk_id": "one-line"}
                return (await http.post("/v1/calls", json=order)).headers.get("Location")

            address = await until(placed, 10)
            await until(lambda: carrier.received("ACK"), 30)
            said = await tocsin("trunk", "check", "one-line", "--to", NUMBER, "--json", **towards(service, LIVE_KEY))

            async def over() -> dict[str, Any] | None:
                found: dict[str, Any] = (await http.get(address)).json()
                return found if found["end_at"] else None

            call = await until(over, 60)
        dialogs = {invite.header("Call-ID") for invite in carrier.received("INVITE")}

    assert said.code == Exit.OK, said
    assert call is not None
    assert (call["status"], call["played_to_end"]) == ("completed", True)
    assert call["end_at"] > said.json["ended_at"], "the test was to be made while the call was up"
    assert len(dialogs) == 2


async def test_a_test_whose_dialer_is_killed_ends_by_itself_and_can_be_made_again(
    service: Service, tmp_path: Path
) -> None:
    async with sipp.Sipp(sipp.beside_options(sipp.rings_for_ever()), tmp_path) as carrier:
        await trunk(service, "rings", carrier.port)
        async with service.client(LIVE_KEY) as http:
            asked = await http.post("/v1/trunks/rings/test", json={"to": NUMBER})
            second = await http.post("/v1/trunks/rings/test", json={"to": NUMBER})
            await until(lambda: carrier.received("INVITE"), 30)
            os.kill(service.children()["dialer"], signal.SIGKILL)
            address = asked.headers["Location"]

            async def over() -> dict[str, Any] | None:
                test: dict[str, Any] = (await http.get(address)).json()
                return test if test["state"] == "finished" else None

            test = await until(over, 30)
            again = await until(lambda: _asked_again(http), 30)
            await asyncio.wait_for(_drained(http, again), 60)

    assert asked.status_code == 202
    assert (second.status_code, second.json()["code"]) == (409, "TRUNK_TEST_RUNNING")
    assert test is not None
    assert (test["verdict"], test["summary"]) == ("failed", "The dialer that ran it is gone, try again.")
    assert [step["verdict"] for step in test["steps"][:1]] == ["ok"]


async def _asked_again(http: Any) -> str | None:
    answer = await http.post("/v1/trunks/rings/test")
    return answer.headers["Location"] if answer.status_code == 202 else None


async def _drained(http: Any, address: str | None) -> None:
    """The second test, without a number to ring, is made by the dialer's successor."""

    async def fine() -> bool:
        return bool((await http.get(address)).json()["verdict"] == "ok")

    await until(fine, 50)


async def test_a_test_that_rings_counts_and_above_the_limit_of_its_key_no_phone_rings(
    service: Service, tmp_path: Path
) -> None:
    [(key, key_id)] = await service.live_keys(1)
    async with sipp.Ear(talks=True) as ear:
        xml = sipp.beside_options(sipp.answers(ear.port))
        async with sipp.Sipp(xml, tmp_path) as carrier, service.client(LIVE_KEY) as http:
            await trunk(service, "counted", carrier.port)
            rules = {"keys": {key_id: {"calls_per_day": 1}}}
            assert (await http.put("/v1/limits", json=rules)).status_code == 200
            said = await tocsin("trunk", "check", "counted", "--to", NUMBER, "--json", **towards(service, key))
            async with service.client(key) as stolen:
                used = (await stolen.get("/v1/limits")).json()["this_key"]["used"]
                refused = [await stolen.post("/v1/trunks/counted/test", json={"to": NUMBER}) for _ in range(2)]
        dialogs = {invite.header("Call-ID") for invite in carrier.received("INVITE")}

    assert said.code == Exit.OK, said
    assert (used["calls"], used["minutes_held"], used["open_calls"]) == (1, 0, 0)
    [up_ms] = [step["ms"] for step in said.json["steps"] if step["step"] == "rtp"]
    assert up_ms > TONE_MS
    assert used["minutes"] == round(ceil(up_ms / 1000) / 60, 2)
    assert [(one.status_code, one.json()["code"]) for one in refused] == [(403, "SPEND_CAP"), (403, "KEY_SUSPENDED")]
    assert len(dialogs) == 1


async def test_a_trunk_that_is_not_there_has_the_exit_code_for_it(service: Service) -> None:
    said = await tocsin("trunk", "check", "nowhere", **towards(service, LIVE_KEY))
    assert said.code == Exit.NOT_FOUND
