"""The self-test of a trunk, against real peers: the step that is broken is the step that the verdict names."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.children import free_port
from media.audio import from_pcm16
from media.speech import Sound
from media.tones import digits_in
from sip.events import Registered, RegistrationState
from sip.lines import Lines
from sip.sandbox.g711 import PCMA
from sip.trunk import Credentials, DtmfWay, Register, Registration, Tls, Transport, Trunk, TrunkType, TrunkUri
from tests import sipp
from tests.authority import authority, issue
from tests.baresip import BARESIP, Baresip
from tests.kamailio import KAMAILIO, Kamailio
from tests.sip.sounds import warble
from voice.selftest import Step, StepName, TrunkTest, Verdict
from voice.selftest_call import SETTLE_S
from voice.selftest_run import Bench, run

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        None in (KAMAILIO, sipp.SIPP, BARESIP), reason="Kamailio, SIPp or baresip is missing: make peers"
    ),
]

NUMBER = "2348020000000"
PASSWORD = "tr0ub4dor-and-3"
DIGEST = """
    if (!pv_www_authenticate("{realm}", "{password}", "0")) {{ www_challenge("{realm}", "0"); exit; }}
    if (!save("location")) {{ sl_reply_error(); }}
"""
REALM = "trunk.test"


@dataclass(slots=True)
class Place:
    """Where peers are started."""

    stack: AsyncExitStack
    folder: Path

    async def carrier(self, xml: str, *options: str) -> Trunk:
        uas = await self.stack.enter_async_context(sipp.Sipp(xml, self.folder, *options))
        return trunk_at(uas.port)

    async def ear(self, *, talks: bool = True) -> int:
        return (await self.stack.enter_async_context(sipp.Ear(talks=talks))).port

    async def door(self, host: str = "localhost", *, days: int = 2, stranger: bool = False, carrier: int = 9) -> Trunk:
        """Kamailio over TLS, and the trunk that believes our authority."""
        ours = authority(self.folder)
        by = authority(self.folder, "stranger") if stranger else ours
        theirs = issue(self.folder, by, host, days=days)
        door = await self.stack.enter_async_context(Kamailio(self.folder, certificate=theirs, carrier=carrier))
        return trunk_at(door.tls, host="localhost", transport=Transport.TLS, ca=str(ours.certificate))

    async def registrar(self, on_register: str, password: str = PASSWORD, realm: str = REALM) -> Trunk:
        door = await self.stack.enter_async_context(Kamailio(self.folder, on_register=on_register))
        return replace(
            trunk_at(door.udp),
            type=TrunkType.REGISTER,
            registration=Registration.ONE,
            auth=Credentials("alice", realm, password),
            register=Register(expires_s=60),
        )


def trunk_at(port: int, *, host: str = "127.0.0.1", transport: Transport = Transport.UDP, ca: str = "") -> Trunk:
    # Disabled: one tests before enabling.
    return Trunk("t", "t", (TrunkUri(host, port, transport),), enabled=False, tls=Tls(ca=ca))


async def made(
    trunk: Trunk, folder: Path, *, to: str = NUMBER, held: RegistrationState | None = None, all_s: float = 50.0
) -> TrunkTest:
    """The finished test; no password of the trunk stands in it."""
    now = datetime.now(UTC)
    test = TrunkTest("test_1", trunk.id, "main.live", "key_1", False, now, to, "2347080670000" if to else "")

    def open_lines(lent: Trunk, journal: Path) -> Lines:
        return Lines(lent, most=1, journal_dir=journal, settle_s=SETTLE_S)

    async def nobody(_: str) -> str | None:
        return None

    async def tell(step: Step) -> None:
        nonlocal test
        test = test.with_step(step)

    trouble = await run(test, trunk, Bench(open_lines, lambda _: held, nobody, all_s), tell)
    test = test.finished(datetime.now(UTC), trouble)
    assert PASSWORD not in str(test.as_object())
    return test


def told(test: TrunkTest) -> str:
    """For a test that fails."""
    return "\n".join(f"{step.name} {step.verdict} {step.ms} {step.what} | {step.fix}" for step in test.steps)


# -- each step broken in turn


async def _no_name(place: Place) -> Trunk:
    return trunk_at(5060, host="no-such-carrier.invalid")


async def _closed_port(place: Place) -> Trunk:
    return trunk_at(free_port(socket.SOCK_STREAM), transport=Transport.TCP)


async def _wrong_name(place: Place) -> Trunk:
    return await place.door("other.example")


async def _stranger(place: Place) -> Trunk:
    return await place.door(stranger=True)


async def _expired(place: Place) -> Trunk:
    return await place.door(days=-1)


async def _no_tls(place: Place) -> Trunk:
    door = await place.stack.enter_async_context(Kamailio(place.folder))
    ca = authority(place.folder).certificate
    return trunk_at(door.tcp, host="localhost", transport=Transport.TLS, ca=str(ca))


async def _no_issuers(place: Place) -> Trunk:
    trunk = await place.door()
    return replace(trunk, tls=Tls(ca=str(place.folder / "missing.pem")))


async def _swallows(place: Place) -> Trunk:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    place.stack.callback(transport.close)
    return trunk_at(transport.get_extra_info("sockname")[1])


async def _closed_to_udp(place: Place) -> Trunk:
    return trunk_at(free_port(socket.SOCK_DGRAM))


async def _overloaded(place: Place) -> Trunk:
    return await place.carrier(sipp.answers_options("503 Service Unavailable"))


async def _wrong_password(place: Place) -> Trunk:
    return await place.registrar(DIGEST.format(realm=REALM, password="another"))


async def _other_realm(place: Place) -> Trunk:
    return await place.registrar(DIGEST.format(realm="else.test", password=PASSWORD))


async def _forbidden(place: Place) -> Trunk:
    return await place.registrar('sl_send_reply("403", "Forbidden");')


async def _too_brief(place: Place) -> Trunk:
    return await place.registrar(
        'append_to_reply("Min-Expires: 60\\r\\n"); sl_send_reply("423", "Interval Too Brief");'
    )


async def _deaf_registrar(place: Place) -> Trunk:
    return await place.registrar("exit;")


async def _busy(place: Place) -> Trunk:
    return await place.carrier(sipp.beside_options(sipp.refuses("486 Busy Here")))


async def _no_capacity(place: Place) -> Trunk:
    return await place.carrier(sipp.beside_options(sipp.refuses("503 Service Unavailable")))


async def _no_number(place: Place) -> Trunk:
    return await place.carrier(sipp.beside_options(sipp.refuses("404 Not Found")))


async def _silent_media(place: Place) -> Trunk:
    return await place.carrier(sipp.beside_options(sipp.answers(await place.ear(talks=False))))


async def _no_keys(place: Place) -> Trunk:
    return await place.carrier(sipp.beside_options(sipp.answers(await place.ear(), keys=False)))


async def _info_refused(place: Place) -> Trunk:
    xml = sipp.answers_and_takes_info(await place.ear(), "415 Unsupported Media Type")
    return replace(await place.carrier(sipp.beside_options(xml)), dtmf=DtmfWay.INFO)


async def _no_goodbye(place: Place) -> Trunk:
    return await place.carrier(sipp.beside_options(sipp.answers_and_ignores_the_bye(await place.ear())))


@dataclass(frozen=True, slots=True)
class Broken:
    where: Callable[[Place], Awaitable[Trunk]]
    step: StepName
    what: str
    fix: str


BROKEN = (
    Broken(_no_name, StepName.DNS, r"No address is known for no-such-carrier\.invalid", "Correct the trunk's host"),
    Broken(_closed_port, StepName.CONNECT, "refuses connections", "port and transport"),
    Broken(_wrong_name, StepName.TLS, "for another name than localhost", "as the trunk's host"),
    Broken(_stranger, StepName.TLS, "issuer is not among those we trust", r"tls\.ca"),
    Broken(_expired, StepName.TLS, "has expired", "renew"),
    Broken(_no_tls, StepName.TLS, "does not speak TLS|closes the connection", "5061|this transport"),
    Broken(_no_issuers, StepName.TLS, r"missing\.pem cannot be read", r"Correct tls\.ca"),
    Broken(_swallows, StepName.OPTIONS, "Nothing came back to OPTIONS", "firewall"),
    Broken(_closed_to_udp, StepName.OPTIONS, "nobody listens there", "port and transport"),
    Broken(_overloaded, StepName.OPTIONS, "answered 503", "cannot take calls"),
    Broken(_wrong_password, StepName.REGISTER, "refused the login twice: 401", "username and password"),
    Broken(_other_realm, StepName.REGISTER, r"asks for another login.*else\.test", "into realm"),
    Broken(_forbidden, StepName.REGISTER, "forbids it: 403", "ask the carrier"),
    Broken(_too_brief, StepName.REGISTER, "wants longer registrations: 423", r"register\.expires"),
    Broken(_deaf_registrar, StepName.REGISTER, "Nothing came back to REGISTER", r"register\.registrar"),
    Broken(_busy, StepName.INVITE, "SIP 486 Busy Here: The phone is busy", "again"),
    Broken(_no_capacity, StepName.INVITE, "SIP 503 Service Unavailable", "ask the carrier"),
    Broken(_no_number, StepName.INVITE, "SIP 404 Not Found: That number does not exist", "Correct the number"),
    Broken(_silent_media, StepName.RTP, r"Nothing comes back: \d+ packets left, 0 came back", "NAT or a firewall"),
    Broken(_no_keys, StepName.DTMF, "no telephone-event", 'dtmf = "info"'),
    Broken(_info_refused, StepName.DTMF, "INFO with the key was answered 415", 'dtmf = "rfc4733"'),
    Broken(_no_goodbye, StepName.BYE, "BYE to .* got no answer within 4 s", "bill it"),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: one.where.__name__.strip("_"))
async def test_the_step_that_is_broken_is_the_step_that_the_verdict_names(broken: Broken, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        trunk = await broken.where(Place(stack, tmp_path))
        test = await made(trunk, tmp_path)

    failed = test.failed
    assert failed is not None, told(test)
    assert (failed.name, test.verdict, test.trouble) == (broken.step, Verdict.FAILED, ""), told(test)
    assert re.search(broken.what, failed.what), failed.what
    assert re.search(broken.fix, failed.fix), failed.fix
    assert [step.name for step in test.steps] == list(StepName)
    order = list(StepName).index(broken.step)
    assert all(step.verdict is not Verdict.FAILED for step in test.steps[:order]), told(test)
    assert {(step.verdict, step.what) for step in test.steps[order + 1 :]} <= {(Verdict.SKIPPED, "Not reached.")}
    assert test.summary.startswith(f"{broken.step} failed: ")


# -- nothing broken


async def test_with_an_echo_everything_is_ok(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = Place(stack, tmp_path)
        trunk = await place.carrier(sipp.beside_options(sipp.answers("[media_port]")), "-rtp_echo")
        test = await made(trunk, tmp_path)

    assert test.verdict is Verdict.OK, told(test)
    verdicts = {step.name: step.verdict for step in test.steps}
    skipped = {StepName.CONNECT, StepName.TLS, StepName.REGISTER}
    assert {name for name, verdict in verdicts.items() if verdict is Verdict.SKIPPED} == skipped
    assert {name for name, verdict in verdicts.items() if verdict is Verdict.OK} == set(StepName) - skipped
    rtp = next(step for step in test.steps if step.name is StepName.RTP)
    left, back = map(int, re.findall(r"(\d+) packets left, (\d+) came back", rtp.what)[0])
    assert left >= 100
    assert back >= 50


async def test_over_tls_to_a_phone_that_speaks_everything_is_ok(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        says = warble(tmp_path / "says.wav", 20.0, 300)
        phone = await stack.enter_async_context(Baresip(tmp_path, NUMBER, says=says))
        trunk = await Place(stack, tmp_path).door(carrier=phone.udp)
        test = await made(trunk, tmp_path)

    assert test.verdict is Verdict.OK, told(test)
    assert [step.name for step in test.steps if step.verdict is Verdict.SKIPPED] == [StepName.REGISTER]
    tls = next(step for step in test.steps if step.name is StepName.TLS)
    assert tls.what.startswith("TLSv1.2; the certificate is for localhost")


async def test_a_goodbye_that_takes_its_time_is_waited_for(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = Place(stack, tmp_path)
        xml = sipp.answers_and_is_slow_to_end(await place.ear(), 1500)
        test = await made(await place.carrier(sipp.beside_options(xml)), tmp_path)

    assert test.verdict is Verdict.OK, told(test)
    assert 1400 <= (test.steps[-1].ms or 0) < 1000 * SETTLE_S


async def test_a_far_end_that_hangs_up_first_breaks_nothing(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = Place(stack, tmp_path)
        xml = sipp.answers_and_hangs_up(await place.ear(), 1000)
        # A Call-ID of its own begins with OPTIONS: the note of the INVITE's Contact stands in the way there.
        test = await made(await place.carrier(xml), tmp_path)

    verdicts = {step.name: step.verdict for step in test.steps}
    assert verdicts[StepName.RTP] is Verdict.OK, told(test)
    assert verdicts[StepName.DTMF] is Verdict.SKIPPED, told(test)
    assert verdicts[StepName.BYE] is Verdict.OK, told(test)
    assert test.steps[-1].what == "The far end hung up first, and got our 200."


@pytest.mark.parametrize("way", DtmfWay)
async def test_a_key_goes_the_way_that_the_trunk_says(tmp_path: Path, way: DtmfWay) -> None:
    async with AsyncExitStack() as stack:
        ear = await stack.enter_async_context(sipp.Ear(talks=True))
        xml = {
            DtmfWay.RFC4733: sipp.answers(ear.port),
            DtmfWay.INFO: sipp.answers_and_takes_info(ear.port, "200 OK"),
            DtmfWay.INBAND: sipp.answers(ear.port, keys=False),
        }[way]
        uas = await stack.enter_async_context(sipp.Sipp(sipp.beside_options(xml), tmp_path))
        test = await made(replace(trunk_at(uas.port), dtmf=way), tmp_path)
        infos = [message.text.partition("\n\n")[2] for message in uas.received("INFO")]

    events = {packet.payload[0] for packet in ear.packets if packet.payload_type == 120}
    voice = PCMA.decode(b"".join(packet.payload for packet in ear.packets if packet.payload_type == 8))
    heard = digits_in(Sound(from_pcm16(voice), 8000))
    assert test.verdict is Verdict.OK, told(test)
    assert (events, heard, len(infos)) == {
        DtmfWay.RFC4733: ({5}, "", 0),
        DtmfWay.INFO: (set(), "", 1),
        DtmfWay.INBAND: (set(), "5", 0),
    }[way]
    assert all("Signal=5" in body.replace(" ", "") for body in infos)


async def test_a_trunk_that_answers_no_options_is_judged_by_its_call(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        place = Place(stack, tmp_path)
        trunk = await place.carrier(sipp.answers(await place.ear()))
        test = await made(trunk, tmp_path)

    assert test.verdict is Verdict.WARNING, told(test)
    [warned] = [step for step in test.steps if step.verdict is Verdict.WARNING]
    assert warned.name is StepName.OPTIONS
    assert "takes no OPTIONS" in warned.fix
    assert [step.name for step in test.steps] == list(StepName)


async def test_an_odd_answer_to_options_is_a_warning(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        trunk = await Place(stack, tmp_path).carrier(sipp.answers_options("404 Not Found"))
        test = await made(trunk, tmp_path, to="")

    assert test.verdict is Verdict.WARNING, told(test)
    assert test.summary == "It works; look at options."


# -- without a number


async def test_a_login_is_tried_and_taken_back_and_no_phone_is_rung_without_a_number(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(
            Kamailio(tmp_path, on_register=DIGEST.format(realm=REALM, password=PASSWORD))
        )
        trunk = replace(
            trunk_at(door.udp),
            type=TrunkType.REGISTER,
            registration=Registration.ONE,
            auth=Credentials("alice", REALM, PASSWORD),
        )
        test = await made(trunk, tmp_path, to="")
        expires = [row[3] for row in door.saw("REGISTER")]
        rung = door.saw("INVITE")

    assert test.verdict is Verdict.OK, told(test)
    assert test.summary == "Everything works up to register."
    assert expires[0] != "0"
    assert expires[-1] == "0"
    assert rung == []
    assert {step.what for step in test.steps[-4:]} == {'No number to ring was given: say "to", and a phone is rung.'}


async def test_a_registration_that_is_up_is_told_and_no_second_contact_is_made(tmp_path: Path) -> None:
    held = RegistrationState(Registered.YES, 1.0, 200, "OK", expires_at=2.0)
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(Kamailio(tmp_path))
        trunk = replace(
            trunk_at(door.udp),
            type=TrunkType.REGISTER,
            registration=Registration.ONE,
            auth=Credentials("alice", REALM, PASSWORD),
        )
        test = await made(trunk, tmp_path, to="", held=held)
        seen = door.saw("REGISTER")

    assert test.verdict is Verdict.OK, told(test)
    assert seen == []


async def test_a_test_that_takes_too_long_is_ended_and_says_where(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        trunk = await Place(stack, tmp_path).carrier(sipp.beside_options(sipp.rings_for_ever()))
        test = await made(trunk, tmp_path, all_s=3.0)

    assert test.verdict is Verdict.FAILED
    assert test.summary == "The test took longer than 3 s and was ended in the step invite."
