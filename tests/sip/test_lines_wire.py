"""What an INVITE says of caller and codecs, byte by byte, and what it may weigh."""

import pytest

from sip import uri
from sip.commands import Why
from sip.trunk import CallerIdHeader, Timers, Trunk, TrunkUri
from tests import sipp
from tests.sip.bench import Bench

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(sipp.SIPP is None, reason="SIPp is not installed: make peers"),
]
NUMBER, OURS = "2348020000000", "2347080670000"


async def test_a_private_call_names_its_caller_to_the_trunk_only(bench: Bench) -> None:
    facts = {"caller_ids": (OURS,), "caller_id_header": CallerIdHeader.PAI, "privacy": True}
    await bench.set_up(sipp.refuses("486 Busy Here"), trunk=facts)
    trunk = Trunk("t", "t", (TrunkUri("127.0.0.1", bench.carrier.port),), **facts)

    await bench.call(from_uri=uri.from_uri(OURS, trunk), headers=uri.headers("c1", trunk, caller=OURS))

    invite = bench.carrier.received("INVITE")[0]
    assert invite.header("From").startswith('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=')
    assert invite.header("P-Asserted-Identity") == f"<sip:{OURS}@127.0.0.1>"
    assert invite.header("Privacy") == "id"
    assert invite.text.count(OURS) == 1


@pytest.mark.parametrize(
    ("codecs", "formats"),
    [
        (("PCMU",), "0 120"),
        (("PCMU", "PCMA"), "0 8 120"),
        (("G722", "PCMA", "PCMU"), "9 8 0 120"),
        (("PCMA", "G722"), "8 9 120"),
    ],
)
async def test_the_trunks_codecs_are_offered_in_its_order_and_nothing_else(
    bench: Bench, codecs: tuple[str, ...], formats: str
) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"), trunk={"codecs": codecs})

    await bench.call()

    invite = bench.carrier.received("INVITE")[0].text
    offer = next(line for line in invite.splitlines() if line.startswith("m="))
    assert offer.partition(" RTP/AVP ")[2] == formats
    assert invite.count("\nm=") == 1


def fits(trunk: Trunk, call_id: str, length: int) -> bool:
    try:
        uri.headers(call_id, trunk, (("User-to-User", "a" * length),), caller=OURS)
    except uri.UriError:
        return False
    return True


async def test_the_heaviest_invite_fits_a_datagram(bench: Bench) -> None:
    facts = {
        "caller_ids": (OURS,),
        "caller_id_header": CallerIdHeader.RPID,
        "privacy": True,
        "codecs": ("G722", "PCMA", "PCMU"),
        "public_address": "203.0.113.254",
    }
    await bench.set_up(sipp.refuses("486 Busy Here"), trunk=facts)
    trunk = Trunk("t", "t", (TrunkUri("127.0.0.1", bench.carrier.port),), **facts)
    call_id = "call_01K9Z3N4V5W6X7Y8Z9A0B1C2D3"
    value = next(n for n in range(256, 0, -1) if fits(trunk, call_id, n))
    headers = uri.headers(call_id, trunk, (("User-to-User", "a" * value),), caller=OURS)

    await bench.call(from_uri=uri.from_uri(OURS, trunk), headers=headers)

    lines = bench.carrier.received("INVITE")[0].text.splitlines()
    assert 1200 < sum(len(line.encode()) + 2 for line in lines) < 1300


async def test_the_trunks_timer_b_ends_a_call_that_nobody_answers(bench: Bench) -> None:
    await bench.set_up(sipp.is_silent(), trunk={"timers": Timers(b_ms=1200)})

    _, end = await bench.call()

    assert end.why is Why.TRUNK_SILENT
    assert 1 <= len(bench.carrier.received("INVITE")) <= 2  # at 0, 0.5 and 1.5 s
