"""The local record of the point of no return: what this host may have dialled, forced to disk before it dials.

One file of JSON lines under an exclusive lock, so two dialers cannot share a directory. It answers two questions after
any crash: which calls have to be brought to their end, and (`knows`) whether a call that the server offers as queued
was dialled already: then the server lost a write, and the call is not dialled again.

A line is one of
  dialed    call, owner, epoch: on disk before the store and before the INVITE hear of it
  not_sent  nothing left this machine after all: the call may be dialled later
  fact      it rang, it was answered: with the time, for a store that was away
  ended     what the line said at the end, word for word
  done      the store has the end
Only `dialed` is forced to disk; the others outlive the process, and losing them to a power cut errs to the safe side.
"""

import asyncio
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from messaging.clock import Clock
from sip.events import Ended
from voice.calls import Call, Dialed, Rang, WasAnswered
from voice.codec import from_plain, plain

FILE = "calls.jsonl"
ROTATE_BYTES = 8 * 1024 * 1024  # then the file is written anew without what is over
KNOWN_S = 86_400.0  # so long a call that was dialled here is remembered after its end


class JournalBusy(Exception):
    """Another dialer of this host holds the journal."""


@dataclass(slots=True)
class Entry:
    """One call that may have been dialled here. `done_at`: Unix seconds."""

    call_id: str
    owner: str
    epoch: int
    dialed: Dialed
    facts: list[Rang | WasAnswered] = field(default_factory=list)
    ended: Ended | None = None
    sent: bool = True
    done_at: float | None = None

    @property
    def open(self) -> bool:
        return self.done_at is None


class Journal:
    """Raises JournalBusy when another process has it, OSError when the disk does not take a line."""

    def __init__(
        self, directory: Path, clock: Clock, *, rotate_bytes: int = ROTATE_BYTES, known_s: float = KNOWN_S
    ) -> None:
        self._rotate_bytes, self._known_s = rotate_bytes, known_s
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / FILE
        self._clock = clock
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise JournalBusy(f"{directory} is in use by another dialer") from None
        self._entries: dict[str, Entry] = {}
        for line in self._lines():
            self._take(line)
        self._file = self._rewritten()
        self._syncing = asyncio.Lock()
        self._written = self._synced = 0

    def close(self) -> None:
        os.close(self._file)
        os.close(self._lock)

    def knows(self, call_id: str) -> bool:
        """This host may have dialled it."""
        entry = self._entries.get(call_id)
        return entry is not None and entry.sent

    def has(self, call_id: str) -> bool:
        """A line stands here about it."""
        return call_id in self._entries

    def open_entries(self) -> tuple[Entry, ...]:
        """Calls whose end the store does not have, oldest first."""
        return tuple(entry for entry in self._entries.values() if entry.open)

    async def dialed(self, call: Call, epoch: int, fact: Dialed) -> None:
        """On disk when this returns."""
        self._append(_dialed_line(call.call_id, call.owner, epoch, fact))
        await self._force()

    def not_sent(self, call_id: str) -> None:
        self._append({"t": "not_sent", "id": call_id})

    def fact(self, call_id: str, fact: Rang | WasAnswered) -> None:
        self._append({"t": "fact", "id": call_id, "kind": type(fact).__name__, "fact": plain(fact)})

    def ended(self, ended: Ended) -> None:
        self._append({"t": "ended", "id": ended.call_id, "ended": plain(ended)})

    def done(self, call_id: str) -> None:
        self._append({"t": "done", "id": call_id, "at": self._now()})
        if self._written > self._rotate_bytes and not self._syncing.locked():
            os.close(self._file)
            self._file = self._rewritten()
            self._written = self._synced = 0

    # -- inside
    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _append(self, line: dict[str, Any]) -> None:
        # A line begins with a newline too: one that a full disk cut in half spoils no other.
        data = f"\n{json.dumps(line, separators=(',', ':'))}\n".encode()
        written = os.write(self._file, data)
        self._written += written
        if written < len(data):
            raise OSError(errno.ENOSPC, "the journal's disk is full", str(self._path))
        self._take(line)

    async def _force(self) -> None:
        """fsync off the loop; whoever waited for the lock may find that the one before has forced its line as well."""
        mine = self._written
        async with self._syncing:
            if self._synced >= mine:
                return
            upto, file = self._written, self._file
            await asyncio.to_thread(os.fsync, file)
            self._synced = max(self._synced, upto)

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        for raw in self._path.read_bytes().splitlines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue  # the half line of a crash
            if isinstance(line, dict) and isinstance(line.get("id"), str):
                yield line

    def _take(self, line: dict[str, Any]) -> None:
        call_id = line["id"]
        if line["t"] == "dialed":
            self._entries.pop(call_id, None)
            self._entries[call_id] = Entry(call_id, line["owner"], line["epoch"], from_plain(Dialed, line["fact"]))
        entry = self._entries.get(call_id)
        if entry is None:
            return
        match line["t"]:
            case "not_sent":
                entry.sent = False
            case "fact":
                entry.facts.append(_fact(line["kind"], line["fact"]))
            case "ended":
                entry.ended = from_plain(Ended, line["ended"])
            case "done":
                entry.done_at = line["at"]

    def _rewritten(self) -> int:
        """The file anew with what still matters, in one rename, forced to disk; open for appending."""
        forgotten = self._now() - self._known_s
        self._entries = {
            call_id: entry
            for call_id, entry in self._entries.items()
            if entry.done_at is None or entry.done_at > forgotten
        }
        half = self._path.with_suffix(".half")
        with half.open("w", encoding="utf-8") as file:
            for entry in self._entries.values():
                file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in _lines_of(entry))
            file.flush()
            os.fsync(file.fileno())
        half.rename(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND)


def _fact(kind: str, raw: Any) -> Rang | WasAnswered:
    return from_plain(Rang, raw) if kind == "Rang" else from_plain(WasAnswered, raw)


def _dialed_line(call_id: str, owner: str, epoch: int, fact: Dialed) -> dict[str, Any]:
    return {"t": "dialed", "id": call_id, "owner": owner, "epoch": epoch, "fact": plain(fact)}


def _lines_of(entry: Entry) -> Iterator[dict[str, Any]]:
    yield _dialed_line(entry.call_id, entry.owner, entry.epoch, entry.dialed)
    if not entry.sent:
        yield {"t": "not_sent", "id": entry.call_id}
    for fact in entry.facts:
        yield {"t": "fact", "id": entry.call_id, "kind": type(fact).__name__, "fact": plain(fact)}
    if entry.ended:
        yield {"t": "ended", "id": entry.call_id, "ended": plain(entry.ended)}
    if entry.done_at is not None:
        yield {"t": "done", "id": entry.call_id, "at": entry.done_at}
