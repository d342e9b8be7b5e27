"""How a call became final: sip's judgement of a leg -> the call's Ending -> what became of the recipient. Pure."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from media.prompt import Prompt
from media.speech import SpeechError
from sip import outcomes
from sip.causes import Again, Cause, Fault, Sit
from sip.commands import Why
from sip.events import Ended, Origin, RtpStats
from sip.outcomes import IN_VAIN, PACKET_MS
from sip.outcomes import Outcome as Judged
from sip.trunk import Trunk
from voice.call_object import heard_pct
from voice.calls import Call, Ending, Quality, SipAnswer, Status
from voice.messages import Message, Outcome

DETAIL_MOST = 300  # characters: a sentence, and a word of each engine that was asked
# An absolute path, or an IP address of either kind.
_OF_OURS = re.compile(
    r"(?<![\w:/])/\w[^\s'\",;:)]*|\b\d{1,3}(?:\.\d{1,3}){3}\b|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){3,7}"
)
NO_OTHER = "no other trunk took it in time"
_ANNOUNCED = {
    Sit.VACANT: "number not in service",
    Sit.INTERCEPT: "number changed or disconnected",
    Sit.NO_CIRCUIT: "no free circuit",
    Sit.REORDER: "the call could not be set up",
}
_SILENT = frozenset(cause.value for cause in IN_VAIN)


def of_leg(
    call: Call, message: Message, ended: Ended, trunk: Trunk | None, heard_from_pct: int, *, barred: bool = False
) -> Ending:
    """The ending of a call that had a leg. `call` as it stood when `ended` arrived. `barred`: TrunkDoor.barred."""
    at = moment(ended.at)
    # The call is stored as dialing before its INVITE leaves: on a busy machine long before.
    invited_at = call.start_at if ended.invited_at is None else moment(ended.invited_at)
    judged = outcomes.judge(
        ended,
        rang=call.ring_at is not None,
        answered=call.answer_at is not None,
        rtp_required=trunk.rtp.required if trunk else False,
        elapsed_s=_seconds(invited_at, at),
        talk_s=_seconds(call.answer_at, at),
        pause_ms=message.script.pause_ms,
        heard_pct=heard_from_pct,
        sit=ended.sit,
        barred=barred,
    )
    ending = _ending(judged, at, ended)
    if judged.cause not in _SILENT:
        return ending
    could_ms = _could_be_heard_ms(judged, ended, trunk, _seconds(call.answer_at, at), message.script.pause_ms)
    heard_ms = min(ending.heard_ms, could_ms)
    return replace(ending, heard_ms=heard_ms, played_to_end=ending.played_to_end and heard_ms >= ending.audio_ms > 0)


def _could_be_heard_ms(judged: Judged, ended: Ended, trunk: Trunk | None, talk_s: float | None, pause_ms: int) -> int:
    """What left is not what was heard. Without a word from there, nobody may claim that there was an ear.

    When they fell silent on the way, they may have heard what had been said until then.
    """
    if judged.cause is Cause.NO_AUDIO:
        return ended.rtp.sent_packets * PACKET_MS
    if ended.rtp.received_packets == 0 or talk_s is None:
        return 0
    silent_s = trunk.rtp.timeout_s if trunk and ended.why is Why.MEDIA_TIMEOUT else 0.0
    return max(0, round((talk_s - silent_s) * 1000) - pause_ms)


def without_leg(cause: Cause, at: datetime) -> Ending:
    """The ending of a call that was never dialled."""
    return _ending(outcomes.never_dialled(cause), at, sent=False)


def not_taken(call: Call, cause: Cause, at: datetime) -> Ending:
    """The ending of a queued call that no trunk took. `cause`: why, unless it is a later hop."""
    if call.refused is None:
        return without_leg(cause, at)
    judged = outcomes.refused_before(Cause(call.refused.cause), Again(call.refused.again))
    return replace(_ending(judged, at, sent=False), detail=NO_OTHER)


def without_audio(prompt: Prompt, error: SpeechError, at: datetime) -> Ending:
    """There was nothing to play, so nothing was dialled; the caller is told why, and whether it was theirs."""
    ending = without_leg(Cause.SPEECH, at)
    fault = Fault.REQUEST.value if error.of_request else ending.fault
    return replace(ending, fault=fault, detail=in_public(prompt, str(error)))


def in_public(prompt: Prompt, words: str) -> str:
    """What was said of the audio, in one line that may leave this house: an engine can name our files and hosts."""
    given = prompt.media_url or ""
    line = " ".join(words.split())
    return _OF_OURS.sub(lambda found: found[0] if found[0] in given else "…", line)[:DETAIL_MOST]


def lost(at: datetime, *, sent: bool = True) -> Ending:
    """Whoever held the call is gone. `sent` False only when certainly nothing left this machine."""
    return _ending(outcomes.worker_lost(sent=sent), at, sent=sent)


def outcome_of(call: Call, heard_from_pct: int, keys: str | None = None) -> Outcome:
    """What a final call makes of its recipient. `keys`: those that the message asked for; one pressed is an answer."""
    ending = call.ending
    if ending is None:
        return Outcome.PENDING
    match call.status:
        case Status.COMPLETED:
            return Outcome.DELIVERED if _was_heard(call, ending, heard_from_pct, keys) else Outcome.UNDELIVERED
        case Status.EXPIRED:
            return Outcome.EXPIRED
        case Status.CANCELED if ending.cause != Cause.PLATFORM_SHUTDOWN:
            return Outcome.CANCELED
        case Status.BLOCKED if ending.cause == Cause.SUPPRESSED:
            return Outcome.SUPPRESSED
    return Outcome.UNDELIVERED


def moment(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


def _was_heard(call: Call, ending: Ending, heard_from_pct: int, keys: str | None) -> bool:
    if ending.cause in _SILENT:
        return False
    if keys and any(digit in keys for digit in call.digits):
        return True
    return ending.played_to_end or (heard_pct(ending) or 0) >= heard_from_pct


def _ending(judged: Judged, at: datetime, ended: Ended | None = None, *, sent: bool = True) -> Ending:
    answered = judged.ending == Status.COMPLETED.value
    return Ending(
        at=at,
        status=Status(judged.ending.value),
        cause=judged.cause.value,
        cause_code=judged.cause_code,
        source=judged.source.value,
        fault=judged.fault.value if judged.fault else None,
        again=judged.again.value,
        permanent=judged.permanent,
        may_have_rung=judged.may_have_rung,
        sip=_answer(ended, judged) if ended else None,
        heard_ms=ended.played_ms if ended and (answered or ended.lost) else 0,
        audio_ms=ended.audio_ms if ended else 0,
        played_to_end=bool(ended and ended.played_to_end),
        quality=_quality(ended.rtp) if ended and answered else None,
        recorded=bool(ended and ended.recording),
        sent=ended.sent if ended else sent,
        detail=f"the network's announcement tone: {_ANNOUNCED[ended.sit]}" if ended and ended.sit else "",
    )


OK = 200


def _answer(ended: Ended, judged: Judged) -> SipAnswer | None:
    if ended.code == 0:
        return None
    return SipAnswer(
        code=ended.code,
        reason=ended.reason,
        # Who ended it is `source`; a 200 is the peer's word, whoever hung up afterwards.
        origin=(Origin.REMOTE if ended.code == OK else ended.origin).value,
        q850=ended.q850 if ended.q850 is not None else judged.q850,
        reason_header=ended.reason_header,
    )


def _quality(rtp: RtpStats) -> Quality:
    return Quality(rtp.mos, rtp.jitter_ms, rtp.sent_loss_pct, rtp.rtt_ms)


def _seconds(start: datetime | None, end: datetime) -> float | None:
    return None if start is None else max(0.0, (end - start).total_seconds())
