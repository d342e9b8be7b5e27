"""Each package's docstring is a map of its files: the file list is the product, so a stale map is a wrong manual."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# voice/cli has no map: its files are the commands, and `tocsin --help` lists those.
PACKAGES = ("config", "media", "messaging", "sip", "sip/sandbox", "voice", "voice/api")
NAME = re.compile(r"(?<![\w/.])([a-z]\w*(?:\.py|/))(?!\w)")


def mapped(package: str) -> Counter[str]:
    words = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text())) or ""
    return Counter(NAME.findall(words))


def present(package: str) -> set[str]:
    files = {path.name for path in (ROOT / package).glob("*.py")} - {"__init__.py", "__main__.py"}
    return files | {
        f"{path.name}/"
        for path in (ROOT / package).iterdir()
        if path.is_dir() and path.name != "__pycache__" and any(path.glob("*.*"))
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_maps_each_of_its_files_exactly_once(package: str) -> None:
    found = mapped(package)

    assert set(found) - present(package) == set(), "on the map, but not there"
    assert present(package) - set(found) == set(), "there, but not on the map"
    assert [name for name, times in found.items() if times > 1] == []
