"""Fixtures every suite may use."""

from tests.valkey import short_dir, valkey, valkey_server

__all__ = ["short_dir", "valkey", "valkey_server"]
