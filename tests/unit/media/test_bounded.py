import asyncio
import os
import sys

import pytest

from media.bounded import Bounds, ChildError, memory_file, run

MB = 1024 * 1024
ROOMY = Bounds(wall_s=10.0, cpu_s=5, memory_bytes=512 * MB, output_bytes=MB)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


async def test_a_child_reads_what_it_is_given_and_its_words_come_back():
    code = "import sys; print(sys.stdin.read().upper()); print('why', file=sys.stderr); sys.exit(3)"

    done = await run(python(code), b"hello", ROOMY)

    assert (done.status, done.output, done.words) == (3, b"HELLO\n", "why")


async def test_nothing_of_ours_goes_with_a_child(monkeypatch):
    monkeypatch.setenv("TOCSIN_API_KEYS", "tk_live_canary")
    code = "import os; print(sorted(os.environ), os.getcwd(), sorted(os.listdir('/proc/self/fd')))"

    done = await run(python(code), b"", ROOMY)

    assert b"TOCSIN" not in done.output
    assert b" / ['0', '1', '2', '3']" in done.output  # 3 is the listing itself


async def test_a_file_that_is_passed_on_can_be_read():
    with memory_file(b"content") as number:
        done = await run(python(f"import os; print(os.pread({number}, 99, 0))"), b"", ROOMY, open_files=[number])

    assert done.output == b"b'content'\n"


async def test_a_child_that_hangs_is_ended_in_time():
    with pytest.raises(ChildError, match=r"longer than 0.3 s"):
        await run(["sleep", "30"], b"", Bounds(0.3, 5, 512 * MB, MB))


async def test_a_child_that_computes_for_ever_is_ended_by_its_processor_time():
    done = await run(python("while True: pass"), b"", Bounds(10.0, 1, 512 * MB, MB))

    assert done.status < 0


async def test_a_child_gets_no_more_memory_than_its_bound():
    code = "try:\n  b = bytearray(300 * 2**20); print('got it')\nexcept MemoryError: print('refused')"

    done = await run(python(code), b"", Bounds(10.0, 5, 128 * MB, MB))

    assert done.output == b"refused\n"


async def test_a_child_cannot_write_more_than_its_bound():
    done = await run(python("import os\nwhile True: os.write(1, b'x' * 65536)"), b"", ROOMY)

    assert done.status != 0
    assert len(done.output) <= MB


async def test_a_child_is_gone_when_its_caller_is_cancelled(tmp_path):
    os.mkfifo(tmp_path / "pid")
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(30)"
    task = asyncio.create_task(run(python(code), b"", ROOMY))
    number = await asyncio.wait_for(asyncio.to_thread((tmp_path / "pid").read_text), 5)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)


async def test_a_program_that_is_not_there_is_an_error_in_words():
    with pytest.raises(ChildError, match="nowhere does not start"):
        await run(["/nowhere"], b"", ROOMY)


async def test_no_descriptor_is_left_open():
    await run(["true"], b"", ROOMY)
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(5):
        await run(["true"], b"x", ROOMY)
        with pytest.raises(ChildError):
            await run(["/nowhere"], b"", ROOMY)

    assert len(os.listdir("/proc/self/fd")) <= before
