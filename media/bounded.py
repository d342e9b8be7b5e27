"""Runs one short child program with bounds on time, memory and output: for native code that reads what strangers wrote.

Nothing of us goes with it: no environment, no open files but the ones named, no terminal, no working directory. Input
and output are anonymous memory files, so nothing is left on disk, a full pipe cannot block either side, and a program
that must seek in its output can.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

# One OpenBLAS thread: each further one would reserve address space that counts against the bound.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1"}
# The bounds hold before the program's first instruction: set from outside they came a moment after it began, and a busy
# machine made that moment long. Not by a hook between fork and exec, which is not safe in a process with threads.
_CONFINED = 'ulimit -c 0 && ulimit -t "$1" && ulimit -v "$2" && ulimit -f "$3" && shift 3 && exec "$@"'
_WORDS_MOST = 2000  # of what a child says on stderr


class ChildError(Exception):
    """The child did not do its work; the text says why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    wall_s: float
    cpu_s: int
    memory_bytes: int  # address space, so resident memory is less
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Finished:
    status: int  # exit status; negative: the signal that ended it
    output: bytes
    words: str  # the beginning of stderr


@contextmanager
def memory_file(content: bytes = b"") -> Iterator[int]:
    """A file without a name; the descriptor stands at its beginning."""
    descriptor = os.memfd_create("tocsin", os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def content_of(descriptor: int, most: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read(most)


async def run(argv: Sequence[str], given: bytes, bounds: Bounds, *, open_files: Sequence[int] = ()) -> Finished:
    """`given` is the child's stdin; `open_files` are descriptors it keeps under their numbers. Raises ChildError.

    When the caller is cancelled the child is killed before this returns.
    """
    with ExitStack() as stack:
        stdin = stack.enter_context(memory_file(given))
        stdout, stderr = stack.enter_context(memory_file()), stack.enter_context(memory_file())
        if shutil.which(argv[0], path=ENVIRONMENT["PATH"]) is None:
            raise ChildError(f"{os.path.basename(argv[0])} does not start: it is not there, or no program")
        try:
            child = await asyncio.create_subprocess_exec(
                *_confined(argv, bounds),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=tuple(open_files),
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise ChildError(f"{os.path.basename(argv[0])} does not start: {error.strerror}") from error
        status = await _ended(child, bounds)
        words = content_of(stderr, _WORDS_MOST).decode(errors="replace").strip()
        return Finished(status, content_of(stdout, bounds.output_bytes), words)


async def _ended(child: asyncio.subprocess.Process, bounds: Bounds) -> int:
    try:
        async with asyncio.timeout(bounds.wall_s):
            return await child.wait()
    except TimeoutError:
        raise ChildError(f"took longer than {bounds.wall_s:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _confined(argv: Sequence[str], bounds: Bounds) -> tuple[str, ...]:
    """POSIX `ulimit`: seconds, KiB of address space, blocks of 512 bytes; both the soft and the hard limit."""
    numbers = (bounds.cpu_s, bounds.memory_bytes // 1024, -(-bounds.output_bytes // 512))
    return ("/bin/sh", "-c", _CONFINED, "sh", *map(str, numbers), *argv)
