"""Each magic number does on the wire what the table of the phone promises."""

import asyncio
import itertools

import pytest

from sip.sandbox.scripts import MAGIC
from tests.sip.caller import PCMA_SILENCE, Caller, media_port
from tests.sip.phones import MakeCaller, MakePhone, RingingPhone

pytest_plugins = ["tests.sip.phone_fixtures"]

LOUD = bytes([0x2A, 0xAA]) * 80  # ± 24 000 in A-law
FRAME_S = 0.02
REFUSED = {number: script for number, script in MAGIC.items() if script.final is not None}


async def _talk(caller: Caller, port: int, frames: int, payload: bytes = LOUD) -> None:
    """Sends `frames` of 20 ms at pace."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for n in range(frames):
        caller.rtp.send(port, payload)
        await asyncio.sleep(max(0.0, start + (n + 1) * FRAME_S - loop.time()))


def _keys(packets: list[tuple[float, bytes]]) -> list[tuple[float, int]]:
    """(arrival, event code) of the first packet of each key."""
    events = [(at, data[4:8], data[12]) for at, data in packets if data[1] & 0x7F == 101]
    return [next((at, code) for at, _, code in group) for _, group in itertools.groupby(events, lambda row: row[1])]


@pytest.mark.parametrize("number", sorted(REFUSED))
async def test_a_number_that_refuses_does_so_with_its_code_words_and_headers(
    phone: RingingPhone, make_caller: MakeCaller, number: str
) -> None:
    script = REFUSED[number]
    assert script.final is not None
    caller = await make_caller(phone, number)

    invite = caller.invite()
    refusal = await caller.until(script.expect.code)
    caller.ack_refusal(invite, refusal)
    call = await phone.over()

    codes = [heard.code for heard in caller.seen]
    assert refusal.first == f"SIP/2.0 {script.expect.code} {script.expect.reason}"
    assert (180 in codes) is (script.ring_after_s is not None)
    for name, value in script.final.headers:
        assert refusal.header(name) == value
    assert (call.ended_by, call.answered_at) == (script.expect.ended_by, None)
    assert call.ended_at - call.started_at == pytest.approx(script.final.after_s, abs=0.3)


async def test_0102_rings_and_rings(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550102")

    caller.invite()
    await caller.until(180)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await caller.next()
    assert phone.phone.calls_up() == 1


async def test_0107_greets_beeps_at_three_seconds_and_records_what_follows(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone, "12025550107")
    ok = await caller.answered()

    port = media_port(ok)
    await _talk(caller, port, 100)  # into the greeting: not recorded
    await _talk(caller, port, 75, PCMA_SILENCE)
    await _talk(caller, port, 50)
    await caller.hang_up()
    call = await phone.over()
    packets = caller.rtp.packets()

    start = packets[0][0]
    loud = [at - start for at, data in packets if len(set(data[12:])) > 20]
    beep = [at for at in loud if at >= 2.9]
    assert loud[0] < 0.1
    assert not [at for at in loud if 2.5 < at < 2.9]
    assert beep[0] == pytest.approx(3.0, abs=0.06)
    assert beep[-1] == pytest.approx(3.38, abs=0.06)
    assert call.recording is not None
    assert _loud_seconds(call.recording.read_bytes()[44:]) == pytest.approx(1.0, abs=0.05)


def _loud_seconds(pcm: bytes) -> float:
    return sum(abs(value) > 10_000 for value in memoryview(pcm).cast("h")) / 8000


async def test_0108_hangs_up_two_seconds_after_the_answer(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550108")

    ok = await caller.answered()
    bye = await caller.until("BYE")
    caller.agree(bye)

    assert bye.at - ok.at == pytest.approx(2.0, abs=0.1)
    assert (await phone.over()).ended_by == "phone"


async def test_0109_neither_speaks_nor_hears(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550109")

    ok = await caller.answered()
    await _talk(caller, media_port(ok), 60)
    await caller.hang_up()
    call = await phone.over()

    assert (caller.rtp.packets(), caller.rtp.reports()) == ([], [])
    assert (call.heard_packets, call.recording) == (0, None)


@pytest.mark.parametrize(("number", "key"), [("12025550110", 1), ("12025550111", 2), ("12025550112", 9)])
async def test_a_key_is_pressed_after_the_prompt_and_not_in_a_pause_of_it(
    phone: RingingPhone, make_caller: MakeCaller, number: str, key: int
) -> None:
    caller = await make_caller(phone, number)
    ok = await caller.answered()
    port = media_port(ok)

    await _talk(caller, port, 45, PCMA_SILENCE)  # silence before the prompt is no end of it
    await _talk(caller, port, 20)
    await _talk(caller, port, 25, PCMA_SILENCE)
    await _talk(caller, port, 20)
    ended = asyncio.get_running_loop().time()
    before = caller.rtp.packets()
    await _talk(caller, port, 60, PCMA_SILENCE)
    await caller.hang_up()

    pressed = _keys(caller.rtp.packets())
    assert _keys(before) == []
    assert [code for _, code in pressed] == [key]
    assert pressed[0][0] - ended == pytest.approx(0.7, abs=0.12)
    assert (await phone.over()).digits_sent == str(key)


async def test_0113_presses_a_wrong_key_and_after_the_next_prompt_the_right_one(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone, "12025550113")
    port = media_port(await caller.answered())

    for _ in range(2):
        await _talk(caller, port, 20)
        await _talk(caller, port, 60, PCMA_SILENCE)
    await caller.hang_up()

    assert [code for _, code in _keys(caller.rtp.packets())] == [7, 1]
    assert (await phone.over()).digits_sent == "71"


async def test_0113_presses_the_right_key_after_three_seconds_without_a_prompt(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone, "12025550113")
    port = media_port(await caller.answered())

    await _talk(caller, port, 20)
    await _talk(caller, port, 210, PCMA_SILENCE)
    await caller.hang_up()
    wrong, right = _keys(caller.rtp.packets())

    assert (wrong[1], right[1]) == (7, 1)
    assert right[0] - wrong[0] == pytest.approx(3.0, abs=0.1)


async def test_0114_presses_nothing_and_is_silent(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550114")
    port = media_port(await caller.answered())

    await _talk(caller, port, 20)
    await _talk(caller, port, 60, PCMA_SILENCE)
    await caller.hang_up()

    assert {data[12:] for _, data in caller.rtp.packets()} == {PCMA_SILENCE}
    assert (await phone.over()).digits_sent == ""


async def test_0115_is_silent_for_eight_seconds_but_for_the_100(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550115")

    caller.invite()
    trying, ringing, ok = await caller.next(), await caller.next(), await caller.next()

    assert [trying.code, ringing.code, ok.code] == [100, 180, 200]
    assert ringing.at - trying.at == pytest.approx(8.0, abs=0.2)
    assert 0.25 <= ok.at - ringing.at <= 0.9


async def test_0117_asks_for_a_login_each_time_and_forbids_the_call_with_one(
    phone: RingingPhone, make_caller: MakeCaller
) -> None:
    caller = await make_caller(phone, "12025550117")
    answers = []

    for login in ("", "", "Proxy-Authorization: Digest username=x\r\n"):
        invite = caller.invite(login)
        answer = await caller.next()
        caller.ack_refusal(invite, answer)
        answers.append((answer.code, answer.header("Proxy-Authenticate")))
        caller.to_tag = ""
        caller.cseq += 1
    call = await phone.over()

    assert [code for code, _ in answers] == [407, 407, 403]
    assert answers[0][1] != answers[1][1]
    assert 'realm="sandbox"' in (answers[0][1] or "")
    assert (call.invites, call.ended_by) == (3, "phone")


async def test_0117_is_over_when_the_caller_gives_up_at_the_407(phone: RingingPhone, make_caller: MakeCaller) -> None:
    caller = await make_caller(phone, "12025550117")

    invite = caller.invite()
    caller.ack_refusal(invite, await caller.until(407))

    assert (await phone.over()).invites == 1


async def test_0118_is_busy_twice_for_each_caller_and_then_answers_and_begins_again(
    make_phone: MakePhone, make_caller: MakeCaller
) -> None:
    phone = await make_phone()
    codes = []

    for _ in range(4):
        caller = await make_caller(phone, "12025550118")
        invite = caller.invite("X-Tocsin-Sandbox: ring_after=0\r\n")
        while (heard := await caller.next()).code < 200:
            pass
        if heard.code == 486:
            caller.ack_refusal(invite, heard)
        else:
            caller.ack(heard)
            await caller.hang_up()
        codes.append(heard.code)

    assert codes == [486, 486, 200, 486]
