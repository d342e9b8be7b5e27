"""What every dispatch of a dialer works with."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

from media.prompt import Prompt
from messaging.clock import Clock
from messaging.numbers import NumberError
from voice.call_object import UTC_ZONE
from voice.journal import Journal
from voice.store import CallStore


class Audio(Protocol):
    @property
    def path(self) -> str | os.PathLike[str]: ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was asked for and is not in it, one sentence each."""
        ...


class Prompts(Protocol):
    """PromptLibrary, as far as dialling needs it."""

    async def audio(self, prompt: Prompt) -> Audio:
        """On local disk, ready for the line. Raises SpeechError."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """One for all calls of the dialer."""

    store: CallStore
    prompts: Prompts
    journal: Journal
    clock: Clock
    heard_pct: int
    recordings: Path
    refusal: Callable[[str, str], Awaitable[NumberError | None]]  # owner, number (toll_guard.py)
    is_suspended: Callable[[str, str], bool]  # owner, key id: its calls wait
    zone: tzinfo = UTC_ZONE
