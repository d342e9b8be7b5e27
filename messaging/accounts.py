"""Accounts and their API keys: who is calling, in which mode, and what may they do.

A key is shown once and never stored: what is stored is its HMAC-SHA256 under a pepper that the store does not have.
Finding a key by that HMAC tells an attacker's stopwatch nothing, because nobody can steer an HMAC without the pepper.

Key after the prefix      what
  key:{hmac}              hash: key_id, account_id, mode, name, scopes, hint, created_ms, expires_ms, revoked_ms,
                          last_used_ms; goes 30 days after it expired or was revoked
  keys:{account_id}       hash: key id -> hmac; entries of keys that are gone are dropped when it is read
"""

import hashlib
import hmac
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from redis.asyncio import Redis

from messaging.clock import Clock, from_ms, to_ms
from messaging.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from messaging.ids import ulid
from messaging.store import Script, unsure

log = structlog.get_logger(__name__)

ALPHABET = string.ascii_letters + string.digits
SECRET_LENGTH = 32  # 190 random bits
STRONG_LENGTH = 22  # characters that can hold 128 bits
DISTINCT_MIN = 8  # different characters in a strong key: the letter a, 22 times, is none
SECRET_LENGTH_MAX = 200
EXPIRES_DAYS_MAX = 365
KEEP_AFTER_END = timedelta(days=30)  # a revoked or expired key can be looked at for this long
CACHE_S = 0.9  # a revocation is obeyed everywhere within a second
CACHE_MOST = 4096
LAST_USED_EVERY_S = 60.0
PEPPER_MIN = 16  # bytes

_CREATE = Script.named("key_create")
_SEEN = Script.named("key_seen")
_REVOKE = Script.named("key_revoke")


class Mode(StrEnum):
    """A test key never leaves the sandbox, a live key never reaches it."""

    TEST = "test"
    LIVE = "live"


class Scope(StrEnum):
    SEND = "send"  # place and cancel calls
    READ = "read"  # look at calls, trunks, deliveries
    ADMIN = "admin"  # keys, trunks, replays, test calls


ALL_SCOPES = tuple(Scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. `owner` is what every resource is bound to."""

    account_id: str
    mode: Mode
    key_id: str
    scopes: tuple[Scope, ...]

    @property
    def owner(self) -> str:
        return f"{self.account_id}.{self.mode}"

    def require(self, scope: Scope) -> None:
        """Raises Forbidden."""
        if scope not in self.scopes:
            raise Forbidden(f"This key lacks the scope {scope}.")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it may be shown: never the secret. `hint` is its last four characters."""

    key_id: str
    account_id: str
    mode: Mode
    name: str
    scopes: tuple[Scope, ...]
    hint: str
    created_at: datetime
    expires_at: datetime | None = None  # None: from the environment, valid while it stands there
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None  # to the minute
    from_environment: bool = False

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def bootstrap_mode(secret: str) -> tuple[Mode, str]:
    """Of a key from the environment: its mode, and what follows the prefix. Raises ValueError, without the key."""
    mode = _mode_of(secret)
    rest = "" if mode is None else secret[len(f"tk_{mode}_") :]
    if mode is None or not rest or len(secret) > SECRET_LENGTH_MAX:
        raise ValueError("an API key begins with tk_test_ or tk_live_ and something behind it")
    return mode, rest


def is_strong(rest: str) -> bool:
    """Can what follows the prefix of a key hold 128 random bits?"""
    return len(rest) >= STRONG_LENGTH and len(set(rest)) >= DISTINCT_MIN


def owner_mode(owner: str) -> Mode:
    """Of `account.mode`. What is not plainly a test is live: the stricter rules hold."""
    return Mode.TEST if owner.endswith(f".{Mode.TEST}") else Mode.LIVE


class Accounts:
    """Raises Unavailable when the store does not answer."""

    def __init__(self, redis: Redis, prefix: str, pepper: bytes, clock: Clock) -> None:
        if len(pepper) < PEPPER_MIN:
            raise ValueError(f"the key pepper needs at least {PEPPER_MIN} bytes")
        self._redis = redis
        self._prefix = prefix
        self._pepper = pepper
        self._clock = clock
        self._environment: dict[str, Key] = {}
        self._cache: dict[str, tuple[float, Key | None]] = {}

    def bootstrap(self, given: Sequence[str], account_id: str) -> tuple[Key, ...]:
        """Accept keys from the environment: they are valid in this process, with all scopes, and never stored.

        Raises ValueError, without the key in it, for one that is no key. Weak keys are accepted and logged: whether
        they may be used is decided where it is known who can reach the API.
        """
        for secret in given:
            mode, rest = bootstrap_mode(secret)
            digest = self._digest(secret)
            key = Key(
                key_id=f"key_env_{digest[:16]}",
                account_id=account_id,
                mode=mode,
                name="environment",
                scopes=ALL_SCOPES,
                hint=_hint(secret),
                created_at=self._clock.now(),
                from_environment=True,
            )
            if not is_strong(rest):
                log.warning(
                    "weak API key", key_id=key.key_id, mode=mode, why=f"not {STRONG_LENGTH} or more random characters"
                )
            self._environment[digest] = key
        return tuple(self._environment.values())

    async def create(
        self, account_id: str, mode: Mode, name: str, scopes: Sequence[Scope] = ALL_SCOPES, expires_days: int = 365
    ) -> tuple[str, Key]:
        """A new key: (the secret, which nobody can show again, and the key). Raises Invalid."""
        if not 1 <= expires_days <= EXPIRES_DAYS_MAX:
            detail = f"a key lives 1 to {EXPIRES_DAYS_MAX} days"
            raise Invalid(detail, errors=(FieldError("#/expires_days", "out_of_range", detail),))
        secret = f"tk_{mode}_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
        now = self._clock.now()
        key = Key(
            key_id=f"key_{ulid(to_ms(now))}",
            account_id=account_id,
            mode=mode,
            name=name,
            scopes=tuple(scopes),
            hint=_hint(secret),
            created_at=from_ms(to_ms(now)),
            expires_at=from_ms(to_ms(now + timedelta(days=expires_days))),
        )
        digest = self._digest(secret)
        fields = [word for pair in _fields(key).items() for word in pair]
        gone_ms = to_ms(now + timedelta(days=expires_days) + KEEP_AFTER_END)
        await _CREATE(self._redis, [self._key(digest), self._index(account_id)], [digest, gone_ms, *fields])
        return secret, key

    async def revoke(self, account_id: str, key_id: str) -> None:
        """From now on in this process, within a second in every other. Raises NotFound, Conflict."""
        if any(key.key_id == key_id for key in self._environment.values()):
            raise Conflict("This key comes from the environment.", hint="Remove it from TOCSIN_API_KEYS and restart.")
        with unsure():
            digest = await self._redis.hget(self._index(account_id), key_id)
        keep_ms = KEEP_AFTER_END // timedelta(milliseconds=1)
        if digest is None or not await _REVOKE(
            self._redis, [self._key(str(digest))], [to_ms(self._clock.now()), keep_ms]
        ):
            raise NotFound("There is no such key.")
        self._cache.pop(str(digest), None)

    async def list(self, account_id: str) -> Sequence[Key]:
        """Oldest first, those from the environment before all others."""
        with unsure():
            stored = await self._redis.hgetall(self._index(account_id))
            index = {str(key_id): str(digest) for key_id, digest in stored.items()}
            async with self._redis.pipeline(transaction=False) as pipe:
                for digest in index.values():
                    pipe.hgetall(self._key(digest))
                found: list[dict[str, str]] = await pipe.execute()
            gone = [key_id for key_id, fields in zip(index, found, strict=True) if not fields]
            if gone:
                await self._redis.hdel(self._index(account_id), *gone)
        keys = sorted((_parse(fields) for fields in found if fields), key=lambda key: key.key_id)
        return [key for key in self._environment.values() if key.account_id == account_id] + keys

    async def who(self, secret: str) -> Principal | None:
        """Whose key that is; None when it is nobody's, has expired or was revoked."""
        if len(secret) > SECRET_LENGTH_MAX or _mode_of(secret) is None:
            return None
        digest = self._digest(secret)
        key = self._environment.get(digest) or await self._find(digest)
        if key is None or not key.is_valid(self._clock.now()):
            return None
        return Principal(key.account_id, key.mode, key.key_id, key.scopes)

    async def _find(self, digest: str) -> Key | None:
        now = self._clock.monotonic()
        cached = self._cache.get(digest)
        if cached and now - cached[0] < CACHE_S:
            return cached[1]
        flat: list[str] = await _SEEN(self._redis, [self._key(digest)], [int(LAST_USED_EVERY_S * 1000)])
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        key = _parse(fields) if fields else None
        if len(self._cache) >= CACHE_MOST:  # a flood of wrong keys must not grow it
            self._cache.clear()
        self._cache[digest] = (now, key)  # `now` from before the question: the answer is at least that old
        return key

    def _digest(self, secret: str) -> str:
        return hmac.new(self._pepper, secret.encode(), hashlib.sha256).hexdigest()

    def _key(self, digest: str) -> str:
        return f"{self._prefix}key:{digest}"

    def _index(self, account_id: str) -> str:
        return f"{self._prefix}keys:{account_id}"


def _mode_of(secret: str) -> Mode | None:
    return next((mode for mode in Mode if secret.startswith(f"tk_{mode}_")), None)


def _hint(secret: str) -> str:
    """Enough to tell keys apart, and nothing of one that is short."""
    return secret[-4:] if len(secret) >= len("tk_test_") + STRONG_LENGTH else ""


def _fields(key: Key) -> dict[str, str]:
    """`key_id` first: key_create.lua reads it there."""
    return {
        "key_id": key.key_id,
        "account_id": key.account_id,
        "mode": key.mode,
        "name": key.name,
        "scopes": " ".join(key.scopes),
        "hint": key.hint,
        "created_ms": str(to_ms(key.created_at)),
        "expires_ms": "" if key.expires_at is None else str(to_ms(key.expires_at)),
    }


def _parse(fields: dict[str, str]) -> Key:
    def moment(name: str) -> datetime | None:
        return from_ms(float(fields[name])) if fields.get(name) else None

    return Key(
        key_id=fields["key_id"],
        account_id=fields["account_id"],
        mode=Mode(fields["mode"]),
        name=fields["name"],
        scopes=tuple(Scope(word) for word in fields["scopes"].split()),
        hint=fields["hint"],
        created_at=from_ms(float(fields["created_ms"])),
        expires_at=moment("expires_ms"),
        revoked_at=moment("revoked_ms"),
        last_used_at=moment("last_used_ms"),
    )
