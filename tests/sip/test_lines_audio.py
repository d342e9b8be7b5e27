"""The sound itself: what leaves, at what pace, and what is recorded."""

import asyncio
import audioop
import itertools
import math
import wave
from array import array

import pytest

from sip.commands import AfterScript, Why
from sip.events import Answered, Ended, Speaking
from tests import sipp
from tests.sip.bench import Bench

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]


def loud(frame: bytes) -> bool:
    return max(abs(sample) for sample in array("h", frame)) > 1000


def tone_share(samples: "array[int]", hz: float = 440.0, rate: int = 8000) -> float:
    """How much of the energy is at one frequency (Goertzel): 1.0 for a pure tone of it."""
    turn = 2 * math.pi * hz / rate
    re = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
    im = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
    energy = sum(sample * sample for sample in samples)
    return 2 * (re * re + im * im) / (len(samples) * energy) if energy else 0.0


@pytest.mark.parametrize(("codec", "name"), [(8, "PCMA"), (0, "PCMU")])
async def test_the_whole_file_arrives_at_twenty_millisecond_pace(
    bench: Bench, ear: sipp.Ear, codec: int, name: str
) -> None:
    await bench.set_up(sipp.answers(ear.port, codec=codec))

    events, end = await bench.call(audio=sipp.tone(bench.directory / "two.wav", 2000))

    assert [event.codec for event in events if isinstance(event, Answered)] == [name]
    packets = ear.packets
    assert {packet.payload_type for packet in packets} == {codec}
    assert {len(packet.payload) for packet in packets} == {160}
    steps = [(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(packets)]
    assert set(steps) == {1}
    gaps = sorted((b.at - a.at) * 1000 for a, b in itertools.pairwise(packets))
    assert 19.0 <= sum(gaps) / len(gaps) <= 21.0
    assert sum(gap > 40 for gap in gaps) <= 1 + len(gaps) // 50  # this machine is shared
    decode = audioop.alaw2lin if codec == 8 else audioop.ulaw2lin
    frames = [decode(packet.payload, 2) for packet in packets]
    heard = [loud(frame) for frame in frames]
    assert 99 <= sum(heard) <= 102
    first = heard.index(True)
    middle = array("h", b"".join(frames[first + 5 : first + 55]))
    assert tone_share(middle) > 0.95
    # The sound clock may send one more between the last reading of its counters and the end of the stream.
    assert len(packets) - end.rtp.sent_packets in (0, 1)
    assert end.played_ms == 2000


async def test_silence_flows_while_somebody_may_press_a_key(bench: Bench, ear: sipp.Ear) -> None:
    """The sound clock must not stop when nothing is connected to the call."""
    await bench.set_up(sipp.answers(ear.port))

    _, end = await bench.call(
        audio=sipp.tone(bench.directory / "short.wav", 200), then=AfterScript.WAIT, max_duration_s=2.5
    )

    assert end.why is Why.MAX_DURATION
    assert len(ear.packets) >= 0.95 * 50 * 2.5


async def test_the_last_word_is_not_cut_off(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))

    await bench.call()

    heard = [loud(audioop.alaw2lin(packet.payload, 2)) for packet in ear.packets]
    last = len(heard) - 1 - heard[::-1].index(True)
    assert len(heard) - 1 - last >= 8  # 200 ms of silence before the BYE, two packets of tolerance


async def test_both_directions_are_recorded_and_published_with_the_end(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))
    target = bench.directory / "call.wav"

    _, end = await bench.call(record=str(target), pause_ms=500)

    assert end.recording == str(target)
    with wave.open(str(target)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        frames = file.readframes(file.getnframes())
        seconds = file.getnframes() / 8000
    said = array("h", audioop.tomono(frames, 2, 1, 0))
    heard = array("h", audioop.tomono(frames, 2, 0, 1))
    assert max(said) > 5000
    assert max(heard) < 1000  # the far end sends the quietest sample of A-law
    assert 1.1 <= seconds <= 1.9  # 500 ms pause, 600 ms tone, 200 ms tail
    begins = next(n for n, sample in enumerate(said) if abs(sample) > 1000) / 8000
    assert 0.3 <= begins <= 0.7
    assert list(bench.directory.glob("call.*")) == [target]


async def test_ten_rounds_of_sleep_and_wake_lose_no_sound(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port), idle_s=60.0)
    audio = sipp.tone(bench.directory / "short.wav", 200)

    for n in range(10):
        before = len(ear.packets)
        _, end = await bench.call(call_id=f"c{n}", audio=audio)
        assert end.played_ms == 200
        assert len(ear.packets) - before >= 20
        await asyncio.sleep(0.1 if n % 2 else 1.2)  # asleep, and just not yet asleep

    assert bench.lines.status()[0].served == 10


async def test_answer_to_first_word_is_the_pause_and_little_more(bench: Bench, ear: sipp.Ear) -> None:
    await bench.set_up(sipp.answers(ear.port))
    delays = []
    for n in range(5):
        events, _ = await bench.call(call_id=f"c{n}", pause_ms=100, audio=sipp.tone(bench.directory / "s.wav", 200))
        answered = next(event.at for event in events if isinstance(event, Answered))
        speaking = next(event.at for event in events if isinstance(event, Speaking))
        assert isinstance(events[-1], Ended)
        delays.append((speaking - answered) * 1000)

    assert sorted(delays)[2] < 150
