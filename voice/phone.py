"""The process around the catch-all phone: what it heard is compared with what was said, and kept for whoever asks."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

from media.audio import read_wav
from media.heard import Comparison, compare
from media.library import Audio
from media.prompt import Prompt
from media.speech import Sound, SpeechError
from messaging.errors import Unavailable
from messaging.ids import is_test_id
from sip.sandbox.phone import PhoneCall
from voice.selftest_board import SelfTestBoard
from voice.store import CallStore, Heard

log = structlog.get_logger(__name__)


class Spoken(Protocol):
    """PromptLibrary, as far as listening needs it."""

    def kept(self, prompt: Prompt) -> Audio | None: ...


class Listener:
    """`ended` is the phone's `on_end`: one record of what was heard for each call that carries our id.

    The call of a trunk's self-test is no call of the store: whoever runs it is told the keys."""

    def __init__(self, store: CallStore, prompts: Spoken, tests: SelfTestBoard) -> None:
        self._store, self._prompts, self._tests = store, prompts, tests

    async def ended(self, heard: PhoneCall) -> None:
        if heard.call_id is None:
            return
        try:
            if is_test_id(heard.call_id):
                await self._tests.tell_keys(heard.call_id, heard.digits_heard)
                return
            await self._keep(heard, heard.call_id)
        except Unavailable:
            log.warning("what the phone heard is lost: the store is away", call_id=heard.call_id)

    async def _keep(self, heard: PhoneCall, call_id: str) -> None:
        said, pause_ms, repeat = await self._said(call_id)
        compared = await asyncio.to_thread(_listen, said, heard.recording, repeat, pause_ms)
        await self._store.save_heard(
            Heard(
                call_id=call_id,
                to=heard.to,
                heard_s=compared.heard_s,
                match=compared.match,
                level_dbfs=compared.level_dbfs,
                digits=heard.digits_sent,
                recording=str(heard.recording) if heard.recording else None,
                at=datetime.fromtimestamp(heard.ended_at, UTC),
            )
        )

    async def _said(self, call_id: str) -> tuple[Path | None, int, int]:
        """What was to be said: the prompt's audio, the pause before it and how often; nothing for a stranger's call."""
        call = await self._store.call(None, call_id)
        message = await self._store.message(None, call.ref_id) if call else None
        if message is None:
            return None, 0, 1
        audio = self._prompts.kept(message.prompt)
        return audio.path if audio else None, message.script.pause_ms, message.script.repeat


SILENCE = Comparison(heard_s=0.0, level_dbfs=-120.0, match=None, offset_ms=None, coverage=None)


def _listen(said: Path | None, recording: Path | None, repeat: int, pause_ms: int) -> Comparison:
    if recording is None:
        return SILENCE
    try:
        recorded = read_wav(recording)
    except (OSError, SpeechError):
        return SILENCE
    return compare(_sound(said), recorded, repeat=repeat, pause_ms=pause_ms)


def _sound(path: Path | None) -> Sound | None:
    if path is None:
        return None
    try:
        return read_wav(path)
    except (OSError, SpeechError):
        return None
