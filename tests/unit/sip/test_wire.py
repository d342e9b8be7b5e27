"""Frames: whatever is said arrives, and nothing else can be made of what arrives."""

import json
import struct
from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.commands import Dial, HangUp, Why
from sip.events import Ended, Origin, Phase, Pong
from sip.setup import LineSetup
from sip.trunk import Credentials, Trunk, TrunkUri
from sip.wire import KNOWN, MAX_FRAME, FrameReader, WireError, dumps, encode, loads


def _of(hint: Any) -> st.SearchStrategy[Any]:
    scalars: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=30),
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        NoneType: st.none(),
    }
    if hint in scalars:
        return scalars[hint]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{f.name: _of(hints[f.name]) for f in fields(hint)})
    if get_origin(hint) is tuple:
        arms = get_args(hint)
        if arms[-1] is Ellipsis:
            return st.lists(_of(arms[0]), max_size=3).map(tuple)
        return st.tuples(*map(_of, arms))
    assert get_origin(hint) in (Union, UnionType)
    return st.one_of(*map(_of, get_args(hint)))


ANY = st.one_of(*map(_of, KNOWN))


@given(st.lists(ANY, max_size=4), st.integers(1, 200))
def test_every_value_arrives_however_the_bytes_are_cut(values: list[Any], piece: int) -> None:
    stream = b"".join(map(encode, values))

    reader = FrameReader()
    arrived = [value for at in range(0, len(stream), piece) for value in reader.feed(stream[at : at + piece])]

    assert arrived == values
    assert [type(value) for value in arrived] == [type(value) for value in values]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(st.sampled_from(KNOWN), st.data())
def test_a_lying_process_can_only_make_values_of_the_declared_types(kind: type, data: st.DataObject) -> None:
    lie = {f.name: data.draw(JSON) for f in fields(kind)} | {"type": kind.__name__}

    try:
        value = loads(json.dumps(lie))
    except WireError:
        return

    assert type(value) is kind
    assert loads(dumps(value)) == value


@given(st.binary(max_size=200))
def test_noise_is_an_error_and_never_anything_worse(noise: bytes) -> None:
    try:
        FrameReader().feed(noise)
    except WireError:
        pass


ENDED = Ended("c", 1.0, 200, "OK", Origin.LOCAL, Phase.ANSWERED)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "[" * 60_000,
        "9" * 5000,
        '{"type":"Path","call_id":"c"}',
        '{"type":["Pong"],"number":1}',
        '{"type":"Pong"}',
        '{"type":"Pong","number":true}',
        '{"type":"Pong","number":1.0}',
        '{"type":"Pong","number":9223372036854775808}',
        '{"type":"Pong","number":1,"more":2}',
        '{"type":"HangUp","call_id":"c","why":"because"}',
        dumps(ENDED).replace('"at":1.0', '"at":NaN'),
        dumps(ENDED).replace('"at":1.0', '"at":1e999'),
        dumps(ENDED).replace('"at":1.0', '"at":' + "9" * 400),
        dumps(ENDED).replace('"lost":false', '"lost":0'),
    ],
)
def test_what_is_not_exactly_a_value_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        loads(text)


def test_a_frame_that_claims_to_be_huge_is_refused_before_it_is_read() -> None:
    with pytest.raises(WireError, match="a frame of"):
        FrameReader().feed(struct.pack("!I", MAX_FRAME + 1))


def test_a_value_too_long_for_a_frame_is_refused_by_the_sender() -> None:
    with pytest.raises(WireError, match="more than"):
        encode(HangUp("c" * MAX_FRAME, Why.API))


def test_what_is_no_message_does_not_travel() -> None:
    with pytest.raises(WireError, match="does not travel"):
        dumps(TrunkUri("h"))  # type: ignore[arg-type]  # the point


def test_a_lone_surrogate_arrives_as_something_a_store_can_hold() -> None:
    said = loads('{"type":"HangUp","call_id":"a\\udcffb","why":"api"}')

    assert isinstance(said, HangUp)
    assert said.call_id == "a?b"


def test_an_older_sender_may_leave_out_what_has_a_default() -> None:
    assert loads('{"type":"Dial","call_id":"c","uri":"u","from_uri":"f","audio":"a"}') == Dial("c", "u", "f", "a")
    assert loads('{"type":"Pong","number":7}') == Pong(7)


def test_the_password_reaches_the_line_process() -> None:
    trunk = Trunk("t", "t", (TrunkUri("h"),), auth=Credentials("u", "r", "s3cret"))
    setup = LineSetup(trunk, 4, 30000, 16, "/tmp")

    assert loads(dumps(setup)) == setup
    assert "s3cret" not in repr(setup)
