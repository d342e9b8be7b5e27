"""API keys: strong, shown once, stored as an HMAC, revoked within a second."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from messaging.accounts import (
    ALL_SCOPES,
    CACHE_S,
    Accounts,
    Mode,
    Principal,
    Scope,
    owner_mode,
)
from messaging.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from messaging.store import connect

PEPPER = b"0123456789abcdef0123456789abcdef"
STRONG = "tk_live_k7QzR2mW9xTb4NcV8sLd3F"


class MovableClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
        self.elapsed = 0.0

    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def forward(self, **parts: float) -> None:
        self.elapsed += timedelta(**parts).total_seconds()


@pytest.fixture
def clock():
    return MovableClock()


@pytest.fixture
def accounts(valkey, clock):
    return Accounts(valkey.redis, valkey.prefix, PEPPER, clock)


async def everything_stored(valkey) -> str:
    text = []
    async for key in valkey.redis.scan_iter(match=f"{valkey.prefix}*"):
        text += [key, str(await valkey.redis.hgetall(key))]
    return "\n".join(text)


async def test_a_new_key_says_who_is_calling(accounts):
    secret, key = await accounts.create("main", Mode.LIVE, "till", [Scope.SEND], expires_days=30)

    who = await accounts.who(secret)

    assert re.fullmatch(r"tk_live_[0-9A-Za-z]{32}", secret)
    assert who == Principal("main", Mode.LIVE, key.key_id, (Scope.SEND,))
    assert who.owner == "main.live"
    assert (key.name, key.hint, key.expires_at - key.created_at) == ("till", secret[-4:], timedelta(days=30))


async def test_the_store_never_sees_the_secret(accounts, valkey):
    secret, _ = await accounts.create("main", Mode.TEST, "till")
    await accounts.who(secret)

    stored = await everything_stored(valkey)

    assert secret not in stored
    assert secret.removeprefix("tk_test_") not in stored


async def test_another_pepper_knows_nobody(accounts, valkey, clock):
    secret, _ = await accounts.create("main", Mode.TEST, "till")

    assert await Accounts(valkey.redis, valkey.prefix, b"another pepper of 24 bytes", clock).who(secret) is None


@pytest.mark.parametrize(
    "secret", ["", "tk_test_", "tk_live_" + "x" * 32, "sk_live_1", "tk_test_\x00", "é", "tk_test_" * 999]
)
async def test_a_stranger_is_nobody(accounts, secret):
    assert await accounts.who(secret) is None


async def test_a_revoked_key_ends_within_a_second_in_every_process(accounts, valkey, clock):
    elsewhere = Accounts(valkey.redis, valkey.prefix, PEPPER, clock)
    secret, key = await accounts.create("main", Mode.TEST, "till")
    assert await elsewhere.who(secret)

    await accounts.revoke("main", key.key_id)
    here = await accounts.who(secret)
    clock.forward(seconds=1)

    assert here is None
    assert CACHE_S < 1
    assert await elsewhere.who(secret) is None


async def test_revoking_twice_keeps_the_first_time(accounts, clock):
    _, key = await accounts.create("main", Mode.TEST, "till")
    await accounts.revoke("main", key.key_id)
    first = clock.now()
    clock.forward(hours=1)

    await accounts.revoke("main", key.key_id)

    [listed] = await accounts.list("main")
    assert listed.revoked_at == first
    assert not listed.is_valid(clock.now())


async def test_nobody_revokes_another_accounts_key(accounts):
    secret, key = await accounts.create("main", Mode.TEST, "till")

    with pytest.raises(NotFound):
        await accounts.revoke("other", key.key_id)
    with pytest.raises(NotFound):
        await accounts.revoke("main", "key_none")

    assert await accounts.who(secret)


async def test_a_key_expires(accounts, clock):
    secret, _ = await accounts.create("main", Mode.TEST, "till", expires_days=1)

    clock.forward(days=1, seconds=-1)
    assert await accounts.who(secret)
    clock.forward(seconds=1)
    assert await accounts.who(secret) is None


@pytest.mark.parametrize("days", [0, -1, 366])
async def test_a_key_lives_at_most_a_year(accounts, days):
    with pytest.raises(Invalid) as invalid:
        await accounts.create("main", Mode.TEST, "till", expires_days=days)

    assert invalid.value.errors[0].pointer == "#/expires_days"


async def test_the_list_holds_each_key_without_its_secret(accounts):
    accounts.bootstrap(["tk_test_demo"], "main")
    made = [(await accounts.create("main", mode, f"key {mode}"))[1] for mode in Mode]
    await accounts.create("other", Mode.TEST, "not ours")

    listed = await accounts.list("main")

    # In the order of their ids, which two keys of one millisecond have by chance.
    assert sorted(key.name for key in listed) == ["environment", "key live", "key test"]
    assert {key.key_id for key in made} < {key.key_id for key in listed}


async def test_keys_that_are_gone_leave_the_list(accounts, valkey):
    await accounts.create("main", Mode.TEST, "till")
    async for key in valkey.redis.scan_iter(match=f"{valkey.prefix}key:*"):
        await valkey.redis.unlink(key)  # as their life's end would

    assert await accounts.list("main") == []
    assert await valkey.redis.exists(f"{valkey.prefix}keys:main") == 0


async def test_every_key_has_an_end(accounts, valkey):
    _, key = await accounts.create("main", Mode.TEST, "till", expires_days=365)
    [name] = [name async for name in valkey.redis.scan_iter(match=f"{valkey.prefix}key:*")]
    before = await valkey.redis.pexpiretime(name)

    await accounts.revoke("main", key.key_id)

    assert before > 0
    assert await valkey.redis.pexpiretime(name) < before


async def test_the_last_use_is_noted_coarsely(accounts, clock, valkey):
    secret, _ = await accounts.create("main", Mode.TEST, "till")
    [before] = await accounts.list("main")
    await accounts.who(secret)
    [first] = await accounts.list("main")
    clock.forward(seconds=5)  # past the cache, not past the minute

    await accounts.who(secret)

    [second] = await accounts.list("main")
    assert before.last_used_at is None
    assert first.last_used_at is not None
    assert second.last_used_at == first.last_used_at


async def test_keys_of_the_environment_work_without_a_store(short_dir, clock):
    redis = connect(f"unix://{short_dir}/nobody.sock")
    accounts = Accounts(redis, "x:", PEPPER, clock)
    [weak, strong] = accounts.bootstrap(["tk_test_demo", STRONG], "main")

    assert await accounts.who("tk_test_demo") == Principal("main", Mode.TEST, weak.key_id, ALL_SCOPES)
    assert (await accounts.who(STRONG)).owner == "main.live"
    assert (weak.hint, strong.hint) == ("", STRONG[-4:])
    assert "demo" not in repr(weak)
    with pytest.raises(Unavailable):
        await accounts.who("tk_test_other")
    with pytest.raises(Conflict):
        await accounts.revoke("main", weak.key_id)
    await redis.aclose()


@pytest.mark.parametrize(
    "secret",
    [
        *("", "secret", "tk_test_", "tk_live_", "sk_test_12345678", "tk_test_" + "x" * 300),
    ],
)
async def test_what_is_no_key_is_refused_without_being_repeated(accounts, secret):
    with pytest.raises(ValueError, match="API key") as refused:
        accounts.bootstrap([secret], "main")

    assert not secret or secret in ("tk_test_", "tk_live_") or secret not in str(refused.value)


def test_a_scope_that_is_missing_is_named():
    with pytest.raises(Forbidden, match="send"):
        Principal("main", Mode.TEST, "key_1", (Scope.READ,)).require(Scope.SEND)


def test_an_owner_that_is_not_plainly_a_test_is_live():
    live = ["main.live", "", "test", "main.TEST", "a.test.b", "main.test "]

    assert owner_mode("main.test") is Mode.TEST
    assert {owner_mode(owner) for owner in live} == {Mode.LIVE}


def test_a_short_pepper_is_refused(valkey_server, clock):
    with pytest.raises(ValueError, match="16 bytes"):
        Accounts(None, "x:", b"short", clock)


async def test_a_flood_of_wrong_keys_does_not_fill_the_memory(accounts):
    for start in range(0, 4400, 40):
        await asyncio.gather(*(accounts.who(f"tk_test_{number}") for number in range(start, start + 40)))

    assert len(accounts._cache) <= 4096
