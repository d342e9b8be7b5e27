"""The service under load, losing a line process, restarted, stopped: nobody is called twice, nobody is lost."""

import asyncio
import os
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from config.children import free_port
from tests.service import LIVE_KEY, Service, descendants, is_alive, process_name, running
from tests.sipp import SIPP, WAIT_BYE, Sipp, pause, recv, scenario, send
from tests.until import until

pytestmark = [pytest.mark.sip, pytest.mark.timeout(120)]

CALLS = 100
LINES = 12  # three line processes of four


async def test_a_hundred_calls_through_three_line_processes_survive_the_loss_of_one(tmp_path: Path) -> None:
    assert SIPP is not None, "SIPp is not installed: make peers"
    async with Sipp(_answers_for_ever(free_port(socket.SOCK_DGRAM)), tmp_path) as carrier:
        environ = {"TOCSIN_TRUNKS": _trunks(tmp_path, carrier.port), "TOCSIN_LINES__MOST": str(LINES)}
        environ["TOCSIN_SANDBOX__ENABLED"] = "false"  # every line process is the carrier's
        async with running(tmp_path / "data", **environ) as service, service.client(LIVE_KEY) as http:
            numbers = [f"23480200{n:05d}" for n in range(CALLS)]
            asked = {"to": numbers, "text": "Disk full.", "repeat": 2, "pause_ms": 0}
            accepted = (await http.post("/v1/sendvoice", json=asked)).json()
            assert accepted["recipients_accepted"] == CALLS
            killed = await _kill_a_line_process_with_calls(service, http, accepted["ref_id"])
            calls = await _all_final(http, accepted["ref_id"])
            status = (await http.get(accepted["status_url"])).json()
        dialogs = _dialogs(carrier.messages())

    outcomes = Counter((call["status"], call["hangup_cause"]) for call in calls)
    lost = [call for call in calls if call["hangup_cause"] == "worker_lost"]
    assert set(outcomes) == {("completed", "normal_clearing"), ("failed", "worker_lost")}
    assert sum(outcomes.values()) == CALLS
    assert 1 <= len(lost) <= 4, killed
    assert all(call["may_have_rung"] for call in lost)
    assert status["recipients"]["total"] == CALLS
    assert status["recipients"]["delivered"] == CALLS - len(lost)
    # One INVITE dialog for each call, and none for anything else: nobody was lost, nobody rang twice.
    assert dialogs == {call["call_id"]: 1 for call in calls}


async def test_the_service_is_ready_and_stops_cleanly(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with running(tmp_path) as service:
        ready_s = loop.time() - began
        assert await service.stop() == 0

    print(f"ready after {ready_s:.2f} s")


async def test_a_call_in_progress_ends_in_peace_when_the_service_stops(tmp_path: Path) -> None:
    async with running(tmp_path) as service, service.client() as http:
        call = (await http.post("/v1/calls", json={"to": "12025550100", "text": "One moment please."})).json()
        await _until_status(http, call["call_id"], "answered")
        code = await service.stop()
    async with running(tmp_path) as service, service.client() as http:
        after = (await http.get(f"/v1/calls/{call['call_id']}")).json()

    assert code == 0
    assert (after["status"], after["hangup_cause"], after["played_to_end"]) == ("completed", "normal_clearing", True)


async def test_killing_serve_leaves_nothing_behind(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        family = descendants(service.process.pid)
        service.process.kill()
        await service.process.wait()
        await until(lambda: not any(is_alive(pid) for pid in family))

    assert len(family) >= 6  # store, phone, dialer, prepared process, courier, api


def _answers_for_ever(rtp_port: int) -> str:
    """SIPp's uas, with its own port in the SDP; a caller that vanished is forgotten after a while."""
    return scenario(
        recv("INVITE"), send("180 Ringing"), pause(50), send("200 OK", sdp_port=rtp_port), recv("ACK"), *WAIT_BYE
    )


def _trunks(folder: Path, port: int) -> str:
    path = folder / "trunks.toml"
    path.write_text(
        f'[trunks.carrier]\nhost = "127.0.0.1:{port}"\ncaller_ids = ["2347080670000"]\nchannels = {LINES}\ncps = 20\n'
    )
    return str(path)


async def _kill_a_line_process_with_calls(service: Service, http: httpx2.AsyncClient, ref_id: str) -> int:
    """As soon as calls are up on three processes."""

    async def busy_lines() -> list[int]:
        up = await http.get("/v1/calls", params={"ref_id": ref_id, "status": "answered", "limit": 200})
        lines = [pid for pid in descendants(service.process.pid) if process_name(pid) == "tocsin-line"]
        return lines if len(lines) >= 3 and len(up.json()["data"]) >= LINES - 3 else []

    victim = (await until(busy_lines, 30))[0]
    os.kill(victim, signal.SIGKILL)
    return victim


async def _all_final(http: httpx2.AsyncClient, ref_id: str) -> list[dict[str, Any]]:

    async def all_that_ended() -> list[dict[str, Any]]:
        page = await http.get("/v1/calls", params={"ref_id": ref_id, "limit": 200})
        calls: list[dict[str, Any]] = page.json()["data"]
        return calls if len(calls) == CALLS and all(call["end_at"] for call in calls) else []

    return await until(all_that_ended, 90)


def _dialogs(messages: list[Any]) -> Counter[str]:
    """Distinct SIP Call-IDs of INVITEs by X-Call-Id, so that retransmissions do not count."""
    invites = {
        (message.header("X-Call-Id"), message.header("Call-ID"))
        for message in messages
        if message.received and message.first.startswith("INVITE ")
    }
    return Counter(call_id for call_id, _ in invites)


async def _until_status(http: httpx2.AsyncClient, call_id: str, status: str) -> None:
    async def has_it() -> bool:
        return bool((await http.get(f"/v1/calls/{call_id}")).json()["status"] == status)

    await until(has_it)
