"""The call store's keys: every one is named here (and inside the scripts, which make the keys of ids they find)."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from messaging.clock import to_ms
from messaging.ids import ulid
from voice.store import CallFilter, Lane

CLOCK_MARGIN_MS = 5000  # between a call's id and its created_at
ULID_TIME = 10  # characters of a ULID that hold its time


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key of this store is named here."""

    prefix: str

    def endings(self) -> str:
        return f"{self.prefix}endings"

    def once(self, key: str) -> str:
        return f"{self.prefix}once:{hashlib.sha256(key.encode()).hexdigest()}"

    def missed(self, number: str) -> str:
        """Numbers stand in no key: keys are shown where values are not."""
        return f"{self.prefix}missed:{hashlib.sha256(number.encode()).hexdigest()}"

    def owner(self, an_id: str) -> str:
        return f"{self.prefix}owner:{an_id}"

    def owners(self, lane: Lane) -> str:
        return f"{self.prefix}owners:{lane}"

    def wake(self, lane: Lane) -> str:
        return f"{self.prefix}wake:{lane}"

    def seats(self, trunk_id: str) -> str:
        return f"{self.prefix}seats:{trunk_id}"

    def pace(self, trunk_id: str) -> str:
        return f"{self.prefix}pace:{trunk_id}"

    def trunk_spent(self, trunk_id: str, day: str) -> str:
        return f"{self.prefix}trunk_spent:{trunk_id}:{day}"

    def trunk_held(self, trunk_id: str) -> str:
        return f"{self.prefix}trunk_held:{trunk_id}"

    def score(self, trunk_id: str, hour: str) -> str:
        return f"{self.prefix}score:{trunk_id}:{hour}"

    def base(self, owner: str) -> str:
        return f"{self.prefix}{{{owner}}}:"

    def call(self, owner: str, call_id: str) -> str:
        return f"{self.base(owner)}call:{call_id}"

    def events(self, owner: str, call_id: str) -> str:
        return f"{self.base(owner)}events:{call_id}"

    def trace(self, owner: str, call_id: str) -> str:
        return f"{self.base(owner)}trace:{call_id}"

    def heard(self, owner: str, call_id: str) -> str:
        return f"{self.base(owner)}heard:{call_id}"

    def heard_index(self, owner: str) -> str:
        return f"{self.base(owner)}heard"

    def message(self, owner: str, ref_id: str) -> str:
        return f"{self.base(owner)}message:{ref_id}"

    def recipients(self, owner: str, ref_id: str) -> str:
        return f"{self.base(owner)}recipients:{ref_id}"

    def calls(self, owner: str) -> str:
        return f"{self.base(owner)}calls"

    def due(self, owner: str, lane: Lane) -> str:
        return f"{self.base(owner)}q:{lane}:due"

    def bulk(self, owner: str, lane: Lane) -> str:
        return f"{self.base(owner)}q:{lane}:bulk"

    def spent(self, owner: str, key_id: str, day: str) -> str:
        return f"{self.base(owner)}spent:{key_id}:{day}"

    def open(self, owner: str, key_id: str) -> str:
        return f"{self.base(owner)}open:{key_id}"

    def key_pace(self, owner: str, key_id: str) -> str:
        return f"{self.base(owner)}pace:{key_id}"

    def rang(self, owner: str, number: str) -> str:
        return f"{self.base(owner)}rang:{number}"

    def valid(self, owner: str, lane: Lane) -> str:
        return f"{self.base(owner)}valid:{lane}"


def id_range(which: CallFilter, before: str | None) -> tuple[str, str]:
    """Lowest and highest call id that may match, as ZRANGE BYLEX wants them: ids sort by the moment they were made."""
    low = f"[{_first_id(which.created_gte, -CLOCK_MARGIN_MS)}" if which.created_gte else "-"
    ends = [before] if before else []
    if which.created_lt:
        ends.append(_first_id(which.created_lt, CLOCK_MARGIN_MS))
    return low, f"({min(ends)}" if ends else "+"


def _first_id(moment: datetime, shifted_ms: int) -> str:
    """Moved as a number: a datetime cannot be moved before the year 1 or past 9999, which a caller may well ask for."""
    return "call_" + ulid(max(0, to_ms(moment) + shifted_ms))[:ULID_TIME]
