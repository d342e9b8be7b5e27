"""May this account ring that number? Asked by the API when it accepts and by the dialer right before it dials.

    guard = compose.toll_guard(settings, redis, caller_ids)
    await guard.read()                                  # once, before the first question
    compose.beside(stack, guard.keep_reading(), "toll guard")
    refusal = guard.may_ring("main.live", "18761234567")  # a NumberError with code and detail, or None

    refusal = await guard.refusal("main.live", "18761234567")  # the same, for an answer that cannot be taken back

The rules are read once and watched, so that a question costs no round trip; a change holds within about a second.
"""

from collections.abc import Awaitable, Callable, Sequence

from messaging.accounts import Mode, owner_mode
from messaging.numbers import NumberError
from voice.caps import Caps
from voice.destinations import Destinations
from voice.tariffs import Rates
from voice.toll_book import KeyCaps, Rules, TollBook

NO_CAPS, NO_RATES = Caps(), Rates()


async def _nothing() -> None:
    pass


class TollGuard:
    """`allow`, `caps`, `rates`: for accounts that have none of their own. `caller_ids`: those of live calls, now.

    `read_trunks`: has the trunks read on which `caller_ids` rests; raises Unavailable.
    """

    def __init__(
        self,
        book: TollBook,
        allow: Sequence[str],
        caller_ids: Callable[[], tuple[str, ...]],
        caps: Caps = NO_CAPS,
        rates: Rates = NO_RATES,
        read_trunks: Callable[[], Awaitable[object]] = _nothing,
    ) -> None:
        self._book, self._allow, self._caller_ids = book, tuple(allow), caller_ids
        self._read_trunks = read_trunks
        self._caps, self._rates = caps, rates
        self.rules = Rules()
        self._known: dict[str, tuple[tuple[str, ...], Destinations]] = {}  # by owner, with the caller ids it is from

    async def read(self) -> None:
        """Raises Unavailable."""
        self._take(await self._book.read())

    async def keep_reading(self) -> None:
        async for rules in self._book.watch():
            self._take(rules)

    def _take(self, rules: Rules) -> None:
        self.rules = rules
        self._known.clear()

    def may_ring(self, owner: str, number: str) -> NumberError | None:
        """Why not, or None. `number`: international digits. Test calls reach the catch-all phone alone, so any."""
        if owner_mode(owner) is Mode.TEST:
            return None
        return self.destinations(owner).refusal(number)

    async def refusal(self, owner: str, number: str) -> NumberError | None:
        """As `may_ring`, but a no is said only by the rules and trunks as they are at this moment: another process may
        have taken the call on the strength of what changed a moment ago. Raises Unavailable.
        """
        if self.may_ring(owner, number) is None:
            return None
        await self._read_trunks()
        await self.read()
        return self.may_ring(owner, number)

    def is_suspended(self, owner: str, key_id: str) -> bool:
        return (owner, key_id) in self.rules.suspended

    def caps(self, owner: str, key_id: str) -> Caps:
        """Limits of a key. Those of the settings hold for live calls: a test key has none but its own."""
        own = self.rules.caps.get(owner, KeyCaps()).of(key_id)
        return own if owner_mode(owner) is Mode.TEST else own.or_else(self._caps)

    def rates(self, owner: str) -> Rates:
        return self.rules.rates.get(owner, self._rates)

    def destinations(self, owner: str) -> Destinations:
        ours = self._caller_ids()
        known = self._known.get(owner)
        if known is None or known[0] != ours:
            known = (ours, Destinations.of(ours, self.allowed(owner)))
            self._known[owner] = known
        return known[1]

    def allowed(self, owner: str) -> tuple[str, ...]:
        """Its list, or the setting's."""
        return self.rules.allow.get(owner, self._allow)
