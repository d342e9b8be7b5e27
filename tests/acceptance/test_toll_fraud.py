"""The toll-fraud guard over the whole service: SIPp is the carrier and counts what really left."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.command import tocsin, towards
from tests.service import LIVE_KEY, Service, running
from tests.sipp import Ear, Sipp, answers

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
        due = (datetime.now(UTC) + timedelta(seconds=6)).isoformat()
        later = await http.post("/v1/calls", json={"to": BRITAIN, "text": "Hello.", "send_at": due})
        closed = await tocsin("permissions", "allow", "ie", **towards(service, LIVE_KEY))
        denied = await tocsin("permissions", "deny", "gb", **towards(service, LIVE_KEY))
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


async def final(service: Service, call_id: str) -> dict[str, object]:
    async with service.client(LIVE_KEY) as http:
        await http.get(f"/v1/calls/{call_id}/events", headers={"Accept": "text/event-stream"})
        found: dict[str, object] = (await http.get(f"/v1/calls/{call_id}")).json()
        return found
