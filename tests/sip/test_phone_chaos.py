"""What chaos names is what crosses the wire."""

import pytest

from sip.sandbox.faults import GONE_AFTER_S, Chaos, Unruly
from tests.sip.caller import media_port
from tests.sip.phones import MakeCaller, MakePhone
from tests.until import time_passes

pytest_plugins = ["tests.sip.phone_fixtures"]

NUMBER = "2348020000000"


def unruly(**chaos: int) -> Unruly:
    phone = Unruly()
    phone.declare(Chaos(**chaos))
    return phone


@pytest.mark.parametrize(
    ("chaos", "code", "reason"),
    [({"busy_pct": 100}, 486, 'Q.850;cause=17;text="User busy"'), ({"trunk_503_pct": 100}, 503, None)],
)
async def test_a_share_of_calls_is_refused(
    make_phone: MakePhone, make_caller: MakeCaller, chaos: dict[str, int], code: int, reason: str | None
) -> None:
    phone = await make_phone(scripts=unruly(**chaos))
    caller = await make_caller(phone, NUMBER)

    invite = caller.invite()
    refusal = await caller.until(code)
    caller.ack_refusal(invite, refusal)

    assert [heard.code for heard in caller.seen] == [code]
    assert refusal.header("Reason") == reason


@pytest.mark.parametrize("chaos", [{}, {"trunk_503_pct": 100}])
async def test_a_delay_comes_after_100_and_before_anything_else(
    make_phone: MakePhone, make_caller: MakeCaller, chaos: dict[str, int]
) -> None:
    phone = await make_phone(scripts=unruly(delay_ms=400, **chaos))
    caller = await make_caller(phone, NUMBER)

    caller.invite()
    trying, then = await caller.next(), await caller.next()

    assert (trying.code, then.code) == (100, 503 if chaos else 180)
    assert 0.38 <= then.at - trying.at <= 0.8


async def test_a_lost_bye_leaves_silence_and_a_call_that_nobody_knows(
    make_phone: MakePhone, make_caller: MakeCaller
) -> None:
    phone = await make_phone(scripts=unruly(no_bye_pct=100))
    caller = await make_caller(phone, NUMBER)

    ok = await caller.answered()
    call = await phone.over()
    assert call.answered_at is not None
    assert GONE_AFTER_S <= call.ended_at - call.answered_at <= GONE_AFTER_S + 0.5
    heard_before_the_end = len(caller.rtp.packets())
    caller.cseq += 1
    caller.send(caller.request("BYE"))
    answered = await caller.next()

    assert heard_before_the_end > 30
    assert caller.rtp.packets() == []
    assert (answered.code, answered.header("CSeq")) == (481, "2 BYE")  # and no BYE came before it
    assert media_port(ok) > 0


async def test_a_wrong_codec_is_one_that_was_not_offered(make_phone: MakePhone, make_caller: MakeCaller) -> None:
    phone = await make_phone(scripts=unruly(wrong_codec_pct=100))
    caller = await make_caller(phone, NUMBER)

    ok = await caller.answered()
    await caller.hang_up()

    assert f"m=audio {media_port(ok)} RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n" in ok.body
    assert "RTP/AVP 8 0 101" in caller.offer()


async def test_loss_is_of_the_sound_and_not_of_the_signalling(make_phone: MakePhone, make_caller: MakeCaller) -> None:
    phone = await make_phone(scripts=unruly(loss_pct=50))
    caller = await make_caller(phone, NUMBER)

    ok = await caller.answered()
    for _ in range(100):
        caller.rtp.send(media_port(ok))
    await time_passes(0.3)  # on the road
    await caller.hang_up()
    call = await phone.over()

    assert call.heard_packets == pytest.approx(50, abs=10)


async def test_a_magic_number_is_the_control_group(make_phone: MakePhone, make_caller: MakeCaller) -> None:
    phone = await make_phone(scripts=unruly(busy_pct=100, delay_ms=5000))
    caller = await make_caller(phone, "12025550100")

    await caller.answered()
    await caller.hang_up()

    assert [heard.code for heard in caller.seen] == [100, 180, 200, 200]
