"""What the catch-all phone sends, hears, records and reports over RTP and RTCP."""

import asyncio
import itertools
import math
import struct
import wave
from pathlib import Path

import pytest

from sip.sandbox.g711 import PCMA, PCMU, Law
from tests.sip.caller import PCMA_SILENCE, Caller, media_port
from tests.sip.phones import MakeCaller, MakePhone, RingingPhone

pytest_plugins = ["tests.sip.phone_fixtures"]

AT_ONCE = "X-Tocsin-Sandbox: answer_after=0\r\n"
FRAME_S = 0.02


def _samples(path: Path | None) -> list[int]:
    assert path is not None
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
        return list(memoryview(file.readframes(file.getnframes())).cast("h"))


def _frame(level: int) -> bytes:
    return PCMA.encode(struct.pack("<h", level) * 160)


async def _packets(caller: Caller, count: int) -> list[tuple[float, bytes]]:
    async with asyncio.timeout(10):
        return [await caller.rtp.heard.heard.get() for _ in range(count)]


async def test_silence_flows_from_the_answer_on_every_20_ms_without_drift(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)

    ok = await caller.answered(AT_ONCE)
    packets = await _packets(caller, 101)

    headers = [struct.unpack("!BBHII", data[:12]) for _, data in packets]
    steps = list(itertools.pairwise(headers))
    assert packets[0][0] - ok.at < 0.05
    assert {data[12:] for _, data in packets} == {PCMA_SILENCE}
    assert [row[1] for row in headers] == [0x88, *[8] * 100]  # the marker on the first only
    assert all((b[2] - a[2]) & 0xFFFF == 1 and (b[3] - a[3]) & 0xFFFFFFFF == 160 for a, b in steps)
    assert len({row[4] for row in headers}) == 1
    assert packets[-1][0] - packets[0][0] == pytest.approx(2.0, abs=0.03)


@pytest.mark.parametrize(("formats", "kind", "law"), [("0 8 101", 0, PCMU), ("18 8 0", 8, PCMA), ("0", 0, PCMU)])
async def test_the_codec_is_the_first_of_the_offer_that_the_phone_has(
    phone: RingingPhone, make_caller: MakeCaller, formats: str, kind: int, law: Law
) -> None:
    caller = await make_caller(phone)

    ok = await caller.answered(AT_ONCE, body=caller.offer(formats))
    caller.rtp.send(media_port(ok), law.encode(struct.pack("<h", 9000) * 160), kind)
    (_, first), *_ = await _packets(caller, 5)
    await caller.hang_up()
    call = await phone.over()

    assert first[1] & 0x7F == kind
    assert f"m=audio {media_port(ok)} RTP/AVP {kind}" in ok.body
    assert ("telephone-event" in ok.body) is ("101" in formats)
    assert max(_samples(call.recording)) == pytest.approx(9000, rel=0.04)


async def test_the_recording_is_what_was_sent_and_what_was_lost_is_silence_in_its_place(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)
    port = media_port(await caller.answered(AT_ONCE + "X-Call-Id: call_01HEARD\r\n"))

    for n in range(50):
        caller.rtp.send(port, _frame(1000 + 100 * n), lost=n in (20, 21, 40))
        await asyncio.sleep(0)
    await _packets(caller, 3)
    await caller.hang_up()
    call = await phone.over()

    samples = _samples(call.recording)
    begin = next(at for at, value in enumerate(samples) if abs(value) > 500)
    heard = [samples[begin + 160 * n + 80] for n in range(50)]
    for n, value in enumerate(heard):
        wanted = 8 if n in (20, 21, 40) else 1000 + 100 * n
        assert value == pytest.approx(wanted, rel=0.04)
    assert begin < 4000  # the first sound came within half a second of the answer
    assert call.heard_packets == 47
    assert call.recording == phone.directory / "call_01HEARD.wav"
    assert [path.name for path in phone.directory.iterdir()] == ["call_01HEARD.wav"]


async def test_packets_that_overtake_each_other_are_put_in_order(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)
    port = media_port(await caller.answered(AT_ONCE))

    frames = [_frame(2000), _frame(3000), _frame(4000), _frame(5000)]
    for n in (0, 2, 1, 3):
        caller.rtp.sequence, caller.rtp.timestamp = 100 + n, 5000 + 160 * n
        caller.rtp.send(port, frames[n])
    await _packets(caller, 3)
    await caller.hang_up()

    samples = _samples((await phone.over()).recording)
    begin = next(at for at, value in enumerate(samples) if abs(value) > 500)
    assert [round(samples[begin + 160 * n + 80], -3) for n in range(4)] == [2000, 3000, 4000, 5000]


async def test_a_name_that_is_no_file_name_becomes_one_and_never_takes_anothers(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    recordings = []
    for _ in range(2):
        caller = await make_caller(phone)
        port = media_port(await caller.answered(AT_ONCE + "X-Call-Id: ../../etc/passwd\r\n"))
        caller.rtp.send(port)
        await _packets(caller, 2)
        await caller.hang_up()
        recordings.append((await phone.over()).recording)

    assert recordings == [phone.directory / "etc-passwd.wav", phone.directory / "etc-passwd-2.wav"]


async def test_only_so_many_recordings_are_kept(make_phone: MakePhone, make_caller: MakeCaller) -> None:
    phone = await make_phone(keep=2)
    for n in range(4):
        caller = await make_caller(phone)
        port = media_port(await caller.answered(f"{AT_ONCE}X-Call-Id: call-{n}\r\n"))
        caller.rtp.send(port)
        await _packets(caller, 2)
        await caller.hang_up()
        await phone.over()

    assert sorted(path.name for path in phone.directory.iterdir()) == ["call-2.wav", "call-3.wav"]


async def test_keys_are_sent_as_rfc_4733_says(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)

    await caller.answered("X-Tocsin-Sandbox: answer_after=0;press=4#@0.1s\r\n")
    packets = await _packets(caller, 50)
    await caller.hang_up()

    events = [data for _, data in packets if data[1] & 0x7F == 101]
    keys = [list(group) for _, group in itertools.groupby(events, lambda data: data[4:8])]
    assert [key[0][12] for key in keys] == [4, 11]
    for key in keys:
        ends = [data for data in key if data[13] & 0x80]
        durations = [int.from_bytes(data[14:16], "big") for data in key]
        assert [data[1] >> 7 for data in key] == [1, *[0] * (len(key) - 1)]
        assert key[-3:] == [*ends]
        assert durations == [160, 320, 480, 640, 800, 960, 1120, 1280, 1280, 1280]
    sequences = [int.from_bytes(data[2:4], "big") for _, data in packets]
    assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(sequences))
    sounds = [int.from_bytes(data[4:8], "big") for _, data in packets if data[1] & 0x7F == 8]
    assert (sounds[-1] - sounds[0]) & 0xFFFFFFFF == 49 * 160  # the sampling clock went on behind the keys
    assert (await phone.over()).digits_sent == "4#"


async def test_keys_are_tones_for_a_caller_without_telephone_events(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)

    await caller.answered(
        "X-Tocsin-Sandbox: answer_after=0;press=5@0.1s\r\n", body=caller.offer("8").replace("a=rtpmap:101", "a=x:")
    )
    packets = await _packets(caller, 30)
    await caller.hang_up()

    loud = [data for _, data in packets if len(set(data[12:])) > 20]
    samples = list(memoryview(bytes(PCMA.decode(b"".join(data[12:] for data in loud)))).cast("h"))
    strengths = {hz: _goertzel(samples, hz) for hz in (697, 770, 852, 941, 1209, 1336, 1477)}
    assert {data[1] & 0x7F for _, data in packets} == {8}
    assert len(loud) == pytest.approx(8, abs=1)
    assert sorted(sorted(strengths, key=strengths.__getitem__)[-2:]) == [770, 1336]
    assert (await phone.over()).digits_sent == "5"


def _goertzel(samples: list[int], hz: float) -> float:
    factor = 2 * math.cos(2 * math.pi * hz / 8000)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + factor * last - before
    return last * last + before * before - factor * last * before


async def test_keys_of_the_caller_are_heard_once_each(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone)
    port = media_port(await caller.answered(AT_ONCE))

    for digit, start in ((1, 8000), (1, 12000), (11, 16000)):
        for n in range(1, 9):
            caller.rtp.timestamp = start  # all packets of a key share it
            caller.rtp.send(port, bytes([digit, 10 | (0x80 if n > 5 else 0)]) + (160 * n).to_bytes(2, "big"), 101)
    caller.rtp.timestamp = 12000
    caller.rtp.send(port, bytes([1, 0x8A, 5, 0]), 101)  # a late packet of the second key
    await _packets(caller, 3)
    await caller.hang_up()

    assert (await phone.over()).digits_heard == "11#"


async def test_a_bad_path_loses_one_packet_in_twenty_both_ways_and_reports_it(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone, "12025550116")
    port = media_port(await caller.answered(AT_ONCE))
    await _packets(caller, 1)

    for _ in range(200):
        caller.rtp.send(port, _frame(8000))
        await asyncio.sleep(FRAME_S)
    await asyncio.sleep(0.2)  # what is still under way: up to 120 ms
    await caller.hang_up()
    call = await phone.over()
    report = _report(await _last_report(caller))

    packets = caller.rtp.packets()
    numbers = [int.from_bytes(data[2:4], "big") for _, data in packets]
    got = len(numbers) / (((max(numbers) - min(numbers)) & 0xFFFF) + 1)
    assert got == pytest.approx(0.95, abs=0.025)
    assert call.heard_packets == 190
    assert report["lost"] in (9, 10)  # the last of all may be one of the ten
    assert report["jitter_ms"] == pytest.approx(40, abs=20)
    assert _jitter_ms(packets) == pytest.approx(40, abs=20)
    silent = _samples(call.recording).count(8) / len(_samples(call.recording))
    assert silent == pytest.approx(0.05, abs=0.06)  # what was lost is really not heard


async def _last_report(caller: Caller) -> bytes:
    """The one that says goodbye."""
    async with asyncio.timeout(5):
        while (last := await caller.rtp.control.heard.get())[1][-7] != 203:
            pass
    return last[1]


def _jitter_ms(packets: list[tuple[float, bytes]]) -> float:
    jitter, transit = 0.0, None
    for at, data in packets:
        now = at * 8000 - int.from_bytes(data[4:8], "big")
        if transit is not None and abs(now - transit) < 8000:
            jitter += (abs(now - transit) - jitter) / 16
        transit = now
    return jitter / 8


def _report(compound: bytes) -> dict[str, float]:
    """The first report block of the SR or RR that must come first (RFC 3550 section 6.1)."""
    assert compound[1] in (200, 201)
    assert compound[0] & 0x1F == 1
    at = 28 if compound[1] == 200 else 8
    ssrc, lost, highest, jitter, lsr, dlsr = struct.unpack_from("!IIIIII", compound, at)
    return {
        "ssrc": ssrc,
        "fraction": lost >> 24,
        "lost": lost & 0xFFFFFF,
        "highest": highest,
        "jitter_ms": jitter / 8,
        "lsr": lsr,
        "dlsr_s": dlsr / 65536,
    }


async def test_reports_tell_true_loss_and_let_the_caller_compute_the_round_trip(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)
    ok = await caller.answered(AT_ONCE)
    port = media_port(ok)

    for n in range(40):
        caller.rtp.send(port, lost=n % 4 == 1)
    caller.rtp.rtcp.sendto(
        struct.pack("!BBHIQIII", 0x80, 200, 6, 77, 0x1122334455667788, 0, 40, 6400), ("127.0.0.1", port + 1)
    )
    async with asyncio.timeout(5):
        _, compound = await caller.rtp.control.heard.get()
    report = _report(compound)
    await caller.hang_up()
    async with asyncio.timeout(5):
        _, last = await caller.rtp.control.heard.get()

    assert compound[1] == 200
    assert report["ssrc"] == 77
    assert report["lost"] == 10
    assert report["fraction"] / 256 == pytest.approx(10 / 39, abs=0.02)
    assert report["highest"] & 0xFFFF == 139
    assert report["lsr"] == 0x33445566
    assert report["dlsr_s"] < 0.1
    assert b"\xca" in compound[28:]  # SDES
    assert last[-8:-4] == struct.pack("!BBH", 0x81, 203, 1)  # BYE ends the last one
    sent = struct.unpack_from("!I", compound, 20)[0]
    assert 1 <= sent <= 60


async def test_nothing_is_sent_or_heard_while_the_caller_holds_the_line(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone)
    port = media_port(await caller.answered(AT_ONCE))
    before = (await _packets(caller, 5))[-1][1]

    caller.cseq = 2
    await caller.answered(body=caller.offer(extra="a=inactive\r\n"))
    await asyncio.sleep(0.05)
    caller.rtp.packets()
    caller.rtp.send(port)
    await asyncio.sleep(0.2)
    during = caller.rtp.packets()
    caller.cseq = 3
    await caller.answered(body=caller.offer())
    after = (await _packets(caller, 1))[0][1]
    await caller.hang_up()

    assert during == []
    assert (await phone.over()).heard_packets == 0
    assert int.from_bytes(after[2:4], "big") - int.from_bytes(before[2:4], "big") < 8
    assert (int.from_bytes(after[4:8], "big") - int.from_bytes(before[4:8], "big")) & 0xFFFFFFFF >= 160 * 12


async def test_a_greeting_of_ones_own_is_played_and_a_wrong_one_refused(
    make_phone: MakePhone, make_caller: MakeCaller, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    for path, rate in ((good, 8000), (bad, 16000)):
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(struct.pack("<h", 12000) * 1600)
    phone = await make_phone(greeting=lambda: good)
    caller = await make_caller(phone, "12025550107")

    await caller.answered(AT_ONCE)
    packets = await _packets(caller, 12)

    assert [data[12:] for _, data in packets[:10]] == [_frame(12000)] * 10
    assert packets[11][1][12:] == PCMA_SILENCE
    with pytest.raises(ValueError, match="mono PCM16 at 8000 Hz"):
        await make_phone(greeting=bad)
