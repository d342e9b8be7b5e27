"""The table of magic numbers is whole, and an override is read strictly."""

import pytest

from sip.sandbox.scripts import ANSWERS, MAGIC, BadOverride, Final, Press, overridden, script_for


def test_the_table_has_the_documented_numbers_inside_the_fictional_range() -> None:
    assert list(MAGIC) == [f"1202555{n:04d}" for n in range(100, 119)]


@pytest.mark.parametrize("number", sorted(MAGIC))
def test_what_a_number_does_and_what_the_caller_should_see_agree(number: str) -> None:
    script = MAGIC[number]

    answers = script.answer_after_s is not None
    assert script.title
    assert answers is (script.expect.code == 200)
    assert not (answers and script.final)
    assert (script.expect.status == "completed") is answers
    for final in (script.final, script.login):
        if final is not None:
            assert (final.code, final.reason) == (script.expect.code, script.expect.reason)
    if script.hangup_after_s is not None or script.final is not None:
        assert script.expect.ended_by == "phone"


@pytest.mark.parametrize("number", ["2348020000000", "12025550199", "", "anonymous"])
def test_every_other_number_answers_and_listens(number: str) -> None:
    assert script_for(number) == ANSWERS


def test_a_plus_before_the_number_does_not_matter() -> None:
    assert script_for("+12025550101") == MAGIC["12025550101"]


def test_an_override_changes_what_it_names_and_leaves_the_rest() -> None:
    script = script_for("12025550116", "answer_after=2; press=1@3s ;hangup_after=10;colour=blue")

    assert script.answer_after_s == (2.0, 2.0)
    assert script.presses == (Press("1", 3.0),)
    assert script.hangup_after_s == 10.0
    assert (script.loss, script.jitter_ms, script.title) == (0.05, 40.0, MAGIC["12025550116"].title)


@pytest.mark.parametrize(
    ("text", "presses"),
    [
        ("press=1", (Press("1", None),)),
        ("press=7@2s,1@5", (Press("7", 2.0), Press("1", 5.0))),
        ("press=*12#A@300ms", (Press("*12#A", 0.3),)),
        ("press=9,1@4", (Press("9", None), Press("1", 4.0))),
    ],
)
def test_keys_may_be_pressed_at_a_time_or_after_the_prompt(text: str, presses: tuple[Press, ...]) -> None:
    assert overridden(ANSWERS, text).presses == presses


def test_who_asks_for_an_answer_gets_one_from_any_number() -> None:
    for number in ("12025550101", "12025550102", "12025550117", "12025550118"):
        script = script_for(number, "answer_after=0.5")
        assert (script.answer_after_s, script.final, script.login, script.answers_on_try) == ((0.5, 0.5), None, None, 1)


def test_a_code_refuses_whatever_the_number_would_have_done() -> None:
    script = script_for("12025550100", "code=404")

    assert script.final == Final(404, "As Asked")
    assert script.answer_after_s is None


def test_the_path_may_be_made_bad() -> None:
    script = script_for("12025550100", "loss=7%;jitter=25ms;ring_after=1.5")

    assert (script.loss, script.jitter_ms, script.ring_after_s) == (0.07, 25.0, 1.5)


@pytest.mark.parametrize("text", ["", ";;", "unknown=1", "unknown", "Answer_After=x", "; ;colour = blue"])
def test_nothing_known_changes_nothing(text: str) -> None:
    assert script_for("12025550100", text) == ANSWERS


@pytest.mark.parametrize(
    "text",
    [
        "answer_after",
        "answer_after=",
        "answer_after=-1",
        "answer_after=1e3",
        "answer_after=601",
        "answer_after=٣",
        "hangup_after=soon",
        "press=x",
        "press=1@",
        "press=1@x",
        "press=",
        "press=1,,2",
        "press=" + "1" * 33,
        "code=200",
        "code=700",
        "code=4x4",
        "loss=51",
        "jitter=201",
        "loss=5.5",
    ],
)
def test_a_known_key_with_a_wrong_value_is_refused_and_named(text: str) -> None:
    with pytest.raises(BadOverride, match=text.partition("=")[0]):
        overridden(ANSWERS, text)
