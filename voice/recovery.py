"""After a crash: calls that were dialled here get their true result, or what can be known. None is redialled."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import structlog

from messaging.errors import Unavailable
from sip.events import Ended
from sip.trunk import Trunk
from voice.calls import Call, Ending, Rang, Status, WasAnswered
from voice.desk import Desk
from voice.endings import lost, moment, of_leg, outcome_of
from voice.journal import Entry
from voice.messages import Message
from voice.writing import CallWriter, Stale

log = structlog.get_logger(__name__)

LAST_WORDS_S = 10.0  # line processes hang up and write down what happened when their dialer is gone: they have so long
LOOK_S = 0.25
STORE_S = 0.5  # between tries while the store is away


async def recover(
    desk: Desk,
    read_last_words: Callable[[], Sequence[Ended]],
    trunks: Mapping[str, Trunk],
    *,
    wait_s: float = LAST_WORDS_S,
) -> int:
    """Bring every call that the journal holds open to its end; how many those were.

    `read_last_words`: the ends that line processes wrote down after their dialer died; each is given once
    (`sip.lastwords.read_journals` of their directory). Waits for a store that is away.
    """
    await _gather_last_words(desk, read_last_words, wait_s)
    entries = desk.journal.open_entries()
    for entry in entries:
        await _settle(desk, entry, trunks)
    if entries:
        log.info("recovered", calls=len(entries))
    return len(entries)


async def _gather_last_words(desk: Desk, read: Callable[[], Sequence[Ended]], wait_s: float) -> None:
    """Into our own journal first: reading them takes them away from where they were."""
    give_up_at = desk.clock.monotonic() + wait_s
    while True:
        for ended in await asyncio.to_thread(read):
            desk.journal.ended(ended)
        waiting = [entry for entry in desk.journal.open_entries() if entry.sent and entry.ended is None]
        if not waiting or desk.clock.monotonic() >= give_up_at:
            return
        await asyncio.sleep(LOOK_S)


async def _settle(desk: Desk, entry: Entry, trunks: Mapping[str, Trunk]) -> None:
    while True:
        try:
            call = await desk.store.call(entry.owner, entry.call_id)
            message = await desk.store.message(entry.owner, call.ref_id) if call else None
            break
        except Unavailable:
            await asyncio.sleep(STORE_S)
    if call and message and not call.status.is_final and (entry.sent or call.status is not Status.QUEUED):
        await _write_end(desk, entry, call, message, trunks)
    desk.journal.done(entry.call_id)


async def _write_end(desk: Desk, entry: Entry, call: Call, message: Message, trunks: Mapping[str, Trunk]) -> None:
    writer = CallWriter(desk.store, call, message, entry.epoch, zone=desk.zone)
    _catch_up(writer, entry)
    ending = _ending(desk, entry, writer.call, message, trunks)
    if ending.status is Status.COMPLETED and writer.call.answer_at is None and entry.ended:
        writer.take(WasAnswered(moment(entry.ended.at) - timedelta(milliseconds=entry.ended.played_ms)))
    gather = message.script.gather
    writer.take(ending, lambda final: outcome_of(final, desk.heard_pct, gather.valid if gather else None))
    try:
        await writer.flush()
    except Stale:
        log.info("recovered by another dialer", call_id=entry.call_id)
    else:
        log.warning("call recovered", call_id=entry.call_id, status=ending.status.value, cause=ending.cause)


def _catch_up(writer: CallWriter, entry: Entry) -> None:
    """What the journal knows and the store does not."""
    if writer.call.status is Status.QUEUED:
        writer.take(entry.dialed)
    for fact in entry.facts:
        known = writer.call.ring_at if isinstance(fact, Rang) else writer.call.answer_at
        if known is None and not (isinstance(fact, Rang) and writer.call.status is not Status.DIALING):
            writer.take(fact)


def _ending(desk: Desk, entry: Entry, call: Call, message: Message, trunks: Mapping[str, Trunk]) -> Ending:
    if entry.ended is None:
        return lost(desk.clock.now(), sent=entry.sent)
    return of_leg(call, message, entry.ended, trunks.get(call.trunk_id or ""), desk.heard_pct)
