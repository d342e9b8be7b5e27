"""One call that reached the phone: from its INVITE to its end (RFC 3261 sections 12 to 15, RFC 4028)."""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sip.sandbox import messages, sdp, session
from sip.sandbox.dialog import Dialog
from sip.sandbox.ear import info_key
from sip.sandbox.facts import EndedBy, Facts, Phase
from sip.sandbox.messages import Address, Request
from sip.sandbox.person import Person
from sip.sandbox.scripts import Final, PhoneScript
from sip.sandbox.session import Session
from sip.sandbox.sound import NoPorts, Pacer, Sound
from sip.sandbox.transactions import ClientTransactions, ServerTransaction, Timers

log = logging.getLogger(__name__)

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "INFO")
ALLOW = ("Allow", ", ".join(METHODS))
SUPPORTED = ("Supported", "timer")

# A caller that was challenged comes back at once, or not at all.
LOGIN_WAIT_S = 2.0
# A person puts down a dead receiver. Longer than the 30 s after which a caller ends a call without sound itself.
DEAD_LINE_S = 60.0
LONGEST_CALL_S = 3600.0
# RFC 3261 section 13.3.1.1: a provisional response every minute keeps the INVITE alive at proxies; and this is the end.
RING_AGAIN_S = 60.0
LONGEST_RING_S = 600.0

_STEP, _RING, _SESSION = "next step of the script", "ring again", "session"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a call needs of the phone it rings on."""

    here: Address  # SIP
    contact: str
    pacer: Pacer
    requests: ClientTransactions
    timers: Timers
    greeting: bytes  # PCM16, 8 kHz
    recording_path: Callable[["Call"], Path]
    ended: Callable[["Call"], None]


class Call:
    """State of one dialog. Every public method is called by the phone for a request that belongs to this call."""

    def __init__(self, around: Surroundings, script: PhoneScript, invite: ServerTransaction) -> None:
        self._around = around
        self._loop = asyncio.get_running_loop()
        self.script = script
        self.invite = invite  # the latest
        self.request = invite.request  # the one that began the call
        self.tag = invite.tag
        self.to = messages.uri_user(invite.request.uri).lstrip("+")
        self.phase = Phase.RINGING
        self.facts = Facts()
        self.sound: Sound | None = None
        self.last_cseq = invite.request.cseq
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._cseq = 0
        self._sdp_session = (secrets.randbits(31), 0)
        self._streams: tuple[sdp.Stream, ...] = ()
        self._index = 0
        self._agreed: sdp.Agreed | None = None
        self._person: Person | None = None
        self._session: Session | None = None
        self._dialog = Dialog(invite.request, invite.source)

    # --- before the answer

    def start(self) -> None:
        """Follow the script from the beginning."""
        script = self.script
        if script.login is not None:
            self._challenge(script.login)
            return
        refusal = script.final if script.ring_after_s is None else None  # a refusal without ringing
        if refusal is not None and refusal.after_s == 0:
            self.refuse(refusal)
            return
        if not self._understands_offer(self.invite) or not self._accepts_session(self.invite):
            return
        self.invite.respond(100)
        if refusal is not None:
            self._later(_STEP, refusal.after_s, self.refuse, refusal)
        elif script.ring_after_s:
            self._later(_STEP, script.ring_after_s, self._ring)
        else:
            self._ring()

    def start_again(self, invite: ServerTransaction) -> None:
        """The caller came back after a challenge."""
        self._cancel_timers()
        self.invite, self.request, self.tag = invite, invite.request, invite.tag
        self.facts.invites += 1
        self.last_cseq = invite.request.cseq
        self._dialog = Dialog(invite.request, invite.source)
        self.phase = Phase.RINGING
        self.start()

    def _challenge(self, refusal: Final) -> None:
        """Ask for a login; none is good enough."""
        if self.invite.request.headers.get("proxy-authorization"):
            self.refuse(refusal)
            return
        nonce = secrets.token_hex(16)
        challenge = f'Digest realm="sandbox", nonce="{nonce}", algorithm=MD5, qop="auth"'
        self.invite.respond(407, headers=[("Proxy-Authenticate", challenge)])
        self.phase = Phase.CHALLENGED
        self._later(_STEP, LOGIN_WAIT_S, self._end, EndedBy.PHONE)

    def _ring(self) -> None:
        self._ring_again()
        final, answer = self.script.final, self.script.answer_after_s
        if final is not None:
            self._later(_STEP, final.after_s, self.refuse, final)
        elif answer is not None:
            self._later(_STEP, random.uniform(*answer), self._answer)
        else:
            self._later(_STEP, LONGEST_RING_S, self.refuse, Final(480, "Temporarily Unavailable"))

    def _ring_again(self) -> None:
        self.invite.respond(180, headers=[("Contact", self._around.contact)])
        self._later(_RING, RING_AGAIN_S, self._ring_again)

    def refuse(self, final: Final) -> None:
        """End the call before it was answered."""
        if self.phase in (Phase.RINGING, Phase.CHALLENGED):
            self.invite.respond(final.code, final.reason, final.headers)
            self._end(EndedBy.PHONE)

    def cancel(self) -> None:
        """CANCEL came; without effect after the final response (RFC 3261 section 9.2)."""
        if self.phase is Phase.RINGING:
            self.invite.respond(487)
            self._end(EndedBy.CANCEL)

    # --- the answer

    def _understands_offer(self, transaction: ServerTransaction) -> bool:
        """Read and accept the offer of an INVITE or UPDATE; if not, it is refused here."""
        request = transaction.request
        if not request.body:
            return True
        if (request.headers.get("content-type") or "").partition(";")[0].strip().lower() != "application/sdp":
            self._refuse_offer(transaction, 415, [("Accept", "application/sdp")])
            return False
        try:
            self._take(sdp.parse(request.body))
        except sdp.BadSdp as error:
            self._refuse_offer(transaction, 400, [("Warning", f'399 phone "{error}"')])
            return False
        except sdp.NotAcceptable as error:
            self._refuse_offer(transaction, 488, [("Warning", f'305 phone "{error}"')])
            return False
        return True

    def _refuse_offer(self, transaction: ServerTransaction, code: int, headers: list[tuple[str, str]]) -> None:
        transaction.respond(code, headers=headers)
        if transaction is self.invite and self.phase is not Phase.ANSWERED:
            self._end(EndedBy.PHONE)

    def _take(self, streams: tuple[sdp.Stream, ...]) -> sdp.Agreed:
        index, agreed = sdp.agree(streams)
        self._streams, self._index, self._agreed = streams, index, agreed
        return agreed

    def _answer(self) -> None:
        try:
            self.sound = Sound(self._around.pacer, self._around.here[0])
        except NoPorts as error:
            log.warning("no ports for a call: %s", error)
            self.refuse(Final(503, "Service Unavailable", headers=(("Retry-After", "5"),)))
            return
        self._cancel_timers()
        self.phase = Phase.ANSWERED
        self.facts.answered_at = time.time()
        self.invite.on_no_ack = self._no_ack
        self._say_ok(self.invite)
        self._later(_STEP, LONGEST_CALL_S, self.hang_up, EndedBy.TOO_LONG)
        if self._agreed is not None:
            self._begin_sound(self._agreed)

    def _say_ok(self, transaction: ServerTransaction) -> None:
        """200 with our side of the session."""
        headers = [("Contact", self._around.contact), ALLOW, SUPPORTED, *self._keep_session(transaction.request)]
        body = b""
        if transaction.request.method == "INVITE" or transaction.request.body:
            body = self._description()
            headers.append(("Content-Type", "application/sdp"))
        transaction.respond(200, headers=headers, body=body)

    def _description(self) -> bytes:
        assert self.sound is not None
        number, version = self._sdp_session
        self._sdp_session = (number, version + 1)
        here = (self._around.here[0], self.sound.port)
        if self._agreed is None:
            return sdp.offer(here, self._sdp_session)
        wrong = self.script.wrong_codec
        return sdp.answer(self._streams, self._index, self._agreed, here, self._sdp_session, wrong=wrong)

    def _begin_sound(self, agreed: sdp.Agreed) -> None:
        sound, script = self.sound, self.script
        assert sound is not None
        bad_road = (script.loss, script.jitter_ms) if script.loss or script.jitter_ms else None
        sound.begin(agreed, silent=script.silent, bad_road=bad_road, listen=self._live)
        assert sound.mouth is not None
        assert sound.ear is not None
        self._person = Person(
            script,
            answered=self._loop.time(),
            mouth=sound.mouth,
            ear=sound.ear,
            greeting=self._around.greeting,
            hang_up=lambda: self.hang_up(EndedBy.PHONE),
        )

    def _live(self, now: float) -> None:
        if self._person is not None:
            self._person.live(now)
        ear = self.sound.ear if self.sound else None
        hears = self._agreed is not None and self._agreed.hears and not self.script.silent
        if ear is not None and hears and now - ear.last_packet > DEAD_LINE_S:
            self.hang_up(EndedBy.DEAD_LINE)

    def ack(self, request: Request) -> None:
        """The ACK of a 2xx. It carries the answer when the offer was ours (RFC 3261 section 13.2.1)."""
        first = self.invite.acked()
        if not first or self.phase is not Phase.ANSWERED or self._agreed is not None:
            return
        try:
            agreed = self._take(sdp.parse(request.body))
        except (sdp.BadSdp, sdp.NotAcceptable):
            self.hang_up(EndedBy.PHONE)
        else:
            self._begin_sound(agreed)

    def _no_ack(self) -> None:
        self.hang_up(EndedBy.NO_ACK)

    # --- during the call

    def refresh(self, transaction: ServerTransaction) -> None:
        """A re-INVITE or UPDATE: new session description, or only a sign of life."""
        invite = transaction.request.method == "INVITE"
        if self.phase is not Phase.ANSWERED:  # RFC 3311 section 5.2: nothing to change yet
            transaction.respond(500, headers=[("Retry-After", "1")])
            return
        before = (self._streams, self._index, self._agreed)
        if not self._understands_offer(transaction) or not self._accepts_session(transaction):
            self._streams, self._index, self._agreed = before
            return
        if invite:
            self.invite.acked()  # a caller that goes on has seen the 200 (its ACK was lost)
            self.invite = transaction
            transaction.on_no_ack = self._no_ack
        self._dialog.retarget(transaction.request)
        self._say_ok(transaction)
        if self.sound is not None and self._agreed is not None:
            self.sound.change(self._agreed)

    def info(self, request: Request) -> None:
        """Keys by INFO, as some senders do instead of RFC 4733."""
        self.facts.info_digits += info_key(request.headers.get("content-type") or "", request.body)

    def _accepts_session(self, transaction: ServerTransaction) -> bool:
        least_s = self._around.timers.least_session_s
        try:
            self._session = session.asked(transaction.request, least_s) or self._session
        except session.TooShort:
            self._refuse_offer(transaction, 422, [("Min-SE", str(least_s))])
            return False
        return True

    def _keep_session(self, request: Request) -> list[tuple[str, str]]:
        """Start the session timer anew; what to say about it in the 200."""
        if self._session is None:
            return []
        if self._session.by_us:
            self._later(_SESSION, self._session.next_step_s, self._refresh_ourselves)
        else:
            self._later(_SESSION, self._session.next_step_s, self.hang_up, EndedBy.SESSION_EXPIRED)
        return self._session.headers(request) if request.headers.get("session-expires") else []

    def _refresh_ourselves(self) -> None:
        if self._session is None:
            return
        self._later(_SESSION, self._session.next_step_s, self._refresh_ourselves)
        expires = ("Session-Expires", f"{self._session.interval_s};refresher=uac")
        self._request("UPDATE", [expires, SUPPORTED, ("Contact", self._around.contact)], self._refreshed)

    def _refreshed(self, code: int | None) -> None:
        if code in (None, 408, 481):
            self.hang_up(EndedBy.SESSION_EXPIRED)

    # --- the end

    def bye(self) -> None:
        """The caller hung up."""
        if self.phase is Phase.RINGING:
            self.invite.respond(487)
        self._end(EndedBy.CALLER)

    def hang_up(self, by: EndedBy) -> None:
        """End the call from our side, whatever its phase."""
        if self.phase is Phase.ANSWERED:
            self.invite.acked()
            if self.script.says_bye or by is not EndedBy.PHONE:
                self._request("BYE", [("Reason", 'Q.850;cause=16;text="Normal call clearing"')], lambda code: None)
            self._end(by)
        elif self.phase is not Phase.ENDED:
            self.invite.respond(480)
            self._end(by)

    def _request(self, method: str, headers: list[tuple[str, str]], done: Callable[[int | None], None]) -> None:
        self._cseq += 1
        branch = f"z9hG4bK{secrets.token_hex(8)}"
        datagram = self._dialog.request(method, self._cseq, branch, self.tag, self._around.here, headers)
        self._around.requests.start(branch, method, datagram, self._dialog.next_hop(), done)

    def _end(self, by: EndedBy) -> None:
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        self.facts.ended_at, self.facts.ended_by = time.time(), by
        self._cancel_timers()
        if self.sound is not None:
            self.sound.close()
            self._publish(self.sound)
        self._around.ended(self)

    def _publish(self, sound: Sound) -> None:
        recording = sound.ear.recording if sound.ear else None
        if recording is None:
            return
        path = self._around.recording_path(self)
        try:
            self.facts.recording = path if recording.publish(path) else None
        except OSError as error:
            log.warning("a recording was not written: %s", error)

    def _later(self, name: str, seconds: float, action: Callable[..., None], *args: object) -> None:
        """One timer of each name; a new one replaces the old."""
        self._cancel_timer(name)
        self._timers[name] = self._loop.call_later(seconds, action, *args)

    def _cancel_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _cancel_timers(self) -> None:
        for name in list(self._timers):
            self._cancel_timer(name)
