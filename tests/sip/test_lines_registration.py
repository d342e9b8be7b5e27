"""Registration at a real registrar: held, refreshed, taken back, and never a storm when the login is wrong."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sip.events import Ended, Registered, RegistrationState
from sip.lines import Lines
from sip.trunk import Credentials, OnForbidden, Register, Registration, Tls, Transport, Trunk, TrunkType, TrunkUri
from tests import sipp
from tests.authority import authority, issue
from tests.kamailio import KAMAILIO, NOBODY, Kamailio
from tests.sip.bench import Bench
from tests.until import time_passes

pytestmark = [
    pytest.mark.sip,
    pytest.mark.peer,
    pytest.mark.skipif(KAMAILIO is None or sipp.SIPP is None, reason="Kamailio or SIPp is missing: make peers"),
]
REALM, USER, PASSWORD = "trunk.example", "lagos-1", "open sesame"

REGISTRAR = f"""
    if (!pv_www_authenticate("{REALM}", "{PASSWORD}", "0")) {{ www_challenge("{REALM}", "1"); exit; }}
    save("location");
"""
NEEDS_LOGIN = f"""
    if (!pv_proxy_authenticate("{REALM}", "{PASSWORD}", "0")) {{ proxy_challenge("{REALM}", "1"); exit; }}
"""


class Trunks:
    """A door that registers, and lines behind it."""

    def __init__(self, stack: AsyncExitStack, directory: Path) -> None:
        self._stack, self.directory = stack, directory

    async def door(self, **options: Any) -> Kamailio:
        made = Kamailio(self.directory, **{"on_register": REGISTRAR, "on_invite": NOBODY} | options)
        return await self._stack.enter_async_context(made)

    async def lines(self, port: int, over: Transport = Transport.UDP, **changes: Any) -> Lines:
        facts = {
            "type": TrunkType.REGISTER,
            "registration": Registration.ONE,
            "cps": 20.0,
            "auth": Credentials(USER, REALM, PASSWORD),
            "register": Register(expires_s=300, retry_base_s=0.2, retry_max_s=1.0),
        }
        trunk = Trunk("lagos-1", "lagos-1", (TrunkUri("localhost", port, over),), **facts | changes)
        lines = Lines(trunk, most=8, journal_dir=self.directory / "journal")
        self._stack.push_async_callback(lines.aclose)
        await lines.start()
        return lines


@pytest.fixture
async def trunks(tmp_path: Path) -> AsyncIterator[Trunks]:
    async with AsyncExitStack() as stack:
        yield Trunks(stack, tmp_path)


async def standing(lines: Lines, wanted: Registered, within_s: float = 15.0, **facts: object) -> RegistrationState:
    """The first state that is this one, and says so."""
    assert lines.registrar is not None
    seen: list[RegistrationState] = []
    try:
        async with asyncio.timeout(within_s):
            async for state in lines.registrar.watch():
                seen.append(state)
                if state.state is wanted and all(getattr(state, name) == value for name, value in facts.items()):
                    return state
    except TimeoutError:
        pass
    raise AssertionError(f"never {wanted}: {seen}")


@pytest.mark.parametrize("over", list(Transport))
async def test_it_registers_refreshes_and_takes_it_back(trunks: Trunks, over: Transport) -> None:
    ours = authority(trunks.directory)
    door = await trunks.door(certificate=issue(trunks.directory, ours, "localhost"))
    port = {Transport.UDP: door.udp, Transport.TCP: door.tcp, Transport.TLS: door.tls}[over]
    lines = await trunks.lines(
        port,
        over,
        register=Register(expires_s=3),
        tls=Tls(ca=str(ours.certificate)),
    )

    first = await standing(lines, Registered.YES)
    second = await standing(lines, Registered.YES, expires_at=await refreshed(lines, first))
    await lines.aclose()

    seen = door.saw("REGISTER")
    assert {row[0] for row in seen} == {over.value}
    assert first.expires_at is not None
    assert first.expires_at - first.at == 3
    assert second.at - first.at == pytest.approx(2.4, abs=0.7)
    assert [bool(row[4]) for row in seen[:2]] == [False, True]  # asked, and logged in
    assert [row[3] for row in seen][-1] == "0"
    assert lines.registrar is not None
    ladder = "\n".join(row.text for row in lines.registrar.ladder())
    assert {row.call_id for row in lines.registrar.ladder()} == {"lagos-1"}
    assert "REGISTER sip:localhost" in ladder
    assert "SIP/2.0 401" in ladder
    assert "response=" not in ladder
    assert "reg-id" not in ladder
    assert f"<sip:{USER}@localhost>" in ladder


async def refreshed(lines: Lines, before: RegistrationState) -> float | None:
    assert lines.registrar is not None
    async with asyncio.timeout(10):
        async for state in lines.registrar.watch():
            if state.state is Registered.YES and state.expires_at != before.expires_at:
                return state.expires_at
    return None


async def test_a_wrong_password_is_tried_once_and_never_again(trunks: Trunks) -> None:
    """H5: two requests, one of them with the login; the retries of an unreachable trunk do not apply."""
    door = await trunks.door()
    lines = await trunks.lines(door.udp, auth=Credentials(USER, REALM, "wrong"))

    state = await standing(lines, Registered.AUTH_REJECTED)
    await time_passes(1.5)

    assert (state.last_code, state.last_reason, state.next_action_at) == (401, "Unauthorized", None)
    seen = door.saw("REGISTER")
    assert len(seen) == 2
    assert sum(bool(row[4]) for row in seen) == 1
    assert lines.registrar is not None
    assert lines.registrar.state() == state


async def test_the_operator_may_ask_again_after_a_wrong_password(trunks: Trunks) -> None:
    door = await trunks.door()
    lines = await trunks.lines(door.udp, auth=Credentials(USER, REALM, "wrong"))
    await standing(lines, Registered.AUTH_REJECTED)

    lines.register()
    await standing(lines, Registered.AUTH_REJECTED, failures=2)

    assert sum(bool(row[4]) for row in door.saw("REGISTER")) == 2


async def test_a_forbidden_login_is_retried_only_where_the_trunk_says_so(trunks: Trunks) -> None:
    door = await trunks.door(on_register='sl_send_reply("403", "Forbidden");')
    rules = Register(retry_base_s=0.2, retry_max_s=0.4, forbidden=OnForbidden.RETRY)
    lines = await trunks.lines(door.udp, register=rules)

    state = await standing(lines, Registered.AUTH_REJECTED, failures=3)

    assert state.last_code == 403
    assert state.next_action_at is not None
    assert len(door.saw("REGISTER")) == 3


async def test_another_realm_gets_no_login(trunks: Trunks) -> None:
    """R3: whoever asks for a digest of another realm gets none, not even a wrong one."""
    door = await trunks.door(on_register='www_challenge("attacker.example", "1"); exit;')
    lines = await trunks.lines(door.udp)

    state = await standing(lines, Registered.AUTH_REJECTED)
    await time_passes(0.5)

    assert "asks for the realm attacker.example, the trunk's login is for trunk.example" in state.last_reason
    assert [row[4] for row in door.saw("REGISTER")] == [""]


async def test_an_unreachable_registrar_is_not_a_wrong_password(trunks: Trunks) -> None:
    lines = await trunks.lines(9, Transport.TCP)

    state = await standing(lines, Registered.UNREACHABLE, failures=2)

    assert state.last_code == 0
    assert "refused" in state.last_reason.lower()
    assert state.next_action_at is not None


async def test_a_wrong_certificate_is_said_in_words(trunks: Trunks) -> None:
    ours = authority(trunks.directory)
    door = await trunks.door(certificate=issue(trunks.directory, ours, "other.example"))
    lines = await trunks.lines(door.tls, Transport.TLS, tls=Tls(ca=str(ours.certificate)))

    state = await standing(lines, Registered.UNREACHABLE)

    assert "for another name than localhost" in state.last_reason
    assert door.saw("REGISTER") == []


async def test_a_registrar_that_wants_longer_is_obeyed(trunks: Trunks) -> None:
    brief = 'if ($(hdr(Expires){s.int}) < 90) { append_to_reply("Min-Expires: 90\\r\\n"); '
    brief += 'sl_send_reply("423", "Interval Too Brief"); exit; }'
    door = await trunks.door(on_register=brief + REGISTRAR)
    lines = await trunks.lines(door.udp, register=Register(expires_s=60))

    state = await standing(lines, Registered.YES)

    assert state.expires_at is not None
    assert state.expires_at - state.at == 90
    assert [row[3] for row in door.saw("REGISTER")] == ["60", "90", "90"]


async def test_a_439_does_not_end_it_for_good(trunks: Trunks) -> None:
    """A registrar that knows no RFC 5626; the library alone would never register again (pjproject 5146)."""
    once = 'if ($shv(asked) == 0) { $shv(asked) = 1; sl_send_reply("439", "First Hop Lacks Outbound"); exit; }'
    door = await trunks.door(on_register=once + REGISTRAR)
    lines = await trunks.lines(door.udp)

    await standing(lines, Registered.UNREACHABLE, last_code=439)
    await standing(lines, Registered.YES)

    assert lines.registrar is not None
    assert not any("outbound" in row.text for row in lines.registrar.ladder() if row.sent)


async def test_calls_log_in_at_the_trunk_that_registered_us(bench: Bench, ear: sipp.Ear, trunks: Trunks) -> None:
    await bench.set_up(sipp.answers(ear.port))
    door = await trunks.door(on_invite=NEEDS_LOGIN, carrier=bench.carrier.port)
    lines = await trunks.lines(door.udp)
    await standing(lines, Registered.YES)

    async with asyncio.timeout(20):
        leg = await lines.dial(replace(bench.dial(), uri=f"sip:2348020000000@localhost:{door.udp}"))
        events = [event async for event in leg.events()]

    end = events[-1]
    assert isinstance(end, Ended)
    assert (end.code, end.played_to_end) == (200, True)
    assert [bool(row[4]) for row in door.saw("INVITE")] == [False, True]
    assert len(lines.pids()) == 1  # the process that registers places no calls


async def test_a_wrong_password_ends_a_call_after_one_login(bench: Bench, trunks: Trunks) -> None:
    await bench.set_up(sipp.refuses("486 Busy Here"))
    door = await trunks.door(on_invite=NEEDS_LOGIN)
    lines = await trunks.lines(door.udp, auth=Credentials(USER, REALM, "wrong"), registration=Registration.NONE)

    async with asyncio.timeout(20):
        leg = await lines.dial(replace(bench.dial(), uri=f"sip:2348020000000@localhost:{door.udp}"))
        events = [event async for event in leg.events()]
    await time_passes(0.5)

    assert isinstance(events[-1], Ended)
    assert events[-1].code == 407
    assert [bool(row[4]) for row in door.saw("INVITE")] == [False, True]


async def test_it_is_taken_back_and_begun_again_by_word(trunks: Trunks) -> None:
    door = await trunks.door()
    lines = await trunks.lines(door.udp)
    await standing(lines, Registered.YES)

    lines.unregister()
    await standing(lines, Registered.STOPPED)
    await time_passes(0.5)
    assert [row[3] for row in door.saw("REGISTER")][-1] == "0"
    lines.register()

    await standing(lines, Registered.YES)


async def test_a_dead_registrar_process_is_replaced(trunks: Trunks) -> None:
    door = await trunks.door()
    lines = await trunks.lines(door.udp)
    await standing(lines, Registered.YES)
    assert lines._front is not None
    assert lines._front.process is not None

    os.kill(lines._front.process.pid, signal.SIGKILL)
    await standing(lines, Registered.UNREACHABLE)

    await standing(lines, Registered.YES)
    assert len(lines.pids()) == 1


async def test_every_line_process_may_register_for_itself(bench: Bench, ear: sipp.Ear, trunks: Trunks) -> None:
    await bench.set_up(sipp.answers(ear.port))
    door = await trunks.door(on_invite="", carrier=bench.carrier.port)
    lines = await trunks.lines(door.udp, registration=Registration.EVERY_LINE)
    await standing(lines, Registered.YES)

    async with asyncio.timeout(20):
        leg = await lines.dial(replace(bench.dial(), uri=f"sip:2348020000000@localhost:{door.udp}"))
        events = [event async for event in leg.events()]
    await lines.aclose()

    assert isinstance(events[-1], Ended)
    assert events[-1].code == 200
    assert [row[3] for row in door.saw("REGISTER")][-1] == "0"


async def test_wanting_it_back_at_once_waits_for_the_answer(trunks: Trunks) -> None:
    door = await trunks.door()
    lines = await trunks.lines(door.udp)
    first = await standing(lines, Registered.YES)

    lines.unregister()
    await standing(lines, Registered.STOPPED)
    lines.register()
    again = await refreshed(lines, first)

    state = await standing(lines, Registered.YES, expires_at=again)
    assert state.failures == 0
    expires = [row[3] for row in door.saw("REGISTER")][2:]
    assert expires == sorted(expires, key=int)  # all of the taking back, then all of the new one
    assert (expires[0], expires[-1]) == ("0", "300")


async def test_a_connection_that_breaks_is_not_trusted_until_the_next_refresh(trunks: Trunks) -> None:
    """The registrar cannot ring us any more: five minutes of that would be five minutes of lost calls."""
    door = await trunks.door()
    lines = await trunks.lines(door.tcp, Transport.TCP)
    await standing(lines, Registered.YES)

    await door.__aexit__(None, None, None)

    state = await standing(lines, Registered.UNREACHABLE)
    assert state.last_reason
    assert state.next_action_at is not None


async def test_an_outbound_proxy_gets_the_register_too(trunks: Trunks) -> None:
    door = await trunks.door()
    rules = Register(registrar="registrar.invalid", expires_s=300)
    lines = await trunks.lines(door.udp, register=rules, outbound_proxy=f"localhost:{door.udp}")

    await standing(lines, Registered.YES)

    assert {row[2] for row in door.saw("REGISTER")} == {"sip:registrar.invalid"}


async def test_the_contact_is_the_one_the_trunk_wants(trunks: Trunks) -> None:
    door = await trunks.door()
    lines = await trunks.lines(door.udp, register=Register(contact="2347080670000"))

    await standing(lines, Registered.YES)

    assert lines.registrar is not None
    sent = [row.text for row in lines.registrar.ladder() if row.sent]
    assert all("Contact: <sip:2347080670000@127.0.0.1:" in text for text in sent)
    assert all(f"To: <sip:{USER}@localhost>" in text for text in sent)


async def test_a_hostile_registrar_ends_its_own_process_and_no_call(
    bench: Bench, ear: sipp.Ear, trunks: Trunks
) -> None:
    """CVE-2026-57161: a 200 with too many Service-Route headers. Whatever the library does, lines go on."""
    await bench.set_up(sipp.answers(ear.port))
    many = "".join(f'append_to_reply("Service-Route: <sip:hop{n}.example;lr>\\r\\n");' for n in range(40))
    door = await trunks.door(on_register=f"{many} {REGISTRAR}", on_invite="", carrier=bench.carrier.port)
    lines = await trunks.lines(door.udp)
    pids = lines.pids()
    await standing(lines, Registered.UNREACHABLE, last_reason="the process that held it died")

    async with asyncio.timeout(20):
        leg = await lines.dial(replace(bench.dial(), uri=f"sip:2348020000000@localhost:{door.udp}"))
        events = [event async for event in leg.events()]

    assert isinstance(events[-1], Ended)
    assert events[-1].played_to_end
    assert lines.pids() == pids
    before = len(door.saw("REGISTER"))
    await time_passes(3.0)
    assert len(door.saw("REGISTER")) - before <= 6  # two a life, each life later than the one before
