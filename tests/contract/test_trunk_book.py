"""What the trunk book promises, over the shelf in memory and over the one in Valkey."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from messaging.clock import SystemClock
from messaging.errors import Conflict, NotFound
from sip.trunk import Credentials, Trunk
from sip.trunk_object import as_object, from_object
from sip.trunk_reading import Said
from tests.valkey import TestValkey
from voice.sealing import Sealer
from voice.trunk_book import TrunkBook
from voice.trunk_entry import AdminState, Entry, ManagedBy, ManagedByFile, TrunkExists
from voice.trunk_plan import Does
from voice.trunk_shelf import MemoryTrunkShelf, TrunkShelf, ValkeyTrunkShelf

KEY, OLD_KEY = "k" * 32, "o" * 32
SECRET = "s3cret-CANARY"


def facing(host: str) -> str:
    return "10.0.0.5"


def said(trunk_id: str = "lagos-1", **more: Any) -> Said:
    return from_object({"id": trunk_id, "host": "192.0.2.7", **more}, facing=facing)


def with_login(trunk_id: str = "lagos-1", password: str = SECRET, **more: Any) -> Said:
    return said(trunk_id, auth={"username": "alarm", "realm": "r", "password": password}, **more)


def on(shelf: TrunkShelf, *keys: str, facing: Callable[[str], str] = facing) -> TrunkBook:
    return TrunkBook(shelf, Sealer(keys or (KEY,)), SystemClock(), facing)


@pytest.fixture(params=["memory", "valkey"])
def shelf(request: pytest.FixtureRequest) -> TrunkShelf:
    if request.param == "memory":
        return MemoryTrunkShelf()
    server: TestValkey = request.getfixturevalue("valkey")
    return ValkeyTrunkShelf(server.redis, server.prefix)


@pytest.fixture
def book(shelf: TrunkShelf) -> TrunkBook:
    return on(shelf)


async def trunks(book: TrunkBook) -> dict[str, Trunk]:
    return {entry.trunk.id: entry.trunk for entry in await book.all()}


# -- the shelf


async def test_a_write_repeated_after_a_lost_answer_is_one_write(shelf: TrunkShelf) -> None:
    first = await shelf.write(0, {"a": "1", "b": "2"})
    again = await shelf.write(0, {"a": "1", "b": "2"})

    assert (first, again, (await shelf.read()).version) == (True, True, 1)
    assert await shelf.write(1, {}, ["b"]) is True
    assert await shelf.write(1, {}, ["b"]) is True
    page = await shelf.read()
    assert (page.version, dict(page.rows)) == (2, {"a": "1"})


async def test_who_is_late_writes_nothing(shelf: TrunkShelf) -> None:
    await shelf.write(0, {"a": "1"})

    assert await shelf.write(0, {"b": "2"}) is False
    assert await shelf.write(0, {"a": "2"}, ["a"]) is False
    assert dict((await shelf.read()).rows) == {"a": "1"}


# -- the book


async def test_an_empty_book_has_no_trunks(book: TrunkBook) -> None:
    assert (await book.all(), await book.version()) == ((), 0)


async def test_a_trunk_comes_back_as_it_was_said(book: TrunkBook) -> None:
    rich = with_login(
        transport="tls",
        srtp="required",
        failover={"on": [503]},
        schedule=[{"days": ["mon"], "from": "08:00", "to": "20:00", "timezone": "Africa/Lagos"}],
        options_ping={"ok_codes": [200]},
        headers={"X-A": "1", "X-B": "2"},
        rtp={"ports": [30000, 30999]},
        price="0.01",
    )

    created = await book.create(rich)

    (entry,) = await book.all()
    assert entry.trunk == rich.trunk
    assert entry == created == await book.get("lagos-1")
    assert (entry.managed_by, entry.state, entry.takes_calls) == (ManagedBy.API, AdminState.ENABLED, True)


async def test_a_name_is_taken_once(book: TrunkBook) -> None:
    await book.create(said())

    with pytest.raises(TrunkExists):
        await book.create(said(channels=5))
    assert (await book.get("lagos-1")).trunk.channels == 20


async def test_a_replaced_trunk_keeps_its_state(book: TrunkBook) -> None:
    await book.create(said())
    await book.set_state("lagos-1", AdminState.DRAINING)

    await book.replace("lagos-1", lambda before: said(channels=before.trunk.channels + 1))

    entry = await book.get("lagos-1")
    assert (entry.trunk.channels, entry.state, entry.takes_calls) == (21, AdminState.DRAINING, False)


async def test_what_changes_nothing_wakes_nobody(book: TrunkBook) -> None:
    await book.create(with_login())
    version = await book.version()

    await book.replace("lagos-1", lambda _: with_login())
    await book.set_state("lagos-1", AdminState.ENABLED)

    assert await book.version() == version


async def test_a_removed_trunk_is_gone(book: TrunkBook) -> None:
    await book.create(said())
    await book.remove("lagos-1")

    assert await book.all() == ()
    for change in (book.get("lagos-1"), book.remove("lagos-1"), book.set_state("lagos-1", AdminState.ENABLED)):
        with pytest.raises(NotFound):
            await change


async def test_twenty_writers_at_once_lose_nothing(book: TrunkBook) -> None:
    await asyncio.gather(*(book.create(said(f"t-{number}")) for number in range(10)))
    await asyncio.gather(*(book.set_state(f"t-{number}", AdminState.DISABLED) for number in range(10)))

    assert {entry.state for entry in await book.all()} == {AdminState.DISABLED}
    assert (len(await book.all()), await book.version()) == (10, 20)


async def test_a_trunk_that_says_it_is_disabled_is_not_enabled_from_outside(book: TrunkBook) -> None:
    await book.create(said(enabled=False))

    with pytest.raises(Conflict, match="enabled: false"):
        await book.set_state("lagos-1", AdminState.ENABLED)
    assert not (await book.get("lagos-1")).takes_calls


async def test_whoever_watches_sees_the_version_and_each_new_one(book: TrunkBook) -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def watch() -> None:
        async for version in book.watch(every_s=0.01):
            seen.put_nowait(version)

    watching = asyncio.create_task(watch())
    try:
        assert await asyncio.wait_for(seen.get(), 5) == 0
        await book.create(said())
        assert await asyncio.wait_for(seen.get(), 5) == 1
        await book.create(said("b"))
        assert await asyncio.wait_for(seen.get(), 5) == 2
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


# -- the file


async def test_a_file_applied_twice_is_applied_once(book: TrunkBook) -> None:
    file = [with_login(), said("b")]

    first = await book.apply(file, "trunks.toml")
    version = await book.version()
    second = await book.apply([with_login(), said("b")], "trunks.toml")

    assert [(change.trunk_id, change.does) for change in first.changes] == [
        ("lagos-1", Does.CREATE),
        ("b", Does.CREATE),
    ]
    assert (second.changes, second.unchanged, await book.version()) == ((), 2, version)
    assert {(entry.managed_by, entry.source) for entry in await book.all()} == {(ManagedBy.FILE, "trunks.toml")}


async def test_what_left_the_file_goes_and_what_the_api_keeps_stays(book: TrunkBook) -> None:
    await book.create(said("by-hand"))
    await book.apply([said("a"), said("b")], "trunks.toml")

    done = await book.apply([said("a", channels=5)], "trunks.toml")

    assert {change.trunk_id: change.does for change in done.changes} == {"a": Does.UPDATE, "b": Does.REMOVE}
    (difference,) = done.changes[0].differences
    assert (difference.path, difference.before, difference.after) == ("limits.channels", 20, 5)
    assert sorted(await trunks(book)) == ["a", "by-hand"]


async def test_the_file_wins_over_the_api_and_says_so(book: TrunkBook) -> None:
    await book.create(said("a", channels=3))

    done = await book.apply([said("a", channels=7)], "trunks.toml")

    assert [warning for warning in done.warnings if "the file wins" in warning]
    entry = await book.get("a")
    assert (entry.trunk.channels, entry.managed_by) == (7, ManagedBy.FILE)


async def test_a_trunk_of_a_file_is_changed_in_the_file(book: TrunkBook) -> None:
    await book.apply([said()], "trunks.toml")

    with pytest.raises(ManagedByFile, match=r"trunks\.toml"):
        await book.replace("lagos-1", lambda _: said(channels=5))
    with pytest.raises(ManagedByFile):
        await book.remove("lagos-1")
    assert (await book.set_state("lagos-1", AdminState.DISABLED)).state is AdminState.DISABLED


async def test_what_the_operator_did_outlives_the_next_start(book: TrunkBook) -> None:
    await book.apply([said()], "trunks.toml")
    await book.set_state("lagos-1", AdminState.DRAINING)

    await book.apply([said(channels=5)], "trunks.toml")

    entry = await book.get("lagos-1")
    assert (entry.state, entry.trunk.channels) == (AdminState.DRAINING, 5)


async def test_a_plan_changes_nothing_and_is_what_apply_does(book: TrunkBook) -> None:
    await book.apply([said("a"), said("b")], "trunks.toml")
    wanted = [said("a", channels=5), said("c")]

    planned = await book.apply(wanted, "trunks.toml", dry_run=True)

    assert sorted(await trunks(book)) == ["a", "b"]
    assert (await book.apply(wanted, "trunks.toml")).changes == planned.changes


async def test_a_file_applied_for_one_kind_leaves_the_other_alone(book: TrunkBook) -> None:
    lab = from_object({"id": "lab", "host": "127.0.0.1", "sandbox": True})
    await book.apply([said("a"), lab], "trunks.toml")

    done = await book.apply([], "trunks.toml", sandbox=False)
    swapped = await book.apply([said("lab")], "trunks.toml", sandbox=False)

    assert [change.trunk_id for change in done.changes] == ["a"]
    assert (swapped.changes, len(swapped.warnings)) == ((), 1)
    assert list(await trunks(book)) == ["lab"]


# -- secrets


async def test_no_row_holds_a_password(shelf: TrunkShelf, book: TrunkBook) -> None:
    await book.create(with_login())
    await book.set_state("lagos-1", AdminState.DISABLED)

    rows = json.dumps(dict((await shelf.read()).rows))
    assert SECRET not in rows
    assert "alarm" in rows  # so the row is what we looked at
    assert (await book.get("lagos-1")).trunk.auth == Credentials("alarm", "r", SECRET)


async def test_a_changed_password_is_a_change_that_does_not_show_it(book: TrunkBook) -> None:
    await book.apply([with_login()], "trunks.toml")

    done = await book.apply([with_login(password="another-CANARY")], "trunks.toml")

    assert [one.path for one in done.changes[0].differences] == ["auth.password"]
    assert "CANARY" not in repr(done.changes)
    auth = (await book.get("lagos-1")).trunk.auth
    assert auth is not None
    assert auth.password == "another-CANARY"


async def test_a_password_without_its_key_stops_the_trunk_and_is_not_lost(shelf: TrunkShelf) -> None:
    await on(shelf, OLD_KEY).create(with_login())
    stranger = on(shelf, KEY)

    entry = await stranger.get("lagos-1")
    await stranger.set_state("lagos-1", AdminState.DRAINING)

    assert "TOCSIN_SECRET_KEY" in entry.problem
    assert not entry.takes_calls
    auth = (await on(shelf, OLD_KEY).get("lagos-1")).trunk.auth
    assert auth is not None
    assert auth.password == SECRET


async def test_keys_are_rotated_without_an_interruption(shelf: TrunkShelf) -> None:
    await on(shelf, OLD_KEY).create(with_login())

    both = on(shelf, KEY, OLD_KEY)
    assert (await both.get("lagos-1")).problem == ""
    assert (await both.seal_anew(), await both.seal_anew()) == (1, 0)

    assert (await on(shelf, KEY).get("lagos-1")).trunk.auth == Credentials("alarm", "r", SECRET)


async def test_a_password_moved_to_another_trunk_does_not_open(shelf: TrunkShelf, book: TrunkBook) -> None:
    await book.create(with_login())
    await book.create(with_login("b", "other"))
    page = await shelf.read()
    mine, other = (json.loads(page.rows[trunk_id]) for trunk_id in ("lagos-1", "b"))

    await shelf.write(page.version, {"b": json.dumps({**other, "password": mine["password"]})})

    assert "changed in the store" in (await book.get("b")).problem


async def test_one_bad_row_does_not_hide_the_others(shelf: TrunkShelf, book: TrunkBook) -> None:
    await book.create(said())
    await shelf.write(1, {"bad": "{}", "worse": "not json"})

    assert list(await trunks(book)) == ["lagos-1"]


# -- machines


async def test_each_machine_has_its_own_address_unless_one_was_given(shelf: TrunkShelf, book: TrunkBook) -> None:
    await book.create(said("a"))
    await book.create(said("b", bind_address="10.0.0.9"))

    elsewhere = await trunks(on(shelf, facing=lambda _: "10.1.1.1"))

    assert [elsewhere[name].bind_address for name in "ab"] == ["10.1.1.1", "10.0.0.9"]


async def test_a_machine_without_a_route_does_not_use_the_trunk(shelf: TrunkShelf, book: TrunkBook) -> None:
    def nowhere(host: str) -> str:
        raise OSError

    await book.create(said())

    (entry,) = await on(shelf, facing=nowhere).all()
    assert ("no route" in entry.problem, entry.takes_calls) == (True, False)


def test_the_object_of_an_entry_adds_what_the_book_knows() -> None:
    entry = Entry(with_login().trunk, ManagedBy.FILE, SystemClock().now(), source="trunks.toml")

    shown = entry.as_object()

    assert shown.items() >= as_object(entry.trunk).items()
    assert (shown["managed_by"], shown["source"], shown["state"]) == ("file", "trunks.toml", "enabled")
    assert SECRET not in json.dumps(shown)
    assert not replace(entry, problem="x").takes_calls
