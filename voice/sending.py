"""The verbs: what the API, the CLI and later campaigns can ask for. FastAPI, Redis and SIP do not appear here."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from config.settings import Settings
from media.prompt import Prompt
from media.speech import SpeechError
from messaging import ids
from messaging.clock import Clock
from messaging.errors import FieldError, MediaInvalid, NotFound, ServiceError, SpeechFailed, TextInvalid
from voice.calls import Call
from voice.caps import FrequencyCap, KeySuspended, Over, Overrun, Reservation, day_of, error_of, need, rung_too_often
from voice.endings import in_public
from voice.messages import TEST_CALL, Message, Recipient, Tally
from voice.orders import Order, Refusal, Request, Sender, judge, within_caps
from voice.store import Accepted, CallFilter, CallPage, CallStore, Intake, Intent, Once
from voice.tariffs import Tariff
from voice.telling import ENDED, Told, as_accepted, deliveries, moved, queued_event, retold

__all__ = ["Audible", "Progress", "Prompts", "Receipt", "Refusal", "Request", "Sender", "Sending"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was accepted. `calls` holds ids in the order of the accepted numbers; empty on a dry run."""

    ref_id: str
    accepted_at: datetime
    accepted: tuple[str, ...]  # numbers, international digits
    refused: tuple[Refusal, ...]
    call_ids: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    dry_run: bool = False
    audio_ms: int | None = None  # dry run: length of the rendered audio
    from_number: str = ""  # the caller id that was chosen
    errors: tuple[FieldError, ...] = field(default_factory=tuple)
    tariffs: tuple[Tariff | None, ...] = ()  # per accepted number


class Audible(Protocol):
    """What is asked of rendered audio here."""

    @property
    def duration_ms(self) -> int: ...

    @property
    def warnings(self) -> tuple[str, ...]: ...


class Prompts(Protocol):
    async def audio(self, prompt: Prompt) -> Audible:
        """Raises SpeechError."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """A message and what its recipients add up to."""

    message: Message
    tally: Tally


class Sending:
    """Judges requests, stores what was accepted, and leaves wishes; a dialer does the rest."""

    def __init__(
        self,
        store: CallStore,
        prompts: Prompts,
        settings: Settings,
        clock: Clock,
        rng: random.Random,
        suspend: Callable[[str, str, Overrun], Awaitable[None]],
    ) -> None:
        """`suspend(owner, key_id, overrun)`: a key that would have passed a limit of its day."""
        self._store = store
        self._prompts = prompts
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._suspend = suspend

    async def send(
        self,
        sender: Sender,
        request: Request,
        once: tuple[str, str] | None = None,
        answer: Callable[[Receipt], tuple[int, str]] | None = None,
    ) -> Receipt | Accepted:
        """Accept a request, or predict it (`dry_run`: nothing is stored).

        `once`: (scoped idempotency key, fingerprint of the body); then `answer` makes the (status, body) to replay.
        Returns the first answer as `Accepted` when this key was served before.
        Raises Invalid (fields), IdempotencyMismatch, SpeechFailed (dry run), Unavailable; and what the limits of the
        key say: KeySuspended, SpendCap, DurationCap, OverLimit, FrequencyCap.
        """
        if once and not request.dry_run and (first := await self._store.replay(*once)):
            return first
        if sender.is_suspended:
            raise KeySuspended
        now = self._clock.now()
        request = within_caps(sender, request, self._settings.lines.max_duration_s)
        order = judge(sender, request, self._settings, now, self._rng)
        if request.dry_run:
            return await self._predict(order, now)
        while True:  # a number that was called too often is left out, and the others are asked for again
            receipt = _receipt(sender, order, now, _call_ids(len(order.numbers)))
            record = Once(*once, *answer(receipt)) if once and answer else None
            wanted = intake(sender, request, order, receipt, record, self._settings.account.timezone)
            accepted = await self._store.accept(wanted)
            if accepted.overrun is None:
                return accepted if accepted.replayed and accepted.body is not None else receipt
            order = await self._less(sender, order, accepted.overrun)

    async def _less(self, sender: Sender, order: Order, overrun: Overrun) -> Order:
        """The order without those who were called too often. Raises what the limit says when nobody is left."""
        if overrun.over is not Over.NUMBER:
            raise await self.refused(sender, overrun)
        often, detail = set(overrun.indices), rung_too_often(overrun)
        refused = [Refusal(order.numbers[at], at, FrequencyCap.code, detail) for at in overrun.indices]
        if len(often) == len(order.numbers):
            errors = tuple(FieldError(f"#/to/{no.index}", no.code.lower(), no.detail) for no in refused)
            raise FrequencyCap(detail, errors=errors, retry_after_s=overrun.wait_s)
        left = tuple(number for at, number in enumerate(order.numbers) if at not in often)
        return replace(order, numbers=left, refused=(*order.refused, *refused))

    async def refused(self, sender: Sender, overrun: Overrun) -> ServiceError:
        """What a request that would pass a limit is told. One of the day suspends the key first: raises Unavailable."""
        if overrun.over.suspends:
            await self._suspend(sender.owner, sender.key_id, overrun)
        return error_of(overrun)

    async def status(self, owner: str, ref_id: str) -> Progress:
        message = await self._store.message(owner, ref_id)
        if message is None:
            raise NotFound(f"No message {ref_id}.")
        tally = await self._store.tally(ref_id)
        warnings = tuple(dict.fromkeys((*message.warnings, *tally.warnings)))
        return Progress(replace(message, warnings=warnings), tally)

    async def recipients(self, owner: str, ref_id: str, offset: int, limit: int) -> Sequence[Recipient]:
        await self.status(owner, ref_id)
        return await self._store.recipients(ref_id, offset, limit)

    async def cancel(self, owner: str, ref_id: str) -> Progress:
        """Ask for the end of every call that is not final; what is queued is never dialled."""
        await self.status(owner, ref_id)
        await self._store.intend_all(ref_id, Intent.CANCEL)
        return await self.status(owner, ref_id)

    async def call(self, owner: str, call_id: str) -> Call:
        call = await self._store.call(owner, call_id)
        if call is None:
            raise NotFound(f"No call {call_id}.")
        return call

    async def calls(self, owner: str, which: CallFilter, before: str | None, limit: int) -> CallPage:
        return await self._store.calls(owner, which, before, limit)

    async def hang_up(self, owner: str, call_id: str) -> Call:
        """Ask for the end of a call; harmless when it is final. The call as it stands: the end comes by its events."""
        await self.call(owner, call_id)
        return await self._store.intend(call_id, Intent.CANCEL) or await self.call(owner, call_id)

    async def events(self, owner: str, call_id: str) -> Sequence[Told]:
        await self.call(owner, call_id)
        events = await self._store.events(call_id)
        return tuple(retold(await self.call(owner, call_id), events))  # read last: it knows the end that they tell

    async def follow(self, owner: str, call_id: str, after_sequence: int = 0) -> AsyncIterator[Told]:
        """Events after `after_sequence` as they happen, ending after call.ended. Raises NotFound at once."""
        return self._followed(await self.call(owner, call_id), after_sequence)

    async def _followed(self, call: Call, after_sequence: int) -> AsyncIterator[Told]:
        then = as_accepted(call)
        async for event in self._store.follow(call.call_id, 0):
            if event.type == ENDED:
                call = await self.call(call.owner, call.call_id)
            then = moved(then, event, call)
            if event.sequence > after_sequence:
                yield Told(event, then)

    async def trace(self, owner: str, call_id: str) -> str | None:
        """The SIP ladder (JSON), None when there is none yet."""
        await self.call(owner, call_id)
        return await self._store.trace(call_id)

    async def _predict(self, order: Order, now: datetime) -> Receipt:
        try:
            audio = await self._prompts.audio(order.prompt)
        except SpeechError as error:
            raise speech_failure(order.prompt, error) from error
        return Receipt(
            ids.ref_id(),
            now,
            order.numbers,
            order.refused,
            (),
            (*order.warnings, *(in_public(order.prompt, words) for words in audio.warnings)),
            dry_run=True,
            audio_ms=audio.duration_ms,
            from_number=order.from_number,
        )


def speech_failure(prompt: Prompt, error: SpeechError) -> ServiceError:
    """Whose fault it is that there is no audio: the request's (422), or ours (503)."""
    said = in_public(prompt, str(error))
    if not error.of_request:
        return SpeechFailed(said)
    if prompt.media_url is not None:
        return MediaInvalid(said, errors=(FieldError("#/media_url", "unplayable", said),))
    return TextInvalid(said, errors=(FieldError("#/text", "unspeakable", said),))


def _receipt(sender: Sender, order: Order, now: datetime, call_ids: tuple[str, ...]) -> Receipt:
    return Receipt(
        ids.ref_id(),
        now,
        order.numbers,
        order.refused,
        call_ids,
        order.warnings,
        from_number=order.from_number,
        tariffs=tuple(sender.rates.tariff(number) for number in order.numbers),
    )


def intake(sender: Sender, request: Request, order: Order, receipt: Receipt, once: Once | None, zone: str) -> Intake:
    """Everything the store keeps of an accepted request."""
    message = Message(
        ref_id=receipt.ref_id,
        owner=sender.owner,
        created_at=receipt.accepted_at,
        sandbox=sender.sandbox,
        prompt=order.prompt,
        script=request.script,
        due_at=order.due_at,
        valid_until=order.valid_until,
        trunk_id=order.trunk_id,
        callbacks=order.callbacks,
        client_reference=request.client_reference,
        callback_data=request.callback_data,
        source=request.source,
        warnings=order.warnings,
        campaign=order.campaign,
        key_id=sender.key_id,
    )
    calls = tuple(
        _call(message, index, number, call_id, order.from_number, tariff)
        for index, (number, call_id, tariff) in enumerate(
            zip(receipt.accepted, receipt.call_ids, receipt.tariffs, strict=True)
        )
    )
    events = tuple(queued_event(call) for call in calls)
    told = tuple(deliveries(call, message, event) for call, event in zip(calls, events, strict=True))
    each = tuple(need(request.script.max_duration_s, tariff) for tariff in receipt.tariffs)
    asked = Reservation(sender.key_id, day_of(order.due_at, zone), sender.caps, each) if sender.key_id else None
    return Intake(message, calls, events, told, once, asked)


def _call(message: Message, index: int, number: str, call_id: str, from_number: str, tariff: Tariff | None) -> Call:
    return Call(
        call_id=call_id,
        ref_id=message.ref_id,
        owner=message.owner,
        to_number=number,
        from_number=from_number,
        created_at=message.created_at,
        sandbox=message.sandbox,
        sequence=1,
        recipient=index,
        client_reference=message.client_reference,
        callback_data=message.callback_data,
        test=message.source == TEST_CALL,
        tariff=tariff,
    )


def _call_ids(count: int) -> tuple[str, ...]:
    """In rising order, so that calls due at the same moment are taken in the order of their recipients."""
    return tuple(sorted(ids.call_id() for _ in range(count)))
