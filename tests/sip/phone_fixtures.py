"""Fixtures for tests of the catch-all phone, loaded with `pytest_plugins` by the modules that use them."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sip.sandbox.scripts import script_for
from tests.sip.caller import Caller, Rtp, udp
from tests.sip.phones import QUICK, MakeCaller, MakePhone, Reachable, RingingPhone


@pytest.fixture
async def make_phone(tmp_path: Path) -> AsyncIterator[MakePhone]:
    phones: list[RingingPhone] = []

    async def make(**options: object) -> RingingPhone:
        made = RingingPhone(tmp_path / f"heard-{len(phones)}", **{"timers": QUICK, "scripts": script_for, **options})
        made.port = await made.phone.start()
        phones.append(made)
        return made

    yield make
    for made in phones:
        await made.phone.aclose()


@pytest.fixture
async def phone(make_phone: MakePhone) -> RingingPhone:
    return await make_phone()


@pytest.fixture
async def make_caller() -> AsyncIterator[MakeCaller]:
    callers: list[Caller] = []
    numbers = itertools.count()

    async def make(phone: Reachable, number: str = "12025550100") -> Caller:
        sip, rtp, rtcp = await udp(), await udp(), await udp()
        caller = Caller(phone.port, *sip, rtp=Rtp(*rtp, *rtcp), number=number)
        caller.call_id = f"test-{next(numbers)}-{caller.port}"
        callers.append(caller)
        return caller

    yield make
    for caller in callers:
        for transport in (caller.wire, caller.rtp.rtp, caller.rtp.rtcp):
            transport.close()
