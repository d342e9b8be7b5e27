"""The lease of a registration in Valkey: it ends by itself, by the server's clock."""

from sip.registrar import Holding
from tests.until import until
from tests.valkey import TestValkey
from voice.registration_lease import LEASE_S, NOBODY, ValkeyRegistrationLeases

OURS, THEIRS = Holding("us:1", NOBODY.state), Holding("them:2", NOBODY.state)


async def test_a_holder_that_is_silent_loses_it_and_each_word_begins_it_anew(valkey: TestValkey) -> None:
    leases = ValkeyRegistrationLeases(valkey.redis, valkey.prefix)
    key = f"{valkey.prefix}registers:a"
    await leases.hold("a", "ours", OURS)
    left_ms = await valkey.redis.pttl(key)
    await valkey.redis.pexpire(key, 50)  # as if the rest of its time had passed

    async def taken() -> bool:
        return await leases.hold("a", "theirs", THEIRS) is None

    await until(taken, 5)
    assert 0 < left_ms <= LEASE_S * 1000
    assert await leases.hold("a", "ours", OURS) == THEIRS
    await valkey.redis.pexpire(key, 5000)
    await leases.hold("a", "theirs", THEIRS)
    assert await valkey.redis.pttl(key) > 5000
