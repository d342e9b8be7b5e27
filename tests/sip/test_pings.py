"""A trunk's pings against Kamailio: over TLS by the trunk's own rules, and by its outbound proxy."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sip.options import WITHIN_S
from sip.trunk import OptionsPing, Tls, Transport, Trunk, TrunkUri
from tests.authority import Issued, authority, issue
from tests.kamailio import KAMAILIO, Kamailio
from tests.until import until
from voice.health import Target, watch, why_down

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(KAMAILIO is None, reason="Kamailio is missing: make peers"),
]
RULES = OptionsPing(interval_s=WITHIN_S, fail_after=1, recover_after=1)  # a shorter one would wait for less


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as one:
        yield one


class Watched:
    """What is known of the trunk's one target, after each ping."""

    def __init__(self) -> None:
        self.told: list[Mapping[TrunkUri, Target]] = []

    @property
    def last(self) -> Target:
        (one,) = self.told[-1].values()
        return one

    async def one_more(self) -> Target:
        known = len(self.told)
        await until(lambda: len(self.told) > known)
        return self.last


@asynccontextmanager
async def watching(trunk: Trunk) -> AsyncIterator[Watched]:
    found = Watched()
    task = asyncio.create_task(watch(trunk, RULES, found.told.append), name="pinging")
    try:
        await found.one_more()
        yield found
    finally:
        task.cancel()


def over_tls(port: int, rules: Tls) -> Trunk:
    return Trunk("t", "t", (TrunkUri("localhost", port, Transport.TLS),), tls=rules, options_ping=RULES)


async def test_a_target_over_tls_is_asked_by_the_trunks_rules_which_are_read_once(
    stack: AsyncExitStack, ours: Issued, tmp_path: Path
) -> None:
    issuers = tmp_path / "issuers.pem"
    issuers.write_bytes(ours.certificate.read_bytes())
    theirs = issue(tmp_path, ours, "localhost")
    door = await stack.enter_async_context(Kamailio(tmp_path, certificate=theirs))

    async with watching(over_tls(door.tls, Tls(ca=str(issuers)))) as found:
        first = found.last
        issuers.unlink()
        second = await found.one_more()

    assert [(one.up, one.code, one.misses, one.why) for one in (first, second)] == [(True, 200, 0, "")] * 2
    assert {row[0] for row in door.saw("OPTIONS")} == {"tls"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong name", "The certificate is for another name than localhost."),
        ("untrusted", "The certificate's issuer is not among those we trust."),
        ("expired", "The certificate has expired."),
    ],
)
async def test_a_certificate_that_is_not_believed_is_a_miss_in_words(
    stack: AsyncExitStack, ours: Issued, tmp_path: Path, fault: str, words: str
) -> None:
    theirs = issue(
        tmp_path,
        authority(tmp_path, "stranger") if fault == "untrusted" else ours,
        "other.example" if fault == "wrong name" else "localhost",
        days=-1 if fault == "expired" else 2,
    )
    door = await stack.enter_async_context(Kamailio(tmp_path, certificate=theirs))

    async with watching(over_tls(door.tls, Tls(ca=str(ours.certificate)))) as found:
        await until(lambda: not found.last.up)

    assert found.last.why == words
    assert why_down(found.told[-1], RULES) == f"OPTIONS unanswered, {found.last.misses} times in a row: {words}"
    assert door.saw("OPTIONS") == []


async def test_a_trunk_that_is_not_verified_is_asked_whoever_it_is(
    stack: AsyncExitStack, ours: Issued, tmp_path: Path
) -> None:
    theirs = issue(tmp_path, authority(tmp_path, "stranger"), "other.example")
    door = await stack.enter_async_context(Kamailio(tmp_path, certificate=theirs))

    async with watching(over_tls(door.tls, Tls(verify=False, ca=str(ours.certificate)))) as found:
        assert (found.last.code, found.last.why) == (200, "")


@pytest.mark.parametrize("shown", [True, False])
async def test_a_trunk_that_asks_who_we_are_is_told(
    stack: AsyncExitStack, ours: Issued, tmp_path: Path, shown: bool
) -> None:
    theirs, mine = issue(tmp_path, ours, "localhost"), issue(tmp_path, ours, "tocsin.example", name="mine")
    door = await stack.enter_async_context(Kamailio(tmp_path, certificate=theirs, clients_of=ours.certificate))
    rules = Tls(ca=str(ours.certificate), client_cert=str(mine.both) if shown else "")

    async with watching(over_tls(door.tls, rules)) as found:
        assert (found.last.code, bool(found.last.why)) == ((200, False) if shown else (None, True))


async def test_a_file_that_is_missing_is_named_and_read_when_it_is_there(
    stack: AsyncExitStack, ours: Issued, tmp_path: Path
) -> None:
    issuers = tmp_path / "later.pem"
    door = await stack.enter_async_context(Kamailio(tmp_path, certificate=issue(tmp_path, ours, "localhost")))

    async with watching(over_tls(door.tls, Tls(ca=str(issuers)))) as found:
        assert "later.pem cannot be read" in found.last.why
        issuers.write_bytes(ours.certificate.read_bytes())
        await until(lambda: found.last.code == 200)


@pytest.mark.parametrize("over", list(Transport))
async def test_pings_go_by_the_outbound_proxy_and_it_is_the_one_that_is_believed(
    stack: AsyncExitStack, ours: Issued, tmp_path: Path, over: Transport
) -> None:
    theirs = issue(tmp_path, ours, "localhost")
    door = await stack.enter_async_context(Kamailio(tmp_path, certificate=theirs))
    port = {Transport.UDP: door.udp, Transport.TCP: door.tcp, Transport.TLS: door.tls}[over]
    trunk = over_tls(port, Tls(ca=str(ours.certificate)))
    trunk = replace(trunk, uris=(TrunkUri("trunk.invalid", 5060, over),), outbound_proxy=f"localhost:{port}")

    async with watching(trunk) as found:
        assert (found.last.code, found.last.why) == (200, "")

    parameter = "" if over is Transport.UDP else f";transport={over.value}"
    assert door.saw("OPTIONS")[0][:3] == [over.value, "OPTIONS", f"sip:trunk.invalid:5060{parameter}"]
