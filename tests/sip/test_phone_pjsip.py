"""PJSIP calls the catch-all phone: the caller that matters agrees with it about every fact of the call."""

import asyncio
import json
import math
import struct
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.phone_process import ROOT, PhoneProcess, phone_process

pytest.importorskip("pjsua2", reason="no PJSIP on this platform")
pytestmark = pytest.mark.sip


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[PhoneProcess]:
    async with phone_process(tmp_path / "heard") as process:
        yield process


def _speech(path: Path, seconds: float) -> list[int]:
    """A rising tone, syllable by syllable: any 20 ms of it are unlike the others."""
    samples = [
        round(9000 * math.sin(2 * math.pi * (300 * n / 8000 + 90 * (n / 8000) ** 2)) * abs(math.sin(n / 800)))
        for n in range(round(seconds * 8000))
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return samples


def _read(path: Path | None) -> list[int]:
    assert path is not None
    with wave.open(str(path)) as file:
        return list(memoryview(file.readframes(file.getnframes())).cast("h"))


def _match(sent: list[int], heard: list[int]) -> float:
    """The best correlation of 20 ms envelopes, over all offsets up to two seconds."""
    first, second = (
        [sum(map(abs, each[n : n + 160])) for n in range(0, len(each) - 160, 160)] for each in (sent, heard)
    )
    return max(_correlation(first, second[offset:]) for offset in range(100))


def _correlation(first: list[int], second: list[int]) -> float:
    count = min(len(first), len(second))
    if count < len(first) * 0.8:
        return 0.0
    a, b = first[:count], second[:count]
    mean_a, mean_b = sum(a) / count, sum(b) / count
    over = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    under = math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))
    return over / under if under else 0.0


async def _call(
    phone: PhoneProcess, tmp_path: Path, number: str, sound: Path, seconds: float, override: str = ""
) -> dict[str, Any]:
    result = tmp_path / f"{number}-{id(sound)}.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sip.pjsip_caller"),
        *(str(result), str(phone.port), number, str(sound), str(seconds), override),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(40):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found: dict[str, Any] = json.loads(result.read_text())
    return found


async def test_pjsip_and_the_phone_agree_about_an_answered_call(phone: PhoneProcess, tmp_path: Path) -> None:
    sent = _speech(tmp_path / "said.wav", 3.0)

    seen = await _call(phone, tmp_path, "12025550110", tmp_path / "said.wav", 6.0)
    call = await phone.ended()

    match = _match(sent, _read(call.recording))
    print(f"PJSIP: {seen}, match {match:.3f}")
    assert seen["states"] == ["CALLING", "EARLY", "CONNECTING", "CONFIRMED", "DISCONNECTED"]
    assert (call.call_id, call.to, call.ended_by, call.invites) == ("call_01PJSIP", "12025550110", "caller", 1)
    assert seen["codec"] in ("PCMA", "PCMU")
    assert match > 0.95
    assert (seen["digits"], call.digits_sent) == ("1", "1")
    assert abs(seen["sent"] - call.heard_packets) <= 3  # counted a moment before the end
    assert (seen["sent_lost"], seen["received_lost"]) == (0, 0)
    assert 0 < seen["rtt_ms"] < 100
    assert seen["received"] == pytest.approx(6.0 * 50, abs=8)


async def test_pjsip_sees_loss_and_jitter_of_the_bad_path_both_ways(phone: PhoneProcess, tmp_path: Path) -> None:
    _speech(tmp_path / "said.wav", 8.0)

    seen = await _call(phone, tmp_path, "12025550116", tmp_path / "said.wav", 9.0)

    print(f"PJSIP over the bad path: {seen}")
    assert seen["sent_lost"] / seen["sent"] == pytest.approx(0.05, abs=0.025)
    assert seen["received_lost"] / (seen["received"] + seen["received_lost"]) == pytest.approx(0.05, abs=0.025)
    assert seen["sent_jitter_ms"] == pytest.approx(40, abs=15)
    # PJSIP measures only packets that arrive right behind the one before them, so overtaking packets read lower.
    assert 10 < seen["received_jitter_ms"] < 50


@pytest.mark.parametrize(
    ("number", "code", "states"),
    [
        ("12025550101", 486, ["CALLING", "DISCONNECTED"]),
        ("12025550103", 603, ["CALLING", "EARLY", "DISCONNECTED"]),
        ("12025550106", 503, ["CALLING", "DISCONNECTED"]),
        ("12025550117", 407, ["CALLING", "DISCONNECTED"]),
        ("12025550108", 200, ["CALLING", "EARLY", "CONNECTING", "CONFIRMED", "DISCONNECTED"]),
    ],
)
async def test_pjsip_sees_the_ends_of_the_magic_numbers(
    phone: PhoneProcess, tmp_path: Path, number: str, code: int, states: list[str]
) -> None:
    _speech(tmp_path / "said.wav", 1.0)

    seen = await _call(phone, tmp_path, number, tmp_path / "said.wav", 20.0)

    assert (seen["code"], seen["states"]) == (code, states)
