"""Who missed a message rings the number that he saw, hears it, and is delivered after all; with a SIPp carrier."""

import json
import re
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy
import pytest
import soundfile

from config.children import free_port
from media.heard import compare
from media.speech import Sound
from tests import sipp
from tests.receiver import receiver
from tests.service import LIVE_KEY, Service, running
from tests.sip.caller import Caller, Heard, Rtp, udp
from tests.until import until

pytestmark = [pytest.mark.sip, pytest.mark.peer]

MISSED_BY = "2348020000000"
SHOWN = "2347080670000"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def a_caller(stack: AsyncExitStack, port: int, user: str) -> Caller:
    sip, rtp, rtcp = await udp(), await udp(), await udp()
    for transport, _, _ in (sip, rtp, rtcp):
        stack.callback(transport.close)
    return Caller(port, *sip, rtp=Rtp(*rtp, *rtcp), number=SHOWN, user=user, call_id=f"back-{sip[2]}")


def trunks(folder: Path, carrier: int, port: int, say: str = "") -> str:
    path = folder / "trunks.toml"
    path.write_text(
        f'[trunks.carrier]\nhost = "127.0.0.1:{carrier}"\ncaller_ids = ["{SHOWN}"]\nchannels = 4\n'
        f'inbound = {{ acl = ["127.0.0.1/32"], port = {port}, say = "{say}" }}\n'
    )
    return str(path)


async def listens(port: int) -> None:
    """The kernel shows who has a port."""
    await until(lambda: f":{port:04X} " in Path("/proc/net/udp").read_text(), 20)


async def hears_it(caller: Caller) -> Sound:
    """Rings, is answered, hears to the end, is hung up on."""
    caller.invite()
    ok = await caller.until(200)
    caller.ack(ok)
    to = int(re.findall(r"m=audio (\d+)", ok.body)[0])
    for _ in range(5):
        caller.rtp.send(to)
    caller.agree(await bye(caller))
    sound = [packet[12:] for _, packet in caller.rtp.packets() if packet[1] & 0x7F == 8]
    return alaw(b"".join(sound))


async def bye(caller: Caller) -> Heard:
    at, data = await caller.socket.heard.get()
    while not data.startswith(b"BYE "):
        at, data = await caller.socket.heard.get()
    return Heard(at, data.decode())


def alaw(octets: bytes) -> Sound:
    code = numpy.frombuffer(octets, dtype=numpy.uint8) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F).astype(numpy.int32)
    longer = ((mantissa << 4) + 0x108) << (numpy.maximum(exponent, 1) - 1)  # ITU-T G.711 section 3
    size = numpy.where(exponent == 0, (mantissa << 4) + 8, longer)
    return Sound((numpy.where(code & 0x80, size, -size) / 32768).astype(numpy.float32), 8000)


async def refusal(caller: Caller) -> int:
    invite = caller.invite()
    heard = await caller.next()
    while heard.code < 300:
        heard = await caller.next()
    caller.ack_refusal(invite, heard)
    return heard.code


async def outcomes(service: Service, ref_id: str) -> list[tuple[str, int]]:
    """Of each recipient: what became of him, and in how many calls."""
    async with service.client(LIVE_KEY) as http:
        found = (await http.get(f"/v1/sendvoice/{ref_id}/recipients")).json()["data"]
    return [(one["outcome"], len(one["call_ids"])) for one in found]


async def test_who_missed_a_message_rings_back_and_hears_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        carrier = await stack.enter_async_context(sipp.Sipp(sipp.refuses("486 Busy Here"), tmp_path))
        hooks = await stack.enter_async_context(receiver(SECRET))
        port = free_port(socket.SOCK_DGRAM)
        service = await stack.enter_async_context(
            running(
                tmp_path / "data",
                TOCSIN_TRUNKS=trunks(tmp_path, carrier.port, port),
                TOCSIN_WEBHOOKS__SECRET=SECRET,
            )
        )
        await listens(port)
        missed = await service.call(
            LIVE_KEY, to=MISSED_BY, text="Disk full on database one.", callback_url=f"{hooks.url}/hook"
        )
        before = await outcomes(service, missed["ref_id"])

        heard = await hears_it(await a_caller(stack, port, MISSED_BY))
        told = await hooks.arrives(2, 20)
        after = await outcomes(service, missed["ref_id"])
        again = await refusal(await a_caller(stack, port, MISSED_BY))
        stranger = await refusal(await a_caller(stack, port, "2348029999999"))
        async with service.client(LIVE_KEY) as http:
            calls = (await http.get("/v1/calls")).json()["data"]
            back = next(call for call in calls if call["call_direction"] == "inbound")
            events = (await http.get(f"/v1/calls/{back['call_id']}/events")).json()["data"]
            ladder = (await http.get(f"/v1/calls/{back['call_id']}/sip?format=text")).text

    assert missed["status"] == "busy"
    assert before == [("undelivered", 1)]
    assert after == [("delivered", 2)]
    assert (back["status"], back["from_number"], back["to_number"]) == ("completed", MISSED_BY, SHOWN)
    assert (back["ref_id"], back["played_to_end"], back["trunk_id"]) == (missed["ref_id"], True, "carrier")
    assert [event["type"] for event in events] == ["call.ringing", "call.answered", "call.ended"]
    assert "INVITE" in ladder
    bodies = [json.loads(one.body) for one in told]
    assert [body.get("data", body)["call_direction"] for body in bodies] == ["outbound", "inbound"]
    assert (again, stranger) == (404, 404)
    assert len(carrier.received("INVITE")) == 1
    words = (tmp_path / "data" / "audio").rglob("*.wav")
    assert max(compare(sound_of(path), heard).match for path in words) > 0.9


async def test_who_missed_nothing_hears_the_trunks_own_words(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        port = free_port(socket.SOCK_DGRAM)
        file = trunks(tmp_path, free_port(socket.SOCK_DGRAM), port, "Nobody is here.")
        service = await stack.enter_async_context(running(tmp_path / "data", TOCSIN_TRUNKS=file))
        await listens(port)

        await hears_it(await a_caller(stack, port, "anonymous"))
        async with service.client(LIVE_KEY) as http:
            (call,) = await until(lambda: _ended(http), 10)

    assert (call["call_direction"], call["status"], call["from_number"]) == ("inbound", "completed", "anonymous")
    assert call["played_to_end"]


async def _ended(http: Any) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = (await http.get("/v1/calls")).json()["data"]
    return [call for call in calls if call["end_at"]]


def sound_of(path: Path) -> Sound:
    samples, rate = soundfile.read(path, dtype="float32")
    return Sound(samples, rate)
