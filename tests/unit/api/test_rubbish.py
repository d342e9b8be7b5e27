"""More than 300 bodies nobody should send: never a 5xx, the member named, nothing stored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pytest

from tests.api_door import Door

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
ROWS_AT_LEAST = 300


@dataclass(frozen=True)
class Row:
    """`named`: the pointer that must be among the complaints, None where the whole body is unreadable."""

    content: bytes
    named: str | None
    kind: str = JSON


# JSON texts that fit nowhere below.
_ODD = {
    "object": '{"a":[{}]}',
    "array": "[[1],[2]]",
    "true": "true",
    "huge integer": "9" * 400,
    "endless integer": "9" * 5000,
    "minus": "-1",
    "tiny": "1e-400",
    "infinite": "1e400",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "surrogate": '"\\ud800"',
    "two halves in wrong order": '"\\udc00\\ud800"',
    "NUL": '"a\\u0000b"',
    "right to left": '"\u202e\u202d12"',
    "long": '"' + "x" * 3000 + '"',
    "empty": '""',
    "blank": '" \\t\\n"',
}
_SCALARS = ("text", "media_url", "language", "voice", "from", "send_at", "valid_until", "callback_url", "trunk_id")
_NUMBERS = ("speed", "repeat", "pause_ms", "ring_timeout", "max_duration")
_NESTED = ("gather", "sandbox")
_OTHERS = ("to", "ssml", "record", "dry_run", "callback_format", "callback_events")
# A member that takes it after all: a right-to-left mark can be read out, a very small number is nearly zero, …
_FINE = {("text", "right to left"), ("pause_ms", "tiny")}


def _values() -> Iterator[Row]:
    for member, (name, value) in product((*_SCALARS, *_NUMBERS, *_NESTED, *_OTHERS), _ODD.items()):
        if (member, name) in _FINE or (member in ("ssml", "record", "dry_run") and name == "true"):
            continue
        rest = {"to": '"12025550100"', "text": '"Hello"', "send_at": "null"}
        if member == "media_url":
            del rest["text"]
        rest[member] = value
        body = "{" + ",".join(f'"{name}":{value}' for name, value in rest.items()) + "}"
        yield Row(body.encode(), f"#/{member}")


_BODIES = (
    Row(b"", None),
    Row(b" \n", None),
    Row(b"null", None),
    Row(b"[]", None),
    Row(b'"to"', None),
    Row(b"12", None),
    Row(b"{", None),
    Row(b"{]", None),
    Row(b"{'to':'1'}", None),
    Row(b'{"to":"12025550100","text":"a"}{}', None),
    Row(b'{"to":"12025550100","text":"a",}', None),
    Row(b'{"to":"12025550100","text":"\n"}', None),
    Row(b'{"to":"12025550100","text":"\xff"}', None),
    Row(b'{"to":"12025550100","text":"\xed\xa0\x80"}', None),
    Row('{"to":"12025550100","text":"a"}'.encode("utf-16"), None),
    Row('{"to":"12025550100","text":"a"}'.encode("utf-32"), None),
    Row(b"[" * 100_000, None),
    Row(b"[" * 100_000 + b"]" * 100_000, None),
    Row(b'{"a":' * 40_000 + b"1" + b"}" * 40_000, None),
    Row(b'{"to":"12025550100","text":"a","gather":' + b'{"a":' * 100 + b"1" + b"}" * 101, "#/gather" + "/a" * 19),
    Row(b'{"to":"12025550100","to":"12025550101","text":"a"}', "#/to"),
    Row(b'{"to":"12025550100","text":"a","gather":{"valid":"1","valid":"2"}}', "#/gather/valid"),
    Row(b'{"to":"12025550100","text":"a","\\ud800":1}', "#"),
    Row(b'{"to":"12025550100","text":"a","a\\u0000":1}', "#"),
    Row(b'{"to":["12025550100","\\ud800"],"text":"a"}', "#/to/1"),
    Row(b'{"to":["12025550100",null],"text":"a"}', "#/to"),
    Row(b'{"to":["12025550100",["12025550101"]],"text":"a"}', "#/to"),
    Row(b'{"to":"12025550100","text":"a","tex":"b"}', "#/tex"),
    Row(b'{"to":"12025550100","text":"a","a/b~c":1}', "#/a~1b~0c"),
    Row(b'{"to":"12025550100","text":"a","__proto__":{}}', "#/__proto__"),
    Row(b'{"to":"12025550100","text":"a","from_":"12025550199"}', "#/from_"),
)
_NUMBERS_NOBODY_HAS = (
    "0802", "+", "00", "++2348020000000", "abc", "1٢٠٢٥٥٥٠١٠٠", "１２０２５５５0100", "12", "1" * 16, "1" * 40,
    "sip:a@b", "12025550100;phone-context=x", "12025550100@evil", "tel:12025550100\r\nX: y", "\u202e001",
    "1202555010a",
)  # fmt: skip
_FORMS = (
    Row(b"", "#/to", FORM),
    Row(b"to=12025550100", "#", FORM),
    Row(b"=&=&=", "#/", FORM),
    Row(b"to[]=12025550100&say=a", "#/to[]", FORM),
    Row(b"to=12025550100&say=%ED%A0%80", None, FORM),
    Row(b"to=12025550100&say=%00", "#/say", FORM),
    Row(b"to=12025550100&say=%C0%80", None, FORM),
    Row(b"to=12025550100&say=a&speed=NaN", "#/speed", FORM),
    Row(b"to=12025550100&say=a&speed=inf", "#/speed", FORM),
    Row(b"to=12025550100&say=a&repeat=" + b"9" * 5000, "#/repeat", FORM),
    Row(b"to=12025550100&say=a&repeat=1e1", "#/repeat", FORM),
    Row(b"to=12025550100&say=a&ssml=perhaps", "#/ssml", FORM),
    Row(b"to=12025550100&say=a&dry_run=0", "#/dry_run", FORM),
    Row(b"to=12025550100&say=a&record=", "#/record", FORM),
    Row(b"to=12025550100&say=a&gather=" + b"[" * 1000, "#/gather", FORM),
    Row(b"to=12025550100&say=a&callback_events=,", "#/callback_events/0", FORM),
    Row(b"\xff=\xff", None, FORM),
    Row(b"%", "#/to", FORM),
)


def _rows() -> list[Row]:
    numbers = (Row(json.dumps({"to": number, "text": "a"}).encode(), "#/to") for number in _NUMBERS_NOBODY_HAS)
    return [*_values(), *_BODIES, *numbers, *_FORMS]


ROWS = _rows()


def test_there_are_at_least_three_hundred() -> None:
    assert len(ROWS) >= ROWS_AT_LEAST


@pytest.mark.parametrize("part", range(8))
async def test_rubbish_is_refused_by_name_and_leaves_nothing_behind(door: Door, part: int) -> None:
    for row in ROWS[part::8]:
        answer = await door.client.post("/v1/calls", content=row.content, headers={"Content-Type": row.kind})

        said = f"{row.content[:80]!r} -> {answer.status_code} {answer.text[:400]}"
        assert answer.status_code in (400, 422), said
        answer.content.decode("utf-8", "strict")
        if row.named is not None:
            assert row.named in [error["pointer"] for error in answer.json()["errors"]] or any(
                error["pointer"].startswith(row.named + "/") for error in answer.json()["errors"]
            ), said
    assert await door.calls() == []
