"""The trunk book: every trunk of the service, whoever keeps it, the same for all its processes.

Who reads it (the dialer, the API) needs these methods:

    book = compose.trunk_book(settings, redis)
    entries = await book.all()             # whole and of one moment; entry.takes_calls: may new calls leave by it?
    version = await book.version()         # cheap; grows when something changed
    async for version in book.watch():     # the version now, then each new one within a second; never ends by itself
    async for entries in book.follow():    # the same with what stands in it, and nothing is missed

`all()` never fails for one bad row: an entry that cannot be used here says why in `problem`, and takes no calls. A
trunk that is `disabled` or `draining` stays in it with that `state`: its calls that are up may go on. A trunk that is
gone from it was removed. `entry.trunk` is equal to what it was before as long as nothing about the trunk changed, so
comparing two of them tells whether its lines have to be made anew. The catch-all phone is not in the book: it comes
with the service (`compose.sandbox_trunk`).

Passwords are sealed in the store (sealing.py). Every write is one script, guarded by the version.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from messaging.clock import Clock
from messaging.errors import Conflict, NotFound, Unavailable
from sip.trunk import Credentials, Registration
from sip.trunk_reading import Said, bind_address_towards
from voice.codec import from_plain, plain
from voice.sealing import CannotOpen, Sealer
from voice.trunk_entry import AdminState, DoesNotRegister, Entry, ManagedBy, ManagedByFile, TrunkExists
from voice.trunk_plan import Plan, plan
from voice.trunk_shelf import TrunkShelf

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0  # a change is obeyed everywhere about so soon; one small read a second and process
AILING_S = 10.0  # a password file or a route that was missing may be there by then
TRIES_MOST = 20  # writers that meet take turns; so many in a row are no accident


@dataclass(frozen=True, slots=True)
class _Opened:
    """The book at one version. `sealed`: the passwords as they are stored."""

    version: int
    entries: dict[str, Entry]
    sealed: dict[str, str]


class TrunkBook:
    """`facing(host)`: the address of our interface towards a host (default: what the kernel's routes say)."""

    def __init__(
        self, shelf: TrunkShelf, sealer: Sealer, clock: Clock, facing: Callable[[str], str] | None = None
    ) -> None:
        self._shelf, self._sealer, self._clock, self._facing = shelf, sealer, clock, facing
        # Whoever writes here and asks something next expects this process to know it already.
        self.after_write: Callable[[], Awaitable[None]] | None = None

    # -- reading
    async def all(self) -> tuple[Entry, ...]:
        """Every trunk, by id. Raises Unavailable."""
        entries = (await self._read()).entries
        return tuple(entries[trunk_id] for trunk_id in sorted(entries))

    async def get(self, trunk_id: str) -> Entry:
        """Raises NotFound."""
        return _known((await self._read()).entries, trunk_id)

    async def version(self) -> int:
        """Raises Unavailable."""
        return await self._shelf.version()

    async def watch(self, every_s: float = LOOK_EVERY_S) -> AsyncIterator[int]:
        """The version, then each newer one that is seen. While the store does not answer, it waits."""
        seen: int | None = None
        while True:
            with contextlib.suppress(Unavailable):
                version = await self.version()
                if version != seen:
                    seen = version
                    yield version
            await asyncio.sleep(every_s)

    async def follow(self, every_s: float = LOOK_EVERY_S) -> AsyncIterator[tuple[Entry, ...]]:
        """The entries, then again each time they are others; nothing that a store was away for is missed.

        An entry that cannot be used here is looked at again now and then: the machine may have been mended.
        """
        last: tuple[int, tuple[Entry, ...]] | None = None
        look_again_at = 0.0
        while True:
            with contextlib.suppress(Unavailable):
                version = await self.version()
                if (
                    last is None
                    or version != last[0]
                    or (_ailing(last[1]) and self._clock.monotonic() >= look_again_at)
                ):
                    entries, look_again_at = await self.all(), self._clock.monotonic() + AILING_S
                    news = last is None or entries != last[1]
                    last = version, entries
                    if news:
                        yield entries
            await asyncio.sleep(every_s)

    # -- writing
    async def create(self, said: Said) -> Entry:
        """Raises TrunkExists."""

        def change(entries: dict[str, Entry]) -> Plan:
            if said.trunk.id in entries:
                raise TrunkExists(f"There is a trunk {said.trunk.id} already.")
            return Plan(put=(self._of_api(said),))

        return await self._put(change)

    async def replace(self, trunk_id: str, read: Callable[[Entry], Said]) -> Entry:
        """`read` makes the new words from the entry there is; it is asked again when somebody was quicker.

        Raises NotFound and ManagedByFile, and what `read` raises.
        """

        def change(entries: dict[str, Entry]) -> Plan:
            before = _free(entries, trunk_id)
            after = self._of_api(read(before)).wishes_of(before)
            return Plan(put=(before if before.same_words(after) and not before.problem else after,))

        return await self._put(change)

    async def remove(self, trunk_id: str) -> None:
        """Raises NotFound and ManagedByFile."""

        def change(entries: dict[str, Entry]) -> Plan:
            return Plan(drop=(_free(entries, trunk_id).trunk.id,))

        await self._carry_out(change)

    async def set_state(self, trunk_id: str, state: AdminState) -> Entry:
        """For trunks of a file too. Raises NotFound, and Conflict when the trunk itself says that it is disabled."""

        def change(entries: dict[str, Entry]) -> Plan:
            before = _known(entries, trunk_id)
            if state is AdminState.ENABLED and not before.trunk.enabled:
                raise Conflict(
                    f"The trunk {trunk_id} itself says enabled: false.", hint="Change that where the trunk is kept."
                )
            same = before.state is state
            return Plan(put=(before if same else replace(before, state=state, changed_at=self._clock.now()),))

        return await self._put(change)

    async def set_registers(self, trunk_id: str, registers: bool) -> Entry:
        """Shall it register? Said again, it is tried again. For trunks of a file too.

        Raises NotFound, and DoesNotRegister.
        """

        def change(entries: dict[str, Entry]) -> Plan:
            before = _known(entries, trunk_id)
            if before.trunk.registration is Registration.NONE:
                raise DoesNotRegister(f"The trunk {trunk_id} does not register.")
            return Plan(put=(replace(before, registers=registers, asked_at=self._clock.now()),))

        return await self._put(change)

    async def apply(
        self, said: Sequence[Said], source: str, *, sandbox: bool | None = None, dry_run: bool = False
    ) -> Plan:
        """Make the book say what a file says (trunk_plan.plan). `dry_run`: only tell what would change."""

        def change(entries: dict[str, Entry]) -> Plan:
            return plan(tuple(entries.values()), said, source, self._clock.now(), sandbox=sandbox)

        if dry_run:
            return change((await self._read()).entries)
        return await self._carry_out(change)

    def _of_api(self, said: Said) -> Entry:
        return Entry(said.trunk, ManagedBy.API, self._clock.now(), binds_itself=said.binds_itself)

    async def _put(self, change: Callable[[dict[str, Entry]], Plan]) -> Entry:
        return (await self._carry_out(change)).put[0]

    async def _carry_out(self, change: Callable[[dict[str, Entry]], Plan]) -> Plan:
        """Read, decide, write if nobody was quicker; else once more."""
        for _ in range(TRIES_MOST):
            opened = await self._read()
            planned = change(opened.entries)
            # What is the same stays as it stands: sealed anew it would look different, and wake everybody.
            changed = [entry for entry in planned.put if opened.entries.get(entry.trunk.id) is not entry]
            put = {entry.trunk.id: self._closed(entry, opened) for entry in changed}
            if await self._shelf.write(opened.version, put, planned.drop):
                if self.after_write is not None:
                    with contextlib.suppress(Unavailable):  # what was written stands; it is seen a second later
                        await self.after_write()
                return planned
        raise Conflict("Others are changing trunks at the same time.", hint="Try again.")

    async def seal_anew(self) -> int:
        """Seal with the first key what an older one sealed; how many there were. Raises Unavailable."""
        for _ in range(TRIES_MOST):
            opened = await self._read()
            stale = [
                opened.entries[trunk_id]
                for trunk_id, sealed in opened.sealed.items()
                if _has_password(opened.entries[trunk_id]) and not self._sealer.is_current(sealed)
            ]
            put = {entry.trunk.id: self._closed(entry, opened) for entry in stale}
            if not put or await self._shelf.write(opened.version, put):
                return len(put)
        return 0

    # -- rows
    async def _read(self) -> _Opened:
        page = await self._shelf.read()
        entries: dict[str, Entry] = {}
        sealed: dict[str, str] = {}
        for trunk_id, text in page.rows.items():
            try:
                row = json.loads(text)
                entries[trunk_id] = self._open(from_plain(Entry, row["entry"]), row.get("password", ""))
            except (
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
            ) as error:  # a newer release wrote it, or somebody's hand
                log.warning("trunk cannot be read", trunk=trunk_id, error=type(error).__name__)
                continue
            if row.get("password"):
                sealed[trunk_id] = row["password"]
        return _Opened(page.version, entries, sealed)

    def _open(self, entry: Entry, password: str) -> Entry:
        trunk, problem = entry.trunk, ""
        if entry.binds_itself and trunk.enabled:
            try:
                trunk = replace(trunk, bind_address=bind_address_towards(trunk.uris, self._facing))
            except OSError:
                problem = "no route from this machine leads to it: give bind_address"
        if trunk.auth is not None:
            try:
                secret = self._sealer.open(password, trunk.id)
                trunk = replace(trunk, auth=Credentials(trunk.auth.username, trunk.auth.realm, secret))
            except CannotOpen as error:
                problem = f"its password cannot be read: {error}"
        return replace(entry, trunk=trunk, problem=problem)

    def _closed(self, entry: Entry, opened: _Opened) -> str:
        """The row. A password that we could not read stays as it is sealed: whoever has its key still can."""
        auth, row = entry.trunk.auth, {}
        if auth is not None:
            sealed = self._sealer.seal(auth.password, entry.trunk.id) if auth.password else ""
            row["password"] = sealed or opened.sealed.get(entry.trunk.id, "")
            auth = replace(auth, password="")
        row["entry"] = plain(replace(entry, trunk=replace(entry.trunk, auth=auth), problem=""))
        return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _ailing(entries: Sequence[Entry]) -> bool:
    return any(entry.problem for entry in entries)


def _has_password(entry: Entry) -> bool:
    return bool(entry.trunk.auth and entry.trunk.auth.password)


def _known(entries: dict[str, Entry], trunk_id: str) -> Entry:
    if trunk_id not in entries:
        raise NotFound("There is no such trunk.")
    return entries[trunk_id]


def _free(entries: dict[str, Entry], trunk_id: str) -> Entry:
    """The entry, when the API may change it."""
    entry = _known(entries, trunk_id)
    if entry.managed_by is not ManagedBy.API:
        raise ManagedByFile(f"The trunk {trunk_id} is kept by {entry.source or 'a trunk file'}.")
    return entry
