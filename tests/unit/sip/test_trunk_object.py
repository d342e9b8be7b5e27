"""The trunk object of the API: whole, without secrets, and read back by the rules of the file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.trunk import Credentials, Registration, Trunk, TrunkType, TrunkUri
from sip.trunk_file import load_trunks
from sip.trunk_object import as_object, from_object
from sip.trunk_reading import KEYS
from sip.trunk_section import TrunkError

EXAMPLE = Path(__file__).parents[3] / "config" / "trunks.example.toml"
SECRET = "s3cret-CANARY"
LOGIN = Credentials("alarm", "sip.example.net", SECRET)
PLAIN = Trunk("lagos-1", "lagos-1", (TrunkUri("192.0.2.7"),), bind_address="192.0.2.10", auth=LOGIN)


def facing(host: str) -> str:
    return "10.0.0.5"


def back(data: dict[str, Any], kept: Credentials | None = None) -> Trunk:
    return from_object(json.loads(json.dumps(data)), kept=kept, facing=facing).trunk


EVERY = [PLAIN, *load_trunks(EXAMPLE, {})]


@pytest.mark.parametrize("trunk", EVERY, ids=lambda trunk: trunk.id)
def test_what_is_shown_is_read_back_the_same(trunk: Trunk) -> None:
    assert back(as_object(trunk), kept=trunk.auth) == trunk


def test_every_member_of_a_trunk_is_in_its_object() -> None:
    """What differs between two trunks differs in their objects: no member is dropped."""
    full = load_trunks(EXAMPLE, {})[1]
    for name in Trunk.__dataclass_fields__:
        value = getattr(full, name)
        if value != getattr(PLAIN, name) and name != "auth":
            changed = replace(PLAIN, **{name: value})
            assert as_object(changed) != as_object(PLAIN), name


def test_a_password_is_never_shown() -> None:
    shown = as_object(PLAIN)

    assert SECRET not in json.dumps(shown)
    assert shown["auth"] == {"username": "alarm", "realm": "sip.example.net", "password_set": True}
    assert as_object(replace(PLAIN, auth=None))["auth"] is None


def test_who_repeats_the_user_name_keeps_the_password() -> None:
    shown = as_object(PLAIN)
    assert back(shown, kept=LOGIN).auth == LOGIN

    with pytest.raises(TrunkError, match="is missing") as refused:
        back({**shown, "auth": {"username": "other", "realm": "r"}}, kept=LOGIN)
    assert refused.value.pointer == "#/password"
    assert SECRET not in str(refused.value)


def test_a_new_password_replaces_the_old_one() -> None:
    auth = back({**as_object(PLAIN), "auth": {"username": "alarm", "password": "new"}}, kept=LOGIN).auth

    assert auth is not None
    assert (auth.password, auth.realm) == ("new", "192.0.2.7")


def test_a_disabled_trunk_keeps_its_login_here() -> None:
    assert back({"id": "a", "host": "a", "enabled": False, "username": "u", "password": "p"}).auth is not None


@pytest.mark.parametrize("ref", [{"file": "/etc/passwd"}, {"env": "HOME"}, {"plain": "x"}, 5, "", "two\nlines"])
def test_a_password_is_a_text_and_never_reads_the_server(ref: object) -> None:
    with pytest.raises(TrunkError) as refused:
        back({"id": "a", "host": "a", "auth": {"username": "u", "password": ref}})

    assert refused.value.pointer == "#/auth/password"


def test_a_reference_to_a_password_is_for_files() -> None:
    with pytest.raises(TrunkError, match="references are for the trunk file") as refused:
        back({"id": "a", "host": "a", "auth": {"username": "u", "password_ref": {"env": "HOME"}}})

    assert refused.value.pointer == "#/auth/password_ref"


def test_null_counts_as_left_out() -> None:
    trunk = back({"id": "a", "host": "a", "options_ping": None, "auth": None, "number_format": {"country": None}})

    assert trunk == Trunk("a", "a", (TrunkUri("a"),), bind_address="10.0.0.5")


def test_who_gives_no_bind_address_has_one_on_each_machine() -> None:
    said = from_object({"id": "a", "host": "a"}, facing=facing)

    assert said.binds_itself
    assert as_object(said.trunk, binds_itself=said.binds_itself)["bind_address"] is None
    assert not from_object({"id": "a", "host": "a", "bind_address": "10.0.0.6"}, facing=facing).binds_itself


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"host": "a"}, "#/id"),
        ({"id": "A b", "host": "a"}, "#/id"),
        ({"id": "a"}, "#/host"),
        ({"id": "a", "uris": [{"host": "a"}, {"host": "b", "port": 0}]}, "#/uris/1/port"),
        ({"id": "a", "host": "a", "chanels": 5}, "#/chanels"),
        ({"id": "a", "host": "a", "a/b~c": 5}, "#/a~1b~0c"),
        ({"id": "a", "host": "a", "tls": {"ca": "relative.pem"}}, "#/tls/ca"),
        ({"id": "a", "host": "a", "type": "peer"}, "#/type"),
    ],
)
def test_a_mistake_carries_a_pointer(data: dict[str, Any], pointer: str) -> None:
    with pytest.raises(TrunkError) as refused:
        back(data)

    assert refused.value.pointer == pointer


EVERY_KEY = sorted({key for keys in KEYS.values() for key in keys} | {"id", "password_set", "zzz"})
WORDS = ["a", "", "tls", "register", "08:00", "mon", "192.0.2.0/24", "0.5", "user_busy", "603", "national", "\0", "*"]
leaves = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**6), st.floats(-1, 600), st.sampled_from(WORDS))
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(EVERY_KEY), inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(EVERY_KEY), anything, max_size=8))
def test_any_object_is_a_trunk_or_a_named_mistake(data: dict[str, Any]) -> None:
    try:
        said = from_object({"id": "a", "host": "a", **data}, facing=facing)
    except TrunkError:
        return

    assert from_object(as_object(said.trunk), kept=said.trunk.auth, facing=facing).trunk == said.trunk


def test_a_registering_trunk_comes_back() -> None:
    trunk = replace(PLAIN, type=TrunkType.REGISTER, registration=Registration.EVERY_LINE)

    assert back(as_object(trunk), kept=LOGIN) == trunk
