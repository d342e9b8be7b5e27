"""SIP over TCP and TLS: a trunk whose certificate is right is called, every other one is refused, in words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sip.events import Ended, Origin, Phase, Trace
from sip.line import LinesDown
from sip.lines import Lines
from sip.outcomes import Again, Cause, judge
from sip.trunk import Tls, Transport, Trunk, TrunkUri
from tests import sipp
from tests.authority import Issued, authority, issue
from tests.kamailio import KAMAILIO, NOBODY, Kamailio
from tests.sip.bench import Bench

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(KAMAILIO is None or sipp.SIPP is None, reason="Kamailio or SIPp is missing: make peers"),
]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as one:
        yield one


async def lines_to(stack: AsyncExitStack, trunk: Trunk, directory: Path) -> Lines:
    lines = Lines(trunk, most=4, journal_dir=directory / "journal")
    stack.push_async_callback(lines.aclose)
    await lines.start()
    return lines


def over_tls(port: int, ca: Path, host: str = "localhost") -> Trunk:
    return Trunk("t", "t", (TrunkUri(host, port, Transport.TLS),), cps=20.0, tls=Tls(ca=str(ca)))


async def call(bench: Bench, lines: Lines, uri: str) -> tuple[list[Trace], Ended]:
    async with asyncio.timeout(20):
        leg = await lines.dial(replace(bench.dial(), uri=uri))
        events = [event async for event in leg.events()]
    assert isinstance(events[-1], Ended)
    return [event for event in events if isinstance(event, Trace)], events[-1]


@pytest.mark.parametrize("over", [Transport.TCP, Transport.TLS])
async def test_a_call_over_a_connection_is_heard_to_its_end(
    bench: Bench, ear: sipp.Ear, stack: AsyncExitStack, ours: Issued, tmp_path: Path, over: Transport
) -> None:
    await bench.set_up(sipp.answers(ear.port))
    theirs = issue(tmp_path, ours, "localhost")
    door = await stack.enter_async_context(Kamailio(tmp_path, carrier=bench.carrier.port, certificate=theirs))
    port = door.tls if over is Transport.TLS else door.tcp
    trunk = replace(over_tls(port, ours.certificate), uris=(TrunkUri("localhost", port, over),))
    lines = await lines_to(stack, trunk, tmp_path)

    seen, end = await call(bench, lines, f"sip:2348020000000@localhost:{port};transport={over.value}")

    assert (end.code, end.played_to_end, end.sent) == (200, True, True), end
    assert [row[0] for row in door.saw("INVITE")] == [over.value]
    assert [row[0] for row in door.saw("BYE")] == [over.value]
    assert len(ear.packets) > 40
    assert max(len(row.text) for row in seen) < 1300


async def test_calls_follow_each_other_on_one_connection(
    bench: Bench, stack: AsyncExitStack, ours: Issued, tmp_path: Path
) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"))
    theirs = issue(tmp_path, ours, "localhost")
    door = await stack.enter_async_context(Kamailio(tmp_path, on_invite=NOBODY, certificate=theirs))
    lines = await lines_to(stack, over_tls(door.tls, ours.certificate), tmp_path)
    uri = f"sip:2348020000000@localhost:{door.tls};transport=tls"

    ends = [(await call(bench, lines, uri))[1] for _ in range(3)]

    assert {(end.code, end.origin) for end in ends} == {(486, Origin.REMOTE)}
    assert len(door.saw("INVITE")) == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong name", "for another name than localhost"),
        ("untrusted", "not among those we trust"),
        ("expired", "has expired"),
    ],
)
async def test_a_wrong_certificate_ends_the_call_in_words(
    bench: Bench, stack: AsyncExitStack, ours: Issued, tmp_path: Path, fault: str, words: str
) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"))
    theirs = issue(
        tmp_path,
        authority(tmp_path, "stranger") if fault == "untrusted" else ours,
        "other.example" if fault == "wrong name" else "localhost",
        days=-1 if fault == "expired" else 2,
    )
    door = await stack.enter_async_context(Kamailio(tmp_path, on_invite=NOBODY, certificate=theirs))
    lines = await lines_to(stack, over_tls(door.tls, ours.certificate), tmp_path)
    (pid,) = lines.pids()

    _, end = await call(bench, lines, f"sip:2348020000000@localhost:{door.tls};transport=tls")

    outcome = judge(end, rang=False, answered=False)
    assert words in (end.error or ""), end
    assert (end.sent, end.origin, end.phase) == (False, Origin.LOCAL, Phase.SILENT)
    assert (outcome.cause, outcome.again) == (Cause.TRUNK_UNREACHABLE, Again.NEXT_TRUNK)
    assert door.saw("INVITE") == []
    assert lines.pids() == (pid,)


async def test_nobody_at_the_port_is_told_from_a_wrong_certificate(
    bench: Bench, stack: AsyncExitStack, ours: Issued, tmp_path: Path
) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"))
    lines = await lines_to(stack, over_tls(9, ours.certificate), tmp_path)

    _, end = await call(bench, lines, "sip:2348020000000@localhost:9;transport=tls")

    assert "refused" in (end.error or "").lower(), end
    assert not end.sent
    assert judge(end, rang=False, answered=False).cause is Cause.TRUNK_UNREACHABLE


@pytest.mark.parametrize("shown", [True, False])
async def test_a_trunk_may_ask_who_we_are(
    bench: Bench, stack: AsyncExitStack, ours: Issued, tmp_path: Path, shown: bool
) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"))
    theirs, mine = issue(tmp_path, ours, "localhost"), issue(tmp_path, ours, "tocsin.example", name="mine")
    door = await stack.enter_async_context(
        Kamailio(tmp_path, on_invite=NOBODY, certificate=theirs, clients_of=ours.certificate)
    )
    trunk = over_tls(door.tls, ours.certificate)
    if shown:
        trunk = replace(trunk, tls=replace(trunk.tls, client_cert=str(mine.both)))
    lines = await lines_to(stack, trunk, tmp_path)

    _, end = await call(bench, lines, f"sip:2348020000000@localhost:{door.tls};transport=tls")

    assert (end.code == 486) is shown, end


async def test_without_a_file_of_issuers_nothing_is_dialled(tmp_path: Path) -> None:
    lines = Lines(over_tls(5061, tmp_path / "missing.pem"), most=4, journal_dir=tmp_path)

    with pytest.raises(LinesDown, match=r"missing\.pem cannot be read"):
        await lines.start()


async def test_an_outbound_proxy_gets_every_request_first(
    bench: Bench, stack: AsyncExitStack, ours: Issued, tmp_path: Path
) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"))
    door = await stack.enter_async_context(Kamailio(tmp_path, on_invite=NOBODY))
    trunk = Trunk("t", "t", (TrunkUri("trunk.invalid"),), cps=20.0, outbound_proxy=f"localhost:{door.udp}")
    lines = await lines_to(stack, trunk, tmp_path)

    seen, end = await call(bench, lines, "sip:2348020000000@trunk.invalid:5060")

    assert end.code == 486
    assert [row[2] for row in door.saw("INVITE")] == ["sip:2348020000000@trunk.invalid:5060"]
    assert f"Route: <sip:127.0.0.1:{door.udp};lr>" in seen[0].text


@pytest.mark.parametrize("over", [Transport.TCP, Transport.TLS])
async def test_the_trunk_hangs_up_over_the_connection_that_we_opened(
    bench: Bench, ear: sipp.Ear, stack: AsyncExitStack, ours: Issued, tmp_path: Path, over: Transport
) -> None:
    await bench.set_up(sipp.answers_and_hangs_up(ear.port, 400, by_proxy=True))
    theirs = issue(tmp_path, ours, "localhost")
    door = await stack.enter_async_context(Kamailio(tmp_path, carrier=bench.carrier.port, certificate=theirs))
    port = door.tls if over is Transport.TLS else door.tcp
    trunk = replace(over_tls(port, ours.certificate), uris=(TrunkUri("localhost", port, over),))
    lines = await lines_to(stack, trunk, tmp_path)

    dial = replace(
        bench.dial(audio=sipp.tone(tmp_path / "long.wav", 5000)),
        uri=f"sip:2348020000000@localhost:{port};transport={over.value}",
    )
    async with asyncio.timeout(20):
        leg = await lines.dial(dial)
        events = [event async for event in leg.events()]

    end = events[-1]
    assert isinstance(end, Ended)
    assert (end.code, end.by_us, end.q850) == (200, False, 16), end
    assert [row[0] for row in door.saw("BYE")] == ["udp"]  # from the carrier; it was passed on, or we had not ended


@pytest.mark.parametrize("over", list(Transport))
async def test_behind_nat_the_contact_is_the_public_address(
    bench: Bench, stack: AsyncExitStack, ours: Issued, tmp_path: Path, over: Transport
) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"))
    theirs = issue(tmp_path, ours, "localhost")
    door = await stack.enter_async_context(Kamailio(tmp_path, on_invite=NOBODY, certificate=theirs))
    port = {Transport.UDP: door.udp, Transport.TCP: door.tcp, Transport.TLS: door.tls}[over]
    trunk = replace(over_tls(port, ours.certificate), uris=(TrunkUri("localhost", port, over),))
    lines = await lines_to(stack, replace(trunk, public_address="203.0.113.7"), tmp_path)

    seen, end = await call(bench, lines, f"sip:2348020000000@localhost:{port};transport={over.value}")

    assert end.code == 486
    assert "\nContact: <sip:tocsin@203.0.113.7:" in seen[0].text.replace("\r", "")
    assert "127.0.0.1" not in seen[0].text.partition("v=0")[2]
