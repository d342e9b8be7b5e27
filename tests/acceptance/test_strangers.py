"""The service as others on this machine and on its network see it: what lies on disk, what logs say, what is told."""

import os
import stat
from pathlib import Path

import pytest

from tests.service import Service, descendants, process_name, running
from tests.until import until

pytestmark = [pytest.mark.sip, pytest.mark.timeout(120)]

DAY_S = 86_400.0


async def test_nobody_else_on_this_machine_can_read_what_is_kept(tmp_path: Path) -> None:
    before = tmp_path / "data" / "recordings"
    before.mkdir(parents=True)  # of a release that was less careful
    old = before / "call_01K0ABCDEFGHJKMNPQRSTVWXYZ.wav"
    old.write_bytes(b"RIFF")
    os.utime(old, (0, 0))
    shared = os.umask(0o002)  # as careless as a machine may be
    try:
        async with running(tmp_path / "data") as service:
            call = await service.call(to="12025550110", text="Your code is 4821.", record=True)
            await until(lambda: not old.exists())
            store = Path(f"/proc/{_store_of(service)}/environ").read_bytes()
            kept = [path for path in service.data.rglob("*") if not path.is_symlink()]
    finally:
        os.umask(shared)

    assert call["status"] == "completed"
    assert {path.suffix for path in kept} >= {".wav", ".jsonl", ".aof", ".secret", ".pepper"}
    open_files = [path for path in kept if path.is_file() and path.stat().st_mode & 0o077]
    open_folders = [path for path in kept if path.is_dir() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert (open_files, open_folders) == ([], [])
    assert b"TOCSIN_" not in store


def _store_of(service: Service) -> int:
    return next(pid for pid in descendants(service.process.pid) if "valkey" in process_name(pid))
