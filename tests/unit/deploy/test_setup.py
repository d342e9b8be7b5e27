"""deploy/make-venv and deploy/install: they show on a terminal how far they are, and stay quiet in a pipe."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
# Stands for every installer: tells on its stderr how far it is, unless it is asked to be quiet.
INSTALLER = """#!/bin/sh
case " $* " in *" -q "*) ;; *) echo "$(basename "$0"): downloading" >&2 ;; esac
"""
INTERPRETER = """#!/bin/sh
[ "$1" != -c ] || echo "$PWD"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout in which nothing is fetched, and whose interpreter has its packages in that very folder."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name, words in {"python": INTERPRETER, "pip": INSTALLER, "uv": INSTALLER}.items():
        (tmp_path / ".venv/bin" / name).write_text(words)
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    return tmp_path


def said(folder: Path, *command: str, on_terminal: bool) -> str:
    """What comes on its stderr."""
    ours, theirs = os.openpty() if on_terminal else os.pipe()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=theirs, check=False)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the end of what a terminal shows
        while more := os.read(ours, 4096):
            shown += more
    os.close(ours)
    assert done.returncode == 0, shown
    return shown.decode()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_installing_shows_its_progress_on_a_terminal_only(folder: Path, installer: str) -> None:
    if installer == "pip":
        (folder / ".venv/bin/uv").unlink()
    command = (str(DEPLOY / "install"), "requirements.lock")

    assert f"{installer}: downloading" in said(folder, *command, on_terminal=True)
    assert said(folder, *command, on_terminal=False) == ""
    assert (folder / "tocsin.pth").read_text() == f"{folder}\n"


def test_making_the_environment_shows_its_progress_on_a_terminal_only(folder: Path) -> None:
    command = (str(DEPLOY / "make-venv"), ".venv/bin/python", "1.2.3")

    assert "pip: downloading" in said(folder, *command, on_terminal=True)
    assert said(folder, *command, on_terminal=False) == ""
