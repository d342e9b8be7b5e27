"""Every word and number we ever say has a title, a sentence, a verdict and a next step."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.errors import Fault, catalogue
from sip.causes import CAUSE_CODES, Again, Cause
from sip.outcomes import NEVER_DIALLED, SIP_CODES, never_dialled, of_answer
from voice.calls import Status
from voice.explain import (
    ERROR_HOMES,
    EXIT_CODES,
    Exit,
    Explanation,
    exit_code,
    explain,
    explain_call,
    know_all_errors,
    near,
    sentence_for,
    word_for,
)
from voice.explanations import CAUSES, PHRASES, STATUSES

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def known(code: str) -> Explanation:
    entry = explain(code)
    assert entry is not None, code
    return entry


def every_code() -> list[str]:
    know_all_errors()
    numbers = [str(number) for number in CAUSE_CODES.values()]
    return [*Cause, *numbers, *Status, *map(str, SIP_CODES), *catalogue()]


def test_every_code_has_a_cause_and_a_fix() -> None:
    faults = {None, *(fault.value for fault in Fault)}

    for code in every_code():
        entry = known(code)
        assert entry.title, code
        assert not entry.title.endswith("."), code
        assert entry.sentence.endswith("."), code
        assert len(entry.sentence) > 10, code
        assert entry.next_step, code
        assert entry.fault in faults, code


def test_every_module_that_defines_an_error_is_known_to_explain() -> None:
    root = REFERENCE.parents[1]
    bases: dict[str, tuple[str, set[str]]] = {}  # class -> its module, the names of its bases
    for path in sorted([*root.glob("messaging/**/*.py"), *root.glob("voice/**/*.py")]):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = (module, {base.id for base in node.bases if isinstance(base, ast.Name)})
    errors = {"ServiceError"}
    for _ in range(10):  # deeper than any family of errors
        errors |= {name for name, (_, above) in bases.items() if above & errors}

    homes = {bases[name][0] for name in errors}

    assert "messaging.numbers" in homes
    assert homes <= set(ERROR_HOMES), "add them to ERROR_HOMES, then run: python docs/reference/generate.py"


def test_nothing_is_explained_that_does_not_exist() -> None:
    assert set(CAUSES) == set(Cause)
    assert set(STATUSES) == set(Status)
    assert set(PHRASES) == set(SIP_CODES)


def test_trying_again_is_promised_only_where_the_outcome_allows_it() -> None:
    retryable = (Again.LATER, Again.NEXT_TRUNK)
    for code in SIP_CODES:
        assert known(str(code)).retryable is (of_answer(code).again in retryable), code
        assert known(of_answer(code).cause).retryable is (of_answer(code).again in retryable), code
    for cause in NEVER_DIALLED:
        if never_dialled(cause).again is not Again.NONE:
            assert known(cause).retryable is (never_dialled(cause).again in retryable), cause


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("486", "486"),
        (" 486 ", "486"),
        ("SIP 486", "486"),
        ("sip/2.0 486 Busy Here", "486"),
        ("486 Busy Here", "486"),
        ("user_busy", "user_busy"),
        ("USER-BUSY", "user_busy"),
        ("user busy", "user_busy"),
        ("3010", "user_busy"),
        ("no-answer", "no_answer"),
        ("cancelled", "canceled"),
        ("in-progress", "answered"),
        ("OVER_LIMIT", "OVER_LIMIT"),
        ("over_limit", "OVER_LIMIT"),
        ("INVALID_NUMBER", "INVALID_NUMBER"),
        ("invalid_number", "invalid_number"),
        ("worker_lost", "worker_lost"),
        ("180", "180"),
        ("499", "499"),
    ],
)
def test_a_code_is_found_however_it_is_written(asked: str, code: str) -> None:
    assert known(asked).code == code


def test_an_error_is_told_from_the_cause_of_the_same_name_in_a_fresh_process() -> None:
    program = "from voice.explain import explain; print(explain('INVALID_NUMBER').code, explain('invalid_number').code)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout.split() == ["INVALID_NUMBER", "invalid_number"]


def test_a_sip_answer_is_told_by_its_number_and_phrase() -> None:
    entry = known("486")

    assert (entry.title, entry.fault, entry.retryable) == ("486 Busy Here", "person", True)
    assert "busy" in entry.sentence
    assert entry.as_dict() == {
        "code": "486",
        "title": "486 Busy Here",
        "sentence": "The phone is busy.",
        "fault": "person",
        "retryable": True,
        "next_step": "Try again in a few minutes.",
    }
    assert known("499").title.startswith("499 (treated as 400")


@pytest.mark.parametrize(
    ("asked", "expected"), [("user_bsuy", "user_busy"), ("OVER_LIMITS", "OVER_LIMIT"), ("complted", "completed")]
)
def test_a_typing_mistake_gets_a_suggestion(asked: str, expected: str) -> None:
    assert explain(asked) is None
    assert expected in near(asked)


def test_nonsense_is_not_explained() -> None:
    assert explain("") is None
    assert explain("700") is None
    assert explain("xyzzy") is None
    assert near("qqqqqqqq") == []


@given(st.text(max_size=120))
def test_whatever_is_asked_is_answered_or_unknown(code: str) -> None:
    entry = explain(code)

    assert entry is None or entry.sentence


# -- a call


def call(status: str, cause: str | None, **more: Any) -> dict[str, Any]:
    return {
        "status": status,
        "hangup_cause": cause,
        "start_at": "2026-10-24T22:54:06.000Z",
        "answer_at": "2026-10-24T22:54:09.100Z" if status == "completed" else None,
        "end_at": "2026-10-24T22:54:30.000Z",
        "digits": "",
        "may_have_rung": False,
        "permanent": False,
        **more,
    }


BUSY = {"code": 486, "reason": "Busy Here", "origin": "remote"}

# The Call object, the word on the screen, the exit code, the sentence.
STORIES = [
    (
        call("completed", "normal_clearing", played_to_end=True, digits="1", hangup_source="callee"),
        "Answered, key pressed",
        Exit.OK,
        "Answered after 3.1 s, heard the whole message, pressed 1, they hung up.",
    ),
    (
        call("completed", "normal_clearing", played_to_end=True, hangup_source="platform"),
        "Heard, no key",
        Exit.OK,
        "Answered after 3.1 s, heard the whole message, we hung up.",
    ),
    (
        call("completed", "normal_clearing", heard_pct=40, hangup_source="callee"),
        "Hung up early",
        Exit.OK,
        "Answered after 3.1 s, heard 40 % of the message, they hung up.",
    ),
    (
        call("completed", "max_duration", heard_pct=90, hangup_source="platform"),
        "Heard, no key",
        Exit.OK,
        "Answered after 3.1 s, heard 90 % of the message, the time limit ended the call.",
    ),
    (
        call("completed", "no_audio", heard_pct=0),
        "Silent call",
        Exit.NO_AUDIO,
        "Answered after 3.1 s, but none of our audio left: nobody can have heard the message.",
    ),
    (
        call("completed", "media_timeout", played_to_end=True),
        "Silent call",
        Exit.NO_AUDIO,
        "Answered after 3.1 s, heard the whole message, but no sound came from their side.",
    ),
    (
        call("completed", "normal_clearing", answered_by="machine", played_to_end=True, hangup_source="platform"),
        "Voicemail (message left)",
        Exit.VOICEMAIL,
        "Answered after 3.1 s, heard the whole message, we hung up.",
    ),
    (call("busy", "user_busy", sip=BUSY), "Busy", Exit.BUSY, "The phone is busy (SIP 486 Busy Here)."),
    (call("no_answer", "ring_timeout"), "No answer", Exit.NO_ANSWER, "Nobody answered within ring_timeout."),
    (
        call("rejected", "call_declined", permanent=True),
        "Declined",
        Exit.DECLINED,
        "The person declined the call.",
    ),
    (
        call("failed", "unallocated_number", permanent=True),
        "Number not in service",
        Exit.NOT_IN_SERVICE,
        "That number does not exist.",
    ),
    (
        call("failed", "trunk_failure"),
        "Line problem",
        Exit.TRUNK_FAILURE,
        "The trunk could not place the call (an error of its own, or overload).",
    ),
    (
        call("failed", "trunk_timeout", may_have_rung=True, sip={"code": 408, "reason": "", "origin": "local"}),
        "Line lost, may have rung",
        Exit.TRUNK_FAILURE,
        "The trunk said nothing at all to our call, so nobody can know whether the phone rang"
        " (no answer from the trunk; our own 408). It may have rung; it is not called again by itself.",
    ),
    (
        call("failed", "worker_lost", may_have_rung=True),
        "Line lost, may have rung",
        Exit.UNEXPECTED,
        "Our process that held the call died, so nobody can know what the person heard."
        " It may have rung; it is not called again by itself.",
    ),
    (
        call("canceled", "canceled_by_api", may_have_rung=True),
        "Not called: stopped",
        Exit.INTERRUPTED,
        "Somebody asked for the call to be canceled. It may have rung.",
    ),
    (
        call("blocked", "suppressed"),
        "Opted out",
        Exit.NEVER_DIALLED,
        "This person does not want to be called.",
    ),
    (
        call("expired", "validity_expired"),
        "Not called: window closed",
        Exit.NEVER_DIALLED,
        "valid_until passed before the call could be dialled.",
    ),
    (call("ringing", None, end_at=None), "In call", Exit.TIMEOUT, "The phone rings."),
]


@pytest.mark.parametrize(("body", "word", "code", "sentence"), STORIES)
def test_a_call_is_told_in_a_word_a_sentence_and_an_exit_code(
    body: dict[str, Any], word: str, code: Exit, sentence: str
) -> None:
    assert word_for(body) == word
    assert exit_code(body) == code
    assert sentence_for(body) == sentence


def test_the_five_facts_of_a_call_come_together() -> None:
    facts = explain_call(call("busy", "user_busy", sip=BUSY, fault="person"))
    lost = explain_call(call("canceled", "platform_shutdown", may_have_rung=True, fault="us"))

    assert (facts.code, facts.title, facts.fault, facts.retryable) == ("user_busy", "Busy", "person", True)
    assert "SIP 486" in facts.sentence
    assert lost.retryable is False
    assert explain_call({}).title == "Unknown"


def test_a_key_that_was_wanted_and_not_pressed_has_its_own_exit_code() -> None:
    answered = call("completed", "normal_clearing", digits="7", played_to_end=True)

    assert exit_code(answered, wanted="19") == Exit.WRONG_KEY
    assert exit_code(answered, wanted="7") == Exit.OK


def test_every_cause_has_an_exit_code() -> None:
    assert set(EXIT_CODES) == set(Cause)
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 124, 130]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "status": st.sampled_from([*Status, "?"]),
            "hangup_cause": st.sampled_from([*Cause, "?", None]),
            "may_have_rung": st.booleans(),
            "heard_pct": st.none() | st.integers(0, 100),
            "played_to_end": st.booleans(),
            "digits": st.sampled_from(["", "1"]),
            "answered_by": st.sampled_from([None, "machine", "human"]),
            "sip": st.none() | st.just(BUSY),
        },
    )
)
def test_any_call_object_has_a_story(body: dict[str, Any]) -> None:
    assert word_for(body)
    assert sentence_for(body).endswith(".")
    assert exit_code(body) in set(Exit)
    assert explain_call(body).next_step


# -- the reference pages


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_pages", REFERENCE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_pages_are_what_the_code_says() -> None:
    for path, text in generator().pages().items():
        assert path.read_text(encoding="utf-8") == text, f"run: python docs/reference/generate.py ({path.name})"


def test_the_reference_pages_name_every_code() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md"))
    words = set(re.findall(r"`([A-Za-z_]+)`", text)) | set(re.findall(r"\| (\d{3,4}) ", text))

    assert {cause.value for cause in Cause} <= words
    assert {str(number) for number in CAUSE_CODES.values()} <= words
    assert set(map(str, SIP_CODES)) <= words
