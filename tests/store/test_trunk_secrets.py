"""R13: a SIP password that was stored is in no file of the store, whatever was done with it."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from messaging.clock import SystemClock
from messaging.embedded import EmbeddedValkey
from messaging.store import connect
from sip.trunk_object import from_object
from voice.sealing import Sealer
from voice.trunk_book import TrunkBook
from voice.trunk_entry import AdminState
from voice.trunk_shelf import ValkeyTrunkShelf

CANARY = "canary-5d1f0c"
PASSWORD = f"{CANARY}-password"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short: a unix socket lies in it."""
    with TemporaryDirectory(prefix="tocsin-") as path:
        yield Path(path)


def files_with(word: str, folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


async def test_a_password_is_in_no_file_of_the_store(folder: Path) -> None:
    async with EmbeddedValkey(folder) as server:
        redis = connect(server.url)
        try:
            book = TrunkBook(ValkeyTrunkShelf(redis, "t:"), Sealer(["k" * 32]), SystemClock())
            words = {"id": "a", "host": "127.0.0.1", "username": "named-in-the-clear", "password": PASSWORD}
            await book.create(from_object(words))
            await book.set_state("a", AdminState.DRAINING)
            await book.apply([from_object({**words, "id": "b"})], "trunks.toml")
            auth = (await book.get("a")).trunk.auth
            assert auth is not None
            assert auth.password == PASSWORD
        finally:
            await redis.aclose()

    assert files_with("named-in-the-clear", folder), "this is how a word would be found"
    assert files_with(CANARY, folder) == []
