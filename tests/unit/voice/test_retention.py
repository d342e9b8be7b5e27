"""Recordings have a life, and what a killed process left of one has the same."""

import asyncio
import os
from pathlib import Path

import pytest

from messaging.clock import SystemClock
from tests.until import until
from voice.retention import keep_sweeping, remove_older

DAY_S = 86_400.0
CLOCK = SystemClock()


def lying(folder: Path, name: str, age_s: float) -> Path:
    path = folder / name
    path.write_bytes(b"RIFF")
    written = CLOCK.now().timestamp() - age_s
    os.utime(path, (written, written))
    return path


def test_what_is_older_than_its_time_is_removed_and_nothing_else(tmp_path: Path) -> None:
    names = ("call_1.wav", "call_1.said.wav", "call_1.half", ".call_1.wav.part")
    old = [lying(tmp_path, name, DAY_S + 60) for name in names]
    young = lying(tmp_path, "call_2.wav", DAY_S - 60)
    not_ours = lying(tmp_path, "notes.txt", 400 * DAY_S)

    assert remove_older(tmp_path, DAY_S, CLOCK) == len(old)

    assert sorted(tmp_path.iterdir()) == sorted([young, not_ours])


def test_a_link_is_removed_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    outside = lying(tmp_path, "outside.wav", 2 * DAY_S)
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "call_1.wav").symlink_to(outside)

    remove_older(folder, 0.0, CLOCK)

    assert outside.exists()
    assert not list(folder.iterdir())


def test_a_folder_that_was_never_made_is_no_fault(tmp_path: Path) -> None:
    assert remove_older(tmp_path / "none", DAY_S, CLOCK) == 0


async def test_a_sweep_that_fails_does_not_keep_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    swept: list[int] = []

    def fails() -> None:
        raise PermissionError(13, "Permission denied")

    task = asyncio.create_task(keep_sweeping([fails, lambda: swept.append(1)], every_s=0.01))
    await until(lambda: len(swept) >= 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    said = capsys.readouterr()
    assert "old recordings not removed" in said.out + said.err
