"""Keys in each of the three ways, once each; and G722, heard at both ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.heard import compare
from sip.commands import AfterScript, Dial
from sip.events import Answered, Digit, Ended, LineEvent
from sip.lines import Lines
from sip.trunk import DtmfWay, Trunk, TrunkUri
from tests import sipp
from tests.baresip import BARESIP, Baresip
from tests.sip.bench import Bench
from tests.sip.sounds import sound, warble

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(BARESIP is None or sipp.SIPP is None, reason="baresip or SIPp is missing: make peers"),
]
NUMBER = "2348020000000"
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")


def pressing(path: Path, keys: str, rate: int = 8000) -> str:
    """A WAV of half a second of silence, then 100 ms of each key's tones with 100 ms between."""
    at, gap = np.arange(rate // 10) / rate, np.zeros(rate // 10)
    parts = [np.zeros(rate // 2)]
    for name in keys:
        row = next(n for n, line in enumerate(KEYS) if name in line)
        column = KEYS[row].index(name)
        parts += [0.2 * (np.sin(2 * np.pi * ROWS[row] * at) + np.sin(2 * np.pi * COLUMNS[column] * at)), gap]
    soundfile.write(path, np.concatenate([*parts, np.zeros(rate)]).astype(np.float32), rate, subtype="PCM_16")
    return str(path)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as one:
        yield one


async def call(
    stack: AsyncExitStack, directory: Path, phone: Baresip, audio: str, record: str | None = None, **facts: object
) -> list[LineEvent]:
    trunk = Trunk("t", "t", (TrunkUri("127.0.0.1", phone.udp),), cps=20.0, **facts)  # type: ignore[arg-type]
    lines = Lines(trunk, most=4, journal_dir=directory / "journal")
    stack.push_async_callback(lines.aclose)
    await lines.start()
    dial = Dial(
        "c1",
        f"sip:{NUMBER}@127.0.0.1:{phone.udp}",
        "sip:12025550199@127.0.0.1",
        audio,
        then=AfterScript.WAIT,
        max_duration_s=6.0,
        record=record,
    )
    async with asyncio.timeout(30):
        leg = await lines.dial(dial)
        return [event async for event in leg.events()]


@pytest.mark.parametrize(("way", "heard"), [(DtmfWay.INBAND, "1590*#2"), (DtmfWay.RFC4733, "")])
async def test_keys_in_the_sound_are_heard_where_the_trunk_says_so(
    stack: AsyncExitStack, tmp_path: Path, way: DtmfWay, heard: str
) -> None:
    phone = await stack.enter_async_context(Baresip(tmp_path, NUMBER, says=pressing(tmp_path / "keys.wav", "1590*#2")))

    events = await call(stack, tmp_path, phone, warble(tmp_path / "said.wav", 3.0, 500), dtmf=way)

    keys = [event for event in events if isinstance(event, Digit)]
    assert "".join(key.digit for key in keys) == heard
    assert {key.method for key in keys} <= {"inband"}
    assert isinstance(events[-1], Ended)
    assert events[-1].digits == heard


async def test_a_key_in_an_info_is_heard_once(bench: Bench, ear: sipp.Ear) -> None:
    content = "Content-Type: application/dtmf-relay"
    await bench.set_up(
        sipp.answers_and_asks(ear.port, "INFO", content, 200, "Signal=5\nDuration=160\n"),
        trunk={"dtmf": DtmfWay.INFO},
    )

    events, end = await bench.call(audio=sipp.tone(bench.directory / "one.wav", 1000))

    assert [(event.digit, event.method) for event in events if isinstance(event, Digit)] == [("5", "info")]
    assert end.digits == "5"


async def test_g722_is_heard_at_both_ends(stack: AsyncExitStack, tmp_path: Path) -> None:
    answer = warble(tmp_path / "answer.wav", 6.0, 900, rate=16000)
    said, record = warble(tmp_path / "said.wav", 3.0, 500), tmp_path / "call.wav"
    phone = await stack.enter_async_context(Baresip(tmp_path, NUMBER, says=answer, codecs="G722/16000/1,PCMA/8000/1"))

    events = await call(stack, tmp_path, phone, said, str(record), codecs=("G722", "PCMA"))

    assert [event.codec for event in events if isinstance(event, Answered)] == ["G722"]
    end = events[-1]
    assert isinstance(end, Ended)
    at_phone, at_ours = compare(sound(said), await phone.heard()), compare(sound(answer), sound(record, 1))
    print(f"G722: at the phone {at_phone}, at ours {at_ours}, {end.rtp.sent_packets} packets sent")
    assert (at_phone.match or 0) > 0.8
    assert (at_phone.coverage or 0) > 0.9
    assert (at_ours.match or 0) > 0.8
    assert end.played_ms == 3000
    assert end.rtp.sent_packets >= 0.9 * 50 * 6
