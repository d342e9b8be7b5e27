"""How a leg ended, in words a customer may rely on: facts in, ending, cause and retry class out. Pure, and a table.

Sources: RFC 3261 section 21 (answers) and 8.1.3.2 (an unknown answer counts as x00 of its class), RFC 3398 (Q.850
values), RFC 8197 (607), RFC 8688 (608), RFC 3326 (Reason). `docs/reference/outcomes.md` is generated from here.

Three rules stand above the table:
- who said it matters: 408, 502 and 503 of our own stack are not those of the peer (`Ended.origin`);
- silence proves nothing: an INVITE that was abandoned before any answer may still ring, so it is `uncertain`;
- an 18x lowers `next_trunk` to `later`: what rang once is not rung again at once by another way.
"""

from dataclasses import dataclass, replace

from sip.causes import ABOUT, CAUSE_CODES, Again, Cause, Ending, Fault, Sit, Source
from sip.commands import Why
from sip.events import Ended, Origin, Phase

__all__ = [
    "CAUSE_CODES",
    "IN_VAIN",
    "NEVER_DIALLED",
    "NEVER_NEXT_TRUNK",
    "SIP_CODES",
    "Again",
    "Cause",
    "Ending",
    "Fault",
    "Outcome",
    "Sit",
    "Source",
    "judge",
    "never_dialled",
    "of_answer",
    "refused_before",
    "worker_lost",
]

FAST_480_S = 1.0  # a 480 sooner than this, without 18x, is the trunk's "no channel", not a person
PACKET_MS = 20  # one RTP packet of G.711 or G.722
LEFT_SHARE = 0.9  # less than this share of the packets that should have left is a failed playback
START_GRACE_MS = 300  # from the answer and the pause to the first packet of speech
MEDIA_GRACE_S = 1.0  # an answered call shorter than this tells nothing about the peer's media
IN_VAIN = frozenset({Cause.MEDIA_TIMEOUT, Cause.NO_AUDIO, Cause.SECURITY_REQUIRED, Cause.MEDIA_INCOMPATIBLE})
"""Causes of an answered call that say that nobody heard it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one leg ended. `q850`: the peer's own value when it gave one, else the one RFC 3398 maps to, or None."""

    ending: Ending
    cause: Cause
    again: Again
    source: Source
    fault: Fault | None
    q850: int | None = None
    may_have_rung: bool = False

    @property
    def cause_code(self) -> int:
        return CAUSE_CODES[self.cause]

    @property
    def permanent(self) -> bool:
        """No later attempt can end better: the number is dead, or the person refused."""
        return self.again in (Again.DEAD_NUMBER, Again.REFUSED)

    @property
    def silent(self) -> bool:
        """Completed, but nobody can have heard it: the recipient is undelivered, and somebody should look."""
        return self.ending is Ending.COMPLETED and self.cause in IN_VAIN


def _outcome(ending: Ending, cause: Cause, again: Again, q850: int | None = None) -> Outcome:
    _, source, fault = ABOUT[cause]
    return Outcome(ending, cause, again, source, fault, q850, may_have_rung=again is Again.UNCERTAIN)


_A, _C, _E = Again, Cause, Ending
_PROTOCOL_ERROR = _outcome(_E.FAILED, _C.PROTOCOL_ERROR, _A.CONFIG, 127)
_REDIRECTED = _outcome(_E.FAILED, _C.REDIRECTED, _A.DEAD_NUMBER, 23)
_IDENTITY = _outcome(_E.FAILED, _C.IDENTITY_REJECTED, _A.CONFIG)
_SECURITY = _outcome(_E.FAILED, _C.SECURITY_REQUIRED, _A.CONFIG)
_AUTH = _outcome(_E.FAILED, _C.AUTH_FAILED, _A.CONFIG, 21)
_UNALLOCATED = _outcome(_E.FAILED, _C.UNALLOCATED_NUMBER, _A.DEAD_NUMBER, 1)
_CONGESTION = _outcome(_E.FAILED, _C.CONGESTION, _A.NEXT_TRUNK, 34)
_LOOP = _outcome(_E.FAILED, _C.ROUTING_LOOP, _A.CONFIG, 25)
_BUSY = _outcome(_E.BUSY, _C.USER_BUSY, _A.LATER, 17)
_TRUNK_FAILURE = _outcome(_E.FAILED, _C.TRUNK_FAILURE, _A.NEXT_TRUNK, 41)
_NOBODY = _outcome(_E.NO_ANSWER, _C.NO_USER_RESPONDING, _A.LATER, 18)
_SILENT_TRUNK = _outcome(_E.FAILED, _C.TRUNK_TIMEOUT, _A.UNCERTAIN, 102)
_UNREACHABLE = _outcome(_E.FAILED, _C.TRUNK_UNREACHABLE, _A.NEXT_TRUNK, 38)
_OUT_OF_ORDER = _outcome(_E.FAILED, _C.NETWORK_OUT_OF_ORDER, _A.NEXT_TRUNK, 38)
_SIGNALLING_LOST = _outcome(_E.FAILED, _C.SIGNALLING_LOST, _A.LATER, 41)
_LINE_ERROR = _outcome(_E.FAILED, _C.LINE_ERROR, _A.LATER)
_INCOMPATIBLE = _outcome(_E.FAILED, _C.MEDIA_INCOMPATIBLE, _A.CONFIG, 31)

# The peer's final answer, when nothing else explains the end.
_REMOTE: dict[int, Outcome] = {
    **dict.fromkeys((300, 301, 302, 305, 380), _REDIRECTED),
    400: replace(_PROTOCOL_ERROR, q850=41),
    **dict.fromkeys((401, 407), _AUTH),
    402: _outcome(_E.FAILED, _C.CARRIER_CREDIT, _A.CONFIG, 21),
    403: _outcome(_E.FAILED, _C.FORBIDDEN, _A.NEXT_TRUNK, 21),
    **dict.fromkeys((404, 604), _UNALLOCATED),
    405: _outcome(_E.FAILED, _C.NOT_SUPPORTED, _A.CONFIG, 63),
    **dict.fromkeys((406, 501), _outcome(_E.FAILED, _C.NOT_SUPPORTED, _A.CONFIG, 79)),
    408: _NOBODY,
    410: _outcome(_E.FAILED, _C.NUMBER_CHANGED, _A.DEAD_NUMBER, 22),
    **dict.fromkeys((413, 414, 416, 420, 421, 423, 505, 513), _PROTOCOL_ERROR),
    415: replace(_INCOMPATIBLE, q850=79),
    **dict.fromkeys((428, 436, 437, 438), _IDENTITY),
    433: _outcome(_E.FAILED, _C.ANONYMITY_DISALLOWED, _A.CONFIG),
    480: _outcome(_E.NO_ANSWER, _C.TEMPORARILY_UNAVAILABLE, _A.LATER, 18),
    481: _SIGNALLING_LOST,
    **dict.fromkeys((482, 483), _LOOP),
    484: _outcome(_E.FAILED, _C.INCOMPLETE_NUMBER, _A.DEAD_NUMBER, 28),
    485: _outcome(_E.FAILED, _C.AMBIGUOUS_NUMBER, _A.DEAD_NUMBER, 1),
    **dict.fromkeys((486, 600), _BUSY),
    487: _outcome(_E.FAILED, _C.REMOTE_CANCEL, _A.LATER),
    **dict.fromkeys((488, 606), _INCOMPATIBLE),
    491: _outcome(_E.FAILED, _C.GLARE, _A.LATER),  # normally repeated inside the dialog; this is a peer that insists
    **dict.fromkeys((493, 494), _SECURITY),
    **dict.fromkeys((500, 503), _TRUNK_FAILURE),
    502: _OUT_OF_ORDER,
    504: _outcome(_E.FAILED, _C.GATEWAY_TIMEOUT, _A.NEXT_TRUNK, 102),
    580: replace(_OUT_OF_ORDER, q850=47),
    603: _outcome(_E.REJECTED, _C.CALL_DECLINED, _A.REFUSED, 21),
    607: _outcome(_E.REJECTED, _C.UNWANTED, _A.REFUSED, 21),
    608: _outcome(_E.REJECTED, _C.ANALYTICS_BLOCKED, _A.REFUSED, 21),
}
_BY_CLASS = {3: _REDIRECTED, 4: _REMOTE[400], 5: _REMOTE[500], 6: _REMOTE[600]}

_SIT: dict[Sit, Outcome] = {
    Sit.VACANT: _UNALLOCATED,
    Sit.INTERCEPT: _outcome(_E.FAILED, _C.INTERCEPT, _A.DEAD_NUMBER, 22),
    Sit.NO_CIRCUIT: _CONGESTION,
    Sit.REORDER: _CONGESTION,
}
_CONGESTION_Q850 = frozenset({34, 42, 44, 47})

_NEVER_DIALLED: dict[Cause, Outcome] = {
    row.cause: row
    for row in (
        _outcome(_E.FAILED, _C.SPEECH, _A.OURS),
        _outcome(_E.FAILED, _C.POISON, _A.OURS),
        _outcome(_E.FAILED, _C.DISPATCH_TIMEOUT, _A.LATER),
        _outcome(_E.CANCELED, _C.CANCELED_BY_API, _A.OURS),
        _outcome(_E.CANCELED, _C.PLATFORM_SHUTDOWN, _A.LATER),
        _outcome(_E.EXPIRED, _C.VALIDITY_EXPIRED, _A.NONE),
        _outcome(_E.BLOCKED, _C.SUPPRESSED, _A.DEAD_NUMBER),
        _outcome(_E.BLOCKED, _C.INVALID_NUMBER, _A.DEAD_NUMBER),
        _outcome(_E.BLOCKED, _C.GEO_BLOCKED, _A.OURS),
        _outcome(_E.BLOCKED, _C.SPEND_CAP, _A.OURS),
        _outcome(_E.BLOCKED, _C.CALLER_ID_UNVERIFIED, _A.OURS),
        _outcome(_E.BLOCKED, _C.FREQUENCY_CAP, _A.OURS),
    )
}

_WORKER_LOST = _outcome(_E.FAILED, _C.WORKER_LOST, _A.UNCERTAIN)

NEVER_NEXT_TRUNK = frozenset({486, 600, 603, 607, 608})
"""A person answered these: no other trunk is tried, whatever the trunk's failover policy says."""

NEVER_DIALLED: tuple[Cause, ...] = tuple(_NEVER_DIALLED)
"""The causes that `never_dialled` knows."""

SIP_CODES: tuple[int, ...] = tuple(sorted(_REMOTE))
"""Every final answer that has a row of its own."""


def judge(
    ended: Ended,
    *,
    rang: bool,
    answered: bool,
    rtp_required: bool = False,
    elapsed_s: float | None = None,
    talk_s: float | None = None,
    pause_ms: int = 500,
    heard_pct: int = 80,
    sit: Sit | None = None,
    barred: bool = False,
) -> Outcome:
    """The outcome of a leg. Total: every `Ended` has one.

    `rang`, `answered`: the call was told so (an answer that crossed our CANCEL was not: that call stays canceled).
    `rtp_required`: the trunk's `rtp.required`. `elapsed_s`: INVITE to end. `talk_s`: answer to end. None: not known.
    `pause_ms`: silence before the first word. `heard_pct`: from here on a cut-off message counts as heard.
    `sit`: tones heard before the answer. `barred`: this trunk's share of 403 has passed its limit.
    """
    rang = rang or ended.phase in (Phase.RINGING, Phase.ANSWERED)
    if ended.lost:
        return worker_lost(sent=ended.sent or rang or answered)
    if answered or _was_answered(ended):
        return _after_answer(ended, rtp_required, talk_s, pause_ms, heard_pct)
    outcome = _before_answer(ended, rang, elapsed_s, sit, barred)
    if ended.origin is Origin.REMOTE and ended.q850 is not None:
        outcome = replace(outcome, q850=ended.q850)
    if rang and outcome.again is Again.NEXT_TRUNK:
        return replace(outcome, again=Again.LATER)
    return outcome


def never_dialled(cause: Cause) -> Outcome:
    """The outcome of a call without a leg: nothing was sent. Raises ValueError for a cause that needs one."""
    try:
        return _NEVER_DIALLED[cause]
    except KeyError:
        raise ValueError(f"{cause} cannot end a call that was never dialled") from None


def refused_before(cause: Cause, again: Again) -> Outcome:
    """The outcome of a later hop without a leg: no other trunk took it in time, so what the first one said stands.

    `cause`, `again`: of the first hop. The next trunk has had its chance, so what remains of `next_trunk` is `later`.
    """
    return _outcome(Ending.FAILED, cause, Again.LATER if again is Again.NEXT_TRUNK else again)


def worker_lost(*, sent: bool = True) -> Outcome:
    """Our line process, or whoever held the call, died. `sent` False only when certainly nothing left."""
    return _WORKER_LOST if sent else replace(_WORKER_LOST, again=Again.LATER, may_have_rung=False)


def of_answer(code: int) -> Outcome:
    """What the peer's final answer `code` (300 to 699) means when nothing else is known."""
    return _REMOTE.get(code) or _BY_CLASS[code // 100]


def _was_answered(ended: Ended) -> bool:
    """A 200 that crossed our own giving up does not count: it gets ACK and BYE, and the call keeps its ending."""
    gave_up = ended.why in (Why.API, Why.RING_TIMEOUT, Why.SHUTDOWN, Why.TRUNK_SILENT)
    return not gave_up and (ended.phase is Phase.ANSWERED or 200 <= ended.code < 300)


def _before_answer(ended: Ended, rang: bool, elapsed_s: float | None, sit: Sit | None, barred: bool) -> Outcome:
    peer_said_it = ended.origin is Origin.REMOTE and ended.code >= 300
    # Our CANCEL can cross a real answer: then the answer is the truth, unless somebody asked us to cancel.
    if ended.why is Why.API or (ended.why is not None and not (peer_said_it and ended.code != 487)):
        return _we_gave_up(ended, rang)
    if sit is not None and (ended.code in (480, 487) or not peer_said_it):
        return _SIT[sit]
    if not peer_said_it:
        return _own_stack(ended, rang)
    if ended.code == 480 and _no_channel(ended, rang, elapsed_s):
        return _CONGESTION
    if ended.code == 403 and barred:
        return replace(_REMOTE[403], again=Again.CONFIG)
    return of_answer(ended.code)


def _we_gave_up(ended: Ended, rang: bool) -> Outcome:
    in_silence = ended.sent and not rang and ended.phase is Phase.SILENT
    if ended.why is Why.API:
        return replace(_NEVER_DIALLED[_C.CANCELED_BY_API], may_have_rung=in_silence)
    if ended.why is Why.SHUTDOWN:
        again = Again.UNCERTAIN if in_silence else Again.LATER
        return replace(_NEVER_DIALLED[_C.PLATFORM_SHUTDOWN], again=again, may_have_rung=in_silence)
    if in_silence or (ended.why is Why.TRUNK_SILENT and not rang):
        return _silence(ended)
    return _outcome(Ending.NO_ANSWER, Cause.RING_TIMEOUT, Again.LATER, 19)


def _silence(ended: Ended) -> Outcome:
    return _SILENT_TRUNK if ended.sent else replace(_SILENT_TRUNK, again=Again.LATER, may_have_rung=False)


def _own_stack(ended: Ended, rang: bool) -> Outcome:
    """No final answer from the peer: PJSIP says 408 for its timer, 502 for a name, 503 for a transport that failed."""
    if ended.code == 408 and rang:
        return _NOBODY
    if ended.code == 502 and not rang:  # only a name that does not resolve: nothing can have left
        return _OUT_OF_ORDER
    if ended.code in (415, 488, 606):
        return of_answer(ended.code)
    if ended.code in (502, 503) and (rang or not ended.sent):
        return _UNREACHABLE
    if ended.code in (0, 408, 503) and ended.sent:
        return _SIGNALLING_LOST if rang else _SILENT_TRUNK
    if ended.sent and not rang:
        return replace(_LINE_ERROR, again=Again.UNCERTAIN, may_have_rung=True)
    return _LINE_ERROR


def _no_channel(ended: Ended, rang: bool, elapsed_s: float | None) -> bool:
    """480 is said for "no channel" too. The peer's Q.850 value tells; without one, only its haste does."""
    if ended.q850 is not None:
        return ended.q850 in _CONGESTION_Q850
    return not rang and elapsed_s is not None and elapsed_s < FAST_480_S


def _after_answer(ended: Ended, rtp_required: bool, talk_s: float | None, pause_ms: int, heard_pct: int) -> Outcome:
    if ended.why is Why.INSECURE:
        return replace(_SECURITY, ending=Ending.COMPLETED)
    if ended.why is Why.INCOMPATIBLE:
        return replace(_INCOMPATIBLE, ending=Ending.COMPLETED)
    if _spoke_in_vain(ended, talk_s, pause_ms):
        return _outcome(Ending.COMPLETED, Cause.NO_AUDIO, Again.LATER)
    long_enough = talk_s is None or talk_s >= MEDIA_GRACE_S
    if ended.why is Why.MEDIA_TIMEOUT or (rtp_required and long_enough and ended.rtp.received_packets == 0):
        return _outcome(Ending.COMPLETED, Cause.MEDIA_TIMEOUT, Again.LATER)
    if ended.why is Why.SHUTDOWN:
        return _outcome(Ending.COMPLETED, Cause.PLATFORM_SHUTDOWN, Again.LATER)
    if ended.why is Why.MAX_DURATION:
        again = Again.OK if _heard_enough(ended, heard_pct) else Again.LATER
        return _outcome(Ending.COMPLETED, Cause.MAX_DURATION, again)
    if ended.code in (408, 481) or (ended.why is None and (ended.by_us or ended.origin is Origin.LOCAL)):
        return replace(_SIGNALLING_LOST, ending=Ending.COMPLETED)  # session timer, or the dialog is unknown there
    source = Source.API if ended.why is Why.API else Source.PLATFORM if ended.by_us else Source.CALLEE
    return replace(_outcome(Ending.COMPLETED, Cause.NORMAL_CLEARING, Again.OK, 16), source=source)


def _heard_enough(ended: Ended, heard_pct: int) -> bool:
    return ended.played_to_end or ended.played_ms * 100 >= heard_pct * ended.audio_ms


def _spoke_in_vain(ended: Ended, talk_s: float | None, pause_ms: int) -> bool:
    """Audio should have left and did not: the proof is packets, not what the player believed.

    A person who hangs up before the first word was due is not silence. Neither is a key pressed before it.
    """
    if ended.played_to_end:
        due_ms = float(ended.audio_ms)
    elif talk_s is None:
        due_ms = float(ended.played_ms or ended.audio_ms)
    else:
        due_ms = min(ended.audio_ms, talk_s * 1000 - pause_ms - START_GRACE_MS)
    if due_ms <= 0:
        return False
    if ended.played_ms == 0 and (ended.played_to_end or not ended.digits):
        return True
    return ended.rtp.sent_packets * PACKET_MS < LEFT_SHARE * due_ms
