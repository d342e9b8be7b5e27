"""The toll-fraud guard over the whole service: SIPp is the carrier and counts what really left."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from config.children import free_port
from messaging.embedded import embedded_url
from tests.command import started, tocsin, towards
from tests.receiver import receiver
from tests.service import LIVE_KEY, Service, running
from tests.sipp import Ear, Sipp, answers
from tests.until import until
from voice.serve import VALKEY

pytestmark = [pytest.mark.sip, pytest.mark.peer]

NIGERIA, BRITAIN, JAMAICA = "2348020000000", "447400123456", "18762101234"


def trunks(folder: Path, port: int, more: str = "") -> str:
    path = folder / "trunks.toml"
    path.write_text(
        f'[trunks.carrier]\nhost = "127.0.0.1:{port}"\nregistration = "none"\n'
        f'caller_ids = ["2347080670000", "12025550199"]\nchannels = 4\n{more}'
    )
    return str(path)


async def test_a_closed_country_is_refused_at_the_door_and_again_before_dialling(tmp_path: Path) -> None:
    async with (
        Ear() as ear,
        Sipp(answers(ear.port), tmp_path) as carrier,
        running(tmp_path / "data", TOCSIN_TRUNKS=trunks(tmp_path, carrier.port), TOCSIN_DIAL__ALLOW="gb") as service,
        service.client(LIVE_KEY) as http,
    ):
        refused = await http.post("/v1/calls", json={"to": JAMAICA, "text": "Hello."})
        due = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        later = await http.post("/v1/calls", json={"to": BRITAIN, "text": "Hello.", "send_at": due})
        assert (await http.post("/v1/trunks/carrier/disable")).status_code == 200  # it waits, however late it gets
        closed = await tocsin("permissions", "allow", "ie", **towards(service, LIVE_KEY))
        denied = await tocsin("permissions", "deny", "gb", **towards(service, LIVE_KEY))
        assert (await http.post("/v1/trunks/carrier/enable")).status_code == 200
        await until(lambda: would_dial(http, NIGERIA))
        home = await service.call(LIVE_KEY, to=NIGERIA, text="Hello.")
        british = later.json()["call_id"]
        call = await final(service, british)

    assert (refused.status_code, refused.json()["code"]) == (403, "GEO_BLOCKED")
    assert later.status_code == 202
    assert (closed.code, denied.code) == (0, 0)
    assert "ie" in denied.out
    assert home["status"] == "completed"
    assert (call["status"], call["hangup_cause"], call["start_at"]) == ("blocked", "geo_blocked", None)
    assert set(carrier.dialogs()) == {home["call_id"]}


async def would_dial(http: httpx2.AsyncClient, to: str) -> bool:
    return (await http.post("/v1/calls", json={"to": to, "text": "Hello.", "dry_run": True})).status_code == 200


async def final(service: Service, call_id: str) -> dict[str, object]:
    async with service.client(LIVE_KEY) as http:
        await http.get(f"/v1/calls/{call_id}/events", headers={"Accept": "text/event-stream"})
        found: dict[str, object] = (await http.get(f"/v1/calls/{call_id}")).json()
        return found


# limit -> what is set for the key, what is asked besides, how many calls it lets through
LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "calls_per_day": ({"calls_per_day": 3}, {}, 3),
    "minutes_per_day": ({"minutes_per_day": 4}, {"max_duration": 58}, 4),
    "amount_per_day": ({"amount_per_day": "0.2"}, {"max_duration": 58}, 2),  # 0.085 a minute begun
    "open_calls": ({"open_calls": 2}, {"send_at": True}, 2),
    "calls_per_second": ({"calls_per_second": 2}, {}, 2),
    "calls_per_number_per_hour": ({"calls_per_number_per_hour": 2}, {"to": "2348030000000"}, 2),
}
SECRET = "whsec_" + "c2VjcmV0" * 6
RATES = "prefix,per_minute,increment\n234,0.085,60/60\n"
ASKED_AT_ONCE = 12


@pytest.mark.timeout(300)  # a service, a second API, and every call of six races over one carrier
async def test_each_limit_holds_to_the_call_with_two_api_processes_racing(tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text(RATES)
    async with (
        receiver(SECRET) as told_to,
        Ear() as ear,
        Sipp(answers(ear.port), tmp_path, "-timeout", "290") as carrier,
        running(
            tmp_path / "data",
            TOCSIN_TRUNKS=trunks(tmp_path, carrier.port, "cps = 20\n"),
            TOCSIN_DIAL__RATES=str(rates),
            TOCSIN_ACCOUNT__EVENTS_URL=told_to.url,
            TOCSIN_WEBHOOK_SECRET=SECRET,
        ) as service,
        second_api(service, rates, told_to.url) as second,
    ):
        keys = dict(zip(LIMITS, await service.live_keys(len(LIMITS)), strict=True))
        async with service.client(LIVE_KEY) as http:
            rules = {keys[name][1]: caps for name, (caps, _, _) in LIMITS.items()}
            assert (await http.put("/v1/limits", json={"keys": rules})).status_code == 200
        await until(lambda: knows(second, keys))
        accepted: dict[str, list[str]] = {}
        refused: dict[str, set[int]] = {}
        for name, (_, more, _) in LIMITS.items():
            accepted[name], refused[name] = await race(name, keys[name][0], (service.url, second), more)
        async with service.client(LIVE_KEY) as http:
            told = (await http.get("/v1/limits")).json()
            feed = (await http.get("/v1/events")).json()["data"]
            by_hand, *others = told["suspended"]  # their calls wait
            assert (await tocsin("keys", "resume", by_hand, "--data", str(service.data))).out == "resumed\n"
            for key_id in others:
                assert (await http.post(f"/v1/keys/{key_id}/resume")).json() == {"key_id": key_id, "resumed": True}
            await until(lambda: nobody_waits(http), 120)
            calls = {row["call_id"]: row for row in (await http.get("/v1/calls?limit=200")).json()["data"]}

    assert {name: len(ids) for name, ids in accepted.items()} == {name: most for name, (_, _, most) in LIMITS.items()}
    assert set(carrier.dialogs()) == {call_id for ids in accepted.values() for call_id in ids}
    assert all(len(dialogs) == 1 for dialogs in carrier.dialogs().values())
    days = {name for name in LIMITS if name.endswith("_day")}
    assert refused == {name: {403 if name in days else 429} for name in LIMITS}
    bodies = [json.loads(received.body) for received in told_to.received if received.verified]
    alerts = [body["data"]["key_id"] for body in bodies if body["type"] == "account.spend_cap"]
    assert sorted(alerts) == sorted(keys[name][1] for name in days)
    assert sorted(event["data"]["key_id"] for event in feed if event["type"] == "account.spend_cap") == sorted(alerts)
    assert told["suspended"] == {keys[name][1]: name for name in days}
    assert {call["status"] for call in calls.values()} == {"completed"}
    assert {(call["call_duration"], call["total_amount"], call["currency"]) for call in calls.values()} == {
        (60, "0.085", "EUR")
    }


@contextlib.asynccontextmanager
async def second_api(service: Service, rates: Path, alert_url: str) -> AsyncIterator[str]:
    """One more API process on the store of the service; where it answers."""
    port = free_port(socket.SOCK_STREAM)
    process = await started(
        "api", "--port", str(port),
        TOCSIN_REDIS_URL=embedded_url(service.data / VALKEY), TOCSIN_DATA_DIR=str(service.data),
        TOCSIN_DIAL__RATES=str(rates), TOCSIN_API_KEYS=LIVE_KEY, TOCSIN_ACCOUNT__EVENTS_URL=alert_url,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx2.AsyncClient(trust_env=False) as http:

            async def is_ready() -> bool:
                assert process.returncode is None, (await process.communicate())[1].decode()
                with contextlib.suppress(httpx2.HTTPError):
                    return (await http.get(f"{url}/readyz")).status_code == 200
                return False

            await until(is_ready, 20)
        yield url
    finally:
        process.terminate()
        await process.communicate()


async def knows(url: str, keys: dict[str, tuple[str, str]]) -> bool:
    """Has this process seen the limits?"""
    async with client(url, keys["calls_per_day"][0]) as http:
        return bool((await http.get("/v1/limits")).json()["this_key"]["limits"]["calls_per_day"])


async def race(name: str, key: str, urls: tuple[str, ...], more: dict[str, Any]) -> tuple[list[str], set[int]]:
    """Calls asked for at the same moment of both processes: the ids of the accepted, the answers of the others."""
    due = {"send_at": (datetime.now(UTC) + timedelta(seconds=5)).isoformat()} if "send_at" in more else {}

    async def ask(at: int, http: httpx2.AsyncClient) -> httpx2.Response:
        to = f"23480{len(name):02d}0000{at:02d}"
        return await http.post("/v1/calls", json={"to": to, "text": "Hello.", **more, **due})

    async with contextlib.AsyncExitStack() as stack:
        https = [await stack.enter_async_context(client(url, key)) for url in urls]
        answers = await asyncio.gather(*(ask(at, https[at % len(https)]) for at in range(ASKED_AT_ONCE)))
    good = [answer.json()["call_id"] for answer in answers if answer.status_code == 202]
    return good, {answer.status_code for answer in answers} - {202}


def client(url: str, key: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30.0, trust_env=False)


async def nobody_waits(http: httpx2.AsyncClient) -> bool:
    rows = (await http.get("/v1/calls?limit=200")).json()["data"]
    return bool(rows) and all(row["end_at"] for row in rows)
