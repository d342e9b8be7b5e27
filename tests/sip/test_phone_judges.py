"""SIPp, a flood of garbage and a crowd of callers judge the catch-all phone, which runs in a process of its own."""

import asyncio
import random
import shutil
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.phone_process import PhoneProcess, phone_process
from tests.sip.caller import Caller, media_port
from tests.sip.crowd import Crowd
from tests.sip.phones import MakeCaller

SIPP = shutil.which("sipp")
SCENARIOS = Path(__file__).parent / "sipp"
pytest_plugins = ["tests.sip.phone_fixtures"]
pytestmark = pytest.mark.sip
needs_sipp = pytest.mark.skipif(SIPP is None, reason="SIPp is not installed (make peers)")


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[PhoneProcess]:
    async with phone_process(tmp_path / "heard") as process:
        yield process


async def _sipp(phone: PhoneProcess, tmp_path: Path, *arguments: str) -> dict[str, int]:
    """Runs SIPp against the phone; its exit code and last counts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    statistics = tmp_path / "sipp.csv"
    process = await asyncio.create_subprocess_exec(
        str(SIPP),
        f"127.0.0.1:{phone.port}",
        *("-i", "127.0.0.1", "-p", str(port), "-timeout", "40s", "-timeout_error", "-nostdin"),
        *("-trace_stat", "-stf", str(statistics), "-fd", "1", *arguments),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(45):
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    names, *_, last = (line.split(";") for line in statistics.read_text().splitlines() if line)
    counts = dict(zip(names, last, strict=False))
    wanted = ("SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)")
    return {"exit": code, **{name.partition("(")[0]: int(counts[name]) for name in wanted}}


@needs_sipp
@pytest.mark.peer
async def test_sipp_makes_200_calls_with_sound_50_at_once(phone: PhoneProcess, tmp_path: Path) -> None:
    sound = tmp_path / "tone.alaw"
    sound.write_bytes(bytes(random.Random(1).choices(range(256), k=8000)))
    scenario = tmp_path / "talk.xml"
    scenario.write_text((SCENARIOS / "talk.xml").read_text().replace("SOUND", str(sound)))

    counts = await _sipp(
        phone, tmp_path, "-sf", str(scenario), "-s", "12025550100", "-l", "50", "-m", "200", "-r", "40"
    )
    calls = await phone.close()

    assert counts == {"exit": 0, "SuccessfulCall": 200, "FailedCall": 0, "Retransmissions": 0}
    assert len({call.sip_call_id for call in calls}) == len(calls) == 200
    assert {call.ended_by for call in calls} == {"caller"}
    most = max(sum(call.started_at <= at <= call.ended_at for call in calls) for at in (c.ended_at for c in calls))
    heard = sum(call.heard_packets for call in calls)
    print(f"SIPp: 200 calls, {most} at once, {heard} RTP packets heard, {phone.cpu_s:.2f} CPU s")
    assert most >= 45
    assert heard > 200 * 50


@needs_sipp
@pytest.mark.peer
@pytest.mark.parametrize("scenario", ["cancel", "busy", "lost_ack", "repeated_invite", "options"])
async def test_sipp_finds_the_phone_correct_in_what_is_not_an_ordinary_call(
    phone: PhoneProcess, tmp_path: Path, scenario: str
) -> None:
    number = {"cancel": "12025550102", "busy": "12025550101"}.get(scenario, "12025550100")
    raw = ["-nr"] if scenario in ("lost_ack", "repeated_invite") else []
    load = ["-m", "20", "-l", "20", "-r", "20"]

    counts = await _sipp(phone, tmp_path, "-sf", str(SCENARIOS / f"{scenario}.xml"), "-s", number, *load, *raw)
    calls = await phone.close()

    assert (counts["exit"], counts["SuccessfulCall"], counts["FailedCall"]) == (0, 20, 0)
    assert len(calls) == (0 if scenario == "options" else 20)


def _mutated(message: bytes, chance: random.Random) -> bytes:
    data = bytearray(message)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(data))
        kind = chance.random()
        if kind < 0.5:
            data[at] = chance.randrange(256)
        elif kind < 0.75:
            del data[at : at + chance.randrange(40)]
        else:
            data[at:at] = chance.randbytes(chance.randrange(30))
        if len(data) < 4:
            break
    return bytes(data)


async def _answers_options(caller: Caller) -> bool:
    """Whether the phone still works, among all the answers to garbage that are on their way."""
    caller.call_id, caller.to_tag = "still-alive", ""
    ping = caller.request("OPTIONS")
    async with asyncio.timeout(15):
        while True:
            caller.send(ping)
            for _ in range(200):
                heard = await caller.next()
                if heard.header("Call-ID") == "still-alive":
                    return heard.code == 200


async def test_2000_mutated_messages_and_1000_mutated_packets_do_not_hurt_the_phone(
    phone: PhoneProcess, make_caller: MakeCaller
) -> None:
    chance = random.Random(20261120)
    caller = await make_caller(phone)
    caller.call_id = "garbage"
    port = media_port(await caller.answered("X-Tocsin-Sandbox: answer_after=0\r\n"))
    tag = caller.to_tag

    for n in range(2000):
        method = chance.choice(["INVITE", "INVITE", "BYE", "CANCEL", "ACK", "UPDATE", "OPTIONS", "INFO"])
        inside = chance.random() < 0.3  # of the call that is up; else something new
        caller.to_tag, caller.call_id = (tag, "garbage") if inside else ("", f"garbage{n % 300}")
        message = caller.request(method, body=caller.offer(), cseq=n + 2, headers="Session-Expires: 90\r\n")
        caller.send(_mutated(message, chance))
        if n % 2:
            caller.rtp.rtp.sendto(_mutated(bytes(172), chance), ("127.0.0.1", port))
            caller.rtp.rtp.sendto(_mutated(b"\x81\xc8" + bytes(50), chance), ("127.0.0.1", port + 1))
        if n % 5 == 0:
            await asyncio.sleep(0.002)  # slowly enough that the socket's buffer does not swallow the garbage
    alive = await _answers_options(caller)
    calls = await phone.close()  # fails if there was one message that the phone failed to handle

    print(f"garbage: {len(caller.seen)} answers, {len(calls)} calls came of it")
    assert alive


async def test_50_callers_at_once_hear_every_packet_once(phone: PhoneProcess) -> None:
    """Pace and CPU are printed, not judged: this machine's other users are in them."""
    async with Crowd.gathered(phone.port, 50) as crowd:
        before, began = phone.cpu_now(), time.monotonic()
        await crowd.talk(3.0)
        pace = crowd.pace()
        share = (phone.cpu_now() - before) / (time.monotonic() - began)
        await crowd.hang_up()
    calls = await phone.close()
    print(f"50 calls: {share:.1%} of one core; {pace.words()}")
    assert (pace.lost, pace.repeated) == (0, 0)
    assert len(calls) == 50
    assert {call.heard_packets for call in calls} == {crowd.sent}
    assert all(call.recording and call.recording.stat().st_size > 3 * 16_000 for call in calls)
