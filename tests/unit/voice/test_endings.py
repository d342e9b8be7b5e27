"""What a call that had a leg may claim of what was heard."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sip.causes import Sit
from sip.commands import Why
from sip.events import Ended, Origin, Phase, RtpStats
from sip.trunk import Rtp
from tests.dialer_bench import SANDBOX
from tests.voice_values import a_message, an_intake
from voice.call_object import heard_pct
from voice.calls import Status
from voice.endings import of_leg
from voice.messages import Script

PAUSE_MS = 500
TRUNK = replace(SANDBOX, rtp=Rtp(timeout_s=30.0, required=True))
ANSWERED_AT = datetime(2026, 10, 24, 22, 54, 6, tzinfo=UTC)
CALL = replace(an_intake().calls[0], status=Status.ANSWERED, start_at=ANSWERED_AT, answer_at=ANSWERED_AT)
MESSAGE = a_message(script=Script(pause_ms=PAUSE_MS))


def talked(seconds: float, rtp: RtpStats, why: Why) -> Ended:
    """All 8 s of the message were played, as far as the player knows."""
    return Ended(
        CALL.call_id,
        ANSWERED_AT.timestamp() + seconds,
        200,
        "OK",
        Origin.LOCAL,
        Phase.ANSWERED,
        by_us=True,
        why=why,
        played_ms=8000,
        audio_ms=8000,
        played_to_end=True,
        rtp=rtp,
    )


@pytest.mark.parametrize(
    ("ended", "cause", "heard"),
    [
        (talked(9.0, RtpStats(450, 450), Why.PLAYED_OUT), "normal_clearing", (True, 8000, 100)),
        (talked(30.0, RtpStats(1500, 0), Why.MEDIA_TIMEOUT), "media_timeout", (False, 0, 0)),
        (talked(9.0, RtpStats(450, 0), Why.PLAYED_OUT), "media_timeout", (False, 0, 0)),
        (talked(34.5, RtpStats(1700, 200), Why.MEDIA_TIMEOUT), "media_timeout", (False, 4000, 50)),
        (talked(60.0, RtpStats(3000, 1500), Why.MEDIA_TIMEOUT), "media_timeout", (True, 8000, 100)),
        (talked(9.0, RtpStats(0, 450), Why.PLAYED_OUT), "no_audio", (False, 0, 0)),
        (talked(9.0, RtpStats(100, 450), Why.PLAYED_OUT), "no_audio", (False, 2000, 25)),
    ],
)
def test_no_ear_is_claimed_without_a_word_from_there(ended: Ended, cause: str, heard: tuple[bool, int, int]) -> None:
    ending = of_leg(CALL, MESSAGE, ended, TRUNK, 80)

    assert ending.cause == cause
    assert (ending.played_to_end, ending.heard_ms, heard_pct(ending)) == heard


@pytest.mark.parametrize(
    ("invited_s", "ended_s", "cause"),
    [
        (None, 0.9, "congestion"),
        (None, 1.1, "temporarily_unavailable"),
        (1.5, 2.4, "congestion"),  # stored as dialing long before the INVITE left
        (1.5, 2.6, "temporarily_unavailable"),
    ],
)
def test_a_480_is_hasty_by_the_time_since_the_invite_left(invited_s: float | None, ended_s: float, cause: str) -> None:
    dialling = replace(CALL, status=Status.DIALING, answer_at=None)
    stored = ANSWERED_AT.timestamp()
    invited_at = None if invited_s is None else stored + invited_s
    ended = Ended(CALL.call_id, stored + ended_s, 480, "", Origin.REMOTE, Phase.TRYING, invited_at=invited_at)

    assert of_leg(dialling, MESSAGE, ended, TRUNK, 80).cause == cause


@pytest.mark.parametrize(
    ("sit", "cause", "detail"),
    [
        (Sit.VACANT, "unallocated_number", "number not in service"),
        (Sit.INTERCEPT, "intercept", "number changed or disconnected"),
        (Sit.NO_CIRCUIT, "congestion", "no free circuit"),
        (Sit.REORDER, "congestion", "the call could not be set up"),
        (None, "temporarily_unavailable", ""),
    ],
)
def test_what_the_network_announced_is_the_cause_and_is_told_in_words(sit: Sit | None, cause: str, detail: str) -> None:
    ringing = replace(CALL, status=Status.RINGING, answer_at=None, ring_at=ANSWERED_AT)
    ended = Ended(
        CALL.call_id, ANSWERED_AT.timestamp() + 4, 480, "Because", Origin.REMOTE, Phase.RINGING, audio_ms=8000, sit=sit
    )

    ending = of_leg(ringing, MESSAGE, ended, TRUNK, 80)

    assert ending.cause == cause
    assert ending.detail == (f"the network's announcement tone: {detail}" if detail else "")
