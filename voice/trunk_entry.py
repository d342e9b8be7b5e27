"""One trunk in the book: the Trunk, who keeps it, and what the operator did to it; and the errors about it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from messaging.clock import rfc3339
from messaging.errors import Conflict
from sip.trunk import Registration, Trunk
from sip.trunk_object import as_object
from voice.routing import Admin


class ManagedBy(StrEnum):
    FILE = "file"  # a trunk file is the truth: change it there
    API = "api"
    SERVICE = "service"  # the catch-all phone: comes and goes with the service, and is not in the book


class AdminState(StrEnum):
    """What the operator wants of a trunk now, whatever the file says of it. It outlives restarts and new files."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # no new calls
    DRAINING = "draining"  # no new calls; those that are up end by themselves


class ManagedByFile(Conflict):
    """A trunk file keeps this trunk; only enable, disable, drain, register and unregister work here."""

    code, title = "MANAGED_BY_FILE", "Managed by a file"
    hint = "Change the trunk in its file, then: tocsin plan trunks.toml, tocsin apply trunks.toml."


class DoesNotRegister(Conflict):
    """This trunk has no registration: it is known by its address, or registers here."""

    code, title = "DOES_NOT_REGISTER", "Does not register"
    hint = "Give the trunk the type register and a login, if its carrier wants a REGISTER."


class TrunkExists(Conflict):
    """There is a trunk with this id already."""

    code, title = "TRUNK_EXISTS", "Trunk exists"
    hint = "Replace it with PUT /v1/trunks/{trunk_id}, or choose another id."


@dataclass(frozen=True, slots=True)
class Entry:
    """`source`: the name of the trunk file, for those of a file. `problem`: why nobody can use it here; not stored.

    `binds_itself`: as in sip.trunk_reading.Said; `trunk.bind_address` is then that of this machine.
    `registers`: what the operator said last, of a trunk that registers. `asked_at`: when it was last said; a dialer
    that sees another moment than before tries at once, also after a refused login.
    """

    trunk: Trunk
    managed_by: ManagedBy
    changed_at: datetime | None = None
    state: AdminState = AdminState.ENABLED
    source: str = ""
    binds_itself: bool = False
    problem: str = ""
    registers: bool = True
    asked_at: datetime | None = None

    @property
    def takes_calls(self) -> bool:
        """May new calls leave by it? Those that are up may go on in any case."""
        return self.trunk.enabled and self.state is AdminState.ENABLED and not self.problem

    @property
    def admin(self) -> Admin:
        """What routing is told of the operator's wish."""
        return Admin(self.state.value) if self.trunk.enabled else Admin.DISABLED

    def as_object(self) -> dict[str, Any]:
        """The trunk object of the API, with what the book knows beside it."""
        return {
            **as_object(self.trunk, binds_itself=self.binds_itself),
            "managed_by": self.managed_by.value,
            "source": self.source or None,
            "state": self.state.value,
            "takes_calls": self.takes_calls,
            "problem": self.problem or None,
            "changed_at": rfc3339(self.changed_at) if self.changed_at else None,
            "registers": None if self.trunk.registration is Registration.NONE else self.registers,
        }

    def touched_since(self, before: "Entry") -> bool:
        """Did an operator do something to it, or say that it shall register?"""
        return (self.changed_at, self.asked_at) != (before.changed_at, before.asked_at)

    def wishes_of(self, before: "Entry") -> "Entry":
        """New words for a trunk that is there: what the operator did to it stays."""
        return replace(self, state=before.state, registers=before.registers, asked_at=before.asked_at)

    def same_words(self, other: "Entry") -> bool:
        """Does it say the same, secrets included, whenever it was said and whatever was done to it since?"""
        return self.words() == other.words()

    def words(self) -> tuple[object, ...]:
        """What was said. Our own address is not among it when nobody gave one."""
        trunk = replace(self.trunk, bind_address="") if self.binds_itself else self.trunk
        return trunk, self.binds_itself, self.managed_by, self.source


READ_ONLY = ("managed_by", "source", "state", "takes_calls", "problem", "changed_at", "registers")
"""Members of the object that nobody sets. Who sends back what he read is not scolded for them."""
