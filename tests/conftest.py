"""Fixtures every suite may use."""

import os

# As `tocsin serve` sets it. Before numpy is loaded: its threads spin while they wait, and on two busy cores the sound
# tests took twice as long with them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

from tests.valkey import short_dir, valkey, valkey_server

__all__ = ["short_dir", "valkey", "valkey_server"]

# How long an example took says something about the machine, and nothing about what is tested.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
