"""The list of guards: each stands in its file, each has a test that is there."""

import pytest

from tests.guards import ROOT, Guard, guards


@pytest.mark.parametrize("guard", guards(), ids=lambda guard: f"{guard.requirement} {guard.what}")
def test_a_guard_stands_once_in_its_file_and_names_a_test(guard: Guard) -> None:
    assert (ROOT / guard.file).read_text().count(guard.old) == 1
    assert guard.new != guard.old
    named = [word for word in guard.test.split() if word.startswith("tests/")]
    assert named
    assert all((ROOT / word).is_file() for word in named)


def test_each_requirement_of_the_trunk_has_a_guard() -> None:
    assert {guard.requirement for guard in guards()} >= {f"R{n}" for n in range(1, 11)}
