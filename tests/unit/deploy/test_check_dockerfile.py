"""deploy/check-dockerfile: what it says before and after it does its work. The work itself takes minutes."""

import importlib.machinery
import importlib.util
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "deploy" / "check-dockerfile"


@pytest.fixture
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("check_dockerfile", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def place() -> Iterator[Path]:
    """Open to everybody, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_an_interpreter_behind_a_shut_folder_is_found_out_even_through_a_link(script: ModuleType, place: Path) -> None:
    home = place / "home"
    home.mkdir()
    python = home / "python3"
    python.touch(mode=0o755)
    link = place / "python3"
    link.symlink_to(python)

    home.chmod(0o755)
    assert script.shut_to_others(link) is None
    home.chmod(0o700)
    assert script.shut_to_others(link) == home
    home.chmod(0o755)
    python.chmod(0o700)
    assert script.shut_to_others(link) == link


def test_what_a_service_said_before_it_fell_is_kept(script: ModuleType) -> None:
    log: list[str] = []
    said = ["Traceback (most recent call last):\n", "PermissionError: no\n"]

    assert script.served(io.StringIO("".join(said)), log) is None
    assert log == said


def test_the_address_is_the_one_the_service_tells(script: ModuleType) -> None:
    log: list[str] = []
    lines = ["warning: x\n", '{"event": "starting"}\n', '{"event": "serving", "url": "http://h:1"}\n', "later\n"]

    assert script.served(iter(lines), log) == "http://h:1"
    assert log == lines[:3]
