"""Our identifiers: a prefix and a ULID (sortable by creation), and the 25-character ref_id of 9bits."""

import hashlib
import os
import re
import secrets
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REF_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_REF_LENGTH = 25

_CALL_ID = re.compile(r"call_[0-9A-HJKMNP-TV-Z]{26}")
_TEST_ID = re.compile(r"test_[0-9A-HJKMNP-TV-Z]{26}")
_REF_ID = re.compile(r"(?:msg_)?([0-9a-z]{25})")


def ulid(ms: int | None = None) -> str:
    """26 characters: 48 bits of Unix milliseconds, 80 random bits (the ULID specification, Crockford base 32)."""
    value = ((time.time_ns() // 1_000_000 if ms is None else ms) << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def call_id() -> str:
    return "call_" + ulid()


def event_id() -> str:
    return "evt_" + ulid()


def delivery_id() -> str:
    return "dlv_" + ulid()


def test_id() -> str:
    """Of a trunk's self-test."""
    return "test_" + ulid()


def test_id_of(key: str) -> str:
    """The same for the same key: whoever repeats a request finds the test that it asked for."""
    value = int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big")
    return "test_" + "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def request_id() -> str:
    return "req_" + ulid()


def ref_id() -> str:
    """A message's reference: 25 characters 0-9a-z, as 9bits shows them. 129 random bits."""
    return "".join(secrets.choice(_REF_ALPHABET) for _ in range(_REF_LENGTH))


def is_call_id(text: str) -> bool:
    return _CALL_ID.fullmatch(text) is not None


def is_test_id(text: str) -> bool:
    return _TEST_ID.fullmatch(text) is not None


def parse_ref_id(text: str) -> str | None:
    """The bare ref_id from either form (`msg_` in front or not), or None when it is not one."""
    found = _REF_ID.fullmatch(text)
    return found[1] if found else None
