"""One call inside a line process: how far it came, what is due next, and the one `Ended` it adds up to.

No PJSIP here. The engine tells a `Leg` what happened and asks it what is due; times are the monotonic clock's seconds
except `at`, which is the wall clock's. A leg has one owner, the loop of its line process.
"""

from dataclasses import dataclass, field, replace

from sip.causes import Sit
from sip.commands import AfterScript, Dial, Play, Why
from sip.events import Digit, Ended, Origin, Phase, Played, RtpStats, Speaking
from sip.inband import InBand
from sip.messages import Answer, Seen, read_answer, reason_of
from sip.quality import PACKET_MS, loss_pct, milliseconds, mos
from sip.sit import SitEar

TAIL_S = 0.2  # the receiver's jitter buffer still holds the end of the message when we have sent it
SILENT_SLOT_S = 32.0  # RFC 3261 timer B: an INVITE without any answer is sent again and again for so long
TRACE_MOST = 64  # messages kept per call; a normal call has ten
DIGITS_MOST = 64
RINGS_MOST = 16  # a peer may repeat 180 for ever; the first counts
HEARD_SHARE = 0.9  # fewer packets than this share of the file is a failed playback, whatever the player says

_ORDER = {phase: rank for rank, phase in enumerate(Phase)}


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading of a stream. Losses and times in PJSIP's units; `reports`: RTCP reports received."""

    sent: int = 0
    received: int = 0
    sent_lost: int = 0
    received_lost: int = 0
    jitter_us: float = 0.0
    rtt_us: float = 0.0
    reports: int = 0

    def plus(self, other: "Counters") -> "Counters":
        """Packets add up; times are those of the newer reading, when it has any."""
        return Counters(
            sent=self.sent + other.sent,
            received=self.received + other.received,
            sent_lost=self.sent_lost + other.sent_lost,
            received_lost=self.received_lost + other.received_lost,
            jitter_us=other.jitter_us or self.jitter_us,
            rtt_us=other.rtt_us or self.rtt_us,
            reports=self.reports + other.reports,
        )

    def stats(self, codec: str) -> RtpStats:
        """The same in words; what nobody measured is None."""
        told = self.reports > 0
        sent_loss = loss_pct(self.sent_lost, max(0, self.sent - self.sent_lost)) if told else None
        got_loss = loss_pct(self.received_lost, self.received) if self.received else None
        jitter, rtt = milliseconds(self.jitter_us), milliseconds(self.rtt_us)
        worst = max((loss for loss in (sent_loss, got_loss) if loss is not None), default=None)
        return RtpStats(
            sent_packets=self.sent,
            received_packets=self.received,
            sent_loss_pct=sent_loss,
            received_loss_pct=got_loss,
            jitter_ms=jitter,
            rtt_ms=rtt,
            mos=mos(worst, rtt, jitter, codec),
        )


@dataclass(slots=True)
class Script:
    """One file, said so often, and what comes after it."""

    audio: str
    file_ms: int
    then: AfterScript
    repeat: int = 1
    gap_s: float = 0.0
    begun: int = 0
    speak_at: float | None = None  # None while it plays
    played_ms: int = 0
    whole: bool = True  # every repetition that ended so far left in full

    @property
    def over(self) -> bool:
        return self.begun >= self.repeat and self.speak_at is None


@dataclass(frozen=True, slots=True)
class Close:
    """How PJSIP said that the call is over."""

    at: float
    code: int
    reason: str
    origin: Origin
    sip_call_id: str = ""
    answer: Answer | None = None


@dataclass(slots=True)
class Leg:
    """The life of one INVITE. `inbound`: it was theirs."""

    dial: Dial
    file_ms: int
    silent_s: float
    placed: float
    phase: Phase = Phase.SILENT
    confirmed: bool = False
    media: bool = False
    rewire: bool = False  # media became active (again): connect what is to be said and heard
    codec: str = ""
    sip_call_id: str = ""
    why: Why | None = None  # why we end it; None: we do not
    error: str | None = None
    script: Script | None = None
    prepared: bool = False  # the script of the Dial has had its turn
    counters: Counters = Counters()
    digits: str = ""
    keys_by: str = ""  # how its keys come: what was heard first
    ear: InBand | None = None  # where they are to be found in the sound
    early_ear: SitEar | None = None  # for what the network says before the answer
    rewire_early: bool = False  # its sound is new
    sits: list[Sit] = field(default_factory=list)  # that it heard
    played_ms: int = 0
    audio_ms: int = 0
    repeats: int = 0
    to_end: bool = True
    close: Close | None = None
    settle_by: float = 0.0
    due: dict[Why, float] = field(default_factory=dict)
    rings: int = 0
    traced: int = 0
    invited: bool = False  # an INVITE left
    invited_at: float | None = None  # the first of them, Unix seconds
    mark: int | None = None  # the engine's, from before the dial
    encrypted: bool = False  # the answer takes up SRTP
    unsent: bool = False  # the INVITE that PJSIP reported never had a connection to leave by
    final: Answer | None = None  # to the INVITE, as seen on the wire
    peer: str = ""  # "address:port" that answers for the trunk
    challenge: Answer | None = None  # the last one: the peer asks for a login
    byes: int = 0
    bye_sent: bool = False  # the BYE was ours; the library sends one by itself to an answer that it cannot use
    byes_answered: int = 0
    reason_header: str | None = None
    q850: int | None = None
    inbound: bool = False
    _banked: Counters = Counters()
    _sent_before: int = 0
    _heard_at: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.due = {
            Why.RING_TIMEOUT: self.placed + self.dial.ring_timeout_s,
            Why.TRUNK_SILENT: self.placed + self.silent_s,
        }
        self.audio_ms = self.file_ms * self.dial.repeat
        self.invited = self.invited or self.inbound

    def picked_up(self, dial: Dial, file_ms: int) -> None:
        """Of a call that came in: this is what it is told."""
        self.dial, self.file_ms = dial, file_ms
        self.audio_ms = file_ms * dial.repeat

    # -- signalling

    def reached(self, phase: Phase) -> None:
        """The phase only ever rises."""
        if _ORDER[phase] > _ORDER[self.phase]:
            self.phase = phase
        self.due.pop(Why.TRUNK_SILENT, None)

    def answer(self, now: float) -> None:
        """200 received."""
        self.reached(Phase.ANSWERED)
        self.confirmed = True
        self.due.pop(Why.RING_TIMEOUT, None)
        self.due[Why.MAX_DURATION] = now + self.dial.max_duration_s
        self.due[Why.MEDIA_TIMEOUT] = now + self.dial.rtp_timeout_s
        self._sent_before = self.counters.sent

    def watch(self, seen: Seen, at: float) -> None:
        """What crossed the wire says when the call is really over, also after PJSIP has told us that it is."""
        if seen.method == "INVITE":
            self._watch_invite(seen, at)
        elif seen.method == "BYE" and seen.code >= 200:
            self.byes_answered += 1
        elif seen.method == "BYE" and seen.code == 0:
            self.byes = 1  # one dialog, one BYE: a second line is a retransmission
            self.bye_sent = self.bye_sent or seen.sent
            if not seen.sent:
                self.reason_header, self.q850 = reason_of(seen.text)

    def _watch_invite(self, seen: Seen, at: float) -> None:
        if self.inbound:
            if seen.sent and seen.code >= 200 and self.final is None:
                self.final, self.encrypted = read_answer(seen.text), "a=crypto:" in seen.text
        elif seen.sent:
            self.invited, self.invited_at = True, self.invited_at or at
        elif seen.code >= 100:
            self.reached(Phase.TRYING)
            self.peer = seen.peer
            if seen.code in (401, 407):
                self.challenge = read_answer(seen.text)
            elif seen.code >= 200:
                self.final = read_answer(seen.text)
                self.encrypted = "a=crypto:" in seen.text

    @property
    def settled(self) -> bool:
        """Nothing of this call is under way any more: its line is free."""
        if self.unsent or not self.invited:
            return True
        refused = self.close is not None and (self.close.code in (401, 407) or self._asked_in_vain)
        return (self.final is not None or refused) and (self.byes == 0 or self.byes_answered > 0)

    @property
    def _asked_in_vain(self) -> bool:
        """The engine ended it, because the peer asked for one login after the other (sip/logins.py)."""
        ours = self.why is None and self.final is None
        return ours and self.challenge is not None and self.close is not None and self.close.origin is Origin.LOCAL

    @property
    def failed_to_leave(self) -> bool:
        """Our own stack gave it up before anything came back."""
        close = self.close
        silent = self.phase is Phase.SILENT and self.why is None
        return silent and close is not None and close.origin is Origin.LOCAL and close.code in (502, 503)

    @property
    def never_heard(self) -> bool:
        """Answered, but not with media that our side could take."""
        return self.why is None and not self.media and (self.confirmed or self._taken_up)

    @property
    def is_incompatible(self) -> bool:
        """Answered, and the library hung up by itself: the answer has no SDP, or nothing in it was offered."""
        return self.never_heard and (self.bye_sent or not self.confirmed)

    @property
    def _taken_up(self) -> bool:
        """A 2xx came, whatever the library calls it: without SDP in it, it says 406."""
        return self.close is not None and self.final is not None and 200 <= self.final.code < 300

    # -- time

    def due_why(self, now: float) -> Why | None:
        """The first reason to hang up whose time has come."""
        late = [(at, why) for why, at in self.due.items() if at <= now]
        return min(late)[1] if late and self.close is None and self.why is None else None

    def bank(self, counters: Counters, now: float) -> None:
        """The last reading of a stream: a re-INVITE begins another, whose packets are counted from 0 again."""
        self.count(counters, now)
        self._banked = self.counters

    def count(self, reading: Counters, now: float) -> None:
        """A new reading; any packet heard since the last one puts the media time-out off."""
        counters = self.counters = self._banked.plus(reading)
        heard = (counters.received, counters.reports)
        if heard != self._heard_at and Why.MEDIA_TIMEOUT in self.due:
            self.due[Why.MEDIA_TIMEOUT] = now + self.dial.rtp_timeout_s
        self._heard_at = heard

    # -- speaking

    def prepare(self, now: float) -> None:
        """Once per call, when it is answered and media flows: the script of the Dial begins after its pause."""
        if self.prepared:
            return
        dial, self.prepared = self.dial, True
        self.script = Script(dial.audio, self.file_ms, dial.then, dial.repeat, dial.repeat_gap_ms / 1000)
        self.script.speak_at = now + dial.pause_ms / 1000

    def replace_script(self, play: Play, file_ms: int, now: float) -> None:
        """Something else is to be said now."""
        self.prepared = True
        self.script = Script(play.audio, file_ms, play.then, speak_at=now)
        self.audio_ms += file_ms
        self.due.pop(Why.PLAYED_OUT, None)

    def may_speak(self, now: float) -> bool:
        script = self.script
        return script is not None and script.speak_at is not None and script.speak_at <= now and self.close is None

    def began(self, at: float) -> Speaking:
        """A repetition begins; `counters` were read just now."""
        script = self._speaking()
        script.speak_at = None
        script.begun += 1
        self.repeats += 1
        self._sent_before = self.counters.sent
        return Speaking(self.dial.call_id, at, script.begun)

    def finished(self, now: float, at: float) -> Played | None:
        """The file came to its end: the next repetition, or the end of the script."""
        script = self._speaking()
        self._account(script)
        if script.begun < script.repeat:
            script.speak_at = now + script.gap_s
            return None
        if script.then is AfterScript.HANG_UP:
            self.due[Why.PLAYED_OUT] = now + TAIL_S
        return self._over(script, at)

    def stopped(self, at: float) -> Played | None:
        """Silence before the end; None when nothing was being said."""
        script = self.script
        if script is None:
            return None
        if script.speak_at is None:
            self._account(script)
        script.whole = False
        self.due.pop(Why.PLAYED_OUT, None)
        return self._over(script, at)

    def _speaking(self) -> Script:
        if self.script is None:
            raise ValueError("nothing is being said")
        return self.script

    def _account(self, script: Script) -> None:
        """By packets that left, not by the player's word; the loop looks a moment late, so never more than the file."""
        left_ms = max(0, self.counters.sent - self._sent_before) * PACKET_MS
        played = min(script.file_ms, left_ms)
        script.played_ms += played
        self.played_ms += played
        script.whole = script.whole and played >= HEARD_SHARE * script.file_ms

    def _over(self, script: Script, at: float) -> Played:
        self.script = None
        self.to_end = self.to_end and script.whole
        return Played(self.dial.call_id, at, script.played_ms, script.whole)

    # -- keys

    def press(self, digit: str, method: str, at: float) -> Digit | None:
        """None when the peer has pressed more than anybody needs, or told the same key in a second way.

        Gateways send an event, an INFO and the tone itself for one press: the way of the first key counts from then on.
        """
        self.keys_by = self.keys_by or method
        if len(self.digits) >= DIGITS_MOST or method != self.keys_by:
            return None
        self.digits += digit
        return Digit(self.dial.call_id, at, digit, method)

    # -- the end

    def ended(self, recording: str | None = None) -> Ended:
        """The facts of a closed leg. Raises ValueError before its close."""
        close = self.close
        if close is None:
            raise ValueError("the call is not over")
        answered = self.phase is Phase.ANSWERED
        told = self._told(close)
        code, reason = self._status(close, told)
        facts = Ended(
            call_id=self.dial.call_id,
            at=close.at,
            code=code,
            reason=reason,
            origin=Origin.REMOTE if told is not None else close.origin,
            phase=self.phase,
            # The library says BYE by itself when a session is not refreshed, or nobody there knows the dialog any more.
            by_us=self.why is not None or self.bye_sent,
            why=self.why,
            sent=self.invited and not self.unsent,
            played_ms=self.played_ms,
            audio_ms=self.audio_ms,
            played_to_end=answered and self.repeats > 0 and self.to_end and self.script is None,
            repeats=self.repeats,
            digits=self.digits,
            rtp=self.counters.stats(self.codec) if answered else RtpStats(),
            recording=recording,
            error=self.error,
            reason_header=self.reason_header,
            q850=self.q850,
            sit=max(self.sits, key=self.sits.count, default=None),  # a torn one is outvoted
            invited_at=self.invited_at,
        )
        if told is None:
            return facts
        return replace(facts, reason_header=told.reason_header, q850=told.q850, retry_after_s=told.retry_after_s)

    def _told(self, close: Close) -> Answer | None:
        """The peer's own final refusal. A 200 that crossed our CANCEL is no answer: nobody was spoken to."""
        if self.phase is Phase.ANSWERED:
            return None
        answer = close.answer if self.why is None else self.final
        if self._asked_in_vain:
            answer = self.challenge
        return answer if answer is not None and answer.code >= 300 else None

    def _status(self, close: Close, told: Answer | None) -> tuple[int, str]:
        if self.phase is Phase.ANSWERED:
            return 200, "OK"
        if told is not None:
            return told.code, told.reason
        return (0, "") if self.why is not None else (close.code, close.reason)
