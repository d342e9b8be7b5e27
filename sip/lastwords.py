"""The last words of a line process whose parent is gone: one small file, read once by the next dialer.

Each line is an `Ended` in its wire form. A file is written under another name, forced to disk and renamed, so a reader
never meets half of one. It may hold calls whose end the parent knew already (those of the last minute): applying an
end twice changes nothing, while leaving one out would lose the truth about a call.
"""

import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from sip.events import Ended
from sip.wire import WireError, dumps, loads

_SUFFIX = ".jsonl"
_TAKEN = ".taken"  # renamed before it is read: of two dialers on one host only one gets the file
_BROKEN = ".broken"  # kept for a human
_MAX_BYTES = 16 * 1024 * 1024  # a process with 500 lines and a full minute of calls writes a tenth of this


def write(directory: Path, endings: Iterable[Ended]) -> Path | None:
    """Write and fsync; None when there is nothing to say. Raises OSError."""
    lines = [dumps(ended) for ended in endings]
    if not lines:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{os.getpid()}-{int(time.time())}-{uuid.uuid4().hex[:8]}{_SUFFIX}"
    half = path.with_suffix(".half")
    with half.open("w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    half.rename(path)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return path


def read_journals(directory: Path) -> list[Ended]:
    """Every end left behind, oldest first; the files are gone afterwards.

    A file with a line that cannot be read keeps the name `….broken` beside the others, and its good lines count.
    Blocking, and small: files exist only after a crash.
    """
    endings: list[Ended] = []
    if not directory.is_dir():
        return endings
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        mine = path.with_suffix(_TAKEN)
        try:
            path.rename(mine)
            text = mine.read_bytes()[:_MAX_BYTES]
        except OSError:
            continue  # another dialer took it
        good, whole = _parse(text)
        endings += good
        if whole:
            mine.unlink(missing_ok=True)
        else:
            mine.rename(path.with_suffix(_BROKEN))
    return sorted(endings, key=lambda ended: ended.at)


def _parse(text: bytes) -> tuple[list[Ended], bool]:
    good: list[Ended] = []
    whole = True
    for line in text.splitlines():
        try:
            value = loads(line)
        except WireError:
            whole = False
            continue
        if isinstance(value, Ended):
            good.append(value)
        else:
            whole = False
    return good, whole
