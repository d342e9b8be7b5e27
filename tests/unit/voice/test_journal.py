"""What the journal says after a crash is what was written before it."""

import json
import os
from pathlib import Path

import pytest

from messaging.clock import SystemClock
from sip.events import Ended, Origin, Phase
from tests.voice_values import an_intake, dialed, now
from voice.calls import Rang, WasAnswered
from voice.journal import FILE, Journal, JournalBusy

CALL = an_intake(1).calls[0]
ENDED = Ended(CALL.call_id, 1.5, 200, "OK", Origin.REMOTE, Phase.ANSWERED, played_ms=900)


def reopened(journal: Journal, directory: Path) -> Journal:
    journal.close()
    return Journal(directory, SystemClock())


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, SystemClock())


async def test_a_dialled_call_is_open_until_its_end_is_stored(journal: Journal, tmp_path: Path) -> None:
    fact, rang, answered = dialed(), Rang(now()), WasAnswered(now(), "PCMA")
    await journal.dialed(CALL, 3, fact)
    journal.fact(CALL.call_id, rang)
    journal.fact(CALL.call_id, answered)
    journal.ended(ENDED)

    again = reopened(journal, tmp_path)
    (entry,) = again.open_entries()

    assert (entry.owner, entry.epoch, entry.dialed, entry.facts) == (CALL.owner, 3, fact, [rang, answered])
    assert (entry.ended, entry.sent) == (ENDED, True)
    again.done(CALL.call_id)
    last = reopened(again, tmp_path)
    assert last.open_entries() == ()
    assert last.knows(CALL.call_id)
    last.close()


async def test_a_call_that_was_not_sent_may_be_dialled_again(journal: Journal, tmp_path: Path) -> None:
    await journal.dialed(CALL, 1, dialed())
    assert journal.knows(CALL.call_id)

    journal.not_sent(CALL.call_id)

    assert not journal.knows(CALL.call_id)
    again = reopened(journal, tmp_path)
    assert not again.knows(CALL.call_id)
    await again.dialed(CALL, 2, dialed())
    assert again.knows(CALL.call_id)
    again.close()


async def test_half_a_line_spoils_no_other(journal: Journal, tmp_path: Path) -> None:
    await journal.dialed(CALL, 1, dialed())
    with (tmp_path / FILE).open("a") as file:
        file.write('\n{"t":"ended","id":"' + CALL.call_id)
    journal.ended(ENDED)

    again = reopened(journal, tmp_path)

    assert again.open_entries()[0].ended == ENDED
    again.close()


def test_two_dialers_do_not_share_a_journal(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(JournalBusy):
        Journal(tmp_path, SystemClock())
    journal.close()


async def test_the_line_is_on_disk_when_dialed_returns(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _: forced.append((tmp_path / FILE).stat().st_size))

    await journal.dialed(CALL, 1, dialed())

    assert forced == [(tmp_path / FILE).stat().st_size]
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines() if line]
    assert [(line["t"], line["id"]) for line in lines] == [("dialed", CALL.call_id)]
    journal.close()


async def test_the_journal_does_not_grow_for_ever(tmp_path: Path) -> None:
    small = Journal(tmp_path, SystemClock(), rotate_bytes=20_000, known_s=0.0)

    for call in an_intake(300).calls:
        await small.dialed(call, 1, dialed())
        small.done(call.call_id)

    assert (tmp_path / FILE).stat().st_size < 25_000
    small.close()
