"""Which dialer holds the one registration of a trunk: a lease, over all dialers of a store, by the server's clock.

Key after the prefix        what
  registers:{trunk_id}      hash: `by` (token of the holder), `says` (JSON: its name, and how the registration stands);
                            lapses LEASE_S after the holder's last word
"""

from importlib.resources import files
from typing import Protocol

from redis.asyncio import Redis

from messaging.store import Script
from sip.events import Registered, RegistrationState
from sip.registrar import Holding
from voice.codec import from_json, to_json

LEASE_S = 10.0
NOBODY = Holding("", RegistrationState(Registered.STOPPED, 0.0), "no dialer holds its registration")

_LUA = files("voice") / "lua"


class RegistrationLeases(Protocol):
    """Each verb raises Unavailable, and may be repeated. `token`: one tenure's, so a late word moves nobody else's."""

    async def hold(self, trunk_id: str, token: str, says: Holding, *, take: bool = True) -> Holding | None:
        """None: it is ours for LEASE_S from now. Else what its holder says; a holder of "": nobody has it.

        `take` False: leave it as it is.
        """
        ...

    async def give_up(self, trunk_id: str, token: str) -> None: ...


class MemoryRegistrationLeases:
    """The twin. Leases lapse by `drop`, not by time."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, Holding]] = {}

    async def hold(self, trunk_id: str, token: str, says: Holding, *, take: bool = True) -> Holding | None:
        by, holding = self._held.get(trunk_id, (token, NOBODY))
        if by != token or not take:
            return holding if by != token else NOBODY
        self._held[trunk_id] = token, says
        return None

    async def give_up(self, trunk_id: str, token: str) -> None:
        if self._held.get(trunk_id, ("", NOBODY))[0] == token:
            del self._held[trunk_id]

    def drop(self, trunk_id: str) -> None:
        """As if the holder had been silent for LEASE_S."""
        self._held.pop(trunk_id, None)


class ValkeyRegistrationLeases:
    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, prefix
        self._hold = Script((_LUA / "registration.lua").read_text())
        self._give_up = Script((_LUA / "registration_over.lua").read_text())

    async def hold(self, trunk_id: str, token: str, says: Holding, *, take: bool = True) -> Holding | None:
        args: list[str | int] = [token, to_json(says), round(LEASE_S * 1000) if take else 0]
        found = await self._hold(self._redis, [self._key(trunk_id)], args)
        if found == "":
            return None
        return from_json(Holding, found) if found else NOBODY

    async def give_up(self, trunk_id: str, token: str) -> None:
        await self._give_up(self._redis, [self._key(trunk_id)], [token])

    def _key(self, trunk_id: str) -> str:
        return f"{self._prefix}registers:{trunk_id}"
