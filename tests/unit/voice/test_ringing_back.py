"""Whose number it is, and who ended an inbound call."""

import pytest

from sip.causes import Cause, Source
from tests.voice_values import an_ending
from voice.calls import Status
from voice.ringing_back import as_digits, by_the_caller


@pytest.mark.parametrize(
    ("number", "region", "digits"),
    [
        ("+2348020000000", None, "2348020000000"),
        ("2348020000000", None, "2348020000000"),
        ("002348020000000", None, "2348020000000"),
        ("08020000000", "ng", "2348020000000"),
        ("08020000000", None, ""),
        ("anonymous", "ng", ""),
        ("", "ng", ""),
        ("112", "ng", ""),
    ],
)
def test_a_number_of_the_wire_is_read_as_the_trunks_country_writes_it(
    number: str, region: str | None, digits: str
) -> None:
    assert as_digits(number, region) == digits


@pytest.mark.parametrize(
    ("status", "cause", "source", "told"),
    [
        (Status.COMPLETED, Cause.NORMAL_CLEARING, Source.CALLEE, (Status.COMPLETED, Source.CALLER)),
        (Status.COMPLETED, Cause.NORMAL_CLEARING, Source.PLATFORM, (Status.COMPLETED, Source.PLATFORM)),
        (Status.FAILED, Cause.REMOTE_CANCEL, Source.TRUNK, (Status.CANCELED, Source.CALLER)),
        (Status.FAILED, Cause.WORKER_LOST, Source.PLATFORM, (Status.FAILED, Source.PLATFORM)),
    ],
)
def test_the_person_is_the_caller_now(
    status: Status, cause: Cause, source: Source, told: tuple[Status, Source]
) -> None:
    ending = by_the_caller(an_ending(status, cause.value, source=source.value))

    assert (ending.status, ending.source) == told
