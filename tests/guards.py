"""Is each guard held by a test? `python -m tests.guards [R3 …]` takes it away in a copy of the tree and looks.

`tests/guards.toml` names them. A test that passes without its guard proves nothing: this run then ends with 1. It takes
some minutes, so it is done by hand, before a release and when a guard or its test has changed.
"""

import importlib.util
import os
import shlex
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from shutil import copy2

ROOT = Path(__file__).parent.parent
WITHIN_S = 300.0
FAILED = 1  # what pytest says when tests ran, and some failed


@dataclass(frozen=True, slots=True)
class Guard:
    """`old` stands once in `file`; `new` is what stands there without the guard; `test`: words for pytest."""

    requirement: str
    what: str
    file: str
    old: str
    new: str
    test: str


def guards() -> tuple[Guard, ...]:
    table = tomllib.loads((ROOT / "tests" / "guards.toml").read_text())
    return tuple(Guard(**row) for row in table["guard"])


def main(wanted: list[str]) -> int:
    if importlib.util.find_spec("pytest") is None:  # Python's own exit code for that is 1, too
        raise SystemExit("pytest is not installed here: make setup")
    held = True
    with tempfile.TemporaryDirectory(prefix="tocsin-guards-") as folder:
        tree = Path(folder) / "tree"
        _copy(tree)
        for guard in guards():
            if wanted and guard.requirement not in wanted:
                continue
            fails = _fails_without(guard, tree)
            held = held and fails
            print(f"{guard.requirement:4} {'held' if fails else 'NOT HELD'}  {guard.what}  ({guard.test})", flush=True)
    return 0 if held else 1


def _copy(tree: Path) -> None:
    """What git knows, as it stands here."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in names.splitlines():
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            copy2(ROOT / name, tree / name)


def _fails_without(guard: Guard, tree: Path) -> bool:
    file = tree / guard.file
    whole = file.read_text()
    if whole.count(guard.old) != 1:
        raise SystemExit(f"{guard.file}: this has to stand there once: {guard.old}")
    file.write_text(whole.replace(guard.old, guard.new))
    try:
        return _pytest(tree, guard.test) == FAILED
    finally:
        file.write_text(whole)


def _pytest(tree: Path, words: str) -> int:
    """In the copy: what is installed points to the tree it was installed from, and PYTHONPATH comes before that."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *shlex.split(words)]
    environ = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tree, env=environ, timeout=WITHIN_S, capture_output=True, check=False)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
