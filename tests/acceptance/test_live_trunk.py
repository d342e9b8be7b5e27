"""A live key over a configured trunk, with SIPp's own built-in callee as the carrier: nobody here wrote that one."""

import asyncio
import contextlib
import io
import re
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import soundfile

from config.children import free_port
from media.heard import compare
from media.speech import Sound
from tests.service import LIVE_KEY, TEST_KEY, running
from tests.sipp import SIPP
from tests.until import until

pytestmark = [pytest.mark.sip, pytest.mark.peer]

NUMBER = "2348020000000"


async def test_the_carrier_gets_the_invite_the_words_and_the_bye(tmp_path: Path) -> None:
    async with carrier(tmp_path) as port, running(tmp_path / "data", TOCSIN_TRUNKS=_trunks(tmp_path, port)) as service:
        call = await service.call(LIVE_KEY, to=NUMBER, text="Disk full on database one.", record=True)
        async with service.client(LIVE_KEY) as http:
            recording = await http.get(f"/v1/calls/{call['call_id']}/recording")
    log = _log(tmp_path)

    assert (call["status"], call["hangup_cause"], call["trunk_id"]) == ("completed", "normal_clearing", "carrier")
    assert (call["played_to_end"], call["from_number"], call["codec"]) == (True, "2347080670000", "PCMU")
    assert re.search(rf"^INVITE sip:{NUMBER}@127\.0\.0\.1:{port}", log, re.MULTILINE)
    assert re.search(rf"^X-Call-Id: {call['call_id']}\r?$", log, re.MULTILINE)
    assert len(re.findall(r"^BYE sip:", log, re.MULTILINE)) == 1
    # SIPp sends every RTP packet back, so what we heard is what it received.
    said, came_back = _channels(recording.content)
    assert compare(said, came_back).match > 0.9


async def test_a_live_key_never_reaches_the_phone_and_a_test_key_never_leaves_it(tmp_path: Path) -> None:
    async with carrier(tmp_path) as port, running(tmp_path / "data", TOCSIN_TRUNKS=_trunks(tmp_path, port)) as service:
        tested = await service.call(TEST_KEY, to=NUMBER, text="Only a test.")
        async with service.client(LIVE_KEY) as http:
            magic = await http.post("/v1/calls", json={"to": "12025550101", "text": "Hello."})
            stranger = await http.get(f"/v1/calls/{tested['call_id']}")

    assert (tested["status"], tested["trunk_id"], tested["sandbox"]) == ("completed", "sandbox", True)
    assert (magic.status_code, magic.json()["code"]) == (422, "SANDBOX_NUMBER")
    assert stranger.status_code == 404
    assert "INVITE" not in _log(tmp_path)


async def test_a_trunk_that_is_switched_off_takes_no_call_until_it_is_on_again(tmp_path: Path) -> None:
    async with (
        carrier(tmp_path) as port,
        running(tmp_path / "data", TOCSIN_TRUNKS=_trunks(tmp_path, port)) as service,
        service.client(LIVE_KEY) as http,
    ):
        due = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        asked = asyncio.create_task(service.call(LIVE_KEY, wait_s=5, to=NUMBER, text="Disk full.", send_at=due))
        await until(lambda: _some_call(http), 3)
        assert (await http.post("/v1/trunks/carrier/disable")).status_code == 200
        waiting = await asked
        assert (await http.post("/v1/trunks/carrier/enable")).status_code == 200
        # The stream stays open until the call has ended.
        await http.get(f"/v1/calls/{waiting['call_id']}/events", headers={"Accept": "text/event-stream"})
        call = (await http.get(f"/v1/calls/{waiting['call_id']}")).json()

    assert waiting["status"] == "queued"
    assert (call["status"], call["trunk_id"]) == ("completed", "carrier")


async def _some_call(http: httpx2.AsyncClient) -> bool:
    return bool((await http.get("/v1/calls")).json()["data"])


def _log(folder: Path) -> str:
    """What SIPp saw; nothing when it saw nothing."""
    return "".join(path.read_text(errors="replace") for path in folder.glob("sipp-*.log"))


def _channels(wav: bytes) -> tuple[Sound, Sound]:
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    return Sound(samples[:, 0], rate), Sound(samples[:, 1], rate)


def _trunks(folder: Path, port: int) -> str:
    path = folder / "trunks.toml"
    path.write_text(
        f'[trunks.carrier]\nhost = "127.0.0.1:{port}"\nregistration = "none"\n'
        'caller_ids = ["2347080670000"]\nchannels = 4\n'
    )
    return str(path)


@contextlib.asynccontextmanager
async def carrier(folder: Path) -> AsyncIterator[int]:
    """`sipp -sn uas`: answers everything, says nothing, waits for the BYE."""
    assert SIPP is not None, "SIPp is not installed: make peers"
    port, media_port = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    process = await asyncio.create_subprocess_exec(
        SIPP,
        *("-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1", "-mp", str(media_port), "-nostdin"),
        *("-rtp_echo", "-nd", "-trace_msg", "-message_file", str(folder / f"sipp-{port}.log"), "-timeout", "50"),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
