"""The tocsin command, used wrongly: it says what was wrong and how to use it, and leaves with the code for that."""

import pytest

from voice.cli.main import main

USAGE = 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["demo", "--onec"], "No such option: --onec"),
        (["call"], "Missing argument 'TO'"),
        (["call", "12025550110", "--say", "Hello"], "TOCSIN_API_KEY"),
        (["serve", "--port", "many"], "'--port'"),
    ],
)
def test_wrong_use_is_answered_with_the_usage_line_and_exit_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOCSIN_API_KEY", raising=False)

    assert main(arguments) == USAGE

    told = capsys.readouterr().err
    assert " Usage: tocsin " in told
    assert said in told


def test_a_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys"]) == USAGE

    assert "revoke" in "".join(capsys.readouterr())


def test_a_code_that_nobody_knows_is_exit_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "wroker_lost"]) == 5

    assert "worker_lost" in capsys.readouterr().err
