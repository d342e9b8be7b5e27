"""The message, and one key: what each event of the line leads to."""

import pytest

from sip.commands import AfterScript
from sip.events import Answered, Digit, LineEvent, Played, Ringing, Speaking
from voice.flows import GRACE_S, NOTHING, Decision, begin, step
from voice.messages import Gather, Script

ONE_KEY = Script(gather=Gather(timeout_ms=4000, valid="12"))


def test_without_a_question_the_line_hangs_up_by_itself() -> None:
    assert begin(Script()).then is AfterScript.HANG_UP
    assert begin(ONE_KEY).then is AfterScript.WAIT


@pytest.mark.parametrize(
    ("event", "decision"),
    [
        (Ringing("c", 0.0, 180), NOTHING),
        (Answered("c", 0.0), NOTHING),
        (Speaking("c", 0.0), NOTHING),
        (Digit("c", 0.0, "7"), NOTHING),
        (Played("c", 0.0, 900, to_end=False), NOTHING),
        (Digit("c", 0.0, "2"), Decision(stop_playing=True, hang_up_in_s=GRACE_S)),
        (Played("c", 0.0, 900, to_end=True), Decision(hang_up_in_s=4.0)),
    ],
)
def test_a_question_is_ended_by_a_valid_key_or_by_silence(event: LineEvent, decision: Decision) -> None:
    assert step(begin(ONE_KEY), event)[1] == decision
    assert step(begin(Script()), event)[1] == NOTHING


def test_after_the_valid_key_nothing_prolongs_the_call() -> None:
    flow, _ = step(begin(ONE_KEY), Digit("c", 0.0, "1"))

    assert flow.key == "1"
    for late in (Digit("c", 0.0, "2"), Played("c", 0.0, 900, to_end=True)):
        assert step(flow, late) == (flow, NOTHING)
