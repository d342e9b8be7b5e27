"""What both leases of a registration keep: the one in Valkey, and its twin in memory."""

import asyncio
from dataclasses import replace

import pytest

from sip.events import Registered, RegistrationState
from sip.registrar import Holding
from tests.valkey import TestValkey
from voice.registration_lease import NOBODY, MemoryRegistrationLeases, RegistrationLeases, ValkeyRegistrationLeases

OURS = Holding("us:1", RegistrationState(Registered.YES, 5.5, 200, "OK", 305.5, 0, 245.5))
THEIRS = Holding("them:2", RegistrationState(Registered.AUTH_REJECTED, 6.0, 401, "Unauthorized", None, 1), "refused")


@pytest.fixture(params=["memory", "valkey"])
def leases(request: pytest.FixtureRequest) -> RegistrationLeases:
    if request.param == "memory":
        return MemoryRegistrationLeases()
    valkey: TestValkey = request.getfixturevalue("valkey")
    return ValkeyRegistrationLeases(valkey.redis, valkey.prefix)


async def test_of_many_who_ask_at_once_one_has_it_and_the_others_hear_who(leases: RegistrationLeases) -> None:
    asking = [leases.hold("a", str(n), replace(OURS, holder=f"dialer {n}")) for n in range(8)]
    answers = await asyncio.gather(*asking)

    [winner] = [n for n, answer in enumerate(answers) if answer is None]
    assert {answer.holder for answer in answers if answer} == {f"dialer {winner}"}


async def test_whoever_has_it_renews_it_and_what_it_says_is_what_the_others_hear(leases: RegistrationLeases) -> None:
    assert await leases.hold("a", "ours", OURS) is None
    assert await leases.hold("a", "ours", replace(THEIRS, holder="us:1")) is None
    assert await leases.hold("a", "theirs", THEIRS) == replace(THEIRS, holder="us:1")
    assert await leases.hold("a", "theirs", THEIRS, take=False) == replace(THEIRS, holder="us:1")


async def test_whoever_only_looks_takes_nothing(leases: RegistrationLeases) -> None:
    assert await leases.hold("a", "ours", OURS, take=False) == NOBODY
    assert await leases.hold("a", "theirs", THEIRS) is None


async def test_what_was_given_up_is_free_at_once(leases: RegistrationLeases) -> None:
    await leases.hold("a", "ours", OURS)
    await leases.give_up("a", "ours")
    await leases.give_up("a", "ours")

    assert await leases.hold("a", "theirs", THEIRS) is None


async def test_a_late_word_of_an_old_tenure_moves_nobody(leases: RegistrationLeases) -> None:
    await leases.hold("a", "ours", OURS)
    await leases.give_up("a", "ours")
    await leases.hold("a", "theirs", THEIRS)

    await leases.give_up("a", "ours")

    assert await leases.hold("a", "ours", OURS) == THEIRS


async def test_each_trunk_has_a_lease_of_its_own(leases: RegistrationLeases) -> None:
    assert await leases.hold("a", "ours", OURS) is None
    assert await leases.hold("b", "theirs", THEIRS) is None
