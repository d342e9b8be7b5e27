"""What a trunk file would change in the book. Pure: entries and words in, changes out; the same for plan and apply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sip.trunk_object import as_object
from sip.trunk_reading import Said
from voice.trunk_entry import Entry, ManagedBy

_SECRET = "(secret)"
_MISSING = object()


class Does(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Difference:
    """One member, dotted: `limits.cps`. Secrets never stand in it."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    trunk_id: str
    does: Does
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """`put` and `drop` carry `changes` out. `unchanged`: how many trunks of the file are so already."""

    changes: tuple[Change, ...] = ()
    put: tuple[Entry, ...] = ()
    drop: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unchanged: int = 0


def plan(
    entries: Sequence[Entry], said: Sequence[Said], source: str, now: datetime, *, sandbox: bool | None = None
) -> Plan:
    """`said`: all that the file says. Trunks of a file that are not in it go; those of the API stay.

    `sandbox`: only trunks of that kind are looked at and touched; None: all.
    """
    known = {entry.trunk.id: entry for entry in entries}
    wanted = [one for one in said if sandbox in (None, one.trunk.sandbox)]
    changes, put, warnings, unchanged = (
        [],
        [],
        [f"{one.trunk.id}: {word}" for one in wanted for word in one.warnings],
        0,
    )
    for one in wanted:
        before = known.get(one.trunk.id)
        if before is not None and sandbox not in (None, before.trunk.sandbox):
            warnings.append(f"{one.trunk.id}: is left alone, because a trunk of the other kind has its name")
            continue
        after = _entry(one, source, before, now)
        if before is not None and before.same_words(after) and not before.problem:
            unchanged += 1
            continue
        if before is not None and before.managed_by is ManagedBy.API:
            warnings.append(f"{one.trunk.id}: was kept by the API; the file wins from now on")
        changes.append(
            Change(one.trunk.id, Does.UPDATE, differences(before, after))
            if before
            else Change(one.trunk.id, Does.CREATE)
        )
        put.append(after)
    there = {one.trunk.id for one in said}
    drop = tuple(
        trunk_id
        for trunk_id, entry in known.items()
        if trunk_id not in there and entry.managed_by is ManagedBy.FILE and sandbox in (None, entry.trunk.sandbox)
    )
    changes += [Change(trunk_id, Does.REMOVE) for trunk_id in drop]
    return Plan(tuple(changes), tuple(put), drop, tuple(warnings), unchanged)


def _entry(said: Said, source: str, before: Entry | None, now: datetime) -> Entry:
    """As the file says it; what the operator did to it stays."""
    entry = Entry(said.trunk, ManagedBy.FILE, now, source=source, binds_itself=said.binds_itself)
    return entry if before is None else entry.wishes_of(before)


def differences(before: Entry, after: Entry) -> tuple[Difference, ...]:
    """Member by member, in the order of the object."""
    old, new = _flat(_words(before)), _flat(_words(after))
    found = [
        Difference(path, old.get(path), new.get(path))
        for path in dict.fromkeys([*new, *old])
        if old.get(path, _MISSING) != new.get(path, _MISSING)
    ]
    if _password(before) != _password(after) and _password(before) and _password(after):
        found.append(Difference("auth.password", _SECRET, _SECRET))
    return tuple(found)


def _words(entry: Entry) -> dict[str, Any]:
    return {
        **as_object(entry.trunk, binds_itself=entry.binds_itself),
        "managed_by": entry.managed_by.value,
        "source": entry.source,
    }


def _password(entry: Entry) -> str:
    return entry.trunk.auth.password if entry.trunk.auth else ""


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            flat |= _flat(inner, f"{before}{name}.")
        else:
            flat[before + name] = inner
    return flat
