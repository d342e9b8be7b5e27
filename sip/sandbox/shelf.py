"""Where recordings lie: a free name for each call, and room for no more than so many; the oldest go first."""

import re
from collections import OrderedDict
from pathlib import Path


class Shelf:
    """Knows what lies in `directory` from the start on, so that the end of a call need not read the disk."""

    def __init__(self, directory: Path, keep: int) -> None:
        """Raises OSError."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._keep = max(1, keep)
        present = sorted(directory.glob("*.wav"), key=lambda path: path.stat().st_mtime)
        self._names: OrderedDict[str, None] = OrderedDict((path.stem, None) for path in present)

    def path_for(self, wanted: str) -> Path:
        """A name made of `wanted`, safe for any file system and not taken; makes room for it."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", wanted)[:80].strip("-") or "call"
        name, number = stem, 1
        while name in self._names:
            number += 1
            name = f"{stem}-{number}"
        while len(self._names) >= self._keep:
            oldest, _ = self._names.popitem(last=False)
            (self._directory / f"{oldest}.wav").unlink(missing_ok=True)
        self._names[name] = None
        return self._directory / f"{name}.wav"
