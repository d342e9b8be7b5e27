"""The pages a newcomer reads name only what exists: links, files, commands and flags, addresses, settings, events."""

import re
import shlex
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from config.settings import SettingsError, load
from tests.api_door import api_parts
from voice.api.app import create_app
from voice.api.schemas import EventType
from voice.cli.main import app

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
# Written by hand for somebody who wants to do something: they begin with something to copy.
HANDS_ON = [page for page in PAGES if page.parent.name in ("tutorials", "how-to", "explanation", "reference")]
SCREEN = 30  # lines
README_MOST = 150  # lines


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every address of the API, its parameters as {}."""
    description = create_app(api_parts(tmp_path_factory.mktemp("api"))).openapi()
    return {re.sub(r"\{\w+\}", "{}", path) for path in description["paths"]}


each_page = pytest.mark.parametrize("page", PAGES, ids=name)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in _anchors(there), f"{target}: no such heading"


@each_page
def test_commands_and_their_flags_exist(page: Path) -> None:
    for words in _commands(page.read_text(encoding="utf-8")):
        command = _command(words)
        known = {flag for parameter in command.params for flag in parameter.opts}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= {*known, "--help"}, f"tocsin {' '.join(words)}"


@each_page
def test_addresses_exist(page: Path, routes: set[str]) -> None:
    for path in set(re.findall(r"(?<![\w.])/(?:v1|sandbox/v1)/[\w/{}$.-]*", page.read_text(encoding="utf-8"))):
        pattern = re.sub(r"\{\w+\}|\$\w+|(call|msg)_\w+…?", "{}", path.rstrip("/."))
        assert pattern in routes, f"{path} is no address of the API"


@each_page
def test_settings_exist(page: Path) -> None:
    named = set(re.findall(r"TOCSIN_[A-Z]\w*", page.read_text(encoding="utf-8")))

    assert [variable for variable in named if "unknown setting" in _refusal(variable)] == []


@each_page
def test_events_exist(page: Path) -> None:
    named = set(re.findall(r"`(call\.[a-z]+)`", page.read_text(encoding="utf-8")))

    assert named <= set(get_args(EventType))


@pytest.mark.parametrize("page", HANDS_ON, ids=name)
def test_the_first_thing_to_copy_is_on_the_first_screen(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    if name(page) in ("docs/reference/outcomes.md", "docs/reference/errors.md"):
        assert "`tocsin explain CODE`" in "\n".join(lines[:SCREEN])
    else:
        assert any(line.startswith("```") for line in lines[:SCREEN])


def test_the_map_of_the_api_names_every_address(routes: set[str]) -> None:
    text = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    named = {re.sub(r"\{\w+\}", "{}", path) for path in re.findall(r"`(?:GET|POST|PUT|DELETE) (/[^`]+)`", text)}

    assert named == routes


def test_the_events_page_names_every_event() -> None:
    text = (ROOT / "docs" / "reference" / "events.md").read_text(encoding="utf-8")

    assert set(re.findall(r"^\| `(call\.[a-z]+)`", text, re.MULTILINE)) == set(get_args(EventType))


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")

    missing = [page for page in HANDS_ON if str(page.relative_to(ROOT / "docs")) not in index]
    assert missing == []


def test_the_readme_is_short_and_says_first_what_matters() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    assert len(lines) <= README_MOST
    assert "No public URL needed" in lines[2]


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "decisions"], ids=name)
def test_nothing_is_called_simple(page: Path) -> None:
    assert not re.search(r"\b(simply|obviously|of course)\b", page.read_text(encoding="utf-8"), re.IGNORECASE)


def _refusal(variable: str) -> str:
    try:
        load({variable: "1"})
    except SettingsError as error:
        return str(error)
    return ""


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(text: str) -> list[list[str]]:
    """The words after `tocsin` of each command in a block of shell or in backquotes."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`((?:\.venv/bin/)?tocsin [^`\n]+)`", text)
    found = []
    for line in lines:
        for part in re.split(r"[|&;]", line):
            if match := re.match(r"\s*(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?tocsin (.*)", part):
                found.append(shlex.split(match[1], comments=True))
    return found


def _command(words: list[str]) -> Any:
    command: Any = typer.main.get_command(app)
    for word in words:
        inner = getattr(command, "commands", None)
        if inner is None:
            break
        assert word in inner, f"there is no command tocsin {' '.join(words)}"
        command = inner[word]
    return command
