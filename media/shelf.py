"""Shelf: finished prompts on disk. A WAV and its sidecar, both renamed into place; a budget; a scratch folder.

Several processes may share the folder, and any of them may be killed at any moment. The time of last use is the WAV's
modification time. A scratch folder belongs to the process that holds the lock on its file `alive`: the kernel lets go
of it even after kill -9, so the next start knows what to sweep away.
"""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from media.audio import write_wav
from media.speech import Sound

KEY = re.compile(r"[0-9a-f]{64}-[a-z0-9-]{1,20}")  # what was asked, and who spoke it

# A line process opens the file up to a minute after it was asked for, a call lasts five, and then it is compared.
IN_USE_S = 900.0
KEEP_S = 24 * 3600.0  # nobody asked for it in a day: the text may have been private, so the audio goes
TOUCH_S = 30.0  # a use within this of the last is not written down
SWEEP_S = 600.0
ROOM = 0.9  # of the budget is left full after a sweep, or each new prompt would sweep again


@dataclass(frozen=True, slots=True)
class Audio:
    """A prompt ready for a line. `key` names what was asked and who spoke."""

    key: str
    path: Path
    duration_ms: int
    engine: str
    warnings: tuple[str, ...] = ()


class Shelf:
    """`form`: what else decides how a prompt sounds; files made in another form are not found."""

    def __init__(self, root: Path, budget_bytes: int, form: str, now: Callable[[], float] = time.time) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._budget = budget_bytes
        self._form = form
        self._now = now
        self._scratch = _Scratch(root / ".scratch")
        self._bytes = 0
        self._swept_at = 0.0
        self.sweep()

    @property
    def scratch(self) -> Path:
        """For files in the making; emptied when this process is gone."""
        return self._scratch.path

    def find(self, key: str, made_after: float = 0.0) -> Audio | None:
        """Reading it is a use. One small file is read: 0.1 ms, so this may be called on the event loop."""
        path = self._path(key)
        if path is None:
            return None
        try:
            card = json.loads(path.with_suffix(".json").read_bytes())
            wav = path.stat()
            if (card["bytes"], card["form"]) != (wav.st_size, self._form) or card["made_at"] < made_after:
                return None
            if self._now() - wav.st_mtime > TOUCH_S:
                os.utime(path, (self._now(), self._now()))
            return Audio(key, path, card["duration_ms"], card["engine"], tuple(card["warnings"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # not there, or half of it: made anew

    def put(self, key: str, sound: Sound, engine: str, warnings: tuple[str, ...]) -> Audio:
        """Raises OSError when the disk does not take it. Blocks: for a thread."""
        path = self._path(key)
        if path is None:
            raise ValueError(f"not a key: {key!r}")
        made = Path(mkdtemp(dir=self.scratch))
        write_wav(made / "wav", sound)
        size = (made / "wav").stat().st_size
        duration_ms = round(sound.seconds * 1000)
        card = {
            "bytes": size,
            "form": self._form,
            "made_at": self._now(),
            "duration_ms": duration_ms,
            "engine": engine,
            "warnings": warnings,
        }
        (made / "json").write_text(json.dumps(card))
        os.utime(made / "wav", (self._now(), self._now()))
        (made / "wav").rename(path)
        (made / "json").rename(path.with_suffix(".json"))
        made.rmdir()
        self._bytes += size
        if self._bytes > self._budget or self._now() - self._swept_at > SWEEP_S:
            self.sweep()
        return Audio(key, path, duration_ms, engine, warnings)

    def sweep(self) -> None:
        """Removes what nobody used for a day and, over budget, the longest unused; never what may be in use."""
        now = self._now()
        found = sorted(_wavs(self._root))
        total = sum(size for _, size, _ in found)
        most = self._budget * ROOM if total > self._budget else self._budget
        for used_at, size, path in found:
            if used_at > now - IN_USE_S or (total <= most and used_at > now - KEEP_S):
                break
            if self._remove(path, used_at):
                total -= size
        self._bytes, self._swept_at = total, now

    def close(self) -> None:
        self._scratch.close()

    def _remove(self, path: Path, used_at: float) -> bool:
        with suppress(OSError):
            if path.stat().st_mtime == used_at:  # another process may have begun to use it
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
                return True
        return False

    def _path(self, key: str) -> Path | None:
        return self._root / f"{key}.wav" if KEY.fullmatch(key) else None


def _wavs(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Last use, bytes and path of each."""
    for entry in os.scandir(root):
        if entry.name.endswith(".wav"):
            with suppress(OSError):
                stat = entry.stat()
                yield stat.st_mtime, stat.st_size, Path(entry.path)


class _Scratch:
    def __init__(self, base: Path) -> None:
        base.mkdir(exist_ok=True)
        with _locked(base / "lock"):
            for other in base.iterdir():
                if other.is_dir() and not _is_alive(other):
                    shutil.rmtree(other, ignore_errors=True)
            self.path = Path(mkdtemp(dir=base))
            self._alive = os.open(self.path / "alive", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._alive, fcntl.LOCK_EX)

    def close(self) -> None:
        if self._alive >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._alive)
            self._alive = -1


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among all processes: a folder is not yet alive between its creation and its lock."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_alive(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / "alive", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
