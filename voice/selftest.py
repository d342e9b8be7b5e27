"""The self-test of a trunk: what is asked, what each step found, what the whole says. Values; nothing runs here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from messaging.clock import rfc3339
from messaging.errors import Conflict, ServiceError
from voice.tariffs import Tariff

WITHIN_S = 60  # no test takes longer, whatever the trunk does
TALK_MOST_S = 12.0  # its call: a tone, a key, and to spare


Refusal = Callable[[str, str], Awaitable[ServiceError | None]]
"""Owner, number -> why it may not be rung, or None: the destination guard, asked before a test call."""


async def anybody(owner: str, number: str) -> ServiceError | None:
    """Where no guard is set."""
    return None


Suspended = Callable[[str, str], bool]
"""Owner, key id -> is the key suspended? Then nobody is rung for it."""


def nobody(owner: str, key_id: str) -> bool:
    """Where no key ever is."""
    return False


class StepName(StrEnum):
    """In this order; each needs those before it."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    OPTIONS = "options"
    REGISTER = "register"
    INVITE = "invite"
    RTP = "rtp"
    DTMF = "dtmf"
    BYE = "bye"


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, and somebody should look
    FAILED = "failed"
    SKIPPED = "skipped"


class Stage(StrEnum):
    WAITING = "waiting"  # for a dialer
    RUNNING = "running"
    FINISHED = "finished"


class TrunkTestRunning(Conflict):
    """This trunk is being tested already: one test at a time, because a test rings a phone."""

    code, title, retryable = "TRUNK_TEST_RUNNING", "Test running", True
    hint = "Wait for the test that runs (a minute at most), then try again."


@dataclass(frozen=True, slots=True)
class Step:
    """`what` was seen, in one sentence; `fix`: what to do about it, empty when nothing is to be done."""

    name: StepName
    verdict: Verdict
    what: str
    fix: str = ""
    ms: int | None = None

    def as_object(self) -> dict[str, Any]:
        return {
            "step": self.name.value,
            "verdict": self.verdict.value,
            "ms": self.ms,
            "what": self.what,
            "fix": self.fix or None,
        }


NOT_REACHED = "Not reached."


@dataclass(frozen=True, slots=True)
class TrunkTest:
    """One self-test. `to`, `from_number`: bare digits; empty `to`: no phone is rung.

    `trouble`: what kept the test itself from being made. `tariff`: what its call costs, as of when it was asked.
    """

    test_id: str
    trunk_id: str
    owner: str
    key_id: str
    sandbox: bool
    asked_at: datetime
    to: str = ""
    from_number: str = ""
    stage: Stage = Stage.WAITING
    steps: tuple[Step, ...] = ()
    ended_at: datetime | None = None
    trouble: str = ""
    tariff: Tariff | None = None

    @property
    def failed(self) -> Step | None:
        """THE step: the first that failed."""
        return next((step for step in self.steps if step.verdict is Verdict.FAILED), None)

    @property
    def verdict(self) -> Verdict | None:
        """None while it is not over."""
        if self.stage is not Stage.FINISHED:
            return None
        if self.trouble or self.failed:
            return Verdict.FAILED
        return Verdict.WARNING if any(step.verdict is Verdict.WARNING for step in self.steps) else Verdict.OK

    @property
    def summary(self) -> str:
        """The whole of it in a sentence or two."""
        if self.stage is Stage.WAITING:
            return "Waits for a dialer."
        if self.stage is Stage.RUNNING:
            return "Runs."
        if self.trouble:
            return self.trouble
        failed = self.failed
        if failed is not None:
            return f"{failed.name.value} failed: {failed.what}"
        warned = [step.name.value for step in self.steps if step.verdict is Verdict.WARNING]
        if warned:
            return f"It works; look at {', '.join(warned)}."
        last = next((step for step in reversed(self.steps) if step.verdict is Verdict.OK), None)
        if last is None or last.name is StepName.BYE:
            return "Everything works."
        return f"Everything works up to {last.name.value}."

    def with_step(self, step: Step) -> "TrunkTest":
        return replace(self, stage=Stage.RUNNING, steps=(*self.steps, step))

    def finished(self, at: datetime, trouble: str = "") -> "TrunkTest":
        """Whatever has no step yet was not reached."""
        done = {step.name for step in self.steps}
        rest = tuple(Step(name, Verdict.SKIPPED, NOT_REACHED) for name in StepName if name not in done)
        return replace(self, stage=Stage.FINISHED, steps=(*self.steps, *rest), ended_at=at, trouble=trouble)

    def as_object(self) -> dict[str, Any]:
        verdict, failed = self.verdict, self.failed
        return {
            "test_id": self.test_id,
            "trunk_id": self.trunk_id,
            "state": self.stage.value,
            "verdict": verdict.value if verdict else None,
            "failed_step": failed.name.value if failed else None,
            "summary": self.summary,
            "fix": (failed.fix or None) if failed else None,
            "to": self.to or None,
            "from": self.from_number or None,
            "asked_at": rfc3339(self.asked_at),
            "ended_at": rfc3339(self.ended_at) if self.ended_at else None,
            "steps": [step.as_object() for step in self.steps],
        }


GONE = "The dialer that ran it is gone, try again."
NOBODY = "No dialer took it: is one running? `tocsin readyz` and GET /readyz?verbose=1 say so."


def as_seen(test: TrunkTest, *, held: bool, now: datetime) -> TrunkTest:
    """The test as it stands for whoever reads it. `held`: somebody still has it, as the store says."""
    if held or test.stage is Stage.FINISHED:
        return test
    return test.finished(now, NOBODY if test.stage is Stage.WAITING else GONE)
